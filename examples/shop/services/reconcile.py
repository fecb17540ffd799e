"""Orders that something happened to, looked at again: the part of a broker's consumer.

What happens to a change that is delivered while the process dies? A subscription's change is acknowledged only
after its order was dealt with, so it comes again. What is to be looked at later (a timeout, somebody else's turn)
is only in memory; after a restart every open order is looked at once.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import gossamer

GATHER_S = 0.4
"""Waited for more changes before some are dealt with. Each commit is an event that five other nodes are sent, so a few orders
in one cost a fraction of as many commits, and nobody waits for them."""
ACK_S = 1.0
"""Between two acknowledgements, each of which is a commit. After a crash so much comes again, and changes nothing."""
BATCH = 8
"""Orders dealt with at once, and in one transaction: some 20 ms, for which no request is answered."""
BREATH_S = 0.002
"""Between two batches while there is more."""
QUEUED = 32
"""Changes read ahead of those that are dealt with; to read one takes some 0.1 ms."""
RETRY_S = 0.05

log = logging.getLogger("shop")

Handle = Callable[[set[str]], Awaitable[Iterable[tuple[str, float]]]]
"""Deals with orders; gives those to look at again, and in how many seconds."""


@dataclass
class Source:
    """A named subscription, and which order a change is about."""

    keyspace: gossamer.Keyspace
    name: str
    prefix: str
    order_of: Callable[[gossamer.Change], str | None]
    queue: asyncio.Queue[gossamer.Change] = field(default_factory=lambda: asyncio.Queue(QUEUED))
    handled: gossamer.Change | None = None
    """The last one that is dealt with and not acknowledged."""

    async def pump(self, bell: asyncio.Event, seen: Callable[[gossamer.Change], None]) -> None:
        """Read changes into the queue, for ever."""
        async with self.keyspace.subscription(self.name, self.prefix, expired="snapshot") as changes:
            async for change in changes:
                seen(change)
                await self.queue.put(change)
                bell.set()

    def take(self, count: int) -> list[gossamer.Change]:
        """What has come, up to so many."""
        return [self.queue.get_nowait() for _ in range(min(count, self.queue.qsize()))]

    async def acknowledge(self) -> None:
        """Acknowledge what is dealt with."""
        if self.handled is not None:
            handled, self.handled = self.handled, None
            await handled.aack()


class Reconciler:
    """Follows some subscriptions and hands the orders that they speak of to ``handle``, each at most once a batch."""

    def __init__(
        self, sources: list[Source], handle: Handle, seen: Callable[[gossamer.Change], None]
    ) -> None:
        self._sources, self._handle, self._seen = sources, handle, seen
        self._bell = asyncio.Event()
        self._later: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._acked = time.monotonic()

    def look_at(self, orders: Iterable[str], after_s: float = 0.0) -> None:
        """Look at orders, now or later. Of several times the earliest counts."""
        due = time.monotonic() + after_s
        for order in orders:
            if due < self._due.get(order, float("inf")):
                self._due[order] = due
                heapq.heappush(self._later, (due, order))
        self._bell.set()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            for source in self._sources:
                tasks.create_task(source.pump(self._bell, self._seen))
            while True:
                await self._wait()
                has_more = any(source.queue.qsize() > BATCH for source in self._sources)
                await asyncio.sleep(BREATH_S if has_more else GATHER_S)
                await self._round()
                await self._acknowledge()

    async def _wait(self) -> None:
        """Until there is something to look at."""
        self._bell.clear()
        if any(source.queue.qsize() for source in self._sources):
            return
        due = [self._later[0][0]] if self._later else []
        due += [self._acked + ACK_S] if any(source.handled for source in self._sources) else []
        left = min(due) - time.monotonic() if due else None
        if left is None or left > 0:
            try:
                await asyncio.wait_for(self._bell.wait(), left)
            except TimeoutError:
                pass

    async def _round(self) -> None:
        taken = [(source, source.take(BATCH)) for source in self._sources]
        orders = {order for s, changes in taken for c in changes if (order := s.order_of(c)) is not None}
        orders |= self._due_now(BATCH)
        while orders:
            some = set(sorted(orders)[:BATCH])
            await asyncio.sleep(BREATH_S)
            try:
                for order, after_s in await self._handle(some):
                    self.look_at((order,), after_s)
                orders -= some
            except gossamer.GossamerError as error:  # VersionMismatch, rights that went, a full disk
                log.info("again: %s", error)
                await asyncio.sleep(RETRY_S)
        for source, changes in taken:
            if changes:
                source.handled = changes[-1]

    async def _acknowledge(self) -> None:
        now = time.monotonic()
        if now - self._acked >= ACK_S:
            self._acked = now
            for source in self._sources:
                await source.acknowledge()

    def _due_now(self, count: int) -> set[str]:
        now, found = time.monotonic(), set[str]()
        while self._later and self._later[0][0] <= now and len(found) < count:
            due, order = heapq.heappop(self._later)
            if self._due.get(order) == due:  # else it was looked at meanwhile, or will be earlier
                del self._due[order]
                found.add(order)
        return found
