"""The pure core of Gossamer: cells and their join, types, paths, vectors and their bytes.

No I/O, no clock (time is an argument), no threads.
"""

from . import cell, codec, path, register_lww, values, vector
from .cell import EMPTY, Cell, Dead, Dot, Entry, Event, join
from .celltype import Args, CellType, Write, remove
from .errors import MalformedError, UnseenError
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
    "MalformedError",
    "UnseenError",
    "Vector",
    "Write",
    "cell",
    "check_cell",
    "codec",
    "join",
    "path",
    "register_lww",
    "register_type",
    "remove",
    "type_at",
    "values",
    "vector",
]
