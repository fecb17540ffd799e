"""Writes to all cells of a range, of any size: emptying it, letting it expire, making it last.

A range of at most 1,000 cells goes in one event, seen by the node that commits it. A larger one goes in
several, each whole; a reader may see the range half done, and what is added meanwhile may be left out.
Inside a transaction there is no such way out, and it is `LimitExceeded`.

What is pending is cancelled first, and the counter itself comes last: an addition that is folded in between is in
the counter by then, and goes with it. With an ``op_id`` the last event notes it; a retry that finds no note does
all of it again, and one that finds it nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from gossamer.crdt import Cell, Event, Expiring, expiry, path, type_at

from ..apply import check_removable, each, is_removable, shows
from ..backend import CANCEL, CLEAR, EXPIRE, RANGES, Backend, Op, make_op
from ..errors import LimitExceeded
from ..limits import TRANSACTION_CELLS_MAX
from .overlay import Overlay
from .reading import visible

Pairs = Iterable[tuple[bytes, Cell]]

_ROOMY = TRANSACTION_CELLS_MAX // 2
"""Removals in one event, so that it has room for what became pending in the counters among them meanwhile."""


def clear(backend: Backend, keyspace: str, prefixes: Sequence[bytes], op_id: str | None = None) -> None:
    """Remove every cell under the prefixes."""
    write(backend, keyspace, prefixes, CLEAR, op_id=op_id)


async def aclear(
    backend: Backend, keyspace: str, prefixes: Sequence[bytes], op_id: str | None = None
) -> None:
    """`clear`, awaited."""
    await awrite(backend, keyspace, prefixes, CLEAR, op_id=op_id)


def write(
    backend: Backend,
    keyspace: str,
    prefixes: Sequence[bytes],
    method: str,
    *raw: Any,
    op_id: str | None = None,
) -> None:
    """Do ``method``, one of `RANGES`, to every cell under the prefixes."""
    whole = [make_op(prefix, method, raw) for prefix in prefixes]
    try:
        backend.write(keyspace, whole, op_id)
        return
    except LimitExceeded:
        if isinstance(backend, Overlay):
            raise
    raw = _settled(backend, raw)
    for prefix in prefixes:
        _check(backend, make_op(prefix, method, raw), backend.scan(keyspace, prefix))
    if method == CLEAR:
        _cancel(backend, keyspace, prefixes)
    each_prefix = (_singles(backend, method, raw, backend.scan(keyspace, prefix)) for prefix in prefixes)
    for ops, noted in _noting(chunks(chain.from_iterable(each_prefix), _ROOMY), whole, op_id):
        backend.write(keyspace, ops, noted)


async def awrite(
    backend: Backend,
    keyspace: str,
    prefixes: Sequence[bytes],
    method: str,
    *raw: Any,
    op_id: str | None = None,
) -> None:
    """`write`, awaited."""
    whole = [make_op(prefix, method, raw) for prefix in prefixes]
    try:
        await backend.awrite(keyspace, whole, op_id)
        return
    except LimitExceeded:
        if isinstance(backend, Overlay):
            raise
    raw = _settled(backend, raw)
    for prefix in prefixes:
        _check(backend, make_op(prefix, method, raw), await backend.ascan(keyspace, prefix))
    if method == CLEAR:
        await _acancel(backend, keyspace, prefixes)
    cells = [await backend.ascan(keyspace, prefix) for prefix in prefixes]
    singles = chain.from_iterable(_singles(backend, method, raw, some) for some in cells)
    for ops, noted in _noting(chunks(singles, _ROOMY), whole, op_id):
        await backend.awrite(keyspace, ops, noted)


def _noting(
    parts: Iterable[list[Op]], whole: list[Op], op_id: str | None
) -> Iterator[tuple[list[Op], str | None]]:
    """The parts, the last of them with the ``op_id``; what was asked for itself, if there is no part left."""
    before: list[Op] | None = None
    for ops in parts:
        if before is not None:
            yield before, None
        before = ops
    if before is not None or op_id is not None:
        yield before or whole, op_id


def reset(backend: Backend, keyspace: str, counter: bytes, op_id: str | None = None) -> None:
    """Take away what a counter has, and what is pending for it."""
    while True:
        try:
            backend.write(keyspace, (make_op(counter, "reset"),), op_id)
            return
        except LimitExceeded:
            if isinstance(backend, Overlay):
                raise
            _cancel(backend, keyspace, (counter,))


async def areset(backend: Backend, keyspace: str, counter: bytes, op_id: str | None = None) -> None:
    """`reset`, awaited."""
    while True:
        try:
            await backend.awrite(keyspace, (make_op(counter, "reset"),), op_id)
            return
        except LimitExceeded:
            if isinstance(backend, Overlay):
                raise
            await _acancel(backend, keyspace, (counter,))


def _cancel(backend: Backend, keyspace: str, prefixes: Sequence[bytes]) -> None:
    for prefix in prefixes:
        while backend.write(keyspace, (make_op(prefix, CANCEL),)) is not None:
            pass


async def _acancel(backend: Backend, keyspace: str, prefixes: Sequence[bytes]) -> None:
    for prefix in prefixes:
        while await backend.awrite(keyspace, (make_op(prefix, CANCEL),)) is not None:
            pass


def update(backend: Backend, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> None:
    """All the ops, in as many events as it takes; the last one notes the ``op_id``."""
    *first, last = list(chunks(ops)) or [[]]
    if first and op_id is not None and _is_noted(backend.cell(keyspace, _note(op_id))):
        return
    for some in first:
        backend.write(keyspace, some)
    if last:
        backend.write(keyspace, last, op_id)


async def aupdate(backend: Backend, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> None:
    """`update`, awaited."""
    *first, last = list(chunks(ops)) or [[]]
    if first and op_id is not None and _is_noted(await backend.acell(keyspace, _note(op_id))):
        return
    for some in first:
        await backend.awrite(keyspace, some)
    if last:
        await backend.awrite(keyspace, last, op_id)


def _note(op_id: str) -> bytes:
    return path.component("op_id", op_id)


def _is_noted(cell: Cell) -> bool:
    return bool(cell.live)


def _settled(backend: Backend, raw: tuple[Any, ...]) -> tuple[Any, ...]:
    """One moment for all events."""
    return tuple((expiry.AT, expiry.settle(one, backend.now())) for one in raw)


def _check(backend: Backend, op: Op, cells: Pairs) -> None:
    """`ValueError` if it cannot be done to one of them: before the first is, where it takes several events."""
    event = Event(b"", 0, backend.now())
    for cell_path, cell in cells:
        if op.method == CLEAR:
            check_removable(cell_path, cell)
        elif op.method == EXPIRE:
            each(op, cell_path, cell, event)


def _singles(backend: Backend, method: str, raw: tuple[Any, ...], cells: Pairs) -> Iterator[Op]:
    """The write of each cell that shows, and to which it can be done; to clear takes what has expired as well.

    A bounded counter made since the check was not seen, and stays.
    """
    for cell_path, cell in cells if method == CLEAR else visible(cells, backend):
        if _can(method, cell_path) and shows(cell_path, cell):
            yield make_op(cell_path, RANGES[method], raw)


def _can(method: str, cell_path: bytes) -> bool:
    return is_removable(cell_path) if method == CLEAR else isinstance(type_at(cell_path), Expiring)


def chunks(ops: Iterable[Op], most: int = TRANSACTION_CELLS_MAX) -> Iterator[list[Op]]:
    """The ops in lists that one event each can hold."""
    rest = iter(ops)
    while chunk := list(islice(rest, most)):
        yield chunk
