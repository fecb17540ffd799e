"""The customers: each purchase of the file is a visit to the shop, begun at its time whatever the shop does.

What is a visit? A look at a title, the CDs into the cart, a look at the cart, the order, a look at it in
another service, and some seconds later at what became of it. One of ten leaves the cart behind,
and some press the button twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import groupby
from random import Random
from typing import Any
from zlib import crc32

from .cdnow import Purchase, purchases
from .desk import Desk, Wrong

STEP_S = 0.15
"""Between two requests of a visit."""
LATER_S = 2.0
CITIES = ("Boston", "Chicago", "Dallas", "Denver", "Miami", "Phoenix", "Portland", "Seattle")
PURCHASES_A_DAY = 270
"""In the file's first weeks, on average."""
LEFT_OF_100 = 10
"""Carts that are left behind."""
TWICE_OF_100 = 4
"""Orders that an impatient customer sends twice, the second time to the other instance."""


class Ledger:
    """What customers were told: the audit holds the shop to it."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        """Acknowledged orders."""
        self.unsure: dict[str, dict[str, Any]] = {}
        """Orders that were sent and not acknowledged: they may stand or not."""
        self.carts: dict[str, dict[str, int]] = {}
        """Carts that were left behind, and what was acknowledged in them."""
        self.unsure_carts: set[str] = set()


def arrivals(per_s: float, seed: int = 1) -> Iterator[tuple[float, int, Purchase]]:
    """(seconds from the beginning, number, purchase): days as busy as in the file, ``per_s`` on average."""
    rng, number, begin = Random(seed), 0, 0.0
    day_s = PURCHASES_A_DAY / per_s
    for _, of_day in groupby(purchases(seed), key=lambda purchase: purchase.day):
        day = list(of_day)
        for at, purchase in zip(sorted(rng.uniform(0, day_s) for _ in day), day, strict=True):
            yield begin + at, number, purchase
            number += 1
        begin += day_s


def address(customer: str) -> dict[str, str]:
    """Where a customer lives: made up, since the file does not say."""
    number = int(customer)
    return {
        "name": f"Customer {customer}",
        "street": f"{number % 97 + 1} Main Street",
        "postcode": f"{10_000 + number % 89_999}",
        "city": CITIES[number % len(CITIES)],
        "country": "US",
        "email": f"{customer}@example.org",
    }


class Buyers:
    """Begins visits at their times."""

    def __init__(self, desk: Desk, ledger: Ledger) -> None:
        self._desk, self._ledger = desk, ledger
        self._visits: set[asyncio.Task[None]] = set()

    async def run(self, per_s: float) -> None:
        """Visits without end."""
        began = time.time()
        for at, number, purchase in arrivals(per_s):
            await asyncio.sleep(began + at - time.time())
            visit = asyncio.create_task(self._visit(f"{number:06}", purchase, began + at))
            self._visits.add(visit)
            visit.add_done_callback(self._visits.discard)

    async def done(self) -> None:
        """Wait for visits under way."""
        await asyncio.gather(*self._visits)

    async def _visit(self, number: str, purchase: Purchase, at: float) -> None:
        try:
            await Visit(self._desk, self._ledger, number, purchase, at).all()
        except Wrong:  # it is in the samples
            pass


class Visit:
    """One customer's."""

    def __init__(self, desk: Desk, ledger: Ledger, number: str, purchase: Purchase, at: float) -> None:
        self._desk, self._ledger, self._number = desk, ledger, number
        self._purchase, self._next = purchase, at
        self._side = "12"[crc32(purchase.customer.encode()) % 2]
        self._token: str | None = None

    async def all(self) -> None:
        """The whole visit."""
        title = next(iter(self._purchase.goods))
        await self._ask("look at a title", "catalogue", "GET", f"/titles/{title}")
        self._token = (
            None  # what the catalogue had seen of others' orders is nothing that her cart must wait for
        )
        cart = f"cart-{self._number}"
        await self._fill(cart)
        seen = await self._see(cart)
        if crc32(cart.encode()) % 100 >= LEFT_OF_100:
            await self._order(cart, seen)

    async def _fill(self, cart: str) -> None:
        goods = self._purchase.goods
        self._ledger.unsure_carts.add(cart)
        await self._ask(
            "fill the cart", "orders", "POST", f"/carts/{cart}", body={"goods": goods}, key=f"fill-{cart}"
        )
        self._ledger.carts[cart] = goods
        self._ledger.unsure_carts.discard(cart)

    async def _see(self, cart: str) -> dict[str, Any]:
        def right(answer: Any) -> bool:
            found = {title: line["qty"] for title, line in answer["lines"].items()}
            return found == self._purchase.goods

        seen: dict[str, Any] = await self._ask(
            "look at the cart", "orders", "GET", f"/carts/{cart}", right=right
        )
        return seen["lines"]  # type: ignore[no-any-return]

    async def _order(self, cart: str, seen: dict[str, Any]) -> None:
        order = f"order-{self._number}"
        lines = [
            {"title": title} | {name: line[name] for name in ("qty", "price", "name", "quote")}
            for title, line in seen.items()
        ]
        total = sum(line["qty"] * line["price"] for line in lines)
        told = {"customer": self._purchase.customer, "lines": lines, "total": total}
        self._ledger.unsure[order] = told
        self._ledger.carts.pop(cart)
        self._ledger.unsure_carts.add(cart)
        self._token = None
        body = {
            "customer": self._purchase.customer,
            "address": address(self._purchase.customer),
            "cart": cart,
            "ordered_at": self._next,
            "lines": lines,
        }
        await self._ask(
            "place the order",
            "orders",
            "PUT",
            f"/orders/{order}",
            body=body,
            key=order,
            right=lambda a: a["total"] == total,
        )
        self._ledger.orders[order] = self._ledger.unsure.pop(order)

        def is_ours(answer: Any) -> bool:
            return bool(answer["total"] == total)

        if crc32(order.encode()) % 100 < TWICE_OF_100:
            self._side, self._token = "2" if self._side == "1" else "1", None
            await self._ask(
                "place it again", "orders", "PUT", f"/orders/{order}", body=body, key=order, right=is_ours
            )
        await self._ask("see it in the catalogue", "catalogue", "GET", f"/orders/{order}", right=is_ours)
        self._next += LATER_S
        await self._ask("see how far it is", "orders", "GET", f"/orders/{order}", right=is_ours)

    async def _ask(self, what: str, service: str, method: str, path: str, **more: Any) -> Any:
        # A customer clicks when she has seen the answer before, so a late one puts her own next one off, and no one else's.
        await asyncio.sleep(self._next - time.time())
        meant_at, self._next = self._next, self._next + STEP_S
        found, token = await self._desk.ask(
            what, service, self._side, method, path, token=self._token, meant_at=meant_at, **more
        )
        self._next = max(self._next, time.time())
        if token is not None:
            self._token = token
        return found
