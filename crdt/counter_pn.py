"""PN counter with an exact observed reset.

What does a reset take away? Exactly the sums its writer saw: +2 concurrent with a reset of 4 leaves 2. Each
replica keeps one entry, its net sum, in a *generation*. A reset leaves a floor for each entry it saw, and an
entry that turns out to have gone on past the floor counts for the rest. A replica whose own entry is gone
begins a new generation, and never folds a floor into a live entry: otherwise the same floor, met again on
another replica, would be subtracted twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from .cell import Cell, Event, accumulate, own_entry
from .celltype import Args, CellType, Write, remove, whole
from .errors import MalformedError
from .values import VALUE_BYTES_MAX
from .verdict import Verdict, together

AMOUNT_BITS_MAX = 8 * VALUE_BYTES_MAX


def number(payload: bytes) -> int:
    """The sum that a payload holds."""
    return int.from_bytes(payload, "big", signed=True)


def payload_of(total: int) -> bytes:
    """The shortest two's complement of a sum, at least one byte."""
    return total.to_bytes((total.bit_length() + 8) // 8, "big", signed=True)


def one_amount(args: Args) -> Args:
    """``args``, which must be the one int that an ``add`` takes."""
    if len(args) != 1:
        raise TypeError(f"counter.add takes one int, {len(args)} given")
    if whole("n", args[0]).bit_length() > AMOUNT_BITS_MAX:
        raise ValueError(f"n: an int of more than {AMOUNT_BITS_MAX} bits")
    return args


def _add(cell: Cell, event: Event, args: Args) -> Cell:
    own = own_entry(cell, event.replica)
    if own is None:
        return accumulate(cell, event, payload_of(args[0]), generation=event.seq)
    return accumulate(cell, event, payload_of(number(own.payload) + args[0]), own.generation)


class CounterPN(CellType):
    kind = "counter"
    _methods: Mapping[str, Write] = {"add": _add, "reset": remove, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def prepare(self, method: str, args: Args) -> Args:
        return one_amount(args) if method == "add" else super().prepare(method, args)

    def verdict(self, cell: Cell) -> Verdict:
        return together(cell, "the sum", ", less what resets have seen")

    def value(self, cell: Cell) -> int:
        if len(cell.live) == 1 and not cell.dead:  # most cells, in a third of the time
            return number(cell.live[0].payload)
        total = sum(number(entry.payload) for entry in cell.live)
        return total - sum(number(dead.floor) for dead in cell.floors())

    def check(self, payload: bytes) -> None:
        if payload_of(number(payload)) != payload:
            raise MalformedError("counter: a payload is not the shortest form of an int")
