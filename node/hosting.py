"""Which keyspaces a node hosts, which of them it only reads, and how it lets go of one.

The question this answers: *may this go now?* A node that drops a keyspace first says so in the registry. It lets go once other
hosts have everything, and have told their vectors since they knew of it. One whose copy is in doubt (`replication.doubts`) is not
counted, whatever its vector says. A host that knew no longer counts on this node; one that was leaving itself when it heard of
it is not counted here, as what it had told is known by then. So two hosts that leave at once never rely on each other.

A replica id that had a keyspace and dropped it never has it again: others may remember for long how much it had, and would
take it for having that. A node that hosts a keyspace again does so under a new id, and is fetched everything like any
newcomer.
"""

from __future__ import annotations

from gossamer.crdt import Vector

from .errors import OnlyCopy
from .replication.engine import Engine
from .replication.registry import SYSTEM, Member
from .store import Store


class Hosting:
    """One node's. Called in the writer's thread."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store, self._engine = store, engine
        engine.dropped |= {f"{replica.hex()} {name}" for name, replica in store.dropped().items()}
        self.dropped: list[str] = []
        """What was let go of since the last look."""

    def leave(self, keyspace: str, *, force: bool) -> bool:
        """Begin to let go of a keyspace; whether it may go at once. `OnlyCopy` if nobody else hosts it."""
        if keyspace == SYSTEM:
            raise ValueError(f"keyspace {keyspace!r}: it is the node's own")
        if keyspace not in self._store.keyspaces():
            raise ValueError(f"keyspace {keyspace!r}: this node does not host it")
        lacking = self._store.state(keyspace).delivered.count()
        if not force and lacking and not self.others(keyspace):
            raise OnlyCopy(
                f"keyspace {keyspace!r}: no other member hosts it, and {lacking} events would be lost"
            )
        self._engine.leaving.add(keyspace)
        return force or not lacking

    def stay(self, keyspace: str) -> str:
        """Host a keyspace on after all; why it could not go."""
        self._engine.leaving.discard(keyspace)
        if keyspace not in self._store.keyspaces():
            return ""
        lacking = self._store.state(keyspace).delivered.minus(self._had_by_others(keyspace)).count()
        why = (
            f"{lacking} events are on no other host that has confirmed them"
            if lacking
            else "no other host has confirmed that it goes on without this node"
        )
        return f"keyspace {keyspace!r}: {why}{self.doubts(keyspace)}"

    def may_go(self, keyspace: str) -> bool:
        """Whether other hosts that know that this node leaves have everything."""
        me, system = self._engine.identity, self._store.state(SYSTEM)
        mine = self._engine.registry.members.get(me.name)
        if mine is None or keyspace not in mine.leaving or not system.is_whole:
            return False  # nobody was told yet
        ids = mine.ids | {me.replica}  # it may have said so under an earlier one
        told = Vector({replica: system.delivered.intervals(replica) for replica in ids})
        known = {r for r, had in system.peers.items() if had.covers(told)}
        state = self._store.state(keyspace)
        return state.is_whole and self._had_by_others(keyspace, known).covers(state.delivered)

    def others(self, keyspace: str) -> list[Member]:
        """The other members that host a keyspace, count, and are not about to drop it."""
        me = self._engine.identity
        return [
            m
            for m in self._engine.registry.remaining
            if keyspace in m.keyspaces - m.leaving and m.replica != me.replica and m.name != me.name
        ]

    def is_sound(self, member: Member, keyspace: str) -> bool:
        """Whether nothing is known against a member's copy of a keyspace."""
        return self._engine.doubt(member.replica, keyspace) is None

    def doubts(self, keyspace: str) -> str:
        """Which hosts do not count, and why, to stand behind what follows from it; empty if all do."""
        found = [(m.name, self._engine.doubt(m.replica, keyspace)) for m in self.others(keyspace)]
        return "".join(f"; {name} does not count, as it {why}" for name, why in sorted(found, key=str) if why)

    def _had_by_others(self, keyspace: str, among: set[bytes] | None = None) -> Vector:
        peers, out = self._store.state(keyspace).peers, Vector()
        for member in self.others(keyspace):
            if self.is_sound(member, keyspace) and (among is None or member.replica in among):
                out.update(peers.get(member.replica, Vector()))
        return out

    def drop(self, keyspace: str) -> None:
        """Let go of it now. Not inside a transaction."""
        me = self._engine.identity.replica
        self._store.drop(keyspace, me)
        self._engine.dropped.add(f"{me.hex()} {keyspace}")
        self._engine.leaving.discard(keyspace)
        self._engine.forget_keyspace(keyspace)
        self.dropped.append(keyspace)
