"""Max and min registers: the highest, or lowest, value ever set and not removed.

Each replica keeps its own extreme, and a read takes the extreme of them. A set that is concurrent with a
remove keeps that replica's earlier extreme, since its one entry carries it. Values are ordered within one
type: numbers, str, bytes, or lists of them, elementwise. Writing another type than is there is a `TypeError`;
where two types meet because the writes were concurrent, numbers sort below str, str below bytes, bytes below
lists, on every replica alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import values
from .cell import Cell, Event, accumulate, own_entry
from .celltype import Args, CellType, Write, one_value, remove
from .errors import MalformedError
from .verdict import Verdict, count, verdict

_RANKS = {int: 0, float: 0, str: 1, bytes: 2, list: 3}


def order(data: bytes) -> tuple[Any, bytes]:
    """The sort key of an encoded value; ``1`` and ``1.0`` are equal numbers, and their bytes decide."""
    return _key(values.read(data)), data


def _key(value: Any) -> tuple[int, Any]:
    rank = _RANKS[type(value)]
    return (rank, tuple(_key(item) for item in value)) if rank == 3 else (rank, value)


def _orderable(value: Any) -> None:
    if type(value) not in _RANKS:
        raise TypeError(
            f"value: a {type(value).__name__} has no order here (numbers, str, bytes, lists of them)"
        )
    if type(value) is list:
        for item in value:
            _orderable(item)


def _comparable(a: Any, b: Any) -> None:
    if _RANKS[type(a)] != _RANKS[type(b)]:
        raise TypeError(
            f"value: {type(b).__name__} cannot be compared with the {type(a).__name__} that is there"
        )
    if type(a) is list:
        for x, y in zip(a, b, strict=False):
            _comparable(x, y)
            if _key(x) != _key(y):
                return


class RegisterExtreme(CellType):
    def __init__(self, kind: str, pick: Callable[..., Any]) -> None:
        self.kind = kind  # type: ignore[misc]  # one class serves two kinds
        self._pick = pick
        self._methods: Mapping[str, Write] = {"set": self._set, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def _set(self, cell: Cell, event: Event, args: Args) -> Cell:
        new = values.read(args[0])
        for entry in cell.live:
            _comparable(values.read(entry.payload), new)
        own = own_entry(cell, event.replica)
        payload = args[0] if own is None else self._pick((own.payload, args[0]), key=order)
        return accumulate(cell, event, payload, generation=0)

    def prepare(self, method: str, args: Args) -> Args:
        if method != "set":
            return super().prepare(method, args)
        prepared = one_value(self.kind, method, args)
        _orderable(args[0])
        return prepared

    def verdict(self, cell: Cell) -> Verdict:
        best = [self._pick(cell.live, key=lambda entry: order(entry.payload))] if cell.live else []
        word = "highest" if self._pick is max else "lowest"
        return verdict(
            best,
            f"the {word} of {count(cell)}, each the {word} that its replica has set since it was removed",
        )

    def value(self, cell: Cell) -> Any:
        if not cell.live:
            return None
        return values.read(self._pick((entry.payload for entry in cell.live), key=order))

    def check(self, payload: bytes) -> None:
        try:
            _orderable(values.decode(payload))
        except TypeError as error:
            raise MalformedError(f"{self.kind}: {error}") from None


MAX = RegisterExtreme("max_register", max)
MIN = RegisterExtreme("min_register", min)
