"""Multi-value register: concurrent writes all stand until somebody resolves them.

Which of two values stands? Both, in a fixed order; equal values are one. ``resolve`` supersedes exactly what
was read, so a value that arrives between the read and the write is not lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import expiry, values
from .cell import Cell, Entry, Event, assign, own_entry
from .celltype import Args, Write, context, one_value, remove
from .errors import MalformedError
from .expiring import Expiring
from .verdict import ALONE, Verdict, verdict

_ITEMS_BYTES_MAX = values.PAYLOAD_BYTES_MAX - expiry.EXPIRES_BYTES


def items_of(entry: Entry) -> list[bytes]:
    """The canonical bytes of each value that an entry holds."""
    items: list[bytes] = values.read(expiry.plain(entry.payload))
    return items


def encoded_values(cell: Cell) -> list[bytes]:
    """The canonical bytes of each distinct value, in their fixed order."""
    return sorted({item for entry in cell.live for item in items_of(entry)})


def _payload(items: list[bytes], expires_at: int | None = None) -> bytes:
    return expiry.until(values.encode(items, most=_ITEMS_BYTES_MAX), expires_at)


def _set(cell: Cell, event: Event, args: Args) -> Cell:
    return assign(cell, event, _payload([args[0]], expiry.settle(expiry.given(args, 1), event.now)))


def _resolve(cell: Cell, event: Event, args: Args) -> Cell:
    value, seen = args
    own = own_entry(cell, event.replica)
    kept: list[bytes] = []
    if own is not None and own.seq > seen.get(own.replica, 0) and not expiry.is_over(own, event.now):
        kept = items_of(own)  # a replica has one entry, so what was not seen of it moves along, for good
    return assign(cell, event, _payload(sorted({value, *kept})), seen)


def _expire(cell: Cell, event: Event, args: Args) -> Cell:
    """One entry with every value that stands, until another moment."""
    items = [] if cell.is_quarantined else encoded_values(expiry.without_expired(cell, event.now))
    if not items:
        return cell
    return assign(cell, event, _payload(items, expiry.settle(expiry.given(args, 0), event.now)))


def _persist(cell: Cell, event: Event, args: Args) -> Cell:
    standing = expiry.without_expired(cell, event.now).live
    return _expire(cell, event, args) if any(expiry.of(e.payload) is not None for e in standing) else cell


class RegisterMV(Expiring):
    kind = "mv_register"
    _methods: Mapping[str, Write] = {
        "set": _set,
        "resolve": _resolve,
        "expire": _expire,
        "persist": _persist,
        "remove": remove,
    }

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def prepare(self, method: str, args: Args) -> Args:
        if method == "set":
            own, until = expiry.optional(self.kind, method, args, 1)
            return (*one_value(self.kind, method, own), *until)
        if method != "resolve":
            return super().prepare(method, args)
        if len(args) != 2:
            raise TypeError(f"mv_register.resolve takes a value and the context read, {len(args)} given")
        return (*one_value(self.kind, method, args[:1]), context(args[1]))

    def verdict(self, cell: Cell) -> Verdict:
        if len(cell.live) == 1:
            return verdict(cell.live, ALONE)
        return verdict(cell.live, f"{len(cell.live)} concurrent writes all stand, until one sees them")

    def value(self, cell: Cell) -> list[Any]:
        return [values.read(item) for item in encoded_values(cell)]

    def check(self, payload: bytes) -> None:
        items = values.decode(expiry.plain(payload))
        if not isinstance(items, list) or not items or not all(type(item) is bytes for item in items):
            raise MalformedError("mv_register: a payload is not a list of values")
        if items != sorted(set(items)):
            raise MalformedError("mv_register: values are not in order")
        for item in items:
            values.decode(item)
