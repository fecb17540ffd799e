"""Two replicas on disk, linked in memory by one thread: what does it cost to bring one up to the other?

Time is the work of both, commits included, without sockets and waits: when nothing is on its way, the clock
jumps to when one of them wants to be woken. Bytes are those of the engine's messages.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from gossamer import config
from gossamer.backend import make_op
from gossamer.crdt import path
from gossamer.opening import open_replica
from gossamer.replica import DEFAULT
from gossamer.replication.messages import Batch, Deflated, Part, decode
from gossamer.turns import Connected, Disconnected, Input, Instant, Received, Send, Tick, Write

LINK = 1
Body = bytes
"""Of a message."""
IDLE_S_MAX = 60.0
"""Of the jumping clock without anything being sent, after which `settle` has failed."""


class Pair:
    """Two replicas, A and B, in a directory. A context manager."""

    def __init__(self, directory: Path, durability: str = "commit") -> None:
        self._directories, self._durability = [directory / "a", directory / "b"], durability
        self.sides = [
            open_replica(config.of(own, name=own.name, durability=durability)) for own in self._directories
        ]
        self.a, self.b = self.sides
        self.messages: list[tuple[int, bytes]] = []
        """Sent since `connect`: side, 0 or 1, and the bytes."""
        self._now = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for side in self.sides:
            side.close()

    def turn(self, side: int, inputs: Sequence[Input]) -> None:
        """One transaction at a side; an exception in it is raised."""
        for result in self.sides[side].turn(inputs, self._instant()):
            if isinstance(result, Exception):
                raise result

    def write(self, side: int, *writes: Write) -> None:
        """Own writes, one transaction of the store."""
        self.turn(side, writes)

    def connect(self) -> None:
        """Link the two; nothing is sent before `settle`."""
        self.messages.clear()
        for side in (0, 1):
            self.turn(side, [Connected(LINK, None)])

    def disconnect(self) -> None:
        """Cut the link."""
        for side in (0, 1):
            self.turn(side, [Disconnected(LINK)])

    def settle(self) -> float:
        """Exchange until both have delivered the same; the seconds of work that took."""
        began = time.perf_counter()
        quiet_since = self._now
        while not self.is_settled():
            if self._exchange():
                quiet_since = self._now
            elif self._now - quiet_since > IDLE_S_MAX:
                raise AssertionError(f"nothing moves: {[s.state(DEFAULT).delivered for s in self.sides]}")
            else:
                self._jump()
        return time.perf_counter() - began

    def is_settled(self) -> bool:
        """Whether both are whole and have delivered the same in the default keyspace."""
        a, b = (side.state(DEFAULT) for side in self.sides)
        return bool(a.is_whole and b.is_whole and a.delivered == b.delivered)

    def quieten(self) -> None:
        """Let all that is pending happen: acknowledgements, news, collection."""
        for _ in range(5):
            while self._exchange():
                pass
            self._jump()

    def rest(self, side: int) -> None:
        """Upkeep of one side until its index is collected, as far as it can be."""
        replica, rows = self.sides[side], -1
        while (now := replica.store.count(DEFAULT)[1]) != rows:
            rows = now
            for _ in range(20):
                self._now += 1.0
                self.turn(side, [Tick()])

    def bytes(self) -> int:
        """Sent since `connect`, by both."""
        return sum(len(body) for _, body in self.messages)

    def batch_bytes(self, side: int = 0) -> int:
        """Of the batches that a side sent since `connect`: not of acknowledgements and news."""
        return sum(
            len(body)
            for by, body in self.messages
            if by == side and isinstance(decode(body), (Batch, Deflated, Part))
        )

    def renew(self, directory: Path) -> None:
        """A new and empty B in place of the old one, whose directory goes. The link must be cut."""
        old = self.b
        old.close()
        shutil.rmtree(self._directories[1])
        self._directories[1] = directory
        self.sides[1] = self.b = open_replica(
            config.of(directory, name=directory.name, durability=self._durability)
        )

    def outbox(self, side: int) -> list[Body]:
        """What a side has to send now, taken and counted."""
        effects = self.sides[side].outbox(self._instant())
        sent = [effect.body for effect in effects if isinstance(effect, Send)]
        self.messages += [(side, body) for body in sent]
        return sent

    def receive(self, side: int, bodies: Sequence[Body]) -> None:
        """One transaction at a side, of what was sent to it."""
        self.turn(side, [Received(LINK, body) for body in bodies])

    def _exchange(self) -> bool:
        """Carry what both have to send, once; whether there was anything."""
        moved = False
        for side in (0, 1):
            if sent := self.outbox(side):
                moved = True
                self.receive(1 - side, sent)
        return moved

    def _jump(self) -> None:
        self._now = max(self._now + 0.001, min(side.wake_at for side in self.sides))
        for side, replica in enumerate(self.sides):
            if replica.wake_at <= self._now:
                self.turn(side, [Tick()])

    def _instant(self) -> Instant:
        return Instant(time.time_ns() // 1000, self._now)


def field(index: int) -> bytes:
    """The path ``m/fieldNNNNN`` of a register."""
    return path.encode((("map", "m"), ("register", f"field{index:05}")))


def set_field(index: int, value: object) -> Write:
    """A write of one field."""
    return Write(DEFAULT, (make_op(field(index), "set", (value,)),))


def set_fields(indexes: Sequence[int], value: object) -> Write:
    """A write of several fields, as one event."""
    return Write(DEFAULT, tuple(make_op(field(index), "set", (value,)) for index in indexes))


def fill(pair: Pair, side: int, count: int, value: object, cells: int = 1000) -> None:
    """Write ``count`` fields, a transaction each of up to ``cells``."""
    for start in range(0, count, cells):
        pair.write(side, set_fields(range(start, min(start + cells, count)), value))
