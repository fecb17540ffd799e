"""One look at the node for all who watch the page: who comes within a second of another one's look is shown the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from ..metrics.lag import Lag
from ..node import Node
from ..replica import Replica
from .view import view

LOOK_EVERY_S = 1.0
"""Seconds that a look is good for, whoever watches."""


class Board:
    """The last look at one node. Of one event loop."""

    def __init__(self, node: Node | Callable[[], Node]) -> None:
        self._node = node if callable(node) else lambda: node
        self._lag = Lag()
        self._turn = asyncio.Lock()
        self._seen: dict[str, Any] = {}
        self._seen_at = -LOOK_EVERY_S

    def check_open(self) -> None:
        """`Closed` if the node is."""
        self._node().backend.writer.check_open()

    async def look(self) -> dict[str, Any]:
        """What the page shows. `Closed` once the node is closed, `StoreFailed` once the disk failed."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            if loop.time() - self._seen_at >= LOOK_EVERY_S:
                self._seen = await self._fresh()
                self._seen_at = loop.time()
            return self._seen

    async def _fresh(self) -> dict[str, Any]:
        backend = self._node().backend
        replica = cast(Replica, backend.core)
        asked = partial(view, replica, self._lag, backend.instant())
        return cast(dict[str, Any], await backend.writer.asubmit(asked))


__all__ = ["LOOK_EVERY_S", "Board"]
