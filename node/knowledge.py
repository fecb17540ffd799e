"""What a replica knows of its own events and of what others have: tokens, and answers for those who wait.

Which thread? Those methods that say so look only at what is replaced and never changed, and run anywhere. The others
look at links, and belong to the writer's thread.
"""

from __future__ import annotations

import math
from functools import lru_cache

from gossamer.crdt import Dot, Vector

from .errors import LimitExceeded
from .replication import limits, stability
from .replication import token as tokens
from .replication.engine import Engine
from .replication.freshness import staleness
from .replication.link import Link, Shared
from .replication.registry import SYSTEM, Member
from .replication.replicated import Holders
from .replication.state import State
from .replication.token import Token
from .store import Store
from .waiting import Covered, Fresh, Replicated, Wait

DURABLE = "commit"
"""The durability of a member whose vector says what no power cut takes. Under one replica id it is never lowered, and
an id is registered with it in one event, so what the registry says of an id is never too much."""


_NOTHING = Vector()
_decoded = lru_cache(maxsize=1024)(tokens.decode)
"""Who waits asks after every turn."""


class Knowledge:
    """Of one replica. `KeyError` for a keyspace that it does not host."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store, self._engine = store, engine

    # Tokens

    def token(self, keyspace: str, dot: Dot | None) -> str | None:
        """The token of all that is delivered, or of one event; None if it is too long. Any thread."""
        delivered = self._store.state(keyspace).delivered
        events = delivered if dot is None else Vector({dot[0]: (dot[1], dot[1])} if dot[1] else {})
        return tokens.encode(events, self._engine.identity.cluster, keyspace, self._known(keyspace))

    def short_token(self, keyspace: str) -> str:
        """A token that leaves out what every member has. `LimitExceeded` if that is too long as well."""
        state = self._store.state(keyspace)
        counted = self._counted(keyspace)
        spare = stability.stable(state, counted - {self._engine.identity.replica}), counted
        known = self._known(keyspace)
        text = tokens.encode(state.delivered, self._engine.identity.cluster, keyspace, known, spare)
        if text is None:
            raise LimitExceeded(
                f"token: {len(state.delivered.replicas())} replicas have events that not every member has, too many "
                f"for {limits.TOKEN_CHARS_MAX} characters"
            )
        return text

    def has(self, keyspace: str, text: str) -> bool:
        """Whether the token is covered, as far as the vector alone can tell. `ValueError` for a bad one. Any thread."""
        wanted = self._token(keyspace, text)
        return not wanted.members and self._lacks(keyspace, wanted, frozenset()) is None

    # Waiting

    def lacks(self, keyspace: str, wait: Wait, now: float) -> str | None:
        """What is missing for the wait to be over, in words; None: nothing. `ValueError` for a bad token."""
        match wait:
            case Covered():
                wanted = self._token(keyspace, wait.token)
                return self._lacks(
                    keyspace, wanted, self._counted(keyspace) if wanted.members else frozenset()
                )
            case Replicated():
                return self._holders(keyspace, self._token(keyspace, wait.token)).lacks(wait.peers)
            case Fresh():
                return self._too_stale(keyspace, wait.max_staleness, now)

    def _token(self, keyspace: str, text: str) -> Token:
        self._store.state(keyspace)  # a keyspace that is not hosted comes before a token that is not its own
        return _decoded(text, self._engine.identity.cluster, keyspace)

    def _lacks(self, keyspace: str, wanted: Token, counted: frozenset[bytes]) -> str | None:
        known = self._known(keyspace) if wanted.ids else ()
        return wanted.lacks(self._store.state(keyspace).delivered, known, counted)

    def _known(self, keyspace: str) -> set[bytes]:
        """The replica ids that a token may mean."""
        registered = {i for m in list(self._engine.registry.members.values()) for i in (*m.ids, m.replica)}
        state = self._store.state(keyspace)
        return {*state.delivered.replicas(), *state.peers, *registered} - {b""}

    def _counted(self, keyspace: str) -> frozenset[bytes]:
        me, state = self._engine.identity.replica, self._store.state(keyspace)
        linked = self._engine.linked(keyspace)
        return frozenset(stability.counted(state, me, self._engine.registry, keyspace, linked) | {me})

    # Who has it

    def _holders(self, keyspace: str, wanted: Token) -> Holders:
        me, registry = self._engine.identity, self._engine.registry
        state = self._store.state(keyspace)
        known = self._known(keyspace) if wanted.ids else ()
        counted = self._counted(keyspace) if wanted.members else frozenset()
        found = Holders(me.name, unmet=self._engine.unmet())
        own = Member(me.name, me.replica, keyspaces={keyspace}, durability=me.durability)
        others = [m for m in registry.remaining if keyspace in m.keyspaces and m.name != me.name]
        for member in (own, *others):
            has = state.delivered if member is own else self.had_by(member, keyspace, state)
            if wanted.lacks(has, known, counted if member.replica in counted else ()) is not None:
                found.missing.add(member.name)
            elif member.durability == DURABLE:
                found.durable.add(member.name)
            else:
                found.relaxed.add(member.name)
        return found

    def committed(self, keyspace: str) -> dict[str, Vector]:
        """Each member that hosts the keyspace -> what it is known to have committed; this node among them."""
        me, state = self._engine.identity, self._store.state(keyspace)
        members = [
            m for m in self._engine.registry.remaining if keyspace in m.keyspaces and m.name != me.name
        ]
        return {me.name: state.delivered, **{m.name: self.had_by(m, keyspace, state) for m in members}}

    def holders(self, keyspace: str, dot: Dot) -> dict[str, bool]:
        """Each other member that hosts the keyspace -> whether it is known to have committed an event."""
        me, state = self._engine.identity, self._store.state(keyspace)
        return {
            m.name: self._holds(m, keyspace, dot, state)
            for m in self._engine.registry.remaining
            if keyspace in m.keyspaces and m.name != me.name
        }

    def _holds(self, member: Member, keyspace: str, dot: Dot, state: State) -> bool:
        if dot in state.peers.get(member.replica, _NOTHING):
            return True
        told = (shared.theirs for _, shared in self._shared(keyspace, member.replica))
        return any(theirs is not None and dot in theirs for theirs in told)

    def stable(self, keyspace: str) -> Vector:
        """The events that all who may still write are known to have, or that were collected as such."""
        state = self._store.state(keyspace)
        found = self._engine.duties.collectable(state, keyspace).copy()
        found.update(state.horizon)
        return found

    def names(self) -> dict[bytes, str]:
        """Replica id -> the member that has, or had, it."""
        members = self._engine.registry.members.values()
        had = {replica: m.name for m in members for replica in m.ids}
        return had | {m.replica: m.name for m in members if m.replica}

    def had_by(self, member: Member, keyspace: str, state: State) -> Vector:
        """What a member is known to have committed: what it told on a link, or a third one of it."""
        had = state.peers.get(member.replica, Vector()).copy()
        for _, shared in self._shared(keyspace, member.replica):
            if shared.theirs is not None:
                had.update(shared.theirs)
        return had

    def _shared(self, keyspace: str, replica: bytes | None = None) -> list[tuple[Link, Shared]]:
        links = [k for k in self._engine.links.values() if not k.closing and k.peer]
        return [(k, k.shared[keyspace]) for k in links if keyspace in k.shared and replica in (None, k.peer)]

    # Staleness

    def staleness(self, keyspace: str, now: float) -> dict[bytes, float]:
        """Replica id of each that counts -> seconds by which we may be stale of it; infinite if nothing is known."""
        state, me = self._store.state(keyspace), self._engine.identity.replica
        proofs = self._engine.proofs.get(keyspace, {})
        return staleness(proofs, state.delivered, self._counted(keyspace) - {me}, now)

    def stale_by(self, keyspace: str, now: float) -> float:
        """Seconds by which we may be stale, of whatever is known to be there."""
        unknown = bool(self._engine.unmet()) or not self._store.state(SYSTEM).is_whole
        return math.inf if unknown else max(self.staleness(keyspace, now).values(), default=0.0)

    def _too_stale(self, keyspace: str, max_staleness: float, now: float) -> str | None:
        if self.stale_by(keyspace, now) <= max_staleness:
            return None
        ages = {r: age for r, age in self.staleness(keyspace, now).items() if age > max_staleness}
        self._ask(keyspace, ages)
        late = [f"{self._name(r)} {_since(age)}" for r, age in sorted(ages.items())]
        late += [f"{address} was never met" for address in self._engine.unmet()]
        return (
            f"older than {max_staleness:g} s, it may be: {', '.join(late) or 'the members are not known yet'}"
        )

    def _ask(self, keyspace: str, replicas: dict[bytes, float]) -> None:
        for replica in replicas:
            for link, shared in self._shared(keyspace, replica):
                if shared.asking.want():
                    link.stir(shared)

    def _name(self, replica: bytes) -> str:
        member = self._engine.registry.member_of(replica)
        return member.name if member is not None else replica.hex()


def _since(age: float) -> str:
    return "never answered" if age == math.inf else f"was last caught up with {age:.1f} s ago"
