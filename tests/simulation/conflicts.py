"""Random schedules of conflicts: registers written at all nodes at once, beaten values reinstated and dismissed.

What must hold at every node after every event: each value that its events say is beaten is in its ledger, or was
pushed out of it; nothing else is; each once; and no more than the bounds allow. A reinstatement is refused exactly if
what beat the value no longer stands. At the end all nodes read the same through a resolver.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gossamer.backend import Op, make_op
from gossamer.beaten import OPEN, REINSTATED, Record
from gossamer.crdt import Dot
from gossamer.errors import VersionMismatch
from gossamer.handles import Reading
from gossamer.simulation import SimulatedNode
from gossamer.store.ledger import Bounds
from gossamer.turns import Settle, Update, Write

from .changing import REGISTERS, OverOracle
from .invariants import KEYSPACE
from .oracle import Did
from .schedule import PATHS, Action, Schedule

ALL = 10**6
AGE_S = 20.0


class Conflicts(Schedule):
    """Ledgers of every size, and what is done with what is in them."""

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
        self.oracle: OverOracle = OverOracle()
        self.invariants.oracle = self.oracle
        self.bounds = Bounds(self.rng.choice((ALL, ALL, 1, 3)), self.rng.choice((1e9, 1e9, AGE_S)))
        self.beaten: dict[str, set[tuple[bytes, Dot]]] = {}
        """Of each node: what its events have said to be beaten, at one time or another."""
        self.listed: dict[str, dict[int, Record]] = {}
        """Of each node: every note that was ever seen in its ledger."""
        self.settling: Settle | None = None
        self.cluster.after_event = self.check
        for node in self.cluster.nodes:
            self._bound(node)

    def _bound(self, node: SimulatedNode) -> None:
        node.bounds = self.bounds
        node.core.store.bound_ledgers(self.bounds)

    def work(self) -> list[Action]:
        return [*super().work(), (self.write_register, 20), (self.reinstate, 5), (self.dismiss, 2)]

    def join(self) -> None:
        known = len(self.cluster.nodes)
        super().join()
        for node in self.cluster.nodes[known:]:
            self._bound(node)

    def write_register(self) -> None:
        node = self.any_alive()
        if node is not None:
            self._commit(node, [make_op(PATHS[self.rng.choice(REGISTERS)], "set", (self.rng.randint(0, 4),))])

    def _pick(self) -> tuple[SimulatedNode, int, Record] | None:
        node = self.any_alive()
        if node is None or not self.may_write(node):
            return None
        notes = [note for note in node.core.notes(KEYSPACE, None, ALL) if note[1].state == OPEN]
        return (node, *self.rng.choice(notes)) if notes else None

    def reinstate(self) -> None:
        picked = self._pick()
        if picked is None:
            return
        node, number, record = picked
        standing = self.oracle.standing(record.path, node.core.state(KEYSPACE).delivered)
        force = self.rng.random() < 0.3
        settle = Settle(KEYSPACE, number, record.beaten.dot, "reinstate", force)
        if not force and (not standing or standing[0].dot != record.by.dot):
            (result,) = node.core.turn([settle], node._clock())
            assert isinstance(result, VersionMismatch), (
                f"{node} reinstates over what nobody has read: {result}"
            )
            self.outcome.count("not reinstated")
            return
        value = self._did(record.path, record.beaten.dot).arg
        self.settling = settle
        self._commit(node, [make_op(record.path, "set", (value,))])
        self.outcome.count("reinstated")

    def dismiss(self) -> None:
        picked = self._pick()
        if picked is not None:
            node, number, record = picked
            node.settle(KEYSPACE, number, record.beaten.dot, "dismiss", False)
            assert number not in {n for n, _ in node.notes(KEYSPACE, "", ALL, None, False)}
            self.outcome.count("dismissed")

    def as_input(self, ops: list[Op]) -> Write | Update | Settle:
        settling, self.settling = self.settling, None
        return settling or super().as_input(ops)

    # What must hold

    def check(self, node: SimulatedNode) -> None:
        """After every event at a node."""
        self.invariants.check(node)
        notes = dict(node.core.notes(KEYSPACE, None, ALL))
        assert len(notes) <= self.bounds.records, f"{node} keeps {len(notes)} notes"
        tally = node.core.store.tally(KEYSPACE)
        assert (tally.notes, tally.size) == (len(notes), sum(r.size for r in notes.values()))
        listed = self.listed.setdefault(node.name, {})
        for number, record in notes.items():
            if number not in listed:
                self._is_true(node, record)
                self.outcome.count("noted")
            if record.state == REINSTATED and listed.get(number) != record:
                self._is_again(node, record)
            listed[number] = record
        self._is_complete(node, tally.last)

    def _is_true(self, node: SimulatedNode, record: Record) -> None:
        """Both were written there, neither writer knew of the other, they differ, and the rule is the rule."""
        lost, won = self._did(record.path, record.beaten.dot), self._did(record.path, record.by.dot)
        assert not lost.saw(won), f"{node}: {lost} was written over {won}"
        assert not won.saw(lost), f"{node}: {won} was written over {lost}, which is no conflict"
        assert lost.arg != won.arg, f"{node}: {lost} and {won} say the same"
        assert (lost.stamp, lost.dot[0]) < (won.stamp, won.dot[0]), f"{node}: {lost} beats {won}"

    def _is_again(self, node: SimulatedNode, record: Record) -> None:
        """Somebody who had seen the beaten value wrote it anew."""
        lost = self._did(record.path, record.beaten.dot)
        again = [
            d for d in self.oracle.by_path[record.path] if d.op == "set" and d.saw(lost) and d is not lost
        ]
        assert any(d.arg == lost.arg for d in again), f"{node}: nobody has written {lost} again"
        self.outcome.count("settled note")

    def _is_complete(self, node: SimulatedNode, last: int) -> None:
        state = node.core.state(KEYSPACE)
        beaten = self.beaten.setdefault(node.name, set())
        if state.is_whole:  # else it shows more than its vector says, which the oracle cannot follow
            for text in REGISTERS:
                standing = self.oracle.standing(PATHS[text], state.delivered)
                beaten |= {(PATHS[text], d.dot) for d in standing[1:] if d.arg != standing[0].arg}
        found = [(r.path, r.beaten.dot) for r in self.listed[node.name].values()]
        if self.bounds == (ALL, 1e9):
            assert beaten <= set(found), f"{node} has no note of {beaten - set(found)}"
            assert len(found) == len(set(found)) == last, f"{node} has noted one value twice"
        self.outcome.seen["beaten"] = max(self.outcome.seen.get("beaten", 0), len(beaten))

    def _did(self, path: bytes, dot: Dot) -> Did:
        (found,) = [d for d in self.oracle.by_path[path] if d.dot == dot and d.op == "set"]
        return found

    def check_end(self) -> None:
        for text in REGISTERS:
            reads = set()
            for node in self.alive():
                node.resolver("", _all)
                reads.add(repr(dict(node.items("")).get(text)))
                standing = self.oracle.standing(PATHS[text], node.core.state(KEYSPACE).delivered)
                wanted = _resolved([d.arg for d in standing])
                assert repr(dict(node.items("")).get(text)) == repr(wanted), (
                    f"{node} resolves {text} otherwise"
                )
            assert len(reads) == 1, f"{text}: the nodes resolve it to {reads}"
        if self.bounds.age_s == AGE_S:
            self.cluster.advance(AGE_S + 10)
            for node in self.alive():
                assert node.core.store.tally(KEYSPACE).notes == 0, f"{node} keeps notes that are too old"


def _all(readings: Sequence[Reading]) -> Any:
    return [reading.value for reading in readings]


def _resolved(values: list[Any]) -> Any:
    if not values:
        return None
    return values if len(values) > 1 else values[0]
