"""The orders service: carts, orders, and the half of the saga that is about money.

What makes an order safe to send twice, to two instances that do not hear each other? Its id is the client's
idempotency key and all that is in it comes from the request, so both write the very same order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any
from zlib import crc32

from fastapi import APIRouter, Header, HTTPException, Response
from pydantic import BaseModel, Field

import gossamer
from gossamer.crdt import Dot
from gossamer.integrations.fastapi import RequiredOpId

from . import quotes
from .instance import Here, Instance, answer, now
from .model import DECLINED, ENDS, NUMBERS, PAID, PLACED, home, order_of, records_of
from .reconcile import Reconciler, Source
from .saga import Pay, money_after, pay, stage_after

SAFE_S, SAFE_LAST_S = 0.25, 0.6
"""For an order to reach another disk, which mostly takes some milliseconds; the second where nobody else can be asked."""
EMPTY_EVERY_S, CARTS = 0.5, 20
"""At most so many carts at once: a transaction has an end at 1,000 cells."""
LOOK_S = 1.0
"""Between two looks at an order that waits for others."""
TAX_OF_1000 = 60
DECLINED_OF_1000 = 30
"""Cards that the payment provider declines."""

LastTry = Annotated[str | None, Header(alias="Shop-Last-Try")]

router = APIRouter()


class Choice(BaseModel):
    goods: dict[str, Annotated[int, Field(ge=1, le=1000)]] = Field(min_length=1, max_length=40)


class OrderLine(BaseModel):
    title: str = Field(max_length=50)
    name: str = Field(max_length=100)
    qty: int = Field(ge=1, le=1000)
    price: int = Field(ge=0)
    quote: str


class Address(BaseModel):
    name: str = Field(max_length=100)
    street: str = Field(max_length=100)
    postcode: str = Field(max_length=20)
    city: str = Field(max_length=50)
    country: str = Field(max_length=2)
    email: str = Field(max_length=100)


class Order(BaseModel):
    customer: str = Field(max_length=50)
    address: Address
    cart: str = Field(max_length=50)
    ordered_at: float
    """The customer's time, seconds since 1970. Ours would differ between the two that may write this order."""
    lines: list[OrderLine] = Field(min_length=1, max_length=40)


@router.post("/carts/{cart}")
async def put_in(cart: str, choice: Choice, op_id: RequiredOpId, here: Here) -> Response:
    """Put some titles into a cart. Sent again with its key, to either instance, it counts once."""
    async with here.node.keyspace("carts").transaction(op_id=op_id) as tx:
        for title, qty in choice.goods.items():
            name, price = _title(here, title)
            inside = tx.map("cart").map(cart).map(title)
            inside.counter("qty").add(qty)
            inside.register("price").set(price)
            inside.register("name").set(name)
    here.count(tx, notes=1)
    return answer({"cart": cart}, 201)


@router.get("/carts/{cart}")
async def look_into(cart: str, here: Here) -> Response:
    """What is in a cart, and at which price."""
    lines = here.node.keyspace("carts").map("cart").map(cart).value()
    return answer({"cart": cart, "lines": {title: _quoted(title, line) for title, line in lines.items()}})


def _quoted(title: str, line: dict[str, Any]) -> dict[str, Any]:
    return {**line, "quote": quotes.sign(title, line.get("price", 0))}


@router.put("/orders/{order}")
async def place(order: str, body: Order, here: Here, last_try: LastTry = None) -> Response:
    """Place an order of what the customer saw. Its id is the idempotency key.

    It is acknowledged when it is on two disks, so what a customer was told stands whatever happens to one instance. One
    that nobody hears says 503, and the customer's program asks the other, with the same id.
    """
    if not all(quotes.is_signed(line.title, line.price, line.quote) for line in body.lines):
        raise HTTPException(409, "not a price of ours")
    within_s = SAFE_S if last_try is None else SAFE_LAST_S
    if _state(here, order)["stage"] is None:
        await _place(here, order, body, within_s)
    else:
        orders = here.node.keyspace("orders")
        await orders.await_replicated(await orders.atoken(), peers=1, timeout=within_s)
    return answer({"order": order, **_state(here, order)}, 202)


async def _place(here: Instance, order: str, body: Order, within_s: float) -> None:
    orders = here.node.keyspace("orders")
    try:
        async with orders.transaction(op_id=f"place {order}") as tx:
            _write(tx, order, body, here.name)
    except gossamer.VersionMismatch:  # it has just come from the other instance
        return
    here.count(tx, notes=1)
    here.ordered.append(body.cart)
    await orders.await_replicated(tx.token(), peers=1, timeout=within_s)


def _write(tx: gossamer.Transaction, order: str, body: Order, by: str) -> None:
    at = now()
    inside = tx.map("order").map(order)
    inside.register("customer").set(body.customer)
    inside.register("cart").set(body.cart)
    total = sum(line.qty * line.price for line in body.lines)
    for name, value in {"total": total, "tax": _tax(total), "currency": "USD"}.items():
        inside.register(name).set(value)
    for name, value in body.address.model_dump().items():
        inside.map("address").register(name).set(value)
    for line in body.lines:
        one, whole = inside.map("lines").map(line.title), line.qty * line.price
        for name, value in {"qty": line.qty, "price": line.price, "sum": whole, "tax": _tax(whole)}.items():
            one.register(name).set(value)
        one.register("name").set(line.name)
    inside.map("at").register(PLACED).set(body.ordered_at)
    tx.set("open").add(order)
    tx.map("saga").register(order).set({"stage": PLACED, "at": at, "by": by}, expect=None)


def _tax(cents: int) -> int:
    """What of a price is tax."""
    return cents * TAX_OF_1000 // (1000 + TAX_OF_1000)


@router.get("/orders/{order}")
async def how_far(order: str, here: Here) -> Response:
    """How far an order is, for who placed it."""
    state = _state(here, order)
    if state["stage"] is None:
        raise HTTPException(404, "no such order here")
    return answer({"order": order, **state})


def _state(here: Instance, order: str) -> dict[str, Any]:
    orders = here.node.keyspace("orders")
    saga = orders.map("saga").register(order).get()
    return {
        "stage": saga and saga["stage"],
        "payment": orders.map("payment").map(order).register("state").get(),
        "total": orders.map("order").map(order).register("total").get(),
    }


def _title(here: Instance, title: str) -> tuple[str, int]:
    """Its name and price, as far as this instance knows."""
    known = here.node.keyspace("catalogue").map("title").map(title)
    price = known.register("price").get()
    if price is None:
        raise HTTPException(404, "no such title here")
    return str(known.register("name").get()), int(price)


async def emptier(here: Instance) -> None:
    """Empty carts that were ordered, some at once. One that is forgotten in a crash is only a cart left behind."""
    while True:
        await asyncio.sleep(EMPTY_EVERY_S)
        some, here.ordered = here.ordered[:CARTS], here.ordered[CARTS:]
        if some:
            async with here.node.keyspace("carts").transaction() as tx:
                for cart in some:
                    tx.map("cart").remove(cart)
            here.count(tx)


# The saga


async def cashier(here: Instance) -> None:
    """Follow what inventory says of orders, and charge, complete or cancel them."""
    stock, orders = here.node.keyspace("stock"), here.node.keyspace("orders")
    sources = [
        Source(stock, "cashier", "map:reservation/", lambda change: order_of(change.path)),
        Source(orders, "other cashier", "map:saga/", lambda change: _of_another(here, change)),
    ]
    reconciler = Reconciler(sources, lambda some: settle(here, some), here.saw)
    reconciler.look_at(orders.set("open"))
    await reconciler.run()


def _of_another(here: Instance, change: gossamer.Change) -> str | None:
    """What it did itself it need not look at: inventory's answer is what comes next."""
    return None if change.new["by"] == here.name else order_of(change.path)


async def settle(here: Instance, some: set[str]) -> Iterable[tuple[str, float]]:
    """Take each order one step further, all in one transaction; which of them to look at again, and when."""
    orders, again = here.node.keyspace("orders"), []
    async with orders.transaction() as tx:
        for order in some:
            after_s = _step(here, tx, order)
            if after_s is not None:
                again.append((order, after_s))
    here.count(tx)
    return again


def _step(here: Instance, tx: gossamer.Transaction, order: str) -> float | None:
    reading = tx.map("saga").register(order).read()
    saga = reading.value
    if saga is None:  # its record came before it did
        return LOOK_S
    records = records_of(here.node.keyspace("stock"), order)
    states = {instance: record["state"] for instance, record in records.items()}
    paid = tx.map("payment").map(order).register("state").get()
    age = now() - saga["at"]
    step = pay(saga["stage"], paid, states, len(NUMBERS), age > here.setting.reject_s)
    if step is Pay.NOTHING:
        tx.set("open").discard(order)
        return None
    if step is Pay.WAIT:
        return LOOK_S
    last = max([saga["at"], *(record["at"] for record in records.values())])
    if home(order) != here.number and now() - last < here.setting.takeover_s:
        return here.setting.takeover_s
    _take(here, tx, order, step, paid, reading.version)
    return None if stage_after(step, _declines(order)) in ENDS and step is Pay.COMPLETE else LOOK_S


def _take(
    here: Instance, tx: gossamer.Transaction, order: str, step: Pay, paid: str | None, seen: Dot | None
) -> None:
    """Write what a step makes of an order, if nothing has come from the other instance since it was decided.

    The provider is asked by the order's id, so twice is once.
    """
    stage, money = stage_after(step, _declines(order)), money_after(step, paid, _declines(order))
    at = now()
    if money is not None and money != paid:
        total = tx.map("order").map(order).register("total").get()
        payment = tx.map("payment").map(order)
        payment.register("state").set(money)
        payment.register("amount").set(0 if money == DECLINED else total)
        payment.register("reference").set(f"card/{order}")
    tx.map("order").map(order).map("at").register(stage).set(at)
    tx.map("order").map(order).map("by").register(stage).set(here.name)
    tx.map("saga").register(order).set({"stage": stage, "at": at, "by": here.name}, expect=seen)
    if step is Pay.COMPLETE:
        tx.set("open").discard(order)


def _declines(order: str) -> bool:
    return crc32(b"card of " + order.encode()) % 1000 < DECLINED_OF_1000


# For the audit


def dump(here: Instance) -> dict[str, Any]:
    """All orders as this instance has them, and the carts that are left."""
    orders = here.node.keyspace("orders")
    return {
        "orders": orders.map("order").value(),
        "saga": {order: state["stage"] for order, state in orders.map("saga").value().items()},
        "payment": {order: of["state"] for order, of in orders.map("payment").value().items()},
        "open": sorted(orders.set("open")),
        "carts": here.node.keyspace("carts").map("cart").value(),
    }


__all__ = ["PAID", "cashier", "dump", "emptier", "router"]
