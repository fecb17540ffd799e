"""What a node counts as it goes, at the line where the thing happens: plain numbers, for whoever asks later.

What does it cost? A write pays some three hundred nanoseconds of its commit, a read a hundred and fifty. Everything else that can be said of a
node is read off its state when it is asked for (`report`), and costs nothing until then.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from time import perf_counter
from types import TracebackType

from .turns import KEPT, Input, Result, Settle, Update, Write

_WRITES = (Write, Update, Settle)
BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of a histogram's buckets: from half an fsync of a good disk to what somebody should look at."""


class Histogram:
    """How often something took how long. One thread at a time adds; any may look."""

    __slots__ = ("_began", "counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        """In each bucket, the last one having no bound."""
        self.total = 0.0
        """Seconds, of all."""
        self._began = 0.0

    def add(self, seconds: float) -> None:
        """Something took so long."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total += seconds

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.add(perf_counter() - self._began)


class Counts:
    """Of one node, since it was opened.

    An addition to a number here is one step of the interpreter, which no other thread can come into, so that none is
    lost where several threads count reads.
    """

    def __init__(self) -> None:
        self.written: dict[tuple[str, bool], int] = defaultdict(int)
        """Keyspace, and whether it was refused -> own writes and transactions."""
        self.read: dict[str, int] = defaultdict(int)
        """Keyspace -> cells that were read one by one."""
        self.pages: dict[str, int] = defaultdict(int)
        """Keyspace -> pages of maps, sets and prefixes that were read."""
        self.commits = Histogram()
        """LMDB commits, with their fsync."""
        self.merges = Histogram()
        """Messages of peers, taken in: decoded, checked, joined."""
        self.failed_turns = 0
        """Commits that failed as a whole."""
        self.received_bytes = self.sent_bytes = 0
        """Of messages between nodes."""
        self.visible: dict[str, Histogram] = defaultdict(Histogram)
        """Member -> how long canaries took until it was known to have them."""
        self.late: dict[str, int] = defaultdict(int)
        """Member -> canaries that it was not known to have when the next one was due."""

    def wrote(self, outcomes: Iterable[tuple[Input, Result]]) -> None:
        """Inputs have an outcome: own writes among them are counted, but for those that are kept for now.

        Nor those to a keyspace that is not here (`KeyError`): whoever thinks up names must not fill the memory with them.
        """
        written = self.written
        for one, outcome in outcomes:
            if isinstance(one, _WRITES) and outcome is not KEPT and not isinstance(outcome, KeyError):
                written[one.keyspace, isinstance(outcome, Exception)] += 1


__all__ = ["BOUNDS_S", "Counts", "Histogram"]
