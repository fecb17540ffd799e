"""Random schedules of bounded counters: minted, spent, transferred and waited for, under every fault there is.

The oracle is told each event at the moment its node commits it, those that nodes make by themselves too (rights that are
given, sweeps), and judges it by the events that the node had. After every event, of every node and of all together:
what was spent is no more than what was minted, what a node may spend is what its events say and never below 0, and no
two nodes hold the same rights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gossamer.backend import CLEAR, Op, make_op
from gossamer.crdt import EMPTY, Cell, Dot, Vector, counter_bounded, path
from gossamer.errors import InsufficientRights
from gossamer.own_events import OwnEvents
from gossamer.replica import Replica
from gossamer.replication import limits
from gossamer.simulation import SimulatedNode
from gossamer.store import Draft
from gossamer.turns import Instant, Kept, Result, Write

from .heirs import HeirSchedule
from .invariants import KEYSPACE, Invariants
from .oracle import SPECS, Did
from .schedule import CELLS, ORACLE_OP, PATHS, Action, Outcome

STOCKS = {text: path.of_text(text) for text in ("bounded_counter:n", "map:p/bounded_counter:n")}
MOVES = "moves"
"""The oracle's one operation: what an event did to a counter, as ``((method, args), …)``."""
DRAWN = {
    "EVEN_EVERY_S": (0.05, 0.3, 1.0),
    "ASK_EVERY_S": (0.02, 0.1),
    "GIVE_EVERY_S": (0.005, 0.02),
    "EVEN_COUNTERS": (1, 500),
}
Moves = tuple[str, tuple[Any, ...]]


def moves(history: Iterable[Did]) -> list[tuple[bytes, str, tuple[Any, ...]]]:
    """Who did what."""
    return [(did.dot[0], method, args) for did in history for method, args in did.arg]


def total(history: Iterable[Did]) -> int:
    """All minted less all spent."""
    sign = {"mint": 1, "spend": -1, "transfer": 0}
    return sum(sign[method] * args[-1] for _, method, args in moves(history))


def rights(history: Iterable[Did], holder: Iterable[bytes]) -> int:
    """What the replica ids of one holder may spend."""
    ids, held = set(holder), 0
    for replica, method, args in moves(history):
        if replica in ids:
            held += args[-1] if method == "mint" else -args[-1]
        if method == "transfer" and args[0] in ids:
            held += args[1]
    return held


SPECS["bounded_counter"] = total


class Bounded(HeirSchedule):
    """Stocks, with what else there is around them, and members who come, go and inherit."""

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
        self.invariants = BoundedInvariants(self)
        self.cluster.after_event = self._after_event
        self.waiting: list[tuple[SimulatedNode, Replica, Write, float]] = []

    def work(self) -> list[Action]:
        return [
            (self.write, 4),
            (self.mint, 4),
            (self.spend, 12),
            (self.spend_waiting, 5),
            (self.transfer, 3),
            (self.transact, 3),
            (self.clear, 1),
            (self.kill, 1),
            (self.forget_member, 2),
            (self.confirm_dead, 2),
            (self.new_identity, 1),
            (self.name_another, 1),
        ]

    def _after_event(self, node: SimulatedNode) -> None:
        self.invariants.check(node)
        self.check_heirs(node)

    def run(self) -> Outcome:
        honest = OwnEvents.commit
        kept = {name: getattr(limits, name) for name in DRAWN}

        def commit(
            own: OwnEvents, draft: Draft, ops: Sequence[Op], now: Instant, *, is_gift: bool = False
        ) -> Dot | None:
            before = draft.state.delivered.copy()
            dot = honest(own, draft, ops, now, is_gift=is_gift)
            if dot is not None and draft.tables.name == KEYSPACE:
                self.record(own, draft, dot, ops, before, now)
            return dot

        try:
            OwnEvents.commit = commit  # type: ignore[assignment, method-assign]  # until the end of this run
            for name, choices in DRAWN.items():
                setattr(limits, name, self.rng.choice(choices))
            return super().run()
        finally:
            OwnEvents.commit = honest  # type: ignore[method-assign]
            for name, number in kept.items():
                setattr(limits, name, number)

    # What happened

    def record(
        self, own: OwnEvents, draft: Draft, dot: Dot, ops: Sequence[Op], before: Vector, now: Instant
    ) -> None:
        """An event was made; judged by what its node had."""
        estate = own._rights.estate(KEYSPACE, dot[0], before)
        writes: dict[bytes, tuple[str, Any]] = {}
        for op in ops:
            kind = path.kind_of(op.path)
            if op.method == CLEAR:
                under = [at for at in PATHS.values() if at.startswith(op.path)]
                writes |= {at: ("remove", None) for at in under if dot in set(draft.cell(at).dots())}
                continue
            if dot not in set(draft.cell(op.path).dots()):
                continue
            if kind != "bounded_counter":
                writes[op.path] = ORACLE_OP.get((kind, op.method), op.method), (op.raw[0] if op.raw else None)
                continue
            done: tuple[Moves, ...] = writes.get(op.path, (MOVES, ()))[1]
            if op.method != "mint":
                so_far = Did(dot, MOVES, done, 0, {})
                held = rights([*self.oracle.visible(op.path, before), so_far], estate)
                assert op.args[-1] <= held, f"{own._engine.identity.name} had rights to {held}: {op}"
            writes[op.path] = MOVES, (*done, (op.method, op.args))
        self.oracle.record(dot, writes, before, now.wall)

    def check_all(self) -> None:
        """Of all the events that there ever were and are not lost with a node that was forgotten."""
        for at in STOCKS.values():
            assert total(self._not_lost(at)) >= 0, "oversold"
        seen: set[bytes] = set()
        for node in self.any_holder():
            estate = set(node.core.estate(KEYSPACE))
            assert not seen & estate, f"{node} and another one both hold the rights of {seen & estate}"
            seen |= estate

    def any_holder(self) -> list[SimulatedNode]:
        """The nodes that may spend."""
        return self.alive()

    def _not_lost(self, at: bytes) -> list[Did]:
        """What the forgotten told nobody is gone; of the others every event counts, whoever has seen it."""
        gone: set[bytes] = set()
        known = Vector()
        for node in self.cluster.nodes:
            if node.name in self.forgotten:
                replica, old = node._identity
                gone |= {replica, *old}
        for (name, _), delivered in self.invariants._delivered.items():
            if name not in self.forgotten:
                known.update(delivered)
        tops = self.oracle.tops(at, known)
        history = self.oracle.by_path.get(at, ())
        return [d for d in history if d.dot[0] not in gone or d.dot[1] <= tops.get(d.dot[0], 0)]

    # What is asked for

    def _commit(self, node: SimulatedNode, ops: list[Op], *, dies: bool = False) -> None:
        if not self.may_write(node):
            self.outcome.count("write while catching up")
            return
        result = self._give(node, Write(KEYSPACE, ops), dies=dies)
        assert result is None or isinstance(result, tuple | InsufficientRights), result

    def _give(self, node: SimulatedNode, write: Write, *, dies: bool = False) -> Result:
        index, core = self.cluster.nodes.index(node), node.core
        self.cluster.skew.setdefault(index, self.rng.choice((0.0, 0.0, -5.0, 3600.0)))
        before = core.state(KEYSPACE).delivered
        (result,) = core.turn([write], node._clock())
        texts = ", ".join(f"{path.to_text(op.path)}.{op.method}{op.args}" for op in write.ops)
        self.note(f"{node.name} {texts} -> {result!r:.70}", "event" if len(write.ops) == 1 else "transaction")
        if isinstance(result, InsufficientRights):
            self._is_refused_rightly(core, write, before, result)
        if dies:
            self.cluster.kill(node)
        else:
            self.invariants.check(node)
            node.flush()
            self.cluster._schedule(index)
        return result

    def _is_refused_rightly(
        self, core: Replica, write: Write, before: Vector, refusal: InsufficientRights
    ) -> None:
        self.outcome.count("refused")
        first = write.ops[0]  # the only one that wants rights
        estate = core._rights.estate(KEYSPACE, core.replica, before)
        held = rights(self.oracle.visible(first.path, before), estate)
        assert first.args[-1] > held == refusal.available, f"refused, with rights to {held}: {first}"

    def _stock(self) -> bytes:
        return self.rng.choice(list(STOCKS.values()))

    def _spend(self) -> Op:
        return make_op(self._stock(), "spend", (self.rng.choice((1, 1, 2, 3, 8)),))

    def _any_op(self) -> Op:
        return self._spend() if self.rng.random() < 0.5 else super()._any_op()

    def mint(self) -> None:
        node = self.any_alive()
        if node is not None:
            self._commit(node, [make_op(self._stock(), "mint", (self.rng.choice((1, 3, 10)),))])

    def spend(self) -> None:
        node = self.any_alive()
        if node is not None:
            self._commit(node, [self._spend()])

    def spend_waiting(self) -> None:
        node = self.any_alive()
        if node is None or not self.may_write(node):
            return
        write = Write(KEYSPACE, [self._spend()], self.rng.choice((0.05, 0.3, 1.0)))
        if isinstance(self._give(node, write), Kept):
            self.waiting.append((node, node.core, write, self.cluster.clock.now + write.wait))
            self.outcome.count("waiting")

    def transfer(self) -> None:
        node = self.any_alive()
        if node is None:
            return
        members = [m for m in node.core.engine.registry.remaining if KEYSPACE in m.keyspaces]
        if members:
            to = self.rng.choice(sorted(members, key=lambda m: m.name)).name
            receiver = node.core.estate(KEYSPACE, to)[0]
            op = make_op(self._stock(), "transfer", (receiver, self.rng.choice((1, 3))))
            self._commit(node, [op])
            self.outcome.count("transfer")

    def transact(self) -> None:
        node = self.any_alive()
        if node is not None:
            texts = self.rng.sample(CELLS, self.rng.randint(1, 3))
            self._commit(node, [self._spend(), *(self._op(text) for text in texts)])

    def clear(self) -> None:
        """Of a map with a stock in it: not a cell of it may go."""
        node = self.any_alive()
        if node is None or not self.may_write(node):
            return
        before = node.core.state(KEYSPACE).delivered
        write = Write(KEYSPACE, [make_op(path.of_text("map:p"), CLEAR)])
        is_there = bool(self.oracle.visible(STOCKS["map:p/bounded_counter:n"], before))
        result = self._give(node, write)
        assert isinstance(result, ValueError) == is_there, result
        self.outcome.count("clear refused" if is_there else "clear")

    # The end

    def check_end(self) -> None:
        """Who waited was told. Nothing moves any more. What an old id had is its heir's, and can be spent to the last."""
        self.cluster.advance(10)  # old ids are sealed by now, if they ever are, and rights evened out
        super().check_end()
        for node, core, write, until in self.waiting:
            if node.is_alive and node.core is core:
                assert id(write) in node.settled, (
                    f"{node} waits since {until - write.wait:.3f} s: {write.ops}"
                )
                got = not isinstance(node.settled[id(write)], Exception)
                self.outcome.count("waited and got it" if got else "waited in vain")
        self.cluster.settle()
        events = self._events()
        self.cluster.advance(10)
        assert self._events() == events, "rights go on moving, though nothing happens"
        self._heirs_have_all()
        for node in self.alive():
            for at in STOCKS.values():
                held = counter_bounded.rights(node.core.cell(KEYSPACE, at), node.core.estate(KEYSPACE))
                if held:
                    self._commit(node, [make_op(at, "spend", (held,))])
        self.cluster.settle()

    def _events(self) -> list[int]:
        return [node.core.state(KEYSPACE).delivered.count() for node in self.alive()]

    def _heirs_have_all(self) -> None:
        """Now that all is everywhere, a closed id belongs to the node that its heirs lead to; the others to nobody."""
        owners = {node.core.replica: set(node.core.estate(KEYSPACE)) for node in self.alive()}
        registry = self.alive()[0].core.engine.registry
        for replica in {i for m in registry.members.values() for i in m.ids}:
            last = replica
            while (heir := registry.heir(last)) is not None:
                last = heir
            for owner, estate in owners.items():
                assert (replica in estate) == (owner == last), f"{replica.hex()} is not {last.hex()}'s"
            if replica != last:
                self.outcome.count("inherited" if last in owners else "inherited by one who is away")
            elif replica not in owners:
                self.outcome.count("locked")


class BoundedInvariants(Invariants):
    """The others, and that nothing is oversold."""

    def __init__(self, schedule: Bounded) -> None:
        super().__init__(schedule.oracle)
        self._schedule = schedule
        self._ever: dict[str, set[bytes]] = {}
        """Every id that a node ever held the rights of."""

    def _record_sweeps(self, node: SimulatedNode, view: Any) -> None:
        """They were recorded as they were made."""

    def _values(self, node: SimulatedNode, stored: dict[bytes, Cell]) -> None:
        super()._values(node, stored)
        delivered, estate = node.core.state(KEYSPACE).delivered, node.core.estate(KEYSPACE)
        # While its registry is not whole, a node counts none of what it has inherited, and may have spent some of it.
        ever = self._ever.setdefault(node.name, set())
        ever |= {*estate}
        for at in STOCKS.values():
            seen, cell = self.oracle.visible(at, delivered), stored.get(at, EMPTY)
            assert counter_bounded.total(cell) == total(seen) >= 0, f"{node} is oversold: {total(seen)}"
            held = counter_bounded.rights(cell, estate)
            assert held == rights(seen, estate), f"{node} may spend {held}, not {rights(seen, estate)}"
            assert rights(seen, ever) >= 0, f"{node} has spent what it had no rights to"
        self._schedule.check_all()
