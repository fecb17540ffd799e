"""Those who work in the shop: two clerks who set prices, the dock that notes deliveries, and the reviewer.

The clerks do not talk to each other. While their instances are cut off from each other, they set some of the same prices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

from .cdnow import TITLE_NAMES, price_of
from .desk import Desk, Wrong

FIRST_STOCK = 400
SCARCE = TITLE_NAMES[-20:]
"""Titles of which there are few and no more come, so that some orders cannot be filled."""
SCARCE_STOCK = 3
CLERK_S = 0.5
DOCK_S = 5.0
DELIVERED = 60
CONTESTED = TITLE_NAMES[40:50]


class Staff:
    """Works until told to go home."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._rng, self._tasks = desk, Random(2), list[asyncio.Task[None]]()
        self.delivered: dict[str, dict[str, int]] = {}
        """Acknowledged deliveries."""
        self.contested = 0
        """Prices that both clerks set while they were apart."""
        self.found = 0
        """Of these, how many the review page showed."""
        self.picked: dict[str, int] = {}

    async def open_shop(self) -> None:
        """First prices and first stock."""
        prices = {title: price_of(title) for title in TITLE_NAMES}
        await self._desk.one("catalogue-1", "POST", "/titles", {"prices": prices})
        goods = {title: SCARCE_STOCK if title in SCARCE else FIRST_STOCK for title in TITLE_NAMES}
        for half in (
            "a",
            "b",
        ):  # one instance or the other is the home of each, and rights are evened out anyway
            await self._deliver(
                f"first-{half}", {t: n // 2 + (n % 2 if half == "a" else 0) for t, n in goods.items()}
            )

    def start(self) -> None:
        """Begin to work."""
        self._tasks = [asyncio.create_task(self._clerk()), asyncio.create_task(self._dock())]

    async def stop(self) -> None:
        """Go home."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _clerk(self) -> None:
        while True:
            await asyncio.sleep(CLERK_S)
            title = self._rng.choice(TITLE_NAMES[:40])
            await self._set_price(title, self._rng.choice("12"), price_of(title) + self._rng.randrange(100))

    async def _set_price(self, title: str, number: str, price: int) -> None:
        try:
            await self._desk.ask(
                "set a price", "catalogue", number, "PUT", f"/titles/{title}/price",
                body={"price": price}, right=lambda answer: answer["price"] == price,
            )  # fmt: skip
        except Wrong:
            pass

    async def _dock(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(DOCK_S)
            number += 1
            goods = {title: DELIVERED for title in TITLE_NAMES[:10]}
            try:
                await self._deliver(f"delivery-{number:04}", goods)
            except Wrong:
                pass

    async def _deliver(self, delivery: str, goods: Mapping[str, int]) -> None:
        await self._desk.ask(
            "note a delivery", "inventory", self._rng.choice("12"), "PUT", f"/deliveries/{delivery}",
            body={"goods": goods}, key=delivery,
        )  # fmt: skip
        self.delivered[delivery] = dict(goods)

    async def disagree(self) -> None:
        """Both clerks set the same prices, which is a conflict if they cannot know of each other."""
        for title in CONTESTED:
            for number in "12":
                await self._desk.one(
                    f"catalogue-{number}",
                    "PUT",
                    f"/titles/{title}/price",
                    {"price": price_of(title) + int(number)},
                )
            self.contested += 1

    async def review(self) -> None:
        """What a person does at the review page: pick the lower price of each."""
        shown: dict[str, list[dict[str, Any]]] = {}
        for number in "12":
            shown |= await self._desk.one(f"catalogue-{number}", "GET", "/conflicts")
        for title, prices in shown.items():
            self.found += title in CONTESTED and title not in self.picked
            self.picked[title] = min(one["price"] for one in prices)
            await self._desk.one("catalogue-1", "POST", f"/review/{title}?price={self.picked[title]}")
