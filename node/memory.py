"""The in-memory twin of a node: one replica, no peers, nothing on disk.

It stands in for a node in unit tests, the library's own and its users': the same handles, the same rules::

    cart = Keyspace(MemoryBackend()).map("cart:42")
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence

from gossamer.crdt import EMPTY, Cell, Dot, Event, Vector, join, path

from . import waiting
from .apply import expand
from .backend import Change, Op
from .changing import ChangeFailed, Changing, check_outside
from .documents import binding
from .documents.schema import Schema
from .replication import token as tokens
from .replication.replicated import Holders
from .waiting import Covered, Fresh, Wait

CLUSTER = "memory"
"""Of the tokens: they mean nothing elsewhere."""
from .handles.resolvers import Resolvers


def _wall() -> int:
    return time.time_ns() // 1000


class _Table:
    """One keyspace: its cells, their paths in order, and the last seq."""

    def __init__(self) -> None:
        self.cells: dict[bytes, Cell] = {}
        self.paths: list[bytes] = []
        self.seq = 0

    def put(self, cell_path: bytes, cell: Cell) -> None:
        if cell_path not in self.cells:
            insort(self.paths, cell_path)
        self.cells[cell_path] = cell

    def under(self, prefix: bytes) -> list[tuple[bytes, Cell]]:
        end = path.prefix_end(prefix)
        found = self.paths[bisect_left(self.paths, prefix) : bisect_left(self.paths, end)]
        return [(cell_path, self.cells[cell_path]) for cell_path in found]


class MemoryBackend:
    """A `Backend` over dicts. Any thread may use it.

    ``replica`` is the 8 bytes in its dots; ``clock`` gives int64 microseconds since 1970.
    """

    def __init__(self, replica: bytes = b"memory\x00\x01", clock: Callable[[], int] = _wall) -> None:
        self._replica = replica
        self._clock = clock
        self._tables: dict[str, _Table] = {}
        self._lock = threading.RLock()
        self.bound: set[tuple[str, type]] = set()
        self.resolvers = Resolvers()

    def _table(self, keyspace: str) -> _Table:
        return self._tables.setdefault(keyspace, _Table())

    def now(self) -> int:
        return self._clock()

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        return self._table(keyspace).cells.get(cell_path, EMPTY)

    def scan(self, keyspace: str, prefix: bytes) -> Iterator[tuple[bytes, Cell]]:
        with self._lock:
            return iter(self._table(keyspace).under(prefix))

    def write(self, keyspace: str, ops: Sequence[Op]) -> Dot | None:
        check_outside()
        with self._lock:
            table = self._table(keyspace)
            event = Event(self._replica, table.seq + 1, self._clock())
            changed = expand(ops, table.under, lambda p: table.cells.get(p, EMPTY), event)
            if not changed:
                return None
            for cell_path, cell in changed.items():
                table.put(cell_path, cell)
            table.seq = event.seq
            return event.replica, event.seq

    def update(self, keyspace: str, cell_path: bytes, change: Change) -> Dot | None:
        check_outside()
        changing = Changing(change)
        with self._lock:
            try:
                return self.write(keyspace, changing(self.cell(keyspace, cell_path)))
            except ChangeFailed:
                raise changing.raised() from None

    def write_within(self, keyspace: str, ops: Sequence[Op], wait: float) -> Dot | None:
        return self.write(keyspace, ops)  # there is nobody to ask

    def estate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        if member:
            raise ValueError(f"member {member!r}: there is none beside this one")
        return (self._replica,)

    def merge(self, other: MemoryBackend) -> None:
        """Take in all that ``other``, which must be of another replica, has: what gossip would bring here.

        For tests of what one's code makes of concurrent writes.
        """
        with other._lock:
            cells = [(k, p, c) for k, table in other._tables.items() for p, c in table.cells.items()]
        with self._lock:
            for keyspace, cell_path, cell in cells:
                self._table(keyspace).put(cell_path, join(self.cell(keyspace, cell_path), cell))

    def bind(self, keyspace: str, schema: Schema) -> None:
        with self._lock:
            binding.bind(self.cell, self.write, keyspace, schema)

    async def abind(self, keyspace: str, schema: Schema) -> None:
        self.bind(keyspace, schema)

    async def acell(self, keyspace: str, cell_path: bytes) -> Cell:
        return self.cell(keyspace, cell_path)

    async def ascan(self, keyspace: str, prefix: bytes) -> list[tuple[bytes, Cell]]:
        return list(self.scan(keyspace, prefix))

    async def awrite(self, keyspace: str, ops: Sequence[Op]) -> Dot | None:
        return self.write(keyspace, ops)

    async def aupdate(self, keyspace: str, cell_path: bytes, change: Change) -> Dot | None:
        return self.update(keyspace, cell_path, change)

    async def awrite_within(self, keyspace: str, ops: Sequence[Op], wait: float) -> Dot | None:
        return self.write(keyspace, ops)

    async def aestate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        return self.estate(keyspace, member)

    def make_token(self, keyspace: str, dot: Dot | None = None) -> str:
        has = (
            self._delivered(keyspace) if dot is None else Vector({dot[0]: (dot[1], dot[1])} if dot[1] else {})
        )
        text = tokens.encode(has, CLUSTER, keyspace)
        assert text is not None, "one replica fits"
        return text

    async def amake_token(self, keyspace: str, dot: Dot | None = None) -> str:
        return self.make_token(keyspace, dot)

    def wait_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        """Nothing comes from anywhere while one waits, so it is over at once or too late at once."""
        waiting.check(wait)
        waiting.check_timeout(timeout)
        why = self._lacks(keyspace, wait)
        if why is not None:
            raise waiting.too_late(wait, keyspace, timeout, why)

    async def await_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        self.wait_until(keyspace, wait, timeout)

    def _delivered(self, keyspace: str) -> Vector:
        seq = self._table(keyspace).seq
        return Vector({self._replica: (1, seq)} if seq else {})

    def _lacks(self, keyspace: str, wait: Wait) -> str | None:
        if isinstance(wait, Fresh):
            return None
        lacks = tokens.decode(wait.token, CLUSTER, keyspace).lacks(self._delivered(keyspace), (), ())
        if isinstance(wait, Covered):
            return lacks
        return Holders("memory", relaxed=set() if lacks else {"memory"}).lacks(wait.peers)
