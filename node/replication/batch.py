"""Batches: cells and events on their way, and how they are applied.

The question this answers: *what may a receiver conclude from these cells?* That every event the cells show is
in its state now; an event over several cells only when all its cells came. Nothing more: gaps between rows are
claimed only at the end of an exchange.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated

import msgspec
from msgspec import Meta

from gossamer.crdt import EMPTY, Cell, Dot, MalformedError, Vector, check_cell, codec, vector
from gossamer.crdt import cell as cells

from ..errors import Damaged, ProtocolError
from . import limits
from .messages import Batch, Numbering, of_flat
from .state import State
from .view import Draft, View

_RIVALS_MAX = 64
_Rivals = Annotated[list[bytes], Meta(max_length=_RIVALS_MAX)]
_Fields = Annotated[list[int | bytes | _Rivals], Meta(min_length=2, max_length=5)]
_Entries = Annotated[list[_Fields], Meta(max_length=vector.REPLICAS_MAX)]
_SHAPES = msgspec.msgpack.Decoder(Annotated[list[_Entries], Meta(min_length=1, max_length=2)])
"""It stops at the first wrong part: a million empty lists, in one megabyte, would cost 64."""
_ENCODER = msgspec.msgpack.Encoder()


@dataclass
class Content:
    """What a batch holds, whichever side of the wire it is on."""

    cells: dict[bytes, Cell] = field(default_factory=dict)
    groups: dict[Dot, list[bytes]] = field(default_factory=dict)
    size: int = 0
    """Bytes, nearly: enough to stop at."""


class TooLargeError(Exception):
    """Whole events do not fit one batch: it must go in parts."""


class Gathering:
    """A batch in the making: whole events only.

    A batch also holds every event over several cells that one of its cells shows and the peer lacks: a receiver
    could not tell such an event from one over a single cell, and readers would see half of it. A *part* of a staged
    batch only names the events that its cells belong to; the receiver applies all parts together.
    """

    def __init__(
        self,
        view: View,
        theirs: Vector,
        *,
        size_max: int | None,
        is_part: bool = False,
        begun: Content | None = None,
        is_answer: bool = False,
    ) -> None:
        """``begun``: what it holds already, which is not changed. ``is_answer``: to one whose cells are damaged: a large
        cell goes whole, since slices replace none."""
        self._view, self._theirs, self._size_max, self.is_part = view, theirs, size_max, is_part
        self._is_answer = is_answer
        self.content = (
            Content() if begun is None else Content(dict(begun.cells), dict(begun.groups), begun.size)
        )
        self.is_sliced = False
        """It holds one cell, which goes on in the next part."""
        self.is_torn = False
        """It holds the last slice of a cell that has changed since the first was sent: it shows less than the cell does."""

    def add(self, cell_path: bytes, cell: Cell | None = None) -> None:
        """Add a cell, and whatever must come with it. `TooLargeError` if that is too much for one batch."""
        waiting, known = [cell_path], len(self.content.groups)
        while waiting:
            at = waiting.pop()
            if at in self.content.cells:
                continue
            found = cell if cell is not None and at == cell_path else self._view.cell(at)
            self.content.cells[at] = found
            size = size_of(at, found)
            self.content.size += size
            if self._is_too_large(size):
                raise TooLargeError
            waiting += self._closure(at)
        if not self.is_part:
            for dot in islice(self.content.groups, known, None):
                self._check_event(dot)

    def _is_too_large(self, last: int) -> bool:
        if self._size_max is None:
            return False
        if self._is_answer:
            return self.content.size > self._size_max
        is_sliced = last > limits.SLICE_BYTES
        return is_sliced or (self.content.size > self._size_max and len(self.content.cells) > 1)

    def _closure(self, cell_path: bytes) -> Iterable[bytes]:
        for dot in self._view.groups(cell_path):
            # Of what is collected some rows may be gone: a peer that lacks it gets it by a full exchange.
            if dot in self._theirs or dot in self._view.state.horizon:
                continue
            if self.is_part:
                if self.content.cells[cell_path].context().get(dot[0], 0) < dot[1]:
                    continue  # it shows in another slice of the cell
                self.content.groups.setdefault(dot, []).append(cell_path)
            elif dot not in self.content.groups:
                rows = self._view.event_rows(dot)
                paths = [at for _, at in rows]
                if cell_path not in paths or not all(grouped for grouped, _ in rows):
                    raise _wrong(dot)
                self.content.groups[dot] = paths
                yield from paths

    def _check_event(self, dot: Dot) -> None:
        """`Damaged` if one of its cells does not show an event: the disk has changed a row, and a peer would refuse it."""
        for at in self.content.groups[dot]:
            if self.content.cells[at].context().get(dot[0], 0) < dot[1]:
                raise _wrong(dot)


def _wrong(dot: Dot) -> Damaged:
    return Damaged(f"event {dot[0].hex()}/{dot[1]}: the index of changes is wrong about it")


def size_of(cell_path: bytes, cell: Cell) -> int:
    """About how many bytes a cell is on the wire."""
    size = len(cell_path) + 8 + 12 * len(cell.dead)
    for entry in cell.live:  # a loop, since a sum was a fifth of what sending a whole keyspace costs
        size += 16 + len(entry.payload)
        if entry.others:
            size += sum(map(len, entry.others))
    return size


def slice_of(cell: Cell, after: bytes, size: int) -> tuple[Cell, bytes]:
    """The entries and the context of the replicas above ``after``, up to ``size`` bytes; the last one, empty if it is all."""
    live = {entry.replica: entry for entry in cell.live}
    dead = {old.replica: old for old in cell.dead}
    taken: list[bytes] = []
    replicas = sorted(replica for replica in live.keys() | dead.keys() if replica > after)
    for replica in replicas:
        one = Cell((live[replica],) if replica in live else (), (dead[replica],) if replica in dead else ())
        size -= size_of(b"", one)
        if size < 0 and taken:
            break
        taken.append(replica)
    part = Cell(
        tuple(live[replica] for replica in taken if replica in live),
        tuple(dead[replica] for replica in taken if replica in dead),
    )
    return part, b"" if len(taken) == len(replicas) else taken[-1]


def pack(content: Content, numbering: Numbering) -> tuple[list[bytes], list[list[int]]]:
    """The ``cells`` and ``groups`` fields of a message."""
    flat: list[bytes] = []
    numbers: dict[bytes, int] = {}
    for cell_path, cell in content.cells.items():
        numbers[cell_path] = len(flat) // 2
        flat += (cell_path, _ENCODER.encode(codec.shape(cell, numbering.number)))
    groups = [
        [numbering.number(replica), seq, *(numbers[at] for at in paths)]
        for (replica, seq), paths in content.groups.items()
    ]
    return flat, groups


def unpack(message: Batch, ids: list[bytes]) -> Content:
    """The content of a message, checked in every part; ``ids`` are those that its numbers stand for."""

    def replica_of(number: object) -> bytes:
        if type(number) is not int or not 0 <= number < len(ids):
            raise MalformedError("cell: a replica is not in the message's table")
        return ids[number]

    if len(message.cells) % 2:
        raise MalformedError("cells: a path without a cell")
    content = Content()
    paths = message.cells[::2]
    for cell_path, raw in zip(paths, message.cells[1::2], strict=True):
        try:
            cell = codec.of_shape(_SHAPES.decode(raw), replica_of)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise MalformedError(f"cell: {error}") from None
        check_cell(cell_path, cell)
        content.cells[cell_path] = cell
    if len(content.cells) != len(paths):
        raise MalformedError("cells: a path is there twice")
    for group in message.groups:
        content.groups[_group_dot(group, ids)] = [_path_at(paths, at) for at in group[2:]]
    return content


def _group_dot(group: list[int], ids: list[bytes]) -> Dot:
    if len(group) < 3 or not 0 <= group[0] < len(ids) or not 0 < group[1] < 2**63:
        raise MalformedError("groups: an event has no replica, seq and cells")
    return ids[group[0]], group[1]


def _path_at(paths: list[bytes], at: int) -> bytes:
    if not 0 <= at < len(paths):
        raise MalformedError("groups: an event names a cell that is not here")
    return paths[at]


def check(content: Content, theirs: Vector) -> None:
    """`ProtocolError` if a context or an event lies outside the sender's vector."""
    for cell_path, cell in content.cells.items():
        for dot in cell.dots():
            if dot not in theirs:
                raise ProtocolError(
                    f"cell {cell_path.hex()}: its context {dot} is not in the sender's vector"
                )
    for dot, paths in content.groups.items():
        if dot not in theirs:
            raise ProtocolError(f"event {dot} is not in the sender's vector")
        for cell_path in paths:
            if content.cells[cell_path].context().get(dot[0], 0) < dot[1]:
                raise ProtocolError(f"event {dot} does not show in its cell {cell_path.hex()}")


@dataclass(frozen=True)
class Complete:
    """The bounds of a full exchange, for the part of it that one batch is."""

    after: bytes
    upto: bytes | None
    vector: Vector
    """The sender's delivered vector when the exchange began: its view of each cell is complete within it."""
    horizon: Vector
    """The sender's horizon: what it may have collected."""
    replaces: bool = False
    """The receiver's cells become the sender's, but for events that only the receiver has."""

    @property
    def bounds(self) -> tuple[bytes, bytes | None]:
        """The first path of the range, and the first one behind it; None: there is none."""
        return self.after + b"\x00" if self.after else b"", None if self.upto is None else self.upto + b"\x00"

    def contains(self, cell_path: bytes) -> bool:
        return self.after < cell_path and (self.upto is None or cell_path <= self.upto)


def apply(
    draft: Draft,
    content: Content,
    complete: Complete | None = None,
    *,
    is_repair: bool = False,
    is_part: bool = False,
    replaced: Collection[bytes] = (),
) -> list[bytes]:
    """Join a checked batch into the keyspace, with all that its cells prove delivered.

    Returns the paths of cells in which it found two payloads under one dot. ``is_repair``: the sender has all
    that we have, and our digests differ, so what one of us lacks was not removed but lost. ``is_part``: of a staged
    batch, which proves nothing by itself; the claim that comes with the last part says it all. ``replaced``: paths of
    damaged cells of ours. The sender's include all that they did, so they stand as they are.
    """
    quarantined: list[bytes] = []
    state = draft.state
    before = state.delivered.copy()
    passed, upto = _passed(state)
    groups = {dot: paths for dot, paths in content.groups.items() if dot not in before}
    if complete is not None and complete.replaces:
        _clear(draft, complete)
    elif complete is not None and not is_repair:
        _clear_absent(draft, content, complete)
    for cell_path, incoming in content.cells.items():
        local = draft.cell(cell_path)
        was_quarantined = local.is_quarantined
        grouped: Collection[Dot] = groups
        is_as_sent = complete is not None and complete.replaces and complete.contains(cell_path)
        if is_as_sent or cell_path in replaced:
            grouped = {*groups, *draft.groups(cell_path)}
        elif not is_repair:
            incoming = cells.arriving(incoming, local, passed.has if cell_path <= upto else before.has)
            if complete is not None and complete.contains(cell_path):
                local = cells.complete(local, incoming, complete.vector.has)
        merged = settled(draft, cells.join(local, incoming))
        if merged.is_quarantined and not was_quarantined:
            quarantined.append(cell_path)
        draft.put(cell_path, merged, grouped)
        for dot in () if is_part else shown(incoming):
            if dot not in groups and not (complete is not None and dot in complete.horizon):
                state.delivered.add(*dot)
    for dot, paths in groups.items():
        draft.add_group(dot, paths)
        if not is_part:
            state.delivered.add(*dot)
    draft.touch()
    return quarantined


def _passed(state: State) -> tuple[Vector, bytes]:
    """What the cells up to a path include: those that an unfinished full exchange has passed include all of its vector.

    It is not delivered yet, since the cells behind them lack it. But what the sender has stripped from a cell must not come
    back by another peer, as the exchange does not come past that cell again.
    """
    boot = state.bootstrap
    if boot is None or not boot.reached:
        return state.delivered, b""
    passed = state.delivered.copy()
    passed.update(vector.decode(boot.vector))
    return passed, boot.reached


def shown(cell: Cell) -> Iterable[Dot]:
    """The events that a cell proves: its state includes all that a replica did to it up to its context."""
    return cell.dots()


def _clear_absent(draft: Draft, content: Content, complete: Complete) -> None:
    """A cell of ours that the sender does not have at all: what lies within its vector is dead."""
    for cell_path, local in list(draft.readable(*complete.bounds)):
        if cell_path not in content.cells:
            draft.put(cell_path, settled(draft, cells.complete(local, EMPTY, complete.vector.has)))


def _clear(draft: Draft, complete: Complete) -> None:
    """Of our cells nothing stays but what was delivered here and the sender lacks."""
    delivered = draft.state.delivered

    def is_kept(replica: bytes, seq: int) -> bool:
        return delivered.has(replica, seq) and not complete.vector.has(replica, seq)

    for cell_path, local in list(draft.readable(*complete.bounds)):
        kept = cells.only(local, is_kept)
        if kept == local:
            continue
        for dot in {*local.dots(), *draft.groups(cell_path)}:
            if dot not in delivered and dot not in complete.vector:
                for grouped in (False, True):
                    draft.drop_row(dot, grouped, cell_path)
        draft.put(cell_path, kept)


def settled(draft: Draft, cell: Cell) -> Cell:
    """The cell, less its dead context if the whole of it is collected already: a late message brought it back.

    What is owed counts as collected only if all below it is delivered: nothing else would stop the entries that it superseded.
    """
    state = draft.state
    for replica, seq in cell.context().items():
        is_paid = state.debt.has(replica, seq) and state.delivered.prefix(replica) >= seq
        if seq > state.horizon.last(replica) and not is_paid:
            return cell
    return cell if is_kept(cell, draft.may_return) else stripped(cell)


def is_kept(cell: Cell, may_return: frozenset[bytes]) -> bool:
    """Whether a replica that may come back, with writes nobody has seen, still needs a floor of a stable cell."""
    return bool(may_return) and any(d.replica in may_return for d in cell.dead if d.generation)


def stripped(cell: Cell) -> Cell:
    """A cell whose whole context is stable, without what nobody needs any more.

    A floor stays while a live entry of its generation stands. Live entries stay, even such as only say *off*:
    another node may still have them when a write that did not see them arrives there.
    """
    if cell.live and not cell.dead:
        return cell  # as most are: the store then has nothing to write
    return cells.make(cell.live, cell.floors()) if cell.live else EMPTY


def only_own_event(content: Content, sender: bytes) -> Vector | None:
    """The event of the sender that the batch's one cell shows; None if there is not exactly one such cell."""
    if len(content.cells) != 1:
        return None
    (cell,) = content.cells.values()
    own = cells.own_entry(cell, sender)
    return None if own is None else Vector({sender: (own.seq, own.seq)})


def gained_of(message: Batch, content: Content, ids: list[bytes]) -> Vector:
    """What the sender's vector gained. `MalformedError` if it does not say."""
    if message.gained is True:
        gained = only_own_event(content, ids[0])
        if gained is None:
            raise MalformedError("gained: the event of one cell is wanted, and there is none")
        return gained
    if message.gained is False:
        raise MalformedError("gained: a vector is wanted")
    return of_flat(message.gained, ids)


def claim_of(message: Batch, ids: list[bytes], gained: Vector) -> Vector | None:
    """What the sender claims at the end of an exchange; None if this is not the end."""
    if message.claim is True:
        return gained
    if message.claim is False:
        return None
    return of_flat(message.claim, ids)
