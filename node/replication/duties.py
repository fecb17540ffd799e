"""What a node does unasked: collection, sweeping, and its part in the registry.

The question this answers: *what may go now, and what must this node write into the registry?*
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossamer.crdt import EMPTY, Vector, path

from ..backend import Op
from . import limits, registry, stability, sweeping
from .registry import SYSTEM
from .seals import Answer, Seal
from .state import State
from .view import Draft

if TYPE_CHECKING:
    from .engine import Engine


class Duties:
    """Decides; the replica performs it in its turns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen_of: dict[bytes, tuple[int, float]] = {}
        """Old replica id -> how many events of it, and that it had, are known here, and since when."""

    def collect(self, draft: Draft, keyspace: str, after: bytes) -> tuple[bytes | None, list[bytes]]:
        """One step of collection from row key ``after`` on; where to go on, None at the end, and what to remove."""
        stable = self.collectable(draft.state, keyspace)
        if not stable or draft.damaged():
            return None, []  # whose cell may replace a damaged one is read from rows that a peer lacks
        where, silent = stability.collect(draft, stable, after, limits.COLLECT_ROWS)
        if self.may_return():
            return where, []  # who comes back may have written *on* not knowing of the *off*
        me = self._engine.identity.replica
        if not self._engine.may_write(keyspace):
            return where, []
        members = self._engine.registry.writers(keyspace) | {me}
        return where, [at for at in silent if stability.sweeper(draft.cell(at), members) == me]

    def foldable(
        self, draft: Draft, keyspace: str, after: bytes, most: int
    ) -> tuple[bytes | None, list[bytes]]:
        """The operations that this node is to fold, of ``most`` pending ones past ``after``; where to go on."""
        stable = self.collectable(draft.state, keyspace)
        if not stable or not self._engine.may_write(keyspace):
            return None, []
        me, reg = self._engine.identity.replica, self._engine.registry
        return stability.foldable(draft, keyspace, me, reg, stable, after, most)

    def may_sweep(self, draft: Draft, keyspace: str, cell_path: bytes) -> bool:
        """Whether this node is to remove the note of an ``op_id`` whose window is over.

        Nobody is, while one may come back who tried it, or reset it, without knowing what came of it.
        """
        if self.may_return() or not self._engine.may_write(keyspace):
            return False
        cell, me = draft.cell(cell_path), self._engine.identity.replica
        counter = draft.cell(path.counter_of(cell_path)) if path.kind_of(cell_path) == "op" else EMPTY
        stable = self.collectable(draft.state, keyspace)
        members = self._engine.registry.writers(keyspace) | {me}
        return stability.may_go(cell_path, cell, counter, stable) and stability.sweeper(cell, members) == me

    def collectable(self, state: State, keyspace: str) -> Vector:
        """The events that may be collected now; none while what others hold is not known."""
        if not state.is_whole or self._engine.unmet() or self._engine.registry.is_damaged:
            return Vector()
        ids = stability.counted(
            state,
            self._engine.identity.replica,
            self._engine.registry,
            keyspace,
            self._engine.linked(keyspace),
        )
        return stability.stable(state, ids)

    def sweepable(self, wall: int) -> sweeping.Due:
        """Up to which moments what has expired may be swept."""
        me = self._engine.identity
        mine = frozenset((me.replica, *self._engine.old_ids))
        return sweeping.due(wall, self._engine.skews().values(), mine, me.fingerprint)

    def may_return(self) -> frozenset[bytes]:
        """Replicas that do not count for stability, and of which there may yet be writes that nobody has seen."""
        reg = self._engine.registry
        return frozenset((reg.removed | reg.old | reg.sealed) - reg.closed)

    def due(self, states: dict[str, State], now: float) -> list[Op]:
        """What this node must write into ``$system`` now: its registration, silence votes, answers for seals."""
        me, reg = self._engine.identity, self._engine.registry
        if reg.is_damaged or self._engine.has_left:
            return []
        mine = reg.members.get(me.name)
        if mine is not None and mine.replica == me.replica:
            self._engine.has_registered = True  # not when it is written: that may fail
        ops = registry.join_ops(
            reg,
            me.name,
            me.replica,
            me.address,
            states,
            self._engine.old_ids,
            durability=me.durability,
            read_only=self._engine.read_only.intersection(states),
            leaving=states.keys() - {SYSTEM}
            if self._engine.is_departing
            else self._engine.leaving & states.keys(),
            dropped=self._engine.dropped,
            is_again=self._engine.has_registered,
        )
        if not states[SYSTEM].is_whole:
            return ops  # half a registry would make old ids of current ones
        # What a configured peer that was never met has of an old id is not known: a restored node knows no other members.
        for replica in sorted(reg.old - reg.sealed) if not self._engine.unmet() else ():
            seal = reg.seals.get(replica, Seal(replica))
            heard = self._engine.heard.setdefault(replica, now)
            if self._engine.is_partial:
                heard = max(heard, self._last_sign(replica, states, now))
            if me.name not in seal.silent and now - heard >= limits.SILENCE_S:
                ops += registry.silent_ops(me.name, replica)
        for replica, seal in sorted(reg.seals.items()):
            if reg.is_agreed(seal) and replica != me.replica:
                ops += self._seal(seal, states)
        return ops

    def _last_sign(self, replica: bytes, states: dict[str, State], now: float) -> float:
        """When there was last a sign that an old id is still in use: a link, or news of its vector through others."""
        seen = sum(
            state.delivered.only(replica).count() + state.peers.get(replica, Vector()).count()
            for state in states.values()
        )
        if self._seen_of.get(replica, (-1, 0.0))[0] != seen:
            self._seen_of[replica] = (seen, now)
        return self._seen_of[replica][1]

    def _seal(self, seal: Seal, states: dict[str, State]) -> list[Op]:
        """Answer for a seal, once it is settled only if we have not; or write down what has come of it."""
        me, reg = self._engine.identity, self._engine.registry
        if seal.is_closed:
            is_mine = bool(seal.answers or seal.silent) and me.replica == min(reg.current, default=b"")
            return registry.tidy_ops(me.name, seal) if is_mine else []
        if self._engine.unmet():
            return []  # nor who answers: two views without a member in common could both be agreed on
        remaining = {m.name for m in reg.remaining}
        mine = seal.answers.get(me.name, Answer())
        if seal.settled is None or not mine.view:
            has = {ks: state.delivered.intervals(seal.replica) for ks, state in states.items()}
            answer = seal.answer_of(me.name, me.replica, remaining, reg.naming(seal.replica), has)
            if not answer.says_same(mine):
                return registry.answer_ops(me.name, seal.replica, answer)
        if reg.can_close(seal):
            return registry.close_ops(me.name, seal)
        settled = seal.agreed()
        if seal.settled is not None or settled is None or not remaining <= set(seal.answers):
            return []
        return registry.settle_ops(seal.replica, settled)
