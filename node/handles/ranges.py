"""Writes to all cells of a range, of any size: emptying it, letting it expire, making it last.

A range of at most 1,000 cells goes in one event, seen by the node that commits it. A larger one goes in
several, each whole; a reader may see the range half done, and what is added meanwhile may be left out.
Inside a transaction there is no such way out, and it is `LimitExceeded`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from gossamer.crdt import Cell, Event, Expiring, expiry, type_at

from ..apply import check_removable, each, is_removable, shows
from ..backend import CLEAR, EXPIRE, RANGES, Backend, Op, make_op
from ..errors import LimitExceeded
from ..limits import TRANSACTION_CELLS_MAX
from .overlay import Overlay
from .reading import visible

Pairs = Iterable[tuple[bytes, Cell]]


def clear(backend: Backend, keyspace: str, prefixes: Sequence[bytes]) -> None:
    """Remove every cell under the prefixes."""
    write(backend, keyspace, prefixes, CLEAR)


async def aclear(backend: Backend, keyspace: str, prefixes: Sequence[bytes]) -> None:
    """`clear`, awaited."""
    await awrite(backend, keyspace, prefixes, CLEAR)


def write(backend: Backend, keyspace: str, prefixes: Sequence[bytes], method: str, *raw: Any) -> None:
    """Do ``method``, one of `RANGES`, to every cell under the prefixes."""
    try:
        backend.write(keyspace, [make_op(prefix, method, raw) for prefix in prefixes])
    except LimitExceeded:
        if isinstance(backend, Overlay):
            raise
        raw = _settled(backend, raw)
        for prefix in prefixes:
            _check(backend, make_op(prefix, method, raw), backend.scan(keyspace, prefix))
        for prefix in prefixes:
            for ops in chunks(_singles(backend, method, raw, backend.scan(keyspace, prefix))):
                backend.write(keyspace, ops)


async def awrite(backend: Backend, keyspace: str, prefixes: Sequence[bytes], method: str, *raw: Any) -> None:
    """`write`, awaited."""
    try:
        await backend.awrite(keyspace, [make_op(prefix, method, raw) for prefix in prefixes])
    except LimitExceeded:
        if isinstance(backend, Overlay):
            raise
        raw = _settled(backend, raw)
        for prefix in prefixes:
            _check(backend, make_op(prefix, method, raw), await backend.ascan(keyspace, prefix))
        for prefix in prefixes:
            for ops in chunks(_singles(backend, method, raw, await backend.ascan(keyspace, prefix))):
                await backend.awrite(keyspace, ops)


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


def chunks(ops: Iterable[Op]) -> Iterator[list[Op]]:
    """The ops in lists that one event each can hold."""
    rest = iter(ops)
    while chunk := list(islice(rest, TRANSACTION_CELLS_MAX)):
        yield chunk
