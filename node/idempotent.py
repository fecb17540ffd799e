"""Writes with an ``op_id``: what is written in place of them, and how a retry is known.

The question this answers: *has this been done?* An addition to a counter is the cell of an operation under it, which
meets itself from wherever it comes. For every other write, and for transactions, a marker is written in the same
event. `crdt.operation` says what those cells mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gossamer.crdt import TYPES, Cell, Dot, Event, operation, path
from gossamer.crdt.cell import own_entry

from .apply import Load, Pending, Scan, expand, write
from .backend import CLEAR, Op, removes_sum
from .errors import OperationExpired
from .limits import OP_CLOCKS_S
from .op_id import check_op_id, time_of

MICROSECONDS = 1_000_000


def expand_once(
    ops: Sequence[Op], op_id: str, scan: Scan, load: Load, event: Event, pending: Pending, window: int
) -> tuple[dict[bytes, Cell], Dot | None]:
    """What a write with an ``op_id`` changes, as `expand`, and what it returns: nothing, and as before, for a retry."""
    at = note_path(ops, check_op_id(op_id))
    note = load(at)
    if is_done(note, op_id, event.now, window):
        return {}, outcome(note)
    changed = expand(identified(ops, op_id), scan, load, event, pending)
    dot = (event.replica, event.seq) if changed else None
    if path.kind_of(at) == "op_id":
        changed[at] = write(Op(at, "wrote" if changed else "silent", (), ()), note, event)
    return changed, dot


def outcome(note: Cell) -> Dot | None:
    """What the first try returned, or one that stands for it."""
    return operation.outcome(note)


def note_path(ops: Sequence[Op], op_id: str) -> bytes:
    """Where the write is noted: in the operation, if it is one addition and nothing else; else in a marker."""
    if len(ops) == 1 and _is_addition(ops[0]):
        return path.check(ops[0].path + path.component("op", op_id))
    return path.component("op_id", op_id)


def _is_addition(op: Op) -> bool:
    return op.method == "add" and path.kind_of(op.path) == "counter"


def is_done(note: Cell, op_id: str, now: int, window: int) -> bool:
    """Whether ``note`` says that the write was made. `OperationExpired` if that cannot be known any more."""
    if note.live:
        return True
    made = time_of(op_id)
    if note.dead or (made is not None and made + window < now):
        raise OperationExpired(
            f"op_id {op_id!r}: its window of {window / MICROSECONDS:g} s is over, so whether it was done is not known"
        )
    return False


def due(op_id: str, now: int, window: int) -> int:
    """When a note that is settled now may go. One that carries its time stays until every node would refuse it.

    A time further ahead than a window is some clock's mistake.
    """
    made = time_of(op_id)
    if made is None or made > now + window:
        return now + window
    return max(now, made) + window + OP_CLOCKS_S * MICROSECONDS


def identified(ops: Sequence[Op], op_id: str) -> list[Op]:
    """The ops with each counter's additions as one operation, of their sum.

    What a transaction added before it reset the counter is gone with the reset.
    """
    rest: list[Op] = []
    sums: dict[bytes, int] = {}
    for op in ops:
        if _is_addition(op):
            sums[op.path] = sums.get(op.path, 0) + op.args[0]
            continue
        rest.append(op)
        if op.method == CLEAR or removes_sum(op):
            sums = {at: n for at, n in sums.items() if not at.startswith(op.path)}
    name = path.component("op", op_id)
    return rest + [Op(path.check(at + name), "add", (n,), (n,)) for at, n in sums.items()]


def fold(counter: bytes, pending: Iterable[bytes], load: Load, event: Event) -> dict[bytes, Cell]:
    """Path -> new cell: the amounts of pending operations in this replica's own entry of their counter."""
    cells = {at: load(at) for at in pending}
    total = sum(operation.pending_amount(cell) for cell in cells.values())
    raised = write(Op(counter, "add", (total,), ()), load(counter), event)
    own = own_entry(raised, event.replica)
    assert own is not None, counter
    folded = {at: TYPES["op"].write(cell, "fold", (own.generation,), event) for at, cell in cells.items()}
    return {counter: raised, **folded}
