"""The table of types. Adding one touches neither the join, nor the store, nor the protocol.

A kind that is not in the table (a newer build's) is still merged, stored and forwarded, since none of that
looks into a payload; only reading and writing it is refused.
"""

from __future__ import annotations

from functools import lru_cache

from . import operation, register_extreme
from .cell import Cell
from .celltype import CellType
from .counter_bounded import CounterBounded
from .counter_pn import CounterPN
from .errors import MalformedError
from .flag_dw import FlagDW
from .flag_ew import FlagEW
from .map_presence import MapPresence
from .path import SETS, decode, kind_of, plain_kind, register_kind
from .register_lww import RegisterLWW
from .register_mv import RegisterMV
from .set_aw import SetAW
from .set_rw import SetRW

TYPES: dict[str, CellType] = {
    t.kind: t
    for t in (
        RegisterLWW(),
        RegisterMV(),
        FlagEW(),
        FlagDW(),
        CounterPN(),
        CounterBounded(),
        SetAW(),
        SetRW(),
        register_extreme.MAX,
        register_extreme.MIN,
        MapPresence(),
        operation.Operation(),
        operation.Marker(),
    )
}
"""Kind -> type. For ``set`` and ``set_rw`` the type is that of one element's cell."""


def register_type(cell_type: CellType, code: int) -> None:
    """Add a type of one's own. ``code``, 0x40 to 0x7e, is part of the format: every node must give it the same."""
    register_kind(cell_type.kind, code)
    TYPES[cell_type.kind] = cell_type
    _type_of_rare.cache_clear()


def type_at(path: bytes) -> CellType | None:
    """The type of the cell at ``path``; None for a kind unknown to this build."""
    return TYPES.get(kind_of(path))


def check_cell(path: bytes, cell: Cell) -> None:
    """`MalformedError` if a peer sent what is not at home at this path: no cell's path, a payload of no such type."""
    cell_type = _type_of_cell(path)
    if cell_type is None:
        return
    for entry in cell.live:
        for payload in (entry.payload, *entry.others):
            cell_type.check(payload)
    for dead in cell.dead:
        if dead.generation:
            cell_type.check(dead.floor)


def _type_of_cell(path: bytes) -> CellType | None:
    kind = plain_kind(path)
    return _type_of_rare(path) if kind is None else TYPES[kind]


@lru_cache(maxsize=4096)
def _type_of_rare(path: bytes) -> CellType | None:
    if decode(path)[-1][0] in SETS:
        raise MalformedError("path: a set is no cell; its elements are")
    return type_at(path)
