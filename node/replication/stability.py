"""Stability and collection: which events every member has, and what that lets a node throw away.

The question this answers: *can any replica still send something that this dead context must stop?* A member that
is away holds collection back; nothing else costs anything once all have seen it. An event is stable when it lies
in our vector and in that of every replica that may still write: each was taken at a moment whose whole state is
included here, so whatever a replica wrote before it had the event is here as well.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from itertools import islice

from gossamer.crdt import Cell, Dot, Vector, operation, path

from ..errors import Damaged
from . import batch
from .registry import Registry
from .state import State
from .view import Draft


def counted(
    state: State, own: bytes, registry: Registry, keyspace: str, linked: AbstractSet[bytes] = frozenset()
) -> set[bytes]:
    """The replica ids, other than our own, that must have an event before it is stable.

    ``linked`` are those we are connected to: a joiner counts from its hello.
    """
    hosts = {m.replica for m in registry.remaining if keyspace in m.keyspaces}
    current = registry.current
    gone = (registry.old | registry.removed | registry.sealed) - current
    gone |= registry.dropped(keyspace)
    # An id that is found here and is not known to host it counts too: its registration as a host may be on its way.
    found = {*state.delivered.replicas(), *state.peers}
    return (hosts | (found - gone) | linked) - {own}


def stable(state: State, ids: AbstractSet[bytes]) -> Vector:
    """The events that we and the replicas ``ids`` have all delivered: a contiguous prefix a replica."""
    others = [state.peers.get(r, Vector()) for r in ids]
    out = Vector()
    for replica in state.delivered.replicas():
        upto = min((v.prefix(replica) for v in others), default=state.delivered.prefix(replica))
        upto = min(upto, state.delivered.prefix(replica))
        if upto:
            out.add(replica, 1, upto)
    return out


def held_back_by(state: State, ids: AbstractSet[bytes]) -> list[bytes]:
    """The counted replicas that lack something we have, and so hold collection back."""
    return sorted(r for r in ids if not state.peers.get(r, Vector()).covers(state.delivered))


def is_stable(cell: Cell, stable_: Vector) -> bool:
    """Whether *all* of a cell's context is stable. That one dead entry is old says nothing: the event that
    killed it must be stable too."""
    return all(seq <= stable_.last(replica) for replica, seq in cell.context().items())


def sweeper(cell: Cell, members: AbstractSet[bytes]) -> bytes | None:
    """The one replica that is to remove a stable cell that says nothing: it is not dropped where it stands.

    Its entries are live, on every node, until an event supersedes them; a node that dropped them alone and then
    wrote would leave them standing elsewhere.
    """
    wrote = [entry.replica for entry in cell.live if entry.replica in members]
    return min(wrote or members, default=None)


def may_go(cell_path: bytes, cell: Cell, counter: Cell, stable_: Vector) -> bool:
    """Whether the note of an ``op_id`` whose window is over may be removed.

    All must have it, or a retry would count again elsewhere. One that takes something off its counter may not go; that it
    takes nothing off any more must be so for everybody.
    """
    if not is_stable(cell, stable_):
        return False
    if path.kind_of(cell_path) != "op" or not operation.is_contested(cell):
        return True
    return operation.surplus(cell, counter) == 0 and is_stable(counter, stable_)


def folder(cell: Cell, keyspace: str, state: State, registry: Registry) -> bytes | None:
    """The one replica that is to fold a pending operation: the lowest that wrote it, or if that is sealed its heir.

    An heir waits until it has all that there is of the sealed id, as that may have folded it. For one that has dropped the keyspace,
    or only reads it by now, the lowest of those that write does it.
    """
    *sealed, last = registry.succession(cell.live[0].replica)
    bounds = (registry.seals[replica].bound(keyspace) for replica in sealed)
    if not all(state.delivered.covers(bound) for bound in bounds):
        return None
    if last in registry.dropped(keyspace) or last in registry.readers(keyspace):
        return min(registry.writers(keyspace), default=None)
    return last


def foldable(
    draft: Draft, keyspace: str, own: bytes, registry: Registry, stable_: Vector, after: bytes, most: int
) -> tuple[bytes | None, list[bytes]]:
    """The operations that we are to fold, of ``most`` pending ones past ``after``; where to go on, None at the end."""
    looked = list(islice(draft.pending_after(after), most))
    found = []
    for cell_path in looked:
        try:
            cell = draft.cell(cell_path)
        except Damaged:
            continue
        if folder(cell, keyspace, draft.state, registry) == own and is_stable(cell, stable_):
            found.append(cell_path)
    return (looked[-1] if len(looked) == most else None), found


def collect(draft: Draft, stable_: Vector, after: bytes, rows: int) -> tuple[bytes | None, list[bytes]]:
    """Look at ``rows`` rows or a few more (events are whole) from the key ``after`` on, and drop what is stable.

    Returns where to go on, None at the end of the index, and the paths of stable cells that say nothing.
    """
    silent: list[bytes] = []
    draft.state.horizon.update(stable_)
    draft.touch()
    looked = 0
    while looked < rows:
        found = draft.first_row(after)
        if found is None:
            return None, silent
        (replica, seq) = found
        if seq > stable_.last(replica):
            after = replica + b"\xff" * 9  # to the next replica
            looked += 1
            continue
        looked += _collect_event(draft, (replica, seq), stable_, silent)
        after = replica + (seq + 1).to_bytes(8, "big")
    return after, silent


def _collect_event(draft: Draft, dot: Dot, stable_: Vector, silent: list[bytes]) -> int:
    """Drop what is stable of an event; how many rows it has."""
    rows = 0
    for grouped, cell_path in draft.event_rows(dot):
        rows += 1
        try:
            cell = draft.cell(cell_path)
        except Damaged:
            continue  # it stays as it is, with its rows, until it is replaced
        if not grouped and cell.context().get(dot[0], 0) != dot[1]:
            draft.drop_row(dot, grouped, cell_path)  # stale: a newer row of the same replica stands for it
        elif not is_stable(cell, stable_):
            continue
        elif cell.live and cell.says_nothing:
            silent.append(cell_path)
        elif not batch.is_kept(cell, draft.may_return):
            draft.put(cell_path, batch.stripped(cell))
            draft.drop_row(dot, grouped, cell_path)
    return rows
