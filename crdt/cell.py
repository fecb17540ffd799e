"""The cell: the smallest thing replicated, and its one join.

A cell is the *concurrent frontier* of the writes made to it: at most one live entry a replica, and the
dead context, which is what has been seen and superseded. Two replicas that disagree about a cell join
the two frontiers, and the answer is the same whichever way round, in whatever order, however often::

    A wrote x, then B (who had seen it) wrote y:   A's entry is in B's dead context     -> y
    A wrote x while B wrote y:                     neither context has the other's entry -> x and y

What x and y *mean* together is a matter for the type (`types.py`): the join knows nothing of types, so a
cell of a kind this build has never heard of is merged and forwarded as well as any other.

After Almeida, Shoker, Baquero, *Delta state replicated data types* (2018) and Bieniusa et al., *An
optimized conflict-free replicated set* (2012), with one entry a replica in place of a set of dots.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec

Dot = tuple[bytes, int]
"""``(replica, seq)``: one event. ``seq`` counts up from 1 without gaps, a replica and keyspace."""


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What one replica last wrote in a cell and nobody has superseded.

    ``generation`` is 0 for entries that replace each other. For entries that accumulate (a counter's) it is
    the seq of the event that began the sum, and the superseded entry leaves its payload behind as a floor.
    ``others`` holds rival payloads found under the same dot, which only a duplicated identity can make.
    """

    replica: bytes
    seq: int
    payload: bytes
    generation: int = 0
    others: tuple[bytes, ...] = ()


class Dead(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What has been seen of one replica and superseded: everything it did here up to ``seq``.

    With a ``generation``, ``floor`` is the payload that was superseded; it applies to a live entry of that
    generation only.
    """

    replica: bytes
    seq: int
    generation: int = 0
    floor: bytes = b""


class Event(msgspec.Struct, frozen=True, gc=False):
    """The event a write belongs to. ``now`` is the writer's clock, int64 microseconds since 1970."""

    replica: bytes
    seq: int
    now: int = 0
    estate: frozenset[bytes] = frozenset()
    """Other replica ids whose rights of bounded counters are the writer's: those that it is the heir of."""


class Cell(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Live entries and dead context, each sorted by replica, so that equal cells are equal values."""

    live: tuple[Entry, ...] = ()
    dead: tuple[Dead, ...] = ()

    @property
    def is_quarantined(self) -> bool:
        """Two payloads were found under one dot."""
        for entry in self.live:  # a loop, as every read asks this
            if entry.others:
                return True
        return False

    @property
    def says_nothing(self) -> bool:
        """No live entry, or only such as say *removed* or *off* (an empty payload)."""
        for entry in self.live:  # a loop, since any() costs three times as much, twice a write
            if entry.payload or entry.others:
                return False
        return True

    def context(self) -> dict[bytes, int]:
        """The highest seq of each replica that this cell's state includes."""
        seqs = {dead.replica: dead.seq for dead in self.dead} if self.dead else {}
        for entry in self.live:
            seqs[entry.replica] = entry.seq  # a live entry is always above its replica's dead one
        return seqs

    def dots(self) -> Iterator[Dot]:
        """Every dot that the cell names, live and dead."""
        for entry in self.live:
            yield entry.replica, entry.seq
        for dead in self.dead:
            yield dead.replica, dead.seq

    def floors(self) -> tuple[Dead, ...]:
        """The floors that apply to a live entry: with the live entries, all that a read depends on."""
        if not self.dead:
            return ()
        generations = {entry.replica: entry.generation for entry in self.live if entry.generation}
        return tuple(d for d in self.dead if d.generation and generations.get(d.replica) == d.generation)


EMPTY = Cell()


def kill(entry: Entry) -> Dead:
    """The context that a superseded entry leaves behind."""
    return Dead(entry.replica, entry.seq, entry.generation, entry.payload if entry.generation else b"")


def make(live: Iterable[Entry], dead: Collection[Dead]) -> Cell:
    """A cell in normal form: sorted, and without the dead context that a live entry makes redundant."""
    entries = {entry.replica: entry for entry in live}
    if not dead:
        return Cell(tuple([entries[replica] for replica in sorted(entries)]))
    kept = {}
    for old in dead:
        entry = entries.get(old.replica)
        if entry is None or (old.generation and old.generation == entry.generation):
            kept[old.replica] = old
    return Cell(
        tuple(entries[replica] for replica in sorted(entries)),
        tuple(kept[replica] for replica in sorted(kept)),
    )


def join(a: Cell, b: Cell) -> Cell:
    """The least cell that includes both: commutative, associative, idempotent."""
    if (newer := _newer(a, b)) is not None:
        return newer
    if a == b or not (b.live or b.dead):
        return a
    if not (a.live or a.dead):
        return b
    seen_a, seen_b = a.context(), b.context()
    live = [e for e in a.live if e.seq > seen_b.get(e.replica, 0)]
    live += [e for e in b.live if e.seq > seen_a.get(e.replica, 0)]
    in_b = {e.replica: e for e in b.live}
    live += [_same_dot(e, in_b[e.replica]) for e in a.live if _is_in(e, in_b)]
    dead = _latest(a.dead, b.dead)
    doubted = _doubted(a, b) if _has_generations(a) or _has_generations(b) else ()
    if doubted:
        live = [Entry(e.replica, e.seq, e.payload, 0, e.others) if e.replica in doubted else e for e in live]
        dead = [Dead(d.replica, d.seq) if d.replica in doubted else d for d in dead]
    return make(live, dead)


def _newer(a: Cell, b: Cell) -> Cell | None:
    """The newer of two cells that hold one write each, of one replica; None for any others.

    Most of what arrives is such: the next value of a register that one node writes. It costs a fifth this way.
    """
    if a.dead or b.dead or len(a.live) != 1 or len(b.live) != 1:
        return None
    (mine,), (other,) = a.live, b.live
    if mine.replica != other.replica or mine.seq == other.seq or mine.generation or other.generation:
        return None
    return a if mine.seq > other.seq else b


def _has_generations(cell: Cell) -> bool:
    for entry in cell.live:
        if entry.generation:
            return True
    return any(dead.generation for dead in cell.dead)


def _doubted(a: Cell, b: Cell) -> set[bytes]:
    """Replicas of which two cells tell what one replica cannot have done.

    It begins a generation when the one before is over. So below its newest dot here, what was seen of another
    generation is older than this one; else two of them wrote under one id. Which floors would apply is then a
    question of who is met first, and so none does: the newest dot has no generation any more. Without this the
    join is not associative.
    """
    told: dict[bytes, list[tuple[int, int]]] = {}
    parts: tuple[Entry | Dead, ...] = (*a.live, *b.live, *a.dead, *b.dead)
    for part in parts:
        told.setdefault(part.replica, []).append((part.seq, part.generation))
    return {replica for replica, of_one in told.items() if len(of_one) > 1 and _contradict(of_one)}


def _contradict(told: list[tuple[int, int]]) -> bool:
    _, newest = max(told)
    return newest > 0 and any(seq >= newest and generation != newest for seq, generation in told)


def _is_in(entry: Entry, entries: dict[bytes, Entry]) -> bool:
    other = entries.get(entry.replica)
    return other is not None and other.seq == entry.seq


def _latest(a: tuple[Dead, ...], b: tuple[Dead, ...]) -> Collection[Dead]:
    if not a or not b:
        return a or b
    latest = {dead.replica: dead for dead in a}
    for dead in b:
        mine = latest.get(dead.replica)
        if mine is None or (dead.seq, dead.generation, dead.floor) > (mine.seq, mine.generation, mine.floor):
            latest[dead.replica] = dead
    return latest.values()


def _same_dot(a: Entry, b: Entry) -> Entry:
    """One dot should be one payload; rivals are kept apart, in an order that every replica finds alike.

    If their generations differ, neither stands: see `_doubted`.
    """
    if a == b:
        return a
    first, *rivals = sorted({a.payload, *a.others, b.payload, *b.others})
    return Entry(a.replica, a.seq, first, a.generation, tuple(rivals))


def without(cell: Cell, is_dead: Callable[[Entry], bool]) -> Cell:
    """The cell with the live entries that ``is_dead`` names superseded."""
    killed = [entry for entry in cell.live if is_dead(entry)]
    if not killed:
        return cell
    gone = {entry.replica for entry in killed}
    live = [entry for entry in cell.live if entry.replica not in gone]
    return make(live, _latest(cell.dead, tuple(kill(entry) for entry in killed)))


def arriving(incoming: Cell, local: Cell, is_delivered: Callable[[bytes, int], bool]) -> Cell:
    """An incoming cell as it may be joined: an entry that ``local`` lacks though its event was delivered is dead.

    It was superseded here and its context has been collected since; a late message must not bring it back.
    """
    late = [entry for entry in incoming.live if is_delivered(entry.replica, entry.seq)]
    if not late:
        return incoming
    seen = local.context()
    return without(incoming, lambda entry: entry in late and seen.get(entry.replica, 0) < entry.seq)


def only(cell: Cell, is_kept: Callable[[bytes, int], bool]) -> Cell:
    """What is left of a cell without the dots that are to be forgotten, as if they had never been seen."""
    live = [entry for entry in cell.live if is_kept(entry.replica, entry.seq)]
    return make(live, [dead for dead in cell.dead if is_kept(dead.replica, dead.seq)])


def complete(local: Cell, incoming: Cell, is_within: Callable[[bytes, int], bool]) -> Cell:
    """``local`` less the entries that a sender, whose view of this cell is complete within a vector, lacks."""
    seen = incoming.context()
    return without(local, lambda e: seen.get(e.replica, 0) < e.seq and is_within(e.replica, e.seq))


# Write rules: what the types are made of.


def assign(cell: Cell, event: Event, payload: bytes, seen: dict[bytes, int] | None = None) -> Cell:
    """Own entry with ``payload``; it supersedes every entry, or those that the context ``seen`` includes."""
    own = Entry(event.replica, event.seq, payload)
    if not cell.dead and _only_of(event.replica, cell):
        return Cell((own,))  # most writes are such, and cost half as much this way
    others = [entry for entry in cell.live if entry.replica != event.replica]
    killed = [e for e in others if seen is None or e.seq <= seen.get(e.replica, 0)]
    kept = [e for e in others if not (seen is None or e.seq <= seen.get(e.replica, 0))]
    return make([*kept, own], _latest(cell.dead, tuple(kill(entry) for entry in killed)))


def _only_of(replica: bytes, cell: Cell) -> bool:
    """Whether nobody else has a live entry."""
    return not cell.live or (len(cell.live) == 1 and cell.live[0].replica == replica)


def accumulate(cell: Cell, event: Event, payload: bytes, generation: int) -> Cell:
    """Own entry with ``payload`` in ``generation``; the entries of others stay."""
    own = Entry(event.replica, event.seq, payload, generation)
    if not cell.dead and _only_of(event.replica, cell):
        return Cell((own,))
    others = [entry for entry in cell.live if entry.replica != event.replica]
    return make([*others, own], cell.dead)


def supersede(cell: Cell, event: Event) -> Cell:
    """No entry; every entry that the writer saw is dead. The event itself shows as the writer's dead seq."""
    mine = Dead(event.replica, event.seq)
    for entry in cell.live:
        # A sum begun in this very event was seen by nobody; its floor would count against the next one.
        if entry.replica == event.replica and entry.generation and entry.generation != event.seq:
            mine = Dead(event.replica, event.seq, entry.generation, entry.payload)
    killed = tuple(kill(entry) for entry in cell.live if entry.replica != event.replica)
    return make((), _latest(_latest_tuple(cell.dead, killed), (mine,)))


def withdraw(cell: Cell, event: Event, is_due: Callable[[Entry], bool]) -> Cell:
    """No entry; those that ``is_due`` names are dead, and no others. The event shows as the writer's dead seq.

    The same cell if there are none, or if an entry of the writer's own would stay. To show the event it would have
    to move to the event's dot, and then survive a concurrent removal of it.
    """
    killed = [entry for entry in cell.live if is_due(entry)]
    kept = [entry for entry in cell.live if not is_due(entry)]
    if not killed or any(entry.replica == event.replica for entry in kept):
        return cell
    dead = (Dead(event.replica, event.seq), *(kill(e) for e in killed if e.replica != event.replica))
    return make(kept, _latest(cell.dead, dead))


def _latest_tuple(a: tuple[Dead, ...], b: tuple[Dead, ...]) -> tuple[Dead, ...]:
    return tuple(_latest(a, b))


def own_entry(cell: Cell, replica: bytes) -> Entry | None:
    """The live entry of ``replica``, if it has one."""
    for entry in cell.live:
        if entry.replica == replica:
            return entry
    return None
