"""The in-memory twin of a node: one replica, no peers, nothing on disk.

It stands in for a node in unit tests, the library's own and its users': the same handles, the same rules::

    cart = Keyspace(MemoryBackend()).map("cart:42")
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence

from gossamer.crdt import EMPTY, Cell, Dot, Event, Vector, join, operation, path, tally

from . import idempotent, waiting
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
from .limits import OP_WINDOW_S


def _wall() -> int:
    return time.time_ns() // 1000


class _Table:
    """One keyspace: its cells, their paths in order, and the last seq."""

    def __init__(self) -> None:
        self.cells: dict[bytes, Cell] = {}
        self.paths: list[bytes] = []
        self.seq = 0

    def load(self, cell_path: bytes) -> Cell:
        return self.cells.get(cell_path, EMPTY)

    def read(self, cell_path: bytes) -> Cell:
        """A cell as a reader gets it: a counter's with what its operations add."""
        cell = self.load(cell_path)
        if path.kind_of(cell_path) != "counter":
            return cell
        added = tally.NONE
        for at in self.operations(cell_path):
            added = added.changed(at[len(cell_path) :], EMPTY, self.cells[at])
        return added.over(cell)

    def operations(self, prefix: bytes) -> list[bytes]:
        """The paths of the operations at or under a path."""
        return [at for at in self._range(prefix) if path.kind_of(at) == "op"]

    def pending(self, prefix: bytes) -> list[tuple[bytes, Cell]]:
        """The operations at or under a path that are only pending."""
        found = [(at, self.cells[at]) for at in self.operations(prefix)]
        return [(at, cell) for at, cell in found if operation.is_pending(cell)]

    def put(self, cell_path: bytes, cell: Cell) -> None:
        if cell_path not in self.cells:
            insort(self.paths, cell_path)
        self.cells[cell_path] = cell

    def under(self, prefix: bytes) -> list[tuple[bytes, Cell]]:
        """The cells under a prefix, but for those that are kept for an ``op_id``."""
        return [(at, self.cells[at]) for at in self._range(prefix) if not path.is_operation(at)]

    def readable(self, prefix: bytes) -> list[tuple[bytes, Cell]]:
        """The cells under a prefix as a reader gets them."""
        visible = {at for at, _ in self.under(prefix)}
        counters = {at for at in map(path.counter_of, self.operations(prefix)) if at.startswith(prefix)}
        return [(at, self.read(at)) for at in sorted(visible | counters)]

    def _range(self, prefix: bytes) -> list[bytes]:
        end = path.prefix_end(prefix)
        return self.paths[bisect_left(self.paths, prefix) : bisect_left(self.paths, end)]


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
        with self._lock:
            return self._table(keyspace).read(cell_path)

    def scan(self, keyspace: str, prefix: bytes) -> Iterator[tuple[bytes, Cell]]:
        with self._lock:
            return iter(self._table(keyspace).readable(prefix))

    def write(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        check_outside()
        with self._lock:
            table = self._table(keyspace)
            event = Event(self._replica, table.seq + 1, self._clock())
            changed, dot = self._expanded(table, ops, op_id, event)
            if not changed:
                return dot
            for cell_path, cell in changed.items():
                table.put(cell_path, cell)
            table.seq = event.seq
            return dot

    def _expanded(
        self, table: _Table, ops: Sequence[Op], op_id: str | None, event: Event
    ) -> tuple[dict[bytes, Cell], Dot | None]:
        if op_id is not None:
            window = int(OP_WINDOW_S * idempotent.MICROSECONDS)
            return idempotent.expand_once(ops, op_id, table.under, table.load, event, table.pending, window)
        changed = expand(ops, table.under, table.load, event, table.pending)
        return changed, (event.replica, event.seq) if changed else None

    def update(self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None) -> Dot | None:
        check_outside()
        changing = Changing(change)
        with self._lock:
            note = self._table(keyspace).load(path.component("op_id", op_id)) if op_id else EMPTY
            if note.live:
                return idempotent.outcome(note)
            try:
                return self.write(keyspace, changing(self.cell(keyspace, cell_path)), op_id)
            except ChangeFailed:
                raise changing.raised() from None

    def write_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        return self.write(keyspace, ops, op_id)  # there is nobody to ask

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
                table = self._table(keyspace)
                table.put(cell_path, join(table.load(cell_path), cell))

    def bind(self, keyspace: str, schema: Schema) -> None:
        with self._lock:
            binding.bind(self.cell, self.write, keyspace, schema)

    async def abind(self, keyspace: str, schema: Schema) -> None:
        self.bind(keyspace, schema)

    async def acell(self, keyspace: str, cell_path: bytes) -> Cell:
        return self.cell(keyspace, cell_path)

    async def ascan(self, keyspace: str, prefix: bytes) -> list[tuple[bytes, Cell]]:
        return list(self.scan(keyspace, prefix))

    async def awrite(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        return self.write(keyspace, ops, op_id)

    async def aupdate(
        self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None
    ) -> Dot | None:
        return self.update(keyspace, cell_path, change, op_id)

    async def awrite_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        return self.write(keyspace, ops, op_id)

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
