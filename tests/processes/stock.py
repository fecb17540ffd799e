"""One bounded counter, minted and spent on every node: may more ever be sold than there was?"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import gossamer

from .load import REFUSED, UNSURE, Worker
from .process import Serve
from .waiting import LOOK_EVERY_S

NAME = "stock"
LOT = 50


class Trader(Worker):
    """Mints and spends on one node, and keeps the book."""

    def __init__(self, node: Serve, seed: int) -> None:
        super().__init__(node, f"trader {node.name}", LOOK_EVERY_S)
        self._rng = Random(seed)
        self.minted = self.minted_maybe = self.spent = self.spent_maybe = 0

    def step(self) -> None:
        stock, n = self.node.client.bounded_counter(NAME), self._rng.randint(1, 3)
        try:
            if self._book(lambda: stock.spend(n, wait=self._rng.choice((None, 0.2)))):
                self.spent += n
        except UNSURE:
            self.spent_maybe += n
        except gossamer.InsufficientRights:
            self._mint()

    def _mint(self) -> None:
        try:
            if self._book(lambda: self.node.client.bounded_counter(NAME).mint(LOT)):
                self.minted += LOT
        except UNSURE:
            self.minted_maybe += LOT

    def _book(self, write: Callable[[], None]) -> bool:
        """Whether it was done; what is `UNSURE` is raised, unless nothing was written."""
        try:
            write()
        except REFUSED:
            return False
        return True


def check(traders: list[Trader], nodes: list[Serve]) -> None:
    """On nodes that are equal, with the traders at rest: what is left is what was minted and not spent."""
    minted, spent = sum(t.minted for t in traders), sum(t.spent for t in traders)
    least = minted - spent - sum(t.spent_maybe for t in traders)
    most = minted + sum(t.minted_maybe for t in traders) - spent
    for node in nodes:
        left = node.client.bounded_counter(NAME).value()
        assert max(0, least) <= left <= most, (node.name, least, left, most)
