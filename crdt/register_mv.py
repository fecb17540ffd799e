"""Multi-value register: concurrent writes all stand until somebody resolves them.

Which of two values stands? Both, in a fixed order; equal values are one. ``resolve`` supersedes exactly what
was read, so a value that arrives between the read and the write is not lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import values
from .cell import Cell, Event, assign, own_entry
from .celltype import Args, CellType, Write, context, one_value, remove
from .errors import MalformedError


def encoded_values(cell: Cell) -> list[bytes]:
    """The canonical bytes of each distinct value, in their fixed order."""
    return sorted({item for entry in cell.live for item in values.read(entry.payload)})


def _payload(items: list[bytes]) -> bytes:
    return values.encode(items, most=values.PAYLOAD_BYTES_MAX)


def _set(cell: Cell, event: Event, args: Args) -> Cell:
    return assign(cell, event, _payload([args[0]]))


def _resolve(cell: Cell, event: Event, args: Args) -> Cell:
    value, seen = args
    own = own_entry(cell, event.replica)
    kept: list[bytes] = []
    if own is not None and own.seq > seen.get(own.replica, 0):
        kept = values.read(own.payload)  # a replica has one entry, so what was not seen of it moves along
    return assign(cell, event, _payload(sorted({value, *kept})), seen)


class RegisterMV(CellType):
    kind = "mv_register"
    _methods: Mapping[str, Write] = {"set": _set, "resolve": _resolve, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def prepare(self, method: str, args: Args) -> Args:
        if method == "set":
            return one_value(self.kind, method, args)
        if method != "resolve":
            return super().prepare(method, args)
        if len(args) != 2:
            raise TypeError(f"mv_register.resolve takes a value and the context read, {len(args)} given")
        return (*one_value(self.kind, method, args[:1]), context(args[1]))

    def value(self, cell: Cell) -> list[Any]:
        return [values.read(item) for item in encoded_values(cell)]

    def check(self, payload: bytes) -> None:
        items = values.decode(payload)
        if not isinstance(items, list) or not items or not all(type(item) is bytes for item in items):
            raise MalformedError("mv_register: a payload is not a list of values")
        if items != sorted(set(items)):
            raise MalformedError("mv_register: values are not in order")
        for item in items:
            values.decode(item)
