"""Expiry: an entry that holds until a moment, and is hidden from then on.

When does a value stop counting? At the moment that its writer put beside it, by the clock of whoever reads. The
moment is part of the payload, so it merges as the value does, and neither the join nor the digest looks at a clock::

    payload    the type's own bytes                  as ever, if the entry does not expire
               expires_at, then the type's own bytes if it does

``expires_at`` is 8 bytes, big endian, microseconds since 1970, the highest four bits 1000. No type that expires has
a payload of its own that begins so (a stamp is not negative, *on* is ``01``, a list does not begin like a map), so
the first byte tells: who reads or writes cells that do not expire pays for one comparison.
"""

from __future__ import annotations

from typing import Any

from .cell import Cell, Entry, without
from .celltype import Args

EXPIRES_BYTES = 8
EXPIRES_MAX = 2**60 - 1
"""Microseconds since 1970: the year 38,505. A `datetime` ends at 9999."""
TTL_MAX = 2**59
"""Microseconds; 18,000 years. Added to any clock it stays below `EXPIRES_MAX`."""

_MARK = 0b1000 << 60
_FIRST, _PAST = b"\x80", b"\x90"

TTL, AT = "ttl", "at"
Expiry = tuple[str, int]
"""``(TTL, microseconds from now)`` or ``(AT, microseconds since 1970)``: what a write says about its expiry. A ttl
is counted from the clock of the node that commits the write, whoever asked for it."""


def of(payload: bytes) -> int | None:
    """When a payload expires, None if it does not."""
    if _FIRST <= payload < _PAST:
        return int.from_bytes(payload[:EXPIRES_BYTES], "big") - _MARK
    return None


def plain(payload: bytes) -> bytes:
    """The type's own bytes."""
    return payload[EXPIRES_BYTES:] if _FIRST <= payload < _PAST else payload


def until(own: bytes, expires_at: int | None) -> bytes:
    """The payload of the type's own bytes that hold until then."""
    return own if expires_at is None else (_MARK | expires_at).to_bytes(EXPIRES_BYTES, "big") + own


def is_over(entry: Entry, now: int) -> bool:
    """Whether an entry has expired."""
    expires_at = of(entry.payload)
    return expires_at is not None and expires_at <= now


def without_expired(cell: Cell, now: int) -> Cell:
    """The cell with each expired entry superseded."""
    return without(cell, lambda entry: is_over(entry, now))


def is_plain(cell: Cell) -> bool:
    """No entry seems to expire, or has rivals: the cell is the same at any time. What every read asks first.

    Of a type that does not expire a payload may happen to begin as an expiry does.
    """
    for entry in cell.live:
        if entry.others or _FIRST <= entry.payload < _PAST:
            return False
    return True


def carried_by(cell: Cell) -> set[tuple[bytes, int]]:
    """``(replica, expires_at)`` of each entry that expires: what the store's index of expiries holds of a cell."""
    found: set[tuple[bytes, int]] = set()
    for entry in cell.live:
        if _FIRST <= entry.payload < _PAST and not entry.generation and len(entry.payload) > EXPIRES_BYTES:
            found.add((entry.replica, int.from_bytes(entry.payload[:EXPIRES_BYTES], "big") - _MARK))
    return found


# Arguments.


def prepare(arg: Any) -> Expiry:
    """An expiry from a caller's argument, or from the list that a message carries."""
    try:
        how, micros = arg
    except (TypeError, ValueError):
        raise TypeError("expiry: ('ttl', microseconds) or ('at', microseconds) is wanted") from None
    if how not in (TTL, AT) or type(micros) is not int:
        raise TypeError("expiry: ('ttl', microseconds) or ('at', microseconds) is wanted")
    most = TTL_MAX if how == TTL else EXPIRES_MAX
    if not 0 < micros <= most:
        raise ValueError(f"{how}: {micros} µs is not above 0 and at most {most}")
    return how, micros


def optional(kind: str, method: str, args: Args, before: int) -> tuple[Args, tuple[Expiry, ...]]:
    """``args`` taken apart: ``before`` arguments of the method's own, and an expiry if one follows."""
    if len(args) > before + 1:
        raise TypeError(f"{kind}.{method} takes {before} and an expiry, {len(args)} given")
    if len(args) <= before or args[before] is None:
        return args[:before], ()
    return args[:before], (prepare(args[before]),)


def settle(expiry: Expiry | None, now: int) -> int | None:
    """The moment that an expiry means when it is written at ``now``."""
    if expiry is None:
        return None
    how, micros = expiry
    return min(max(micros + now, 1), EXPIRES_MAX) if how == TTL else micros


def given(args: Args, at: int) -> Expiry | None:
    """The expiry among prepared arguments, None if there is none."""
    return args[at] if len(args) > at else None
