"""How a node leaves the cluster for good: it takes no more writes, and goes once others have all that it had.

The question this answers: *may this node be forgotten now, by its own word?* It first says in the registry that it lets go of
every keyspace, so whoever knows that does not rely on it when it leaves itself. It gives away its rights of bounded counters.
Then, keyspace by keyspace, every event that it has must be on another host that knew of the leaving, and every host that is linked
must have all that was here when the leaving began. Only then it writes that it has left, which ends its replica ids
as forgetting does (`replication.seals`), and it is done once every linked member, and at least one, has that.

Nothing of this is kept but what is in the registry: a node that is stopped before it wrote its farewell was never leaving,
and one that is stopped after it goes on telling it.
"""

from __future__ import annotations

from collections.abc import Callable

from gossamer.crdt import Vector, path

from .backend import Op
from .errors import OnlyCopy, StateError
from .hosting import Hosting
from .knowledge import DURABLE, Knowledge
from .limits import LEAVE_CELLS
from .replication import registry
from .replication.engine import Engine
from .replication.registry import SYSTEM, Member
from .replication.state import State
from .rights import Rights
from .store import Store


class Departure:
    """One node's. Called in the writer's thread."""

    def __init__(
        self, store: Store, engine: Engine, hosting: Hosting, knowledge: Knowledge, rights: Rights
    ) -> None:
        self._store, self._engine, self._hosting = store, engine, hosting
        self._knowledge, self._rights = knowledge, rights
        self._begun: dict[str, Vector] = {}
        """Keyspace -> what was here when the leaving began."""
        self._unseen: dict[str, bytes] = {}
        """Keyspace -> the path up to which its bounded counters were found, while there may be more."""

    def begin(self) -> None:
        """Take no more writes, and begin to go. `OnlyCopy` if a keyspace has no other host; then nothing has changed."""
        if self._engine.has_left:
            return
        mine = self._engine.registry.members.get(self._engine.identity.name)
        if mine is not None and mine.replica != self._engine.identity.replica:
            raise StateError(
                f"another node goes by the name {mine.name!r} now: this one cannot leave under it"
            )
        states = {name: self._store.state(name) for name in self._store.keyspaces()}
        alone = [n for n, s in states.items() if (n == SYSTEM or s.delivered) and not self._hosting.others(n)]
        if alone:
            what = (
                "no other member is known" if SYSTEM in alone else f"no other member hosts {', '.join(alone)}"
            )
            raise OnlyCopy(f"{what}: what is here would be lost")
        self._engine.is_departing = True
        self._begun = {name: state.delivered.copy() for name, state in states.items()}
        self._unseen = {name: b"" for name in states if name not in self._engine.read_only and name != SYSTEM}

    def give_up(self) -> str | None:
        """Go on as before, if it has not left; what it lacked, None if it has left and that was told."""
        why = self.lacks()
        if not self._engine.has_left:
            self._engine.is_departing = False
            self._begun, self._unseen = {}, {}
        return why

    def look(self) -> None:
        """Find some more of the bounded counters whose rights are to be given away. Not inside a transaction."""
        if not self._unseen or self._rights.is_watching:
            return
        name, after = next(iter(self._unseen.items()))
        with self._store.snapshot() as views:
            page = [at for (at, _), _ in zip(views(name).stored(after), range(LEAVE_CELLS), strict=False)]
        self._rights.watch(name, [at for at in page if path.kind_of(at) == "bounded_counter"])
        if len(page) < LEAVE_CELLS:
            del self._unseen[name]
        else:
            self._unseen[name] = page[-1] + b"\x00"

    def farewell(self, state_of: Callable[[str], State]) -> list[Op]:
        """What is to be written once nobody needs this node any more: that it has left. ``state_of``: as of this turn."""
        if self._engine.has_left or not self._engine.is_departing or self._lacks(state_of) is not None:
            return []
        me, others = self._engine.identity, self._engine.registry.members
        current = {m.replica for m in others.values() if m.name != me.name}
        ids = others[me.name].ids | {me.replica}
        return registry.leave_ops(ids - current - self._engine.registry.closed)

    def lacks(self) -> str | None:
        """What is missing until it has left and that is known, in words; None: nothing."""
        if not self._engine.has_left:
            return self._lacks(self._store.state) or "it is about to say that it has left"
        return None if self.is_known() else "it has left, and not every linked member has heard of it"

    def is_known(self) -> bool:
        """Whether at least one other member, and each that is linked, has it that this node left.

        One that knows refuses this node from then on, so a refusal is as good as its word.
        """
        if self._engine.is_forgotten:
            return True
        state, me = self._store.state(SYSTEM), self._engine.identity
        farewell, linked = state.delivered.only(me.replica), self._engine.linked(SYSTEM)
        knowing = {r for r, had in state.peers.items() if had.covers(farewell)}
        remaining = self._engine.registry.current - {me.replica}
        return bool(remaining & knowing) and remaining & linked <= knowing

    def _lacks(self, state_of: Callable[[str], State]) -> str | None:
        registry_, me = self._engine.registry, self._engine.identity
        mine = registry_.members.get(me.name)
        names = self._store.keyspaces()
        system = state_of(SYSTEM)
        if mine is None or not system.is_whole or registry_.is_damaged:
            return "the members are not known yet"
        if not {*names} - {SYSTEM} <= mine.leaving:
            return "nobody was told yet that it leaves"
        if self._unseen or self._rights.is_watching:
            return "its rights of bounded counters are being given away"
        told = system.delivered.only(me.replica)
        knowing = {r for r, had in system.peers.items() if had.covers(told)}
        missing = (self._missing(name, state_of(name), knowing) for name in names)
        return next((what for what in missing if what), None)

    def _missing(self, name: str, state: State, knowing: set[bytes]) -> str | None:
        """What of a keyspace is not where it must be before this node may go."""
        if not state.is_whole:
            return f"keyspace {name!r}: this node is itself catching up"
        hosts, linked = self._hosting.others(name), self._engine.linked(name)
        kept, has = Vector(), {m.name: self._knowledge.had_by(m, name, state) for m in hosts}
        for member in self._as_durable(hosts):
            if member.replica in knowing and self._hosting.is_sound(member, name):
                kept.update(has[member.name])
        lost = state.delivered.minus(kept).count()
        if lost:
            names = ", ".join(sorted(has)) or "nobody"
            why = f"it is hosted by {names}{self._hosting.doubts(name)}"
            return f"keyspace {name!r}: {lost} events are on no other host that has confirmed them; {why}"
        begun = self._begun.get(name, Vector()).copy()
        begun.update(state.delivered.only(self._engine.identity.replica))
        for member in hosts:
            lag = begun.minus(has[member.name]).count()
            if lag and member.replica in linked:
                return f"keyspace {name!r}: {member.name} lacks {lag} events"
        return None

    def _as_durable(self, hosts: list[Member]) -> list[Member]:
        """Those whose copies are as safe from a power cut as the one that goes; all, if there are none."""
        durable = [m for m in hosts if m.durability == DURABLE]
        return durable if durable and self._engine.identity.durability == DURABLE else hosts
