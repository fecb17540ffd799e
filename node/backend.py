"""What a handle stands on: three verbs, the same for a node here, inside a transaction, and a remote one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from gossamer.crdt import Cell, Dot, expiry, path, type_at

if TYPE_CHECKING:
    from .documents.schema import Schema
    from .feed import AsyncWatch, Held, Subscription, Wanted, Watch
    from .handles.resolvers import Resolvers
    from .waiting import Wait

CLEAR, EXPIRE, PERSIST = "clear", "expire_all", "persist_all"
RANGES = {CLEAR: "remove", EXPIRE: "expire", PERSIST: "persist"}
"""Not a type's methods: what they do to every cell that the writer sees at or under a path."""
SWEEP = "sweep"
"""Not a type's method, and the node's own alone: remove the expired entries for which the argument is true."""
EXPECT = "expect"
"""Not a type's method: write nothing of the event, and raise `VersionMismatch`, unless the cell is at a version."""
CANCEL = "cancel"
"""Not a type's method: cancel pending operations at or under a path, as many as an event may hold. A `CLEAR`, or the reset of
a counter, of which there are more begins with as many of these as it takes."""


class Op(msgspec.Struct, frozen=True):
    """One write: a method of the type of the cell at ``path``, one of `RANGES` for all under it, or the condition `EXPECT`."""

    path: bytes
    method: str
    args: tuple[Any, ...]
    """As the type's ``prepare`` made them."""
    raw: tuple[Any, ...]
    """As the caller gave them: what travels to a remote node, which prepares them itself."""


def make_op(cell_path: bytes, method: str, raw: Sequence[Any] = ()) -> Op:
    """A checked write. `TypeError` or `ValueError` names the argument that is wrong."""
    path.check(cell_path)
    if path.is_operation(cell_path):
        raise ValueError(f"{path.to_text(cell_path)}: the node's own; give an op_id to a write instead")
    if method == CANCEL:
        return Op(cell_path, CANCEL, (), ())
    if method in RANGES:
        return Op(cell_path, method, _range_args(method, raw), tuple(raw))
    cell_type = type_at(cell_path)
    if cell_type is None:
        raise ValueError(f"{path.to_text(cell_path)}: this build has no such type")
    if method == EXPECT:
        return Op(cell_path, EXPECT, (cell_type.expected(*raw),), tuple(raw))
    return Op(cell_path, method, cell_type.prepare(method, tuple(raw)), tuple(raw))


def _range_args(method: str, raw: Sequence[Any]) -> tuple[Any, ...]:
    if len(raw) != (method == EXPIRE):
        raise TypeError(
            f"{method} takes {'an expiry' if method == EXPIRE else 'no argument'}, {len(raw)} given"
        )
    return tuple(expiry.prepare(arg) for arg in raw)


def expect(cell_path: bytes, cell: Cell) -> Op:
    """The condition that the cell is still at the version that ``cell``, as it was read, is."""
    cell_type = type_at(cell_path)
    assert cell_type is not None, "whoever read it knows its type"
    return make_op(cell_path, EXPECT, (cell_type.version(cell),))


NO_DOT: Dot = (b"", 0)
"""An event that was not made, since there was nothing to write."""

Change = Callable[[Cell], Sequence[Op]]
"""What to write to a cell, given the cell as it is then. It may be called more than once."""


def removes_sum(op: Op) -> bool:
    """Whether it takes away what a counter has, its pending operations too."""
    return op.method in ("reset", "remove") and path.kind_of(op.path) == "counter"


class Backend(Protocol):
    """Reads give cells; the handle applies the type's read rule. A write is one event, all or nothing."""

    def now(self) -> int:
        """The clock that tells what has expired, in microseconds since 1970: that of the node that is read."""

    @property
    def bound(self) -> set[tuple[str, type]]:
        """The document classes that `bind` let through, by keyspace: each is asked about once."""

    @property
    def resolvers(self) -> Resolvers:
        """The application's own rules for registers with concurrent values."""

    def bind(self, keyspace: str, schema: Schema) -> None:
        """Compare a document class with what is recorded of it, and record it. `SchemaMismatch`."""

    async def abind(self, keyspace: str, schema: Schema) -> None:
        """`bind`, awaited."""

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        """The cell at a path, the empty cell if there is none."""

    def scan(self, keyspace: str, prefix: bytes) -> Iterator[tuple[bytes, Cell]]:
        """The cells whose path begins with ``prefix``, in path order, a page at a time.

        Cells that show nothing (removed, switched off) may be among them.
        """

    def write(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        """Commit the ops as one event; its dot, or None if there was nothing to write.

        With an ``op_id`` that was used already it writes nothing, and answers as it did then.
        """

    def update(self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None) -> Dot | None:
        """Commit what ``change`` makes of the cell, as one event; nothing can come between the read and the write.

        What ``change`` raises is raised, and nothing is written. A remote node cannot call it: there the cell is read,
        and the write is conditional, and repeated until it succeeds.
        """

    def write_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        """`write`, which for want of rights of a bounded counter asks peers for them and waits, in seconds."""

    def estate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        """The replica ids whose rights of bounded counters a member may spend, its own current id first.

        Those of the node itself if no member is named. `ValueError` for one that is unknown, is forgotten or
        removed, or does not host the keyspace.
        """

    async def acell(self, keyspace: str, cell_path: bytes) -> Cell:
        """`cell`, for a backend where a read waits on a network."""

    async def ascan(self, keyspace: str, prefix: bytes) -> list[tuple[bytes, Cell]]:
        """`scan`, all of it."""

    async def awrite(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        """`write`, awaited."""

    async def aupdate(
        self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None
    ) -> Dot | None:
        """`update`, awaited."""

    async def awrite_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        """`write_within`, awaited."""

    async def aestate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        """`estate`, for a backend where a read waits on a network."""

    def make_token(self, keyspace: str, dot: Dot | None = None) -> str:
        """A token of all that the node has, or of one event, or of nothing for `NO_DOT`."""

    async def amake_token(self, keyspace: str, dot: Dot | None = None) -> str:
        """`make_token`, awaited."""

    def wait_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        """Return once the wait is over. `WaitTimeout` or `TooStale` after ``timeout`` seconds."""

    async def await_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        """`wait_until`, awaited."""


class Followable(Protocol):
    """The feeds of a node, here or remote. Not part of `Backend`: a transaction has none."""

    def watch(self, keyspace: str, wanted: Wanted) -> Watch:
        """Follow a keyspace."""

    def awatch(self, keyspace: str, wanted: Wanted) -> AsyncWatch:
        """`watch`, for an event loop."""

    def subscription(self, keyspace: str, name: str, wanted: Wanted, auto_ack: bool) -> Subscription:
        """Follow a keyspace under a name."""

    def subscriptions(self, keyspace: str) -> list[Held]:
        """The subscriptions of a keyspace."""

    async def asubscriptions(self, keyspace: str) -> list[Held]:
        """`subscriptions`, awaited."""

    def unsubscribe(self, keyspace: str, name: str) -> bool:
        """Forget a subscription; whether there was one."""

    async def aunsubscribe(self, keyspace: str, name: str) -> bool:
        """`unsubscribe`, awaited."""
