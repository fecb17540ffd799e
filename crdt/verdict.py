"""What decides: of the live entries of a cell, which ones its value comes from, and by which rule, in words.

The question this answers: *why does a reader see this?* Each type says it of itself, beside its read rule.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from .cell import Cell, Entry

NOTHING = "nothing stands"
ALONE = "causality: it is the only write that no later one has seen"


class Verdict(NamedTuple):
    """What a type says of a cell."""

    standing: frozenset[bytes]
    """The replicas whose entries the value comes from."""
    rule: str


def verdict(standing: Collection[Entry], rule: str) -> Verdict:
    """The entries that count, and why; without any, that nothing stands."""
    return Verdict(frozenset(entry.replica for entry in standing), rule if standing else NOTHING)


def together(cell: Cell, what: str, less: str = "") -> Verdict:
    """Of a type in which every entry counts."""
    return verdict(cell.live, f"{what} of {count(cell)}, one a replica{less}")


def switch(cell: Cell, is_on: bool, on_wins: bool) -> Verdict:
    """Of a type whose entries say *on* or *off*."""
    on = [entry for entry in cell.live if entry.payload]
    off = [entry for entry in cell.live if not entry.payload]
    if len(cell.live) == 1:
        return verdict(cell.live, ALONE)
    if off and not is_on:
        return verdict(off, "a concurrent *off* wins over every *on*" if on else "every write says *off*")
    return verdict(
        on,
        "*on* wins: these have been seen by no removal" if on_wins else "every write that stands says *on*",
    )


def count(cell: Cell) -> str:
    """How many entries, in words."""
    return "1 entry" if len(cell.live) == 1 else f"{len(cell.live)} entries"
