"""A random schedule: writes and faults at a small cluster, decided by one seed, watched by the invariants.

Each seed draws its own mix of faults and its own limits (swarm testing: a mix that leaves something out finds
what the full mix hides), so that exchanges break into many batches and collection runs at any moment.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gossamer.backend import CLEAR, Op, make_op
from gossamer.crdt import Cell, Dot, path
from gossamer.replication import limits, registry
from gossamer.simulation import CALM, Cluster, SimulatedNode, Weather
from gossamer.store import Store
from gossamer.turns import Kept, Settle, Update, Write

from .invariants import KEYSPACE, Invariants
from .oracle import Oracle

CELLS = (
    "register:r",
    "mv_register:v",
    "flag:f",
    "flag_dw:d",
    "counter:c",
    "set:s/str:x",
    "set:s/int:1",
    "set_rw:w/str:x",
    "max_register:m",
    "map:p/counter:c",
    "map:p/register:r",
)
PATHS = {text: path.of_text(text) for text in CELLS}
CONTAINERS = ("set:s", "map:p")
METHODS: dict[str, tuple[str, ...]] = {
    "register": ("set", "set", "remove"),
    "mv_register": ("set", "set", "remove"),
    "flag": ("enable", "disable"),
    "flag_dw": ("enable", "disable"),
    "counter": ("add", "add", "reset"),
    "set": ("add", "add", "remove"),
    "set_rw": ("add", "add", "discard"),
    "max_register": ("set", "set", "remove"),
}
ORACLE_OP = {("flag", "disable"): "remove"}

LENGTHS = (6, 8, 10, 10, 12, 12, 16, 20, 28, 40)
"""Steps of a schedule. Mostly few: what most bugs need; some need many."""
SMALL = (2, 2, 2, 3, 3, 3, 3, 4)
"""Nodes at the beginning; two or three are enough for most bugs, and ``join`` adds to them."""
END_S = 120.0
"""Simulated seconds after the last fault within which all must be equal."""

Action = tuple[Callable[[], None], int]
"""Something that may happen, and how often beside the others."""


@dataclass
class Outcome:
    """What one schedule did: for "sometimes" checks, and to compare two runs of a seed."""

    seed: int
    steps: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    trace: int = 0

    def count(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1


@contextmanager
def drawn_limits(rng: random.Random, silence_s: float) -> Iterator[None]:
    """Limits of this seed: mostly so small that everything happens in parts."""
    drawn: dict[str, Any] = {
        "BATCH_BYTES_TARGET": rng.choice((1, 1, 60, 200, 128 * 1024)),
        "BATCH_BYTES_MAX": rng.choice((1, 100, 4 * 1024 * 1024, 4 * 1024 * 1024)),
        "WINDOW_BATCHES": rng.choice((1, 2, 32)),
        "COLLECT_EVERY_S": rng.choice((0.1, 0.4, 1.0)),
        "COLLECT_ROWS": rng.choice((1, 3, 500)),
        "TELL_AFTER_S": rng.choice((0.005, 0.05)),
        "FORWARD_AFTER_S": rng.choice((0.01, 0.25)),
        "DIGEST_EVERY_S": rng.choice((0.3, 2.0)),
        "SILENCE_S": silence_s,
        "ORPHAN_S": 3.0,
    }
    kept = {name: getattr(limits, name) for name in drawn}
    try:
        for name, value in drawn.items():
            setattr(limits, name, value)
        yield
    finally:
        for name, value in kept.items():
            setattr(limits, name, value)


class Step(NamedTuple):
    """One step as it was drawn. What it chooses further depends on this alone, so any part of a schedule can be replayed."""

    action: int
    """Which of the schedule's actions."""
    chance: Any
    """The random stream's state when the action began."""


class Schedule:
    """One run of one seed."""

    silence_s = 3.0
    """Seconds after which an old replica id is sealed."""
    keyspace = KEYSPACE
    """The one that is written and looked at; a schedule of another kind has several."""

    def __init__(self, seed: int, steps: int | None = None) -> None:
        """Of ``steps`` steps; None: as many as the seed draws, and then of a small cluster mostly."""
        self.outcome = Outcome(seed)
        self.rng = random.Random(seed)
        sizes: tuple[int, ...] = (2, 3, 3, 4)
        if steps is None:
            steps, sizes = self.rng.choice(LENGTHS), SMALL
        self.steps = steps
        self.cluster = Cluster(self.rng.choice(sizes), seed=seed)
        self.founders = len(self.cluster.nodes)
        self.oracle = Oracle()
        self.invariants = Invariants(self.oracle)
        self.cluster.after_event = self.invariants.check
        self.drawn: list[Step] = []
        self.replayed: Sequence[Step] | None = None
        """Steps to take in place of the seed's own."""
        self.removed: set[str] = set()
        self.forgotten: set[str] = set()
        faults: list[Action] = [
            (self.partition, 3),
            (self.heal, 3),
            (self.kill, 2),
            (self.restart, 3),
            (self.kill_before_sending, 1),
            (self.new_identity, 1),
            (self.storm, 2),
            (self.join, 1),
            (self.remove_member, 1),
            (self.forget_member, 1),
            (self.long_pause, 1),
        ]
        kept = [(what, weight) for what, weight in faults if self.rng.random() < 0.6]
        self.actions = [*self.work(), (self.pause, 8), *kept]

    def work(self) -> list[Action]:
        """What the nodes are asked to do, each with its weight; a schedule of another kind does more, or else."""
        return [(self.write, 12), (self.transact, 5)]

    def check_end(self) -> None:
        """What a schedule of another kind demands once all nodes are equal."""

    def run(self) -> Outcome:
        """All steps, then heal and demand that all are equal, and equal to the oracle."""
        with drawn_limits(self.rng, self.silence_s), self.cluster:
            for node in self.cluster.nodes:
                node.flush()
            for step in self._draw() if self.replayed is None else self.replayed:
                self.rng.setstate(step.chance)
                self.actions[step.action][0]()
            self._finish()
            self.outcome.trace = hash(
                tuple(n.core.state(KEYSPACE).digest for n in self.alive() if n.core.hosts(KEYSPACE))
                + tuple(self.outcome.steps)
            )
        return self.outcome

    def _draw(self) -> Iterator[Step]:
        """The seed's own steps, as they come; kept in ``drawn``."""
        weights = [weight for _, weight in self.actions]
        for _ in range(self.steps):
            (action,) = self.rng.choices(range(len(weights)), weights)
            self.drawn.append(Step(action, self.rng.getstate()))
            yield self.drawn[-1]

    def note(self, step: str, kind: str) -> None:
        self.outcome.steps.append(f"{self.cluster.clock.now:.3f} {step}")
        self.outcome.count(kind)

    def alive(self) -> list[SimulatedNode]:
        return [node for node in self.cluster.nodes if node.is_alive]

    def any_alive(self) -> SimulatedNode | None:
        alive = self.alive()
        return self.rng.choice(alive) if alive else None

    # Writes

    def write(self) -> None:
        node = self.any_alive()
        if node is not None:
            self._commit(node, [self._any_op()])

    def transact(self) -> None:
        node = self.any_alive()
        if node is None:
            return
        if self.rng.random() < 0.25:
            container = self.rng.choice(CONTAINERS)
            self._commit(node, [make_op(path.of_text(container), CLEAR)])
        else:
            texts = self.rng.sample(CELLS, self.rng.randint(2, 4))
            self._commit(node, [self._op(text) for text in texts])

    def _any_op(self) -> Op:
        return self._op(self.rng.choice(CELLS))

    def _op(self, text: str) -> Op:
        kind = path.kind_of(PATHS[text])
        method = self.rng.choice(METHODS[kind])
        args: tuple[Any, ...] = ()
        if method == "set":
            args = (self.rng.randint(0, 9),)
        elif (kind, method) == ("counter", "add"):
            args = (self.rng.choice((-2, -1, 1, 2, 3, 10**20)),)
        return make_op(PATHS[text], method, args)

    def _commit(self, node: SimulatedNode, ops: list[Op], *, dies: bool = False) -> None:
        if not self.may_write(node):
            self.outcome.count("write while catching up")
            return
        before, index = node.core.state(self.keyspace).delivered, self.cluster.nodes.index(node)
        self.cluster.skew.setdefault(index, self.rng.choice((0.0, 0.0, -5.0, 3600.0)))
        now = node._clock().wall
        store = node.core.store
        dot: Dot | None = None
        touched: dict[bytes, tuple[str, Any]] = {}
        replica = node.core.replica
        (result,) = node.core.turn([self.as_input(ops)], node._clock())
        assert not isinstance(result, Exception | Kept), result
        dot = result
        if dot is not None:
            assert dot == (replica, before.last(replica) + 1)
            for cell_path in PATHS.values():
                if dot in set(self.look(store, cell_path).dots()):
                    touched[cell_path] = self._as_recorded(cell_path, ops)
            self.oracle.record(dot, touched, before, now)
        texts = ", ".join(f"{path.to_text(op.path)}.{op.method}{op.raw}" for op in ops)
        self.note(f"{node.name} {texts} -> {dot and dot[1]}", "event" if len(ops) == 1 else "transaction")
        if dies:
            self.cluster.kill(node)
        else:
            if node.core.hosts(self.keyspace):  # one that leaves it may have let go of it in that very turn
                self.invariants.check(node)
            node.flush()
            if node.is_alive:
                self.cluster._schedule(index)

    def look(self, store: Store, cell_path: bytes) -> Cell:
        """A stored cell."""
        return store.cell(self.keyspace, cell_path)

    def may_write(self, node: SimulatedNode) -> bool:
        """What a writer that is catching up sees is more than its vector says, which the oracle cannot follow; and
        before a joiner has met the others, they may have collected an *off* that its *on* is concurrent with."""
        is_founder = self.cluster.nodes.index(node) < self.founders
        is_unmet = bool(node.core.engine.unmet()) and not is_founder
        return node.core.state(self.keyspace).is_whole and not is_unmet

    def as_input(self, ops: list[Op]) -> Write | Update | Settle:
        """How the writes are given to a node; a schedule of another kind has other ways."""
        return Write(self.keyspace, ops)

    def _as_recorded(self, cell_path: bytes, ops: list[Op]) -> tuple[str, Any]:
        kind = path.kind_of(cell_path)
        for op in ops:
            if op.path == cell_path:
                return ORACLE_OP.get((kind, op.method), op.method), (op.raw[0] if op.raw else None)
        return "remove", None

    # Faults

    def pause(self) -> None:
        seconds = self.rng.choice((0.001, 0.004, 0.02, 0.1, 0.5))
        self.note(f"{seconds} s pass", "pause")
        self.cluster.advance(seconds)

    def long_pause(self) -> None:
        self.note("6 s pass", "long pause")
        self.cluster.advance(6.0)

    def partition(self) -> None:
        nodes = list(self.cluster.nodes)
        self.rng.shuffle(nodes)
        at = self.rng.randint(1, len(nodes) - 1)
        self.note(f"cut {[n.name for n in nodes[:at]]} from {[n.name for n in nodes[at:]]}", "partition")
        self.cluster.partition(nodes[:at], nodes[at:])

    def heal(self) -> None:
        self.note("heal", "heal")
        self.cluster.heal()

    def storm(self) -> None:
        weather = Weather(
            delay=self.rng.choice(((0.001, 0.01), (0.01, 0.5))),
            loss=self.rng.choice((0.0, 0.02, 0.2)),
            repeat=self.rng.choice((0.0, 0.3)),
            reorder=self.rng.choice((0.0, 0.2)),
        )
        self.note(f"weather {weather}", "storm")
        self.cluster.weather(weather)

    def kill(self) -> None:
        node = self.any_alive()
        if node is not None and len(self.alive()) > 1:
            self.note(f"kill {node.name}", "kill")
            self.cluster.kill(node)

    def kill_before_sending(self) -> None:
        node = self.any_alive()
        if node is not None and len(self.alive()) > 1:
            self.outcome.count("kill before sending")
            self._commit(node, [self._any_op()], dies=True)

    def restart(self) -> None:
        down = [n for n in self.cluster.nodes if not n.is_alive and n.name not in self.forgotten]
        if down:
            node = self.rng.choice(down)
            self.note(f"restart {node.name}", "restart")
            self.cluster.restart(node)

    def new_identity(self) -> None:
        node = self.any_alive()
        if node is not None:
            self.note(f"{node.name} takes a new identity", "new identity")
            self.cluster.kill(node)
            node.take_new_identity()
            self.cluster.restart(node)

    def join(self) -> None:
        if len(self.cluster.nodes) < 5:
            self.note(f"n{len(self.cluster.nodes)} joins", "join")
            self.cluster.add()

    def remove_member(self) -> None:
        """An operator takes a member, up or down, out of stability; it comes back when it is heard again."""
        node, gone = self.any_alive(), self.rng.choice(self.cluster.nodes)
        if node is None or gone is node or gone.name not in node.core.engine.registry.members:
            return
        self.note(f"{node.name} removes {gone.name}", "remove member")
        self._system(node, registry.remove_ops(gone.name))

    def forget_member(self) -> None:
        """An operator forgets, for good, a member that is down."""
        node = self.any_alive()
        down = [n for n in self.cluster.nodes if not n.is_alive and n.name not in self.forgotten]
        if node is None or not down or len(self.cluster.nodes) - len(self.forgotten) < 3:
            return
        gone = self.rng.choice(down)
        member = node.core.engine.registry.members.get(gone.name)
        if member is None or not member.ids:
            return
        if any(n.name not in node.core.engine.registry.members for n in self.alive()):
            self.outcome.count("forgetting before all are known")
            return  # one who knew only the member that is gone may hold what the others give up: not to be done
        self.note(f"{node.name} forgets {gone.name}", "forget member")
        self.forgotten.add(gone.name)
        self._system(node, registry.forget_ops(member))

    def _system(self, node: SimulatedNode, ops: list[Op]) -> None:
        node.write(registry.SYSTEM, ops)
        self.cluster._schedule(self.cluster.nodes.index(node))

    def _is_collected(self, node: SimulatedNode) -> None:
        """With nobody away, what is stable leaves no row, but for cells that wait to be swept."""
        state = node.core.state(self.keyspace)
        engine = node.core.engine
        if (
            not engine.duties.collectable(state, self.keyspace).covers(state.delivered)
            or engine.duties.may_return()
        ):
            self.outcome.count("collection held back")
            return
        with node.core.store.snapshot() as views:
            cells = [cell for _, cell in views(self.keyspace).cells(b"")]
        waits = any(cell.live and cell.says_nothing for cell in cells)
        rows = node.core.store.count(self.keyspace)[1]
        assert waits or rows == 0, f"{node} keeps {rows} rows of stable events"
        self.outcome.count("collected")

    def _finish(self) -> None:
        self.note("the end: heal, restart, settle", "end")
        self.cluster.heal()
        self.cluster.network.weather = CALM
        for node in self.cluster.nodes:
            if not node.is_alive and node.name not in self.forgotten:
                self.cluster.restart(node)
        took = self.cluster.settle(END_S)
        self.outcome.count("settled at once" if took == 0 else "settled")
        for node in self.alive():
            self.invariants.check(node)
        for _ in range(60):
            self.cluster.advance(0.2)
            if not any(node.core.store.count(self.keyspace)[1] for node in self.alive()):
                break
        for node in self.alive():
            self._is_collected(node)
        self.check_end()
        self.outcome.seen["checks"] = self.invariants.checks
        self.outcome.seen["sweeps"] = self.invariants.sweeps
        self.outcome.seen["checks while not ready"] = self.invariants.unready
        self.outcome.seen["checks while not whole"] = self.invariants.said_so
        self.outcome.seen["checks while behind"] = self.invariants.served_behind


class Long(Schedule):
    """As many steps in every seed: what needs a long history."""

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
