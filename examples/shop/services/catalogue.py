"""The catalogue service: titles and prices, and the read model of who bought what.

Two people set one price while their instances are cut off from each other: which one counts? The later one stands
for the moment, so the shop goes on, and both are on the review page until a person picks.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from fastapi import APIRouter, HTTPException, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

import gossamer

from . import quotes
from .instance import Here, Instance, answer
from .model import COMPLETED, order_of, view_of
from .reconcile import Reconciler, Source

router = APIRouter()


class Titles(BaseModel):
    prices: dict[str, int] = Field(max_length=400)


class Price(BaseModel):
    price: int = Field(ge=0)


@router.post("/titles")
async def stock_list(body: Titles, here: Here) -> Response:
    """Begin to sell some titles."""
    async with here.node.keyspace("catalogue").transaction() as tx:
        for title, price in body.prices.items():
            tx.map("title").map(title).register("price").set(price)
            tx.map("title").map(title).register("name").set(f"CD {title}")
    here.count(tx)
    return answer({"titles": len(body.prices)}, 201)


@router.get("/titles/{title}")
async def look_up(title: str, here: Here) -> Response:
    """A title, its price, and how many were sold as far as the read model knows."""
    price = _prices(here).map(title).register("price").get()
    if price is None:
        raise HTTPException(404, "no such title here")
    sold = _view(here).map("title").map(title).counter("sold").value()
    return answer({"title": title, "price": price, "quote": quotes.sign(title, price), "sold": sold})


@router.put("/titles/{title}/price")
async def reprice(title: str, body: Price, here: Here) -> Response:
    """Set a price."""
    async with here.node.keyspace("catalogue").transaction() as tx:
        tx.map("title").map(title).register("price").set(body.price)
    here.count(tx)
    return answer({"title": title, "price": body.price})


# Prices that two people set


def contested(here: Instance) -> dict[str, list[dict[str, Any]]]:
    """Titles with more than one price, and the prices, the one that stands first."""
    paths = {
        conflict.path for conflict in here.node.keyspace("catalogue").conflicts("map:title/", limit=1000)
    }
    found = {}
    for title in sorted(path.split("/")[1].removeprefix("map:") for path in paths):
        readings = _prices(here).map(title).register("price").siblings()
        if len(readings) > 1:
            found[title] = [{"price": one.value, "at": one.updated_at} for one in readings]
    return found


@router.get("/conflicts")
async def conflicts(here: Here) -> Response:
    """What the review page shows, for programs."""
    return answer(contested(here))


@router.get("/review", response_class=HTMLResponse)
async def review(here: Here) -> str:
    """The page where a person picks the price that counts."""
    rows = "".join(_row(title, prices) for title, prices in contested(here).items())
    return (
        "<!doctype html><title>Prices to review</title><h1>Prices to review</h1>"
        f"<p>Set on two instances that did not know of each other. The first one counts now.</p><table>{rows}</table>"
    )


def _row(title: str, prices: list[dict[str, Any]]) -> str:
    buttons = "".join(
        f"<button formaction='/review/{escape(title)}?price={one['price']}'>{one['price'] / 100:.2f}</button> "
        for one in prices
    )
    return f"<tr><td>{escape(title)}<td><form method=post>{buttons}</form>"


@router.post("/review/{title}")
async def pick(title: str, here: Here, price: int) -> Response:
    """Settle a price: the picked one replaces all that stood beside each other, and the notes are closed."""
    catalogue = here.node.keyspace("catalogue")
    register = _prices(here).map(title).register("price")
    await register.aset(price)
    for conflict in await catalogue.aconflicts(register.path):
        await catalogue.adismiss(conflict)
    return RedirectResponse("/review", status_code=303)


# The read model


async def projector(here: Instance) -> None:
    """Follow the orders and keep the read model up to date with them."""
    orders = here.node.keyspace("orders")
    source = Source(orders, "read model", "map:saga/", lambda change: order_of(change.path))
    await Reconciler([source], lambda some: project(here, some), here.saw).run()


async def project(here: Instance, some: set[str]) -> Iterable[tuple[str, float]]:
    """Bring the read model up to what these orders are now. Again does nothing: it goes by what it has already."""
    async with _view(here).transaction() as tx:
        for order in some:
            _project(here, tx, order)
    here.count(tx)
    return ()


def _project(here: Instance, tx: gossamer.Transaction, order: str) -> None:
    orders = here.node.keyspace("orders")
    saga = orders.map("saga").register(order).get()
    shown = tx.map("order").map(order)
    before = shown.register("stage").get()
    if saga is None or before == saga["stage"]:
        return
    shown.register("stage").set(saga["stage"])
    if before is not None and saga["stage"] != COMPLETED:
        return  # nothing else of it is shown
    whole = orders.map("order").map(order).value()
    if before is None:
        facts = {name: whole[name] for name in ("customer", "total", "tax")}
        facts |= {"placed_at": whole["at"]["placed"], "city": whole["address"]["city"]}
        for name, value in facts.items():
            shown.register(name).set(value)
        for title, line in whole["lines"].items():
            shown.map("goods").register(title).set(line["qty"])
        tx.map("customer").map(whole["customer"]).set("orders").add(order)
    if saga["stage"] == COMPLETED:  # the last there is: no stage follows, so it is counted once
        _count_sale(tx, whole)


def _count_sale(tx: gossamer.Transaction, whole: dict[str, Any]) -> None:
    customer, minute = tx.map("customer").map(whole["customer"]), tx.map("minute").map(_minute(whole))
    for sums in (customer, minute, tx.map("city").map(whole["address"]["city"])):
        sums.counter("completed").add(1)
        sums.counter("spent").add(whole["total"])
        sums.counter("tax").add(whole["tax"])
    for title, line in whole["lines"].items():
        for sums in (tx.map("title").map(title), minute.map("titles").map(title)):
            sums.counter("sold").add(line["qty"])
            sums.counter("revenue").add(line["sum"])
        customer.map("titles").counter(title).add(line["qty"])


def _minute(whole: dict[str, Any]) -> str:
    """The minute of sales that an order belongs to."""
    return str(int(whole["at"]["placed"]) // 60)


@router.get("/orders/{order}")
async def shown_order(order: str, here: Here) -> Response:
    """An order, from the read model, or from the orders themselves if the read model has not come to it yet."""
    shown = _view(here).map("order").map(order).value()
    if not shown:
        shown = here.node.keyspace("orders").map("order").map(order).value()
    if not shown:
        raise HTTPException(404, "no such order here")
    return answer({"order": order, "customer": shown["customer"], "total": shown["total"]})


@router.get("/customers/{customer}")
async def customer(customer: str, here: Here) -> Response:
    """What a customer has ordered and spent."""
    shown = _view(here).map("customer").map(customer).value()
    return answer({**shown, "customer": customer, "orders": sorted(shown.get("orders", ()))})


def _prices(here: Instance) -> gossamer.Map:
    return here.node.keyspace("catalogue").map("title")


def _view(here: Instance) -> gossamer.Keyspace:
    return here.node.keyspace(view_of(here.name))


# For the audit


def dump(here: Instance) -> dict[str, Any]:
    """The prices and the read model as this instance has them."""
    view = _view(here)
    return {
        "prices": {title: of["price"] for title, of in _prices(here).value().items()},
        "contested": contested(here),
        "conflicts": len(here.node.keyspace("catalogue").conflicts(settled=True, limit=10_000)),
        "view": {name: view.map(name).value() for name in ("order", "customer", "title", "minute", "city")},
    }
