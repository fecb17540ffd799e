"""What a type is: a write rule and a read rule over the live entries of a cell, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from . import values
from .cell import Cell, Dot, Entry, Event, supersede
from .errors import MalformedError
from .verdict import Verdict, together

Args = tuple[Any, ...]
Write = Callable[[Cell, Event, Args], Cell]


class CellType:
    """Base of every type. A subclass names its ``kind`` and ``methods`` and reads a value from a cell.

    A method is given the cell, the event that the write belongs to, and prepared arguments; it returns the new
    cell, or the very same one if there is nothing to write.
    """

    kind: ClassVar[str]
    is_removable: ClassVar[bool] = True
    """Whether there is a ``remove``. Clearing a range with a cell that has none is refused, whole."""
    reads_rivals: ClassVar[bool] = False
    """Whether ``value`` knows what to make of two payloads under one dot; else a reader is told of the conflict."""

    def methods(self) -> Mapping[str, Write]:
        """Write rules by name; every type that is removable has ``remove``."""
        return {"remove": remove}

    def prepare(self, method: str, args: Args) -> Args:
        """Arguments checked and in the form the write rule wants. `TypeError`/`ValueError` name the argument."""
        if method not in self.methods():
            raise ValueError(f"{self.kind} has no {method!r}; it has {', '.join(sorted(self.methods()))}")
        return no_args(self.kind, method, args)

    def write(self, cell: Cell, method: str, args: Args, event: Event) -> Cell:
        """The cell after ``method`` with prepared ``args``; the same object if it changes nothing."""
        return self.methods()[method](cell, event, args)

    def value(self, cell: Cell) -> Any:
        """What a plain reader sees."""
        raise NotImplementedError(self.kind)  # each type's own

    def at(self, cell: Cell, now: int) -> Cell:
        """The cell as a reader at ``now``, in microseconds since 1970, sees it: without what has expired."""
        return cell

    def until(self, cell: Cell) -> int | None:
        """The moment from which on nothing of the cell shows, if nothing is written; None if it lasts."""
        return None

    def sweep(self, cell: Cell, event: Event, is_due: Callable[[Entry], bool]) -> Cell:
        """The cell after ``event`` has removed the expired entries that ``is_due`` names, and what they beat.

        Whatever else stands, a concurrent renewal say, goes on standing. The same cell if nothing can be done.
        """
        return cell

    def present(self, cell: Cell) -> bool:
        """Whether the cell shows in ``keys()``, ``items()`` and a map's value."""
        return not cell.says_nothing

    def verdict(self, cell: Cell) -> Verdict:
        """Why `value` is what it is: the entries that it comes from, and the rule that decided."""
        return together(cell, "what the type makes")

    def version(self, cell: Cell) -> Any:
        """What stands in the cell, as dots: another after each write that a reader could notice."""
        return tuple((entry.replica, entry.seq) for entry in cell.live)

    def expected(self, version: object) -> Any:
        """A version as `version` gives it, from a caller or a message. `TypeError` for anything else."""
        if not isinstance(version, list | tuple):
            raise TypeError("expect: the dots that stand are wanted")
        return tuple(dot(item) for item in version)

    def check(self, payload: bytes) -> None:
        """`MalformedError` for a payload that this type never writes; an empty one says *removed* or *off*."""
        raise NotImplementedError(self.kind)  # each type's own


def remove(cell: Cell, event: Event, _args: Args) -> Cell:
    """Supersede what was seen; a concurrent write survives."""
    return supersede(cell, event) if cell.live else cell


def no_args(kind: str, method: str, args: Args) -> Args:
    """``args``, which must be empty."""
    if args:
        raise TypeError(f"{kind}.{method} takes no argument, {len(args)} given")
    return args


def one_value(kind: str, method: str, args: Args) -> tuple[bytes]:
    """The canonical bytes of the one value that ``args`` must be."""
    if len(args) != 1:
        raise TypeError(f"{kind}.{method} takes one value, {len(args)} given")
    return (values.encode(args[0]),)


def context(seen: object) -> dict[bytes, int]:
    """What a read saw, replica -> seq, from a dict or from the pairs that a message carries."""
    try:
        pairs: dict[bytes, int] = dict(seen)  # type: ignore[call-overload]  # whatever it is, dict() judges it
    except (TypeError, ValueError):
        raise TypeError("seen: the context of a read is wanted") from None
    if not all(type(r) is bytes and type(seq) is int for r, seq in pairs.items()):
        raise TypeError("seen: the context of a read is wanted")
    return pairs


def dot(version: object) -> Dot:
    """The version of one write, from a caller or from the pair that a message carries."""
    match version:
        case (bytes(replica), int(seq)) if type(seq) is int:
            return replica, seq
    raise TypeError(f"expect: the version of a read is wanted, not {version!r:.100}")


def whole(name: str, number: object) -> int:
    """``number``, which must be an int and not a bool."""
    if type(number) is not int:
        raise TypeError(f"{name}: an int is wanted, not {type(number).__name__}")
    return number


def on_or_off(kind: str, payload: bytes) -> None:
    """`MalformedError` unless the payload is one that flags and sets write."""
    if payload not in (ON, OFF):
        raise MalformedError(f"{kind}: a payload is neither on nor off")


ON, OFF = b"\x01", b""
"""Payloads of flags, set elements and map presence. An empty payload counts as empty for every type."""
