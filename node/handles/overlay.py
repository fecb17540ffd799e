"""The backend inside a transaction: the parent's cells with the transaction's own writes over them.

What does a reader inside see? Each write is applied at once to the cell as the parent has it, for an event
that does not exist yet: the highest seq there can be, of a replica that sorts above all others. The writes
themselves are queued, and the node applies them anew, to its cells as they are then, when it commits them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING

from gossamer.crdt import Cell, Dot, Event, path

from ..apply import check_limits, clear, current, expand, payload_bytes, shows, write
from ..backend import CLEAR, EXPECT, RANGES, Backend, Change, Op, expect, make_op
from ..errors import Closed
from ..limits import TRANSACTION_CELLS_MAX
from ..waiting import Wait
from .reading import PROVISIONAL, PROVISIONAL_SEQ
from .resolvers import Resolvers

if TYPE_CHECKING:
    from ..documents.schema import Schema

Pairs = Iterable[tuple[bytes, Cell]]

_EVENT = Event(PROVISIONAL, PROVISIONAL_SEQ)
_BOUNDED = "bounded_counter"


class Overlay:
    """A `Backend` over another one, for one keyspace and one thread or task."""

    def __init__(self, parent: Backend) -> None:
        self._parent = parent
        self._changed: dict[bytes, Cell] = {}
        self._cleared: list[bytes] = []
        self._ops: list[Op] = []
        self._bytes = 0
        self.is_open = False

    @property
    def cells(self) -> int:
        """How many cells its writes change."""
        return len(self._changed)

    def take(self) -> list[Op]:
        """The queued writes; the overlay is closed from now on."""
        self.is_open = False
        return self._ops

    def now(self) -> int:
        return self._parent.now()

    @property
    def bound(self) -> set[tuple[str, type]]:
        return self._parent.bound

    @property
    def resolvers(self) -> Resolvers:
        return self._parent.resolvers

    def bind(self, keyspace: str, schema: Schema) -> None:
        self._parent.bind(keyspace, schema)  # no part of the transaction

    async def abind(self, keyspace: str, schema: Schema) -> None:
        await self._parent.abind(keyspace, schema)

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        self._check_open()
        own = self._changed.get(cell_path)
        return own if own is not None else self._over(cell_path, self._parent.cell(keyspace, cell_path))

    async def acell(self, keyspace: str, cell_path: bytes) -> Cell:
        self._check_open()
        own = self._changed.get(cell_path)
        return (
            own if own is not None else self._over(cell_path, await self._parent.acell(keyspace, cell_path))
        )

    def scan(self, keyspace: str, prefix: bytes) -> Iterator[tuple[bytes, Cell]]:
        self._check_open()
        return self._merged(prefix, self._parent.scan(keyspace, prefix))

    async def ascan(self, keyspace: str, prefix: bytes) -> list[tuple[bytes, Cell]]:
        self._check_open()
        return list(self._merged(prefix, await self._parent.ascan(keyspace, prefix)))

    def write(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        _check_no_id(op_id)
        cells = {op.path: self.cell(keyspace, op.path) for op in ops if op.method not in RANGES}
        ranges = {op.path: _enough(self.scan(keyspace, op.path)) for op in ops if op.method in RANGES}
        self._queue(ops, cells, ranges, self.estate(keyspace) if _wants_rights(ops) else ())
        return None

    def write_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        raise ValueError("wait: a transaction does not wait; spend without it, or outside")

    def estate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        self._check_open()
        return _with_own(self._parent.estate(keyspace, member), member)

    async def awrite(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        _check_no_id(op_id)
        cells = {op.path: await self.acell(keyspace, op.path) for op in ops if op.method not in RANGES}
        ranges = {op.path: _enough(await self.ascan(keyspace, op.path)) for op in ops if op.method in RANGES}
        self._queue(ops, cells, ranges, await self.aestate(keyspace) if _wants_rights(ops) else ())
        return None

    def update(self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None) -> Dot | None:
        _check_no_id(op_id)
        cell = self.cell(keyspace, cell_path)
        return self.write(keyspace, (self._expects(cell_path, cell), *change(cell)))

    async def aupdate(
        self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None
    ) -> Dot | None:
        _check_no_id(op_id)
        cell = await self.acell(keyspace, cell_path)
        return await self.awrite(keyspace, (self._expects(cell_path, cell), *change(cell)))

    def _expects(self, cell_path: bytes, cell: Cell) -> Op:
        return expect(cell_path, current(cell_path, cell, self.now()))

    async def awrite_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        return self.write_within(keyspace, ops, wait)

    async def aestate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        self._check_open()
        return _with_own(await self._parent.aestate(keyspace, member), member)

    def make_token(self, keyspace: str, dot: Dot | None = None) -> str:
        return self._parent.make_token(keyspace, dot)

    async def amake_token(self, keyspace: str, dot: Dot | None = None) -> str:
        return await self._parent.amake_token(keyspace, dot)

    def wait_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        self._parent.wait_until(keyspace, wait, timeout)

    async def await_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        await self._parent.await_until(keyspace, wait, timeout)

    def _check_open(self) -> None:
        if not self.is_open:
            raise Closed("transaction: over, or not begun; use it inside its `with`")

    def _over(self, cell_path: bytes, cell: Cell) -> Cell:
        """A parent's cell as the ranges cleared so far leave it."""
        is_cleared = any(cell_path.startswith(prefix) for prefix in self._cleared)
        return clear(cell_path, cell, _EVENT) if is_cleared else cell

    def _merged(self, prefix: bytes, below: Pairs) -> Iterator[tuple[bytes, Cell]]:
        own = sorted(item for item in self._changed.items() if item[0].startswith(prefix))
        hidden = dict(own)
        rest = ((p, self._over(p, cell)) for p, cell in below if p not in hidden)
        return merge(own, rest, key=itemgetter(0))

    def _queue(
        self,
        ops: Sequence[Op],
        cells: dict[bytes, Cell],
        ranges: Mapping[bytes, Pairs],
        estate: tuple[bytes, ...],
    ) -> None:
        queued, replaced = self._following(ops)
        event = Event(PROVISIONAL, PROVISIONAL_SEQ, self.now(), frozenset(estate))
        after = expand(queued, ranges.__getitem__, cells.__getitem__, event)
        self._count(len(ops), after)
        self._changed |= after
        self._cleared += [op.path for op in ops if op.method == CLEAR]
        for earlier in replaced:
            self._ops.remove(earlier)
        self._ops += queued

    def _count(self, ops: int, after: dict[bytes, Cell]) -> None:
        """Add up what the event has grown to, or `LimitExceeded`."""
        grown = self._bytes
        for cell_path, cell in after.items():
            old = self._changed.get(cell_path)
            grown += payload_bytes(cell, _EVENT) - (0 if old is None else payload_bytes(old, _EVENT))
        cells = len(self._changed) + sum(cell_path not in self._changed for cell_path in after)
        check_limits(len(self._ops) + ops, cells, grown)
        self._bytes = grown

    def _following(self, ops: Sequence[Op]) -> tuple[list[Op], list[Op]]:
        """The ops as they are after this transaction's own earlier ones, and those that they replace.

        A `resolve` names what it supersedes by dots, and the transaction has none yet, so it takes the place
        of the transaction's last write of the cell. What is expected of a cell that the transaction has written
        is judged here; of another, once more when it commits.
        """
        queued, replaced = [], []
        for op in ops:
            if op.method == EXPECT and op.path in self._changed:
                self._judge(op)
                continue
            earlier = self._last(op.path) if op.method == "resolve" else None
            if earlier is None or earlier.method not in ("set", "resolve"):
                queued.append(op)
            else:
                queued.append(_resolved(earlier, op))
                replaced.append(earlier)
        return queued, replaced

    def _judge(self, op: Op) -> None:
        """A version is None to one who reads the transaction's own write."""
        if op.args != (None,):
            write(op, self._changed[op.path], Event(PROVISIONAL, PROVISIONAL_SEQ, self.now()))

    def _last(self, cell_path: bytes) -> Op | None:
        return next((op for op in reversed(self._ops) if op.path == cell_path), None)


def _wants_rights(ops: Sequence[Op]) -> bool:
    return any(op.method not in RANGES and path.kind_of(op.path) == _BOUNDED for op in ops)


def _with_own(estate: tuple[bytes, ...], member: str) -> tuple[bytes, ...]:
    """The node's estate, and what the transaction itself has minted and spent."""
    return estate if member else (*estate, PROVISIONAL)


def _check_no_id(op_id: str | None) -> None:
    if op_id is not None:
        raise ValueError("op_id: inside a transaction there is one for all of it: transaction(op_id=...)")


def _resolved(earlier: Op, op: Op) -> Op:
    value, context = op.raw
    if earlier.method == "set":  # it supersedes all there is, read or not
        return make_op(op.path, "set", (value,))
    first: dict[bytes, int] = earlier.args[1]
    both = {r: max(first.get(r, 0), context.get(r, 0)) for r in {*first, *context}}
    return make_op(op.path, "resolve", (value, both | {PROVISIONAL: PROVISIONAL_SEQ}))


def _enough(cells: Pairs) -> list[tuple[bytes, Cell]]:
    """As many of the cells that show as it takes to see that there are too many."""
    return list(islice((item for item in cells if shows(*item)), TRANSACTION_CELLS_MAX + 1))
