"""Emptying ranges of cells, of any size.

A range of at most 1,000 cells goes in one event, seen by the node that commits it. A larger one goes in
several, each whole; a reader may see the range half emptied, and what is added meanwhile may survive.
Inside a transaction there is no such way out, and it is `LimitExceeded`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from gossamer.crdt import Cell

from ..apply import check_removable, is_removable, shows
from ..backend import CLEAR, Backend, Op, make_op
from ..errors import LimitExceeded
from ..limits import TRANSACTION_CELLS_MAX
from .overlay import Overlay


def clear(backend: Backend, keyspace: str, prefixes: Sequence[bytes]) -> None:
    """Remove every cell under the prefixes."""
    try:
        backend.write(keyspace, [make_op(prefix, CLEAR) for prefix in prefixes])
    except LimitExceeded:
        if isinstance(backend, Overlay):
            raise
        for prefix in prefixes:
            check_removal(backend.scan(keyspace, prefix))
        for prefix in prefixes:
            for ops in chunks(removals(backend.scan(keyspace, prefix))):
                backend.write(keyspace, ops)


async def aclear(backend: Backend, keyspace: str, prefixes: Sequence[bytes]) -> None:
    """`clear`, awaited."""
    try:
        await backend.awrite(keyspace, [make_op(prefix, CLEAR) for prefix in prefixes])
    except LimitExceeded:
        if isinstance(backend, Overlay):
            raise
        for prefix in prefixes:
            check_removal(await backend.ascan(keyspace, prefix))
        for prefix in prefixes:
            for ops in chunks(removals(await backend.ascan(keyspace, prefix))):
                await backend.awrite(keyspace, ops)


def check_removal(cells: Iterable[tuple[bytes, Cell]]) -> None:
    """`ValueError` if one of them cannot be removed: before the first is, where it takes several events."""
    for cell_path, cell in cells:
        check_removable(cell_path, cell)


def removals(cells: Iterable[tuple[bytes, Cell]]) -> Iterator[Op]:
    """The removal of each cell that shows; a bounded counter made since the check was not seen, and stays."""
    seen = (cell_path for cell_path, cell in cells if is_removable(cell_path) and shows(cell_path, cell))
    return (make_op(cell_path, "remove") for cell_path in seen)


def chunks(ops: Iterable[Op]) -> Iterator[list[Op]]:
    """The ops in lists that one event each can hold."""
    rest = iter(ops)
    while chunk := list(islice(rest, TRANSACTION_CELLS_MAX)):
        yield chunk
