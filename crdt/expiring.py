"""Types whose entries may expire: those that replace what they saw, so that an entry is one write's alone.

What do two writes mean together, if one of them expires? What they mean without it, while both hold; then the other
one stands. An entry that accumulates (a counter's) is the sum of many writes, and cannot expire with one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from . import expiry
from .cell import Cell, Entry, Event, assign, withdraw
from .celltype import ON, Args, CellType, Write, on_or_off, remove
from .errors import MalformedError
from .verdict import Verdict, switch


class Expiring(CellType):
    """A type with the methods ``expire`` and ``persist``, and an expiry as the last argument of another one."""

    def prepare(self, method: str, args: Args) -> Args:
        if method == "expire":
            if len(args) != 1:
                raise TypeError(f"{self.kind}.expire takes an expiry, {len(args)} arguments given")
            return (expiry.prepare(args[0]),)
        return super().prepare(method, args)

    def at(self, cell: Cell, now: int) -> Cell:
        return expiry.without_expired(cell, now)

    def until(self, cell: Cell) -> int | None:
        moments = [expiry.of(entry.payload) for entry in cell.live if entry.payload]
        return None if None in moments else max((m for m in moments if m is not None), default=None)

    def sweep(self, cell: Cell, event: Event, is_due: Callable[[Entry], bool]) -> Cell:
        return withdraw(cell, event, is_due)


class Switch(Expiring):
    """A type whose entries say *on*, perhaps until some moment, or *off*: flags, elements, a map's presence."""

    adds: ClassVar[str]
    """The method that says *on*, and that an expiry may be given to."""

    def __init__(self, **own: Write) -> None:
        """``own``: its write rules, beside those that all have."""
        shared: dict[str, Write] = {"expire": self.expire, "persist": self.persist, "remove": remove}
        self._methods: Mapping[str, Write] = shared | own

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def prepare(self, method: str, args: Args) -> Args:
        if method != self.adds:
            return super().prepare(method, args)
        own, until = expiry.optional(self.kind, method, args, 0)
        return (*super().prepare(method, own), *until)

    def check(self, payload: bytes) -> None:
        own = expiry.plain(payload)
        on_or_off(self.kind, own)
        if own != payload and own != ON:
            raise MalformedError(f"{self.kind}: an *off* does not expire")

    on_wins = True
    """Which of a concurrent *on* and *off* counts."""

    def verdict(self, cell: Cell) -> Verdict:
        return switch(cell, self.is_on(cell), self.on_wins)

    def is_on(self, cell: Cell) -> bool:
        """Whether it is on, or in, or there."""
        return not cell.says_nothing

    def expire(self, cell: Cell, event: Event, args: Args) -> Cell:
        """Say *on* anew, until another moment, if it is on."""
        is_on = not cell.is_quarantined and self.is_on(self.at(cell, event.now))
        return turn_on(cell, event, args) if is_on else cell

    def persist(self, cell: Cell, event: Event, args: Args) -> Cell:
        """Say *on* anew, for good, if it is on, and nobody says so already."""
        standing = self.at(cell, event.now).live
        is_kept = any(expiry.of(entry.payload) is None for entry in standing)
        return cell if is_kept else self.expire(cell, event, args)


def turn_on(cell: Cell, event: Event, args: Args) -> Cell:
    """Own *on*, until the moment that ``args`` may name."""
    return assign(cell, event, expiry.until(ON, expiry.settle(expiry.given(args, 0), event.now)))
