"""Random schedules of what expires: renewals, removals and sweeps under faults, with a clock that is wrong.

The oracle is a function of the events and of the time. A sweep is an event that the node made by itself; the oracle
judges each by the clocks: what the sweeper had written itself must have expired by its own clock, and what another
one had written must have expired, a grace time ago, by a clock that is right. One clock of the cluster is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gossamer.backend import CLEAR, EXPIRE, PERSIST, Op, make_op
from gossamer.crdt import TYPES, Cell, Vector, expiry, path
from gossamer.crdt import cell as cells
from gossamer.replication import limits
from gossamer.simulation import SimulatedNode
from gossamer.store import View
from gossamer.turns import Write

from .invariants import KEYSPACE, Invariants
from .oracle import Oracle
from .schedule import Action, Schedule

CELLS = (
    "register:r",
    "register:q",
    "mv_register:v",
    "flag:f",
    "flag_dw:d",
    "set:s/str:x",
    "set_rw:w/str:x",
    "map:p/register:r",
    "map:p/set:s/int:1",
)
PATHS = {text: path.of_text(text) for text in CELLS}
MAP = path.of_text("map:p")
ADDS = {"register": "set", "mv_register": "set", "flag": "enable", "flag_dw": "enable"}
OFF = {"flag_dw": "disable", "set_rw": "discard"}
NEVER = 2**62
TTLS_S = (0.02, 0.1, 0.4, 1.0, 3.0)
SKEWS_S = (0.0, -1.0, 1.0, 5.0, -5.0)


@dataclass(frozen=True)
class Wrote:
    """One write of one event to one cell, as its writer made it."""

    dot: tuple[bytes, int]
    op: str
    value: Any
    stamp: int
    until: int
    seen: dict[bytes, int]
    swept: frozenset[tuple[bytes, int]] = frozenset()
    """Of a sweep: the writes that it superseded, and no others."""

    @property
    def rank(self) -> tuple[int, int, bytes]:
        return self.stamp, self.until, self.dot[0]

    def supersedes(self, other: Wrote) -> bool:
        has_seen = other.dot[1] <= self.seen.get(other.dot[0], 0)
        return has_seen and (self.op != "sweep" or other.dot in self.swept)


def live(kind: str, history: list[Wrote]) -> list[Wrote]:
    """The writes that left an entry, and that nothing has superseded."""
    entries = (ADDS.get(kind, "add"), "expire", "persist", OFF.get(kind))
    return [w for w in history if w.op in entries and not any(o.supersedes(w) for o in history if o is not w)]


def value(kind: str, history: list[Wrote], now: int) -> Any:
    """What a reader at ``now`` sees of a cell with this history."""
    standing = live(kind, history)
    shown = [w for w in standing if w.until > now]
    if kind == "register":
        best = max(standing, key=lambda w: w.rank, default=None)
        return best.value if best is not None and best.until > now else None
    if kind == "mv_register":
        return sorted({item for w in shown for item in w.value})
    return bool(shown) and not any(w.op == OFF.get(kind) for w in standing)


def read(kind: str, cell: Cell, now: int) -> Any:
    """What the node's own code shows at ``now``."""
    return TYPES[kind].value(TYPES[kind].at(cell, now))


class TimedOracle(Oracle):
    """Every event there ever was, and what it meant when it was made."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: dict[bytes, list[Wrote]] = {}

    def history(self, cell_path: bytes, delivered: Vector) -> list[Wrote]:
        """What a node with that vector has of a cell."""
        tops = self.tops(cell_path, delivered)
        return [w for w in self.writes.get(cell_path, ()) if w.dot[1] <= tops.get(w.dot[0], 0)]

    def note(self, dot: tuple[bytes, int], writes: dict[bytes, Op], before: Vector, now: int) -> None:
        """An event happened at a node whose vector was ``before``, by whose clock it was ``now``."""
        for cell_path, op in writes.items():
            kind, known = path.kind_of(cell_path), self.history(cell_path, before)
            standing = live(kind, known)
            renews = op.method in ("expire", "persist")
            best = max(standing, key=lambda w: w.rank, default=None)
            terms = [arg for arg in op.args if type(arg) is tuple and arg[0] in ("ttl", "at")]
            until = NEVER if not terms else terms[0][1] + (now if terms[0][0] == "ttl" else 0)
            stamp = max([now, *(w.stamp + 1 for w in standing)])
            found: Any = op.raw[0] if op.method == "set" else None
            if kind == "mv_register":
                found = value(kind, known, now) if renews else [found]
            elif kind == "register" and renews:
                assert best is not None
                stamp, found = best.stamp, best.value
            self.add(cell_path, Wrote(dot, op.method, found, stamp, until, self.tops(cell_path, before)))
        self.record(dot, {p: (op.method, None) for p, op in writes.items()}, before, now)

    def add(self, cell_path: bytes, wrote: Wrote) -> None:
        self.writes.setdefault(cell_path, []).append(wrote)


class TimedInvariants(Invariants):
    """The same ones, with values that depend on the time, and the rules of sweeping."""

    def __init__(self, oracle: TimedOracle, schedule: ExpirySchedule) -> None:
        super().__init__(oracle)
        self.timed, self.schedule = oracle, schedule
        self.swept_for_others = 0
        self._last: dict[str, Vector] = {}  # under whatever replica id

    def _record_sweeps(self, node: SimulatedNode, view: View) -> None:
        me = node.core.replica
        last, made = node.core.state(KEYSPACE).delivered.last(me), self.oracle.made.get(me, 0)
        before = self._last.get(node.name, Vector()).copy()
        for seq in range(made + 1, last + 1):
            if seq > 1:
                before.add(me, 1, seq - 1)  # the earlier ones of the same turn
            (cell_path,) = [p for _, p in view.event_rows((me, seq))]
            stood = live(path.kind_of(cell_path), self.timed.history(cell_path, before))
            left = {(e.replica, e.seq) for e in view.cell(cell_path).live}
            gone = [w for w in stood if w.dot not in left]
            self._may_sweep(node, cell_path, stood, gone)
            tops = self.timed.tops(cell_path, before)
            dots = frozenset(w.dot for w in gone)
            self.timed.add(cell_path, Wrote((me, seq), "sweep", None, 0, NEVER, tops, dots))
            self.oracle.record((me, seq), {cell_path: ("remove", None)}, before, 0)
            self.sweeps += 1

    def _may_sweep(
        self, node: SimulatedNode, cell_path: bytes, stood: list[Wrote], gone: list[Wrote]
    ) -> None:
        kind = path.kind_of(cell_path)
        assert gone, f"{node} swept nothing of {path.to_text(cell_path)}, where {stood} stood"
        if all(w.op == OFF.get(kind) for w in stood):
            return  # not for the time: a stable *off* is removed for everybody
        own, right = node._clock().wall, self.schedule.right_clock()
        ids = {node.core.replica, *node.core.engine.old_ids}
        others = right - int(limits.SWEEP_GRACE_S * 1e6)
        due = [w for w in gone if w.until <= (own if w.dot[0] in ids else others)]
        beaten = [w for w in gone if kind == "register" and due and w.rank < max(d.rank for d in due)]
        early = [w for w in gone if w not in due and w not in beaten]
        assert not early, (
            f"{node} swept {path.to_text(cell_path)} too early: {early}, by its clock it is {own}"
        )
        self.swept_for_others += any(w.dot[0] not in ids for w in due)

    def _values(self, node: SimulatedNode, stored: dict[bytes, Cell]) -> None:
        delivered = node.core.state(KEYSPACE).delivered
        clock = node._clock().wall
        for cell_path in self.timed.writes:
            kind, cell = path.kind_of(cell_path), stored.get(cell_path, cells.EMPTY)
            history = self.timed.history(cell_path, delivered)
            for now in (clock, clock - 300_000, clock + 300_000):
                expected, actual = value(kind, history, now), read(kind, cell, now)
                assert actual == expected, (
                    f"1, 9: {node} reads {path.to_text(cell_path)} as {actual}, its events say {expected}"
                )

    def check(self, node: SimulatedNode) -> None:
        super().check(node)
        self._last[node.name] = node.core.state(KEYSPACE).delivered
        with node.core.store.snapshot() as views:
            view = views(KEYSPACE)
            rows = set(view.expiries(b""))
            carried = {(*at, p) for p, cell in view.cells(b"") for at in expiry.carried_by(cell)}
        assert rows == carried, f"{node}: the index of expiries is not what the cells carry"


class ExpirySchedule(Schedule):
    """Few cells, short lives, much that is concurrent."""

    def __init__(self, seed: int, steps: int = 60) -> None:
        super().__init__(seed, steps)
        self.oracle = timed = TimedOracle()
        self.timed = timed
        self.invariants = self.watch = TimedInvariants(timed, self)
        self.cluster.after_event = self.invariants.check
        wrong = self.rng.randrange(5)
        self.cluster.skew = {i: self.rng.choice(SKEWS_S) if i == wrong else 0.0 for i in range(5)}
        self.limits = {
            "SWEEP_EVERY_S": self.rng.choice((0.05, 0.3, 1.0)),
            "SWEEP_ROWS": self.rng.choice((1, 2, 200)),
            "SWEEP_GRACE_S": self.rng.choice((0.2, 2.0)),
            "SWEEP_SPREAD_S": self.rng.choice((0.0, 1.0)),
        }

    def right_clock(self) -> int:
        return int((1_700_000_000 + self.cluster.clock.now) * 1e6)

    def work(self) -> list[Action]:
        return [(self.write, 14), (self.transact, 4), (self.some_time, 5)]

    def run(self) -> Any:
        with _limits(self.limits):
            return super().run()

    def some_time(self) -> None:
        seconds = self.rng.choice((0.05, 0.3, 1.0, 2.0))
        self.note(f"{seconds} s pass", "pause")
        self.cluster.advance(seconds)

    def transact(self) -> None:
        node = self.any_alive()
        if node is None:
            return
        match self.rng.randrange(5):
            case 0:
                self._commit(node, [make_op(MAP, CLEAR)])
            case 1 | 2:
                self._commit(node, [make_op(MAP, EXPIRE, [self._term()])])
            case 3:
                self._commit(node, [make_op(MAP, PERSIST)])
            case _:
                texts = self.rng.sample(CELLS, self.rng.randint(2, 4))
                self._commit(node, [self._op(text) for text in texts])

    def _any_op(self) -> Op:
        return self._op(self.rng.choice(CELLS))

    def _op(self, text: str) -> Op:
        kind = path.kind_of(PATHS[text])
        adds = ADDS.get(kind, "add")
        takes = {"register": "remove", "mv_register": "remove", "flag": "disable", "set": "discard"}
        method = self.rng.choice(
            (adds, adds, adds, "expire", "expire", "persist", takes.get(kind, OFF.get(kind, "")))
        )
        raw: tuple[Any, ...] = ()
        if method == "set":
            raw = (self.rng.randint(0, 9),)
        if method == "expire" or (method == adds and self.rng.random() < 0.7):
            raw = (*raw, *((None,) if kind == "register" and method == "set" else ()), self._term())
        return make_op(PATHS[text], method, raw)

    def _term(self) -> tuple[str, int]:
        micros = int(self.rng.choice(TTLS_S) * 1e6)
        return ("ttl", micros) if self.rng.random() < 0.7 else ("at", self.right_clock() + micros)

    def _commit(self, node: SimulatedNode, ops: list[Op], *, dies: bool = False) -> None:
        if not self.may_write(node):
            self.outcome.count("write while catching up")
            return
        before, now, replica = node.core.state(KEYSPACE).delivered, node._clock().wall, node.core.replica
        (dot,) = node.core.turn([Write(KEYSPACE, ops)], node._clock())
        texts = ", ".join(f"{path.to_text(op.path)}.{op.method}{op.raw}" for op in ops)
        self.note(f"{node.name} {texts} -> {dot}", "event" if len(ops) == 1 else "transaction")
        assert not isinstance(dot, Exception), dot
        if isinstance(dot, tuple):
            assert dot == (replica, before.last(replica) + 1)
            cell_of = node.core.store.cell
            touched = [p for p in PATHS.values() if dot in set(cell_of(KEYSPACE, p).dots())]
            self.timed.note(dot, {p: _written(p, ops) for p in touched}, before, now)
        # Also before it dies: it may sweep its last word as another replica, before anything else is seen of it.
        self.invariants.check(node)
        if dies:
            self.cluster.kill(node)
            return
        node.flush()
        if node.is_alive:
            self.cluster._schedule(self.cluster.nodes.index(node))

    def _finish(self) -> None:
        self.note("heal, restart, and wait until all has expired and is swept", "end")
        self.cluster.heal()
        for node in self.cluster.nodes:
            if not node.is_alive and node.name not in self.forgotten:
                self.cluster.restart(node)
        self.cluster.settle()
        wait = max(TTLS_S) + 2 * max(SKEWS_S) + limits.SWEEP_GRACE_S + limits.SWEEP_SPREAD_S + 2.0
        self.cluster.advance(wait)
        super()._finish()

    def check_end(self) -> None:
        for node in self.alive():
            with node.core.store.snapshot() as views:
                view = views(KEYSPACE)
                left = [(replica, cell_path) for replica, _, cell_path in view.expiries(b"")]
                for replica, cell_path in left:
                    self._is_stuck(node, replica, view.cell(cell_path))
        self.outcome.seen["sweeps for others"] = self.watch.swept_for_others

    def _is_stuck(self, node: SimulatedNode, replica: bytes, cell: Cell) -> None:
        """An entry of one who is gone stays beside entries of all who are here; it is hidden, and the next write
        of any of them takes it."""
        writers = {entry.replica for entry in cell.live}
        here = {one.core.replica for one in self.alive()}
        ids = {i for one in self.alive() for i in (one.core.replica, *one.core.engine.old_ids)}
        assert replica not in ids and here <= writers, f"{node} never swept {cell}"
        self.outcome.count("left unswept")


def _written(cell_path: bytes, ops: list[Op]) -> Op:
    """What an event did to a cell: the last op that names it, or the range that it is in."""
    for op in reversed(ops):
        if op.path == cell_path:
            return op
    (op,) = ops
    methods = {CLEAR: "remove", EXPIRE: "expire", PERSIST: "persist"}
    return Op(cell_path, methods[op.method], op.args, op.raw)


@contextmanager
def _limits(drawn: dict[str, Any]) -> Iterator[None]:
    kept = {name: getattr(limits, name) for name in drawn}
    try:
        for name, number in drawn.items():
            setattr(limits, name, number)
        yield
    finally:
        for name, number in kept.items():
            setattr(limits, name, number)
