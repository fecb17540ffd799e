"""An addition with an ``op_id``: a cell of its own under the counter, so that a retry on any node meets the first try.

What does one addition add, however often and wherever it was tried? Each replica that knew nothing of it writes
*pending*; the cell counts its amount once, since all of them are entries of one cell. Once every member has the cell,
one replica folds it: it raises its own entry of the counter, and writes *done* over the pending, in one event. A
reset writes *cancelled* over what is only pending, and leaves *done* alone, as the floor of the counter covers it::

    pending, pending      tried on two nodes                              + the amount
    done                  it is in the folder's entry of the counter      0
    done, pending         tried where neither was known                   0
    cancelled, …          a reset saw it                                  0
    done, cancelled       a fold, and a reset that did not see it         - the amount, while it is in the counter
    done, done            folded by two who knew nothing of each other    - what is in the counter too often
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import counter_pn
from .cell import Cell, Entry, Event, assign, own_entry
from .celltype import ON, Args, CellType, Write, remove, whole
from .errors import MalformedError
from .vector import SEQ_MAX

PENDING, DONE, CANCELLED = b"\x01", b"\x02", b"\x03"
"""How a payload begins: pending, and the amount; done, the generation of the folder's entry, and the amount."""
_GENERATION_BYTES = 8
SILENT = b"\x02"
"""Payload of a marker whose write had nothing to write."""


def is_pending(cell: Cell) -> bool:
    """It counts its amount: nobody has folded or cancelled it."""
    return bool(cell.live) and all(entry.payload[:1] == PENDING for entry in cell.live)


def dones(cell: Cell) -> list[Entry]:
    """The entries of those who folded it."""
    return [entry for entry in cell.live if entry.payload[:1] == DONE]


def is_cancelled(cell: Cell) -> bool:
    """A reset saw it while it was pending."""
    return any(entry.payload[:1] == CANCELLED for entry in cell.live)


def is_contested(cell: Cell) -> bool:
    """What it adds depends on the counter: folded, and cancelled or folded again by one who did not know."""
    folded = len(dones(cell))
    return folded > 1 or (folded == 1 and is_cancelled(cell))


def amount(entry: Entry) -> int:
    """The amount of a pending or done entry."""
    return counter_pn.number(entry.payload[1 if entry.payload[:1] == PENDING else 1 + _GENERATION_BYTES :])


def generation(entry: Entry) -> int:
    """Of a done entry: the generation of the folder's entry in the counter."""
    return int.from_bytes(entry.payload[1 : 1 + _GENERATION_BYTES], "big")


def pending_amount(cell: Cell) -> int:
    """What a cell that is only pending adds. Two amounts under one ``op_id`` are a mistake: the lowest replica's counts."""
    return amount(cell.live[0])


def is_in(folder: bytes, generation_: int, seq: int, counter: Cell) -> bool:
    """Whether what ``folder`` folded in event ``seq`` is still in its entry of the counter, and no reset took it.

    A floor below the event was left by one who had not seen it.
    """
    own = own_entry(counter, folder)
    if own is None or own.generation != generation_:
        return False
    return not any(d.replica == folder and d.generation == generation_ and d.seq >= seq for d in counter.dead)


def surplus(cell: Cell, counter: Cell) -> int:
    """What a contested operation must take off the counter: what was folded into it, less what should count."""
    folded = dones(cell)
    inside = [e for e in folded if is_in(e.replica, generation(e), e.seq, counter)]
    counts_once = not is_cancelled(cell) and len(inside) == len(folded)  # else a reset took it, here or there
    return sum(map(amount, inside)) - (amount(folded[0]) if counts_once else 0)


def _add(cell: Cell, event: Event, args: Args) -> Cell:
    return cell if cell.live else assign(cell, event, PENDING + counter_pn.payload_of(args[0]))


def _cancel(cell: Cell, event: Event, _args: Args) -> Cell:
    return assign(cell, event, CANCELLED) if is_pending(cell) else cell


def _fold(cell: Cell, event: Event, args: Args) -> Cell:
    if not is_pending(cell):
        return cell
    payload = DONE + args[0].to_bytes(_GENERATION_BYTES, "big")
    return assign(cell, event, payload + counter_pn.payload_of(pending_amount(cell)))


class Operation(CellType):
    """The cell under a counter. ``add`` of one that is there writes nothing."""

    kind = "op"
    _methods: Mapping[str, Write] = {"add": _add, "cancel": _cancel, "fold": _fold, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def prepare(self, method: str, args: Args) -> Args:
        if method == "add":
            return counter_pn.one_amount(args)
        if method == "fold" and len(args) == 1 and 0 < whole("generation", args[0]) <= SEQ_MAX:
            return args
        return super().prepare(method, args)

    def value(self, cell: Cell) -> int:
        """What it adds by itself."""
        return pending_amount(cell) if is_pending(cell) else 0

    def present(self, cell: Cell) -> bool:
        """Never: the counter shows it."""
        return False

    def check(self, payload: bytes) -> None:
        if not any(payload == form for form in _forms(payload)):
            raise MalformedError("op: a payload is neither pending, nor done, nor cancelled")


def _forms(payload: bytes) -> Iterator[bytes]:
    yield CANCELLED
    head = 1 if payload[:1] == PENDING else 1 + _GENERATION_BYTES
    if payload[:1] in (PENDING, DONE) and len(payload) > head and any(payload[1:head] or b"\x01"):
        yield payload[:head] + counter_pn.payload_of(counter_pn.number(payload[head:]))


class Marker(CellType):
    """The note that a write with an ``op_id`` was made, in the write's own event; a retry that finds it does nothing.

    Concurrent tries on two nodes are both made, and both noted: such writes mean the same made twice.
    """

    kind = "op_id"
    _methods: Mapping[str, Write] = {
        "wrote": lambda cell, event, _args: assign(cell, event, ON),
        "silent": lambda cell, event, _args: assign(cell, event, SILENT),
        "remove": remove,
    }

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def value(self, cell: Cell) -> bool:
        """Whether it is noted."""
        return bool(cell.live)

    def present(self, cell: Cell) -> bool:
        """Never: it is the node's own."""
        return False

    def check(self, payload: bytes) -> None:
        if payload not in (ON, SILENT):
            raise MalformedError("op_id: a payload says neither that it wrote nor that it did not")


def outcome(cell: Cell) -> tuple[bytes, int] | None:
    """The dot of the write that a marker, or an operation, notes: None if there was nothing to write."""
    first = cell.live[0]
    return None if first.payload == SILENT else (first.replica, first.seq)
