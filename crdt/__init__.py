"""The pure core of Gossamer: cells and their join, types, paths, vectors and their bytes.

No I/O, no clock (time is an argument), no threads.
"""

from . import (
    cell,
    codec,
    counter_bounded,
    expiry,
    operation,
    path,
    register_lww,
    register_mv,
    tally,
    values,
    vector,
)
from .cell import EMPTY, Cell, Dead, Dot, Entry, Event, join
from .celltype import Args, CellType, Write, remove
from .errors import MalformedError, RightsError, UnseenError
from .expiring import Expiring
from .types import TYPES, check_cell, register_type, type_at
from .vector import Vector

__all__ = [
    "EMPTY",
    "TYPES",
    "Args",
    "Cell",
    "CellType",
    "Dead",
    "Dot",
    "Entry",
    "Event",
    "Expiring",
    "MalformedError",
    "RightsError",
    "UnseenError",
    "Vector",
    "Write",
    "cell",
    "check_cell",
    "codec",
    "counter_bounded",
    "expiry",
    "join",
    "operation",
    "path",
    "register_lww",
    "register_mv",
    "register_type",
    "remove",
    "tally",
    "type_at",
    "values",
    "vector",
]
