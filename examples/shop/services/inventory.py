"""The inventory service: stock that is never oversold, reservations that expire, deliveries that count once.

Who reserves for an order? The instance that is its home; the other one if that is silent for a moment. Each spends
rights that it holds, so neither asks the other, and both together never sell more than there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

import gossamer

from .instance import Here, Instance, answer, now
from .model import CANCELLED, PLACED, REJECTED, RELEASED, RESERVED, SOLD, home, order_of, records_of
from .reconcile import Reconciler, Source
from .saga import Keep, keep

TRY_S = 1.5
"""For which an instance that lacks rights tries again, while nodes even them out, before it rejects an order."""
AGAIN_S = 0.2
LOOK_S = 1.0
CD_G = 105
"""What a CD weighs, packed, in grams."""

router = APIRouter()


class Delivery(BaseModel):
    goods: dict[str, int] = Field(max_length=400)


@router.put("/deliveries/{delivery}")
async def deliver(delivery: str, body: Delivery, here: Here) -> Response:
    """Note what was delivered; the instance that is its home books it, and nobody else, so it counts once."""
    stock = here.node.keyspace("stock")
    async with stock.transaction(op_id=f"deliver {delivery}") as tx:
        tx.map("delivery").register(delivery).set(body.goods)
    here.count(tx, notes=1)
    return answer({"delivery": delivery}, 202)


@router.get("/stock/{title}")
async def stock_of(title: str, here: Here) -> Response:
    """How many there are, and how many could be sold here at once."""
    counter = here.node.keyspace("stock").bounded_counter(title)
    return answer({"title": title, "left": counter.value(), "here": counter.available()})


# The saga


async def keeper(here: Instance) -> None:
    """Follow orders, and reserve, sell or release what they are about."""
    stock, orders = here.node.keyspace("stock"), here.node.keyspace("orders")
    sources = [
        Source(orders, "keeper", "map:saga/", lambda change: order_of(change.path)),
        Source(stock, "other keeper", "map:reservation/", lambda change: _of_the_other(here, change)),
        Source(stock, "expired", f"map:hold/set:{here.name}/", _expired),
    ]
    reconciler = Reconciler(sources, lambda some: settle(here, some), here.saw)
    reconciler.look_at(orders.set("open"))
    await reconciler.run()


def _of_the_other(here: Instance, change: gossamer.Change) -> str | None:
    return None if change.path.endswith(here.name) else order_of(change.path)


def _expired(change: gossamer.Change) -> str | None:
    return str(change.names[-1]) if change.is_removed else None


async def settle(here: Instance, some: set[str]) -> Iterable[tuple[str, float]]:
    """Take each order one step further, all in one transaction; which of them to look at again, and when."""
    again = []
    async with here.node.keyspace("stock").transaction() as tx:
        for order in some:
            after_s = _step(here, tx, order)
            if after_s is not None:
                again.append((order, after_s))
    here.count(tx)
    return again


def _step(here: Instance, tx: gossamer.Transaction, order: str) -> float | None:
    orders = here.node.keyspace("orders")
    saga = orders.map("saga").register(order).get()
    if saga is None:  # what the other did about it came before it did
        return LOOK_S
    records = records_of(tx, order)
    held = order in tx.map("hold").set(here.name)
    age = now() - max([saga["at"], *(record["at"] for record in records.values())])
    my_turn = age > here.setting.takeover_s or (home(order) == here.number and saga["stage"] == PLACED)
    states = {instance: record["state"] for instance, record in records.items()}
    step = keep(here.name, saga["stage"], states, held, my_turn)
    if step is Keep.NOTHING:
        return None
    if step is Keep.WAIT:
        return LOOK_S if states else here.setting.takeover_s
    if step is Keep.RESERVE:
        return _reserve(here, tx, order, age)
    _end(here, tx, order, records[here.name]["goods"], step)
    return None


def _reserve(here: Instance, tx: gossamer.Transaction, order: str, age: float) -> float | None:
    lines = here.node.keyspace("orders").map("order").map(order).map("lines").value()
    goods = {title: line["qty"] for title, line in lines.items()}
    if all(tx.bounded_counter(title).available() >= qty for title, qty in goods.items()):
        for title, qty in goods.items():
            tx.bounded_counter(title).spend(qty)
        tx.map("hold").set(here.name).add(order, ttl=here.setting.hold_s)
        _note(here, tx, order, RESERVED, goods)
        return here.setting.hold_s + LOOK_S
    if age < TRY_S:
        return AGAIN_S
    _note(here, tx, order, REJECTED, goods)
    return None


def _end(here: Instance, tx: gossamer.Transaction, order: str, goods: dict[str, int], step: Keep) -> None:
    if step is Keep.SELL:
        parcel = tx.map("parcel").map(order).map(here.name)
        parcel.register("state").set("to pack")
        parcel.register("weight").set(CD_G * sum(goods.values()))
        for title, qty in goods.items():
            tx.map("sold").counter(title).add(qty)
            parcel.map("goods").register(title).set(qty)
    else:
        was = tx.map("reservation").map(order).register(here.name).get()["state"]
        _put_back(tx, order, here.name, was, goods)
    tx.map("hold").set(here.name).discard(order)
    _note(here, tx, order, SOLD if step is Keep.SELL else RELEASED, goods)


def _put_back(tx: gossamer.Transaction, order: str, me: str, was: str, goods: dict[str, int]) -> None:
    for title, qty in goods.items():
        tx.bounded_counter(title).mint(qty)
        if was == SOLD:
            tx.map("sold").counter(title).add(-qty)
    if was == SOLD:
        tx.map("parcel").map(order).remove(me)


def _note(here: Instance, tx: gossamer.Transaction, order: str, state: str, goods: dict[str, int]) -> None:
    record = {"state": state, "goods": goods, "at": now(), "by": here.name}
    tx.map("reservation").map(order).register(here.name).set(record)


# Deliveries


async def booker(here: Instance) -> None:
    """Book the deliveries whose home this instance is."""
    stock = here.node.keyspace("stock")
    async with stock.subscription("booker", "map:delivery/", expired="snapshot") as deliveries:
        async for change in deliveries:
            delivery = str(change.names[-1])
            if home(delivery) == here.number and stock.map("booked").register(delivery).get() is None:
                await _book(here, delivery, change.new)
            await change.aack()


async def _book(here: Instance, delivery: str, goods: dict[str, int]) -> None:
    stock = here.node.keyspace("stock")
    async with stock.transaction() as tx:
        for title, qty in goods.items():
            tx.bounded_counter(title).mint(qty)
        tx.map("booked").register(delivery).set({"by": here.name, "at": now()}, expect=None)
    here.count(tx)


# For the audit


def dump(here: Instance) -> dict[str, Any]:
    """Stock, reservations and deliveries as this instance has them."""
    stock = here.node.keyspace("stock")
    prefix = "bounded_counter:"
    return {
        "left": {
            path.removeprefix(prefix): stock.bounded_counter(path.removeprefix(prefix)).value()
            for path in stock.keys(prefix)
        },
        "sold": stock.map("sold").value(),
        "reservations": stock.map("reservation").value(),
        "deliveries": stock.map("delivery").value(),
        "parcels": stock.map("parcel").value(),
        "booked": stock.map("booked").value(),
        "holds": {name: sorted(held) for name, held in stock.map("hold").value().items()},
    }


__all__ = ["CANCELLED", "booker", "dump", "keeper", "router"]
