"""Rights of bounded counters at this node: spends that wait for them, peers that want them, and evening them out.

What becomes of a spend that finds too few rights here? Without ``wait`` it fails at once; linked peers are asked
all the same, so that the next attempt may succeed. With ``wait`` it is kept, and tried again in every turn that
changed its counter, until its time is over. Whom to ask, and what to give, is decided in `replication.rights`;
here it is brought about, by ordinary events in the writer's turns.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import NamedTuple

from gossamer.crdt import Cell, Dot, Vector, counter_bounded, path

from .backend import Op
from .errors import GossamerError, InsufficientRights, StoreError
from .limits import SPENDS_WAITING_MAX
from .replication import limits, rights
from .replication.engine import Engine
from .store import Draft
from .turns import Result, Write

Drafts = Callable[[str], Draft]
Commit = Callable[[Draft, Sequence[Op]], Dot | None]
Where = tuple[str, bytes]
"""Keyspace and path of a bounded counter."""
_BOUNDED = path.CELLS["bounded_counter"]
"""A byte that is in the path of every bounded counter, and in few others."""


class Waiting(NamedTuple):
    """A spend that waits for rights."""

    write: Write
    until: float

    @property
    def where(self) -> Where:
        return self.write.keyspace, self.write.ops[0].path

    @property
    def amount(self) -> int:
        return int(self.write.ops[0].args[0])


class Rights:
    """One node's. Called in the writer's turns; ``now`` is the clock that only goes forward."""

    def __init__(self, engine: Engine, knows_members: Callable[[], bool]) -> None:
        """``knows_members``: whether the registry is whole; half of one makes heirs of those that are none."""
        self._engine, self._knows_members = engine, knows_members
        self._waiting: list[Waiting] = []
        self._over: set[int] = set()  # ids of the writes that wait no longer, once this turn is committed
        self._failed: dict[Where, int] = {}  # what spends wanted that failed at once in this turn
        self._asked_at: dict[Where, float] = {}
        self._evened: dict[Where, None] = {}  # of those that were looked at, the latest
        self._hosts: dict[str, set[bytes]] = {}  # keyspace -> who hosted it when they were
        self._registry = engine.registry
        self._watched: dict[Where, None] = {}  # changed since the last look, or shared with one who is away
        self._even_at = 0.0

    def estate(self, keyspace: str, replica: bytes, delivered: Vector) -> frozenset[bytes]:
        """The ids whose rights are ``replica``'s, as far as is known here."""
        registry = self._engine.registry
        if not registry.heirs or not self._knows_members():
            return frozenset((replica,))
        return rights.estate(registry, replica, keyspace, delivered)

    def needed(self, ops: Sequence[Op], keyspace: str, delivered: Vector) -> frozenset[bytes]:
        """This node's estate, if the writes may ask for it: most commits have nothing to do with rights."""
        if not self._engine.registry.heirs or not any(_BOUNDED in op.path for op in ops):
            return frozenset()
        return self.estate(keyspace, self._engine.identity.replica, delivered)

    def wake_at(self) -> float:
        """When there is something to do next."""
        if self._engine.is_departing and self._watched:
            return 0.0
        spends = min((one.until for one in self._waiting), default=math.inf)
        asks = min(
            (self._asks_at(one.where) for one in self._waiting if one.where in self._asked_at),
            default=math.inf,
        )
        return min(spends, asks, self._even_at if self._watched else math.inf, self._engine.wants.due_at)

    # Spends that found too few rights

    def refused(self, write: Write, now: float) -> bool:
        """A write found too few rights; whether it is kept, and will be `settle`d."""
        if len(write.ops) != 1 or write.ops[0].method != "spend":
            return False
        one = Waiting(write, now + write.wait)
        if write.wait > 0 and len(self._waiting) < SPENDS_WAITING_MAX:
            self._waiting.append(one)
            return True
        self._failed[one.where] = one.amount
        return False

    def settle(
        self,
        drafts: Drafts,
        changed: Callable[[Where], bool],
        write: Callable[[Draft, Write], Dot | None],
        now: float,
    ) -> list[tuple[Write, Result]]:
        """Try the spends whose counter has changed, in order of arrival; the outcome of those that wait no longer."""
        outcomes: list[tuple[Write, Result]] = []
        self._over.clear()  # of a turn that failed
        for one in self._waiting:
            if not changed(one.where) and now < one.until:
                continue
            try:
                outcomes.append((one.write, write(drafts(one.write.keyspace), one.write)))
            except InsufficientRights as error:
                if now >= one.until:
                    outcomes.append((one.write, error))
            except (KeyError, ValueError, GossamerError) as error:
                outcomes.append((one.write, error))
        self._over |= {id(write) for write, _ in outcomes}
        return outcomes

    def committed(self) -> None:
        """What `settle` found stands."""
        self._waiting = self._still_waiting()
        self._over.clear()

    def abandon(self, error: StoreError) -> list[tuple[Write, Result]]:
        """The store failed: nobody waits any longer, since the next attempt may fail the same way."""
        abandoned, self._waiting = self._waiting, []
        return [(one.write, copy.copy(error)) for one in abandoned]

    def _still_waiting(self) -> list[Waiting]:
        return [one for one in self._waiting if id(one.write) not in self._over]

    # Asking, and being asked

    def ask(self, drafts: Drafts, now: float) -> None:
        """Ask linked peers for what is lacking here, if they have it."""
        if self._engine.is_departing:
            self._failed.clear()
        if self._engine.is_departing or not self._failed and not self._waiting:
            return
        wanted: dict[Where, list[int]] = {where: [amount] for where, amount in self._failed.items()}
        for one in self._still_waiting():
            wanted.setdefault(one.where, []).append(one.amount)
        self._failed.clear()
        self._asked_at = {w: at for w, at in self._asked_at.items() if now < at + limits.ASK_EVERY_S}
        for where, amounts in wanted.items():
            if now >= self._asks_at(where):
                self._ask(drafts(where[0]), where, amounts, now)
                self._asked_at[where] = now

    def _asks_at(self, where: Where) -> float:
        at = self._asked_at.get(where)
        return 0.0 if at is None else at + limits.ASK_EVERY_S

    def _ask(self, draft: Draft, where: Where, amounts: list[int], now: float) -> None:
        me = self._engine.identity.replica
        held = self._held(draft, *where)
        if held is None:
            return
        for peer, amount in rights.asks(me, rights.affordable(amounts, sum(held.values())), held).items():
            self._engine.wants.ask(peer, *where, amount)
        if self._engine.is_partial and sum(held.values()) < sum(amounts):
            self._invite(draft, where, sum(amounts) - sum(held.values()), held.keys(), now)

    def _invite(
        self, draft: Draft, where: Where, lacking: int, linked: AbstractSet[bytes], now: float
    ) -> None:
        """Have those linked who hold what the linked ones lack, the richest first: they are asked then."""
        held = self._held(draft, *where, self._engine.wants.hosts(where[0])) or {}
        for peer in sorted(held.keys() - linked, key=lambda peer: (-held[peer], peer))[: limits.GUESTS_MAX]:
            if lacking > 0 and held[peer] > 0:
                self._engine.invite(peer, now)
                lacking -= held[peer]

    def answer(self, drafts: Drafts, commit: Commit, now: float) -> None:
        """Give peers what they want, as far as it is here."""
        me = self._engine.identity.replica
        for keyspace, peer, cell_path, asked in self._engine.wants.take_due(now):
            draft = drafts(keyspace)
            held = self._held(draft, keyspace, cell_path)
            if held is None or peer not in held:
                continue
            waits = any(one.where == (keyspace, cell_path) for one in self._still_waiting())
            amount = rights.answer(me, peer, asked, held[me], waits)
            if amount > 0:
                _give(draft, cell_path, {peer: amount}, commit)

    # Evening out

    def forget(self, keyspace: str) -> None:
        """It is not hosted here any more. Spends that wait in it end with the next turn."""
        self._waiting = [
            one._replace(until=0.0) if one.where[0] == keyspace else one for one in self._waiting
        ]
        self._watched = {where: None for where in self._watched if where[0] != keyspace}
        self._evened = {where: None for where in self._evened if where[0] != keyspace}
        self._failed = {where: n for where, n in self._failed.items() if where[0] != keyspace}
        self._asked_at = {where: at for where, at in self._asked_at.items() if where[0] != keyspace}

    def watch(self, keyspace: str, cell_paths: Sequence[bytes]) -> None:
        """These counters were changed; whoever runs low of one may get some of it."""
        for cell_path in cell_paths:
            if len(self._watched) < limits.WATCHED_MAX:
                self._watched[keyspace, cell_path] = None

    def even_out(self, drafts: Drafts, commit: Commit, now: float) -> None:
        """Give to those that run low, of some of the counters that were changed."""
        if self._engine.is_departing:
            return self._give_all(drafts, commit)
        self._look_anew()
        if now < self._even_at or not self._watched:
            return
        self._even_at = now + limits.EVEN_EVERY_S
        for where in list(self._watched)[: limits.EVEN_COUNTERS]:
            del self._watched[where]
            if self._even(drafts(where[0]), where, commit):
                self._watched[where] = None  # again, behind the others
            else:
                self._evened[where] = None
                if len(self._evened) > limits.WATCHED_MAX:
                    del self._evened[next(iter(self._evened))]

    def _look_anew(self) -> None:
        """Watch again what was evened out among other hosts than there are now: one that has come has nothing yet."""
        if self._engine.registry is self._registry:
            return
        self._registry = self._engine.registry
        hosts = {name: self._engine.wants.hosts(name) for name, _ in self._evened}
        changed = {name for name in hosts if hosts[name] != self._hosts.get(name)}
        self._hosts = hosts
        for where in [where for where in self._evened if where[0] in changed]:
            del self._evened[where]
            self.watch(where[0], [where[1]])

    @property
    def is_watching(self) -> bool:
        """There are counters to be looked at."""
        return bool(self._watched)

    def _give_all(self, drafts: Drafts, commit: Commit) -> None:
        """Give away what is here of some of the counters; a gift changes its counter, so that is looked at again."""
        me = self._engine.identity.replica
        for where in list(self._watched)[: limits.EVEN_COUNTERS]:
            held = self._held(drafts(where[0]), *where)
            if held is None:
                continue  # not whole, or damaged: it has to be mended first
            del self._watched[where]
            heirs = held.keys() - {me} or self._staying(where[0])
            _give(drafts(where[0]), where[1], rights.legacy(me, held, heirs), commit)

    def _staying(self, keyspace: str) -> set[bytes]:
        """Members that may spend in a keyspace, linked or not, and are not leaving it."""
        members = self._engine.registry.remaining
        return {m.replica for m in members if keyspace in m.keyspaces - m.leaving - m.read_only}

    def _even(self, draft: Draft, where: Where, commit: Commit) -> bool:
        """Give what should be given of one counter; whether it must be looked at again though nothing changes."""
        me = self._engine.identity.replica
        held = self._held(draft, *where)
        if held is not None:
            _give(draft, where[1], rights.gifts(me, held), commit)
        return held is None or not held.keys() >= self._engine.wants.hosts(where[0])

    def _held(
        self, draft: Draft, keyspace: str, cell_path: bytes, others: AbstractSet[bytes] | None = None
    ) -> dict[bytes, int] | None:
        """What this node and its linked peers, or others, may spend; None while what is known here is not whole."""
        if not draft.state.is_whole:
            return None
        try:
            cell: Cell = draft.cell(cell_path)
        except GossamerError:  # damaged: nothing is known
            return None
        others = self._engine.wants.partners(keyspace) if others is None else others
        holders = {self._engine.identity.replica} | others
        delivered = draft.state.delivered
        return rights.holdings(cell, {h: self.estate(keyspace, h, delivered) for h in holders})


def _give(draft: Draft, cell_path: bytes, gifts: Mapping[bytes, int], commit: Commit) -> None:
    ops = [Op(cell_path, "transfer", (to, counter_bounded.amount(n)), ()) for to, n in gifts.items()]
    if ops:
        with suppress(
            ValueError, GossamerError
        ):  # an account that is full, say: no reason for the turn to fail
            commit(draft, ops)
