"""Last-writer-wins register: causality first, clock second.

Which of two values stands? A write supersedes what its writer had seen, however wrong the clocks are; only
between concurrent writes does the higher stamp win, and between equal stamps the higher replica id.

    A (clock 100) sets x; B, having seen it, (clock 7) sets y   -> y, stamped 101
    A (clock 100) sets x while B (clock 7) sets y               -> x, and y is its loser

A set may also name what it has seen: then it supersedes that alone, and is concurrent with the rest.

After Johnson and Thomas, RFC 677 (1975), with the dotted context of Preguiça et al. (2010) for causality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import expiry, values
from .cell import Cell, Dot, Entry, Event, assign, own_entry, without
from .celltype import Args, Write, context, dot, one_value, remove
from .errors import MalformedError, UnseenError
from .expiring import Expiring
from .verdict import ALONE, Verdict, verdict

STAMP_BYTES = 8
STAMP_MAX = 2**62
"""Microseconds since 1970; far beyond any clock, and far from overflow. Stamps are bounded where they are made."""


def stamp_of(entry: Entry) -> int:
    """The stamp of an entry: int64 microseconds since 1970."""
    return int.from_bytes(expiry.plain(entry.payload)[:STAMP_BYTES], "big", signed=True)


def value_of(entry: Entry) -> Any:
    """The value of an entry."""
    return values.read(expiry.plain(entry.payload)[STAMP_BYTES:])


def rank(entry: Entry) -> tuple[int, int, bytes]:
    """What decides between concurrent entries: the stamp, then which one holds longer, then the replica id.

    Those that expire matter where a moment was changed and the value was not, which keeps its stamp: of two
    renewals the longer one stands.
    """
    expires_at = expiry.of(entry.payload)
    holds = expiry.EXPIRES_MAX + 1 if expires_at is None else expires_at
    return stamp_of(entry), holds, entry.replica


def ranked(cell: Cell) -> list[Entry]:
    """The live entries, the one that stands first."""
    return sorted(cell.live, key=rank, reverse=True)


def beaten(cell: Cell) -> list[Entry]:
    """The live entries that say something else than the one that stands."""
    if len(cell.live) < 2:
        return []
    first, *rest = ranked(cell)
    return [entry for entry in rest if said(entry) != said(first)]


def said(entry: Entry) -> bytes:
    """The bytes of an entry's value, whenever it was written and until whenever it holds."""
    return expiry.plain(entry.payload)[STAMP_BYTES:]


def winner(cell: Cell) -> Entry | None:
    """The entry that stands, None if the register was never set or was removed."""
    if len(cell.live) == 1:
        return cell.live[0]
    return max(cell.live, key=rank, default=None)


def _set(cell: Cell, event: Event, args: Args) -> Cell:
    value, seen, term = (*args, None, None)[:3]
    expires_at = expiry.settle(term, event.now)
    if seen is None:
        return assign(cell, event, _payload(cell.live, event, value, expires_at))
    return _set_over(cell, event, value, seen, expires_at)


def _set_over(cell: Cell, event: Event, value: bytes, seen: dict[bytes, int], expires_at: int | None) -> Cell:
    """Supersede what was seen. The rest stays beside the new value, but for an entry of our own, which cannot:
    a replica has one. To replace it unread would lose a write, so that is refused."""
    own = own_entry(cell, event.replica)
    if own is not None and seen.get(own.replica, 0) < own.seq < event.seq:
        raise UnseenError
    known = [e for e in cell.live if e is own or e.seq <= seen.get(e.replica, 0)]
    return assign(cell, event, _payload(known, event, value, expires_at), seen)


def _payload(superseded: Iterable[Entry], event: Event, value: bytes, expires_at: int | None) -> bytes:
    highest = 0
    for entry in superseded:
        highest = max(highest, stamp_of(entry))
    stamp = min(max(event.now, highest + 1), STAMP_MAX)
    return expiry.until(stamp.to_bytes(STAMP_BYTES, "big", signed=True) + value, expires_at)


def _expire(cell: Cell, event: Event, args: Args) -> Cell:
    """The value that stands, and its stamp, until another moment: a concurrent ``set`` of a new value beats it."""
    standing = winner(cell)
    if standing is None or cell.is_quarantined or expiry.is_over(standing, event.now):
        return cell
    own = expiry.plain(standing.payload)
    return assign(cell, event, expiry.until(own, expiry.settle(expiry.given(args, 0), event.now)))


def _persist(cell: Cell, event: Event, args: Args) -> Cell:
    standing = winner(cell)
    is_kept = standing is None or expiry.of(standing.payload) is None
    return cell if is_kept else _expire(cell, event, args)


class RegisterLWW(Expiring):
    kind = "register"
    _methods: Mapping[str, Write] = {"set": _set, "expire": _expire, "persist": _persist, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def prepare(self, method: str, args: Args) -> Args:
        if method != "set":
            return super().prepare(method, args)
        own, until = expiry.optional(self.kind, method, args, 2)
        value = one_value(self.kind, method, own[:1])
        if until:
            return (*value, None if own[1] is None else context(own[1]), *until)
        return value if len(own) < 2 or own[1] is None else (*value, context(own[1]))

    def value(self, cell: Cell) -> Any:
        entry = winner(cell)
        return None if entry is None else value_of(entry)

    def at(self, cell: Cell, now: int) -> Cell:
        """First who stands, then until when: what an expired entry has beaten does not come back."""
        standing = winner(cell)
        if standing is None or expiry.is_over(standing, now):
            return without(cell, lambda entry: True)
        return super().at(cell, now)

    def until(self, cell: Cell) -> int | None:
        standing = winner(cell)
        return None if standing is None else expiry.of(standing.payload)

    def sweep(self, cell: Cell, event: Event, is_due: Callable[[Entry], bool]) -> Cell:
        highest = max((rank(entry) for entry in cell.live if is_due(entry)), default=None)
        return super().sweep(cell, event, lambda entry: highest is not None and rank(entry) <= highest)

    def verdict(self, cell: Cell) -> Verdict:
        if len(cell.live) < 2:
            return verdict(cell.live, ALONE)
        first, second = ranked(cell)[:2]
        if stamp_of(first) != stamp_of(second):
            rule = f"the highest stamp of {len(cell.live)} concurrent writes"
        elif rank(first)[1] != rank(second)[1]:
            rule = "equal stamps: of concurrent writes the one that holds longest"
        else:
            rule = "equal stamps: of concurrent writes the highest replica id"
        return verdict([first], rule)

    def version(self, cell: Cell) -> Dot | None:
        entry = winner(cell)
        return None if entry is None else (entry.replica, entry.seq)

    def expected(self, version: object) -> Dot | None:
        return None if version is None else dot(version)

    def check(self, payload: bytes) -> None:
        own = expiry.plain(payload)
        if len(own) <= STAMP_BYTES or own[0] > 0x7F:
            raise MalformedError("register: a payload has no stamp and value")
        values.decode(own[STAMP_BYTES:])
