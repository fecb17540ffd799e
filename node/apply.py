"""The writes of one event as the cells they leave behind.

Which cells does an event change, and to what? A node's writer asks this for every commit, and a transaction
asks it to show its own writes before there is an event at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from gossamer.crdt import Cell, CellType, Event, Expiring, RightsError, UnseenError, path, type_at

from .backend import CANCEL, CLEAR, EXPECT, PERSIST, RANGES, SWEEP, Op, removes_sum
from .errors import InsufficientRights, LimitExceeded, VersionMismatch
from .limits import TRANSACTION_BYTES_MAX, TRANSACTION_CELLS_MAX, TRANSACTION_OPS_MAX

Load = Callable[[bytes], Cell]
Pending = Callable[[bytes], Iterable[tuple[bytes, Cell]]]
Scan = Callable[[bytes], Iterable[tuple[bytes, Cell]]]


def _none(_prefix: bytes) -> Iterable[tuple[bytes, Cell]]:
    return ()


def expand(
    ops: Sequence[Op], scan: Scan, load: Load, event: Event, pending: Pending = _none
) -> dict[bytes, Cell]:
    """Path -> new cell, for the cells that ``ops``, in order, change.

    ``load`` gives the cell at a path, ``scan`` the cells under a prefix in path order; only `RANGES` scan.
    ``pending`` gives the operations under a prefix that are only pending: what takes away a counter cancels them.
    `LimitExceeded` for more than an event may hold; `TypeError` or `ValueError` for a write that its cell
    refuses; `VersionMismatch` for a cell that is not as expected; `InsufficientRights` for a bounded counter's. A
    quarantined cell may be written: the writes of one replica supersede both rivals.
    """
    if len(ops) == 1 and ops[0].method not in (*RANGES, CANCEL) and not removes_sum(ops[0]):
        op = ops[0]
        before = load(op.path)
        after = write(op, before, event)
        return {} if after is before else {op.path: after}
    return _several(ops, scan, load, event, pending)


def write(op: Op, cell: Cell, event: Event) -> Cell:
    """The cell after one write; the same object if it changes nothing."""
    cell_type = type_at(op.path)
    if cell_type is None:
        raise ValueError(f"{path.to_text(op.path)}: this build has no such type")
    if op.method == EXPECT:
        return _as_expected(op, cell, cell_type, event.now)
    if op.method == SWEEP:  # where two payloads have one dot, until somebody has looked at it
        return cell if cell.is_quarantined else cell_type.sweep(cell, event, op.args[0])
    try:
        return cell_type.write(cell, op.method, op.args, event)
    except UnseenError:
        raise VersionMismatch(
            f"{path.to_text(op.path)}: this node has written it since it was read, and a node keeps one value: "
            "read it again"
        ) from None
    except RightsError as error:
        text = f"{path.to_text(op.path)}: {error}; others may hold more"
        raise InsufficientRights(text, error.available) from None


def _as_expected(op: Op, cell: Cell, cell_type: CellType, now: int) -> Cell:
    (wanted,) = op.args
    if cell_type.version(current(op.path, cell, now)) != wanted:
        why = "something is there already" if wanted is None else "it was written since it was read"
        raise VersionMismatch(f"{path.to_text(op.path)}: {why}; nothing is written now")
    return cell


def shows(cell_path: bytes, cell: Cell) -> bool:
    """Whether the cell is there for a reader, if nothing in it has expired, and for `CLEAR` to remove."""
    if not cell.live:
        return False
    cell_type = type_at(cell_path)
    if cell_type is None or cell.is_quarantined:
        return not cell.says_nothing
    return cell_type.present(cell)


def each(op: Op, cell_path: bytes, cell: Cell, event: Event) -> Cell:
    """A cell of the range that ``op``, one of `RANGES`, is about, after it.

    `ValueError` if it is to expire and its kind cannot; what cannot expire need not be made to last.
    """
    if op.method == CLEAR:
        return clear(cell_path, cell, event)
    if not shows(cell_path, current(cell_path, cell, event.now)):
        return cell
    cell_type = type_at(cell_path)
    if isinstance(cell_type, Expiring):
        return cell_type.write(cell, RANGES[op.method], op.args, event)
    if op.method == PERSIST:
        return cell
    raise ValueError(f"{path.to_text(cell_path)}: a {path.kind_of(cell_path)} cannot expire")


def current(cell_path: bytes, cell: Cell, now: int) -> Cell:
    """The cell as a reader at ``now`` sees it: without what has expired. A quarantined one as it is."""
    cell_type = type_at(cell_path)
    return cell if cell_type is None or cell.is_quarantined else cell_type.at(cell, now)


def clear(cell_path: bytes, cell: Cell, event: Event) -> Cell:
    """The cell after a `CLEAR` of a range around it.

    What does not show is left alone: an element's *removed* must go on to beat the adds it has not met.
    `ValueError` for a cell that cannot be removed, so that nothing of the range is.
    """
    check_removable(cell_path, cell)
    return write(Op(cell_path, "remove", (), ()), cell, event) if shows(cell_path, cell) else cell


def is_removable(cell_path: bytes) -> bool:
    """Whether a cell there can be removed: not a bounded counter."""
    cell_type = type_at(cell_path)
    return cell_type is None or cell_type.is_removable


def check_removable(cell_path: bytes, cell: Cell) -> None:
    """`ValueError` for a cell that is there and cannot be removed."""
    if not is_removable(cell_path) and shows(cell_path, cell):
        raise ValueError(
            f"{path.to_text(cell_path)}: a {path.kind_of(cell_path)} cannot be removed, nor anything around it"
        )


def payload_bytes(cell: Cell, event: Event) -> int:
    """Bytes of the payload that ``event`` left in the cell."""
    return sum(len(entry.payload) for entry in cell.live if entry.replica == event.replica)


def check_limits(ops: int, cells: int, payload: int) -> None:
    """`LimitExceeded` if an event of so many writes, cells and payload bytes is too large."""
    for count, limit, unit in (
        (ops, TRANSACTION_OPS_MAX, "writes"),
        (cells, TRANSACTION_CELLS_MAX, "cells"),
        (payload, TRANSACTION_BYTES_MAX, "bytes"),
    ):
        if count > limit:
            raise LimitExceeded(f"transaction: {count:,} {unit} or more, at most {limit:,} are possible")


def _several(ops: Sequence[Op], scan: Scan, load: Load, event: Event, pending: Pending) -> dict[bytes, Cell]:
    check_limits(len(ops), 0, 0)
    changed: dict[bytes, Cell] = {}
    for op in ops:
        if op.method == CANCEL:
            some = islice(pending(op.path), TRANSACTION_CELLS_MAX - len(changed))
            _cancel(changed, some, event)
            continue
        if op.method == CLEAR or removes_sum(op):
            _cancel(changed, pending(op.path), event)
        if op.method in RANGES:
            for cell_path, cell in _under(op.path, scan, changed):
                _note(changed, cell_path, cell, each(op, cell_path, cell, event))
        else:
            before = changed[op.path] if op.path in changed else load(op.path)
            _note(changed, op.path, before, write(op, before, event))
    check_limits(0, 0, sum(payload_bytes(cell, event) for cell in changed.values()))
    return changed


def _cancel(changed: dict[bytes, Cell], pending: Iterable[tuple[bytes, Cell]], event: Event) -> None:
    for cell_path, cell in pending:
        before = changed.get(cell_path, cell)
        _note(changed, cell_path, before, write(Op(cell_path, "cancel", (), ()), before, event))


def _note(changed: dict[bytes, Cell], cell_path: bytes, before: Cell, after: Cell) -> None:
    if after is not before:
        changed[cell_path] = after
        check_limits(0, len(changed), 0)


def _under(prefix: bytes, scan: Scan, changed: dict[bytes, Cell]) -> Iterator[tuple[bytes, Cell]]:
    """The cells under ``prefix`` as the earlier writes of the event left them."""
    own = [(cell_path, cell) for cell_path, cell in changed.items() if cell_path.startswith(prefix)]
    earlier = {cell_path for cell_path, _ in own}
    yield from own
    for cell_path, cell in scan(prefix):
        if cell_path not in earlier:
            yield cell_path, cell
