"""Operations step by step: each rule of their folding, resetting and sweeping in a scene that needs it.

Where a rule can be taken away, it is, and the same scene must fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

import gossamer
from gossamer import OperationExpired, apply
from gossamer.backend import CANCEL, Op, make_op
from gossamer.crdt import Cell, Dot, Entry, Vector, operation, path
from gossamer.handles import Keyspace, ranges
from gossamer.limits import OP_WINDOW_S
from gossamer.replication import duties, registry, stability
from gossamer.replication.registry import SYSTEM, Registry
from gossamer.replication.seals import Answer, Seal, Settlement
from gossamer.replication.state import State
from gossamer.simulation import Cluster, SimulatedNode
from gossamer.upkeep import Upkeep

from .damage import HEALED_S, damaged_in, flip

WINDOW_S = 5.0
SOLD = path.of_text("counter:sold")
X = SOLD + path.component("op", "x")
Mutate = Callable[[], None]


@contextmanager
def cluster(count: int, window_s: float = WINDOW_S) -> Iterator[tuple[Cluster, list[SimulatedNode]]]:
    """A cluster that has met, and its nodes, that of the lowest replica id first."""
    with Cluster(count, seed=3, op_window_s=window_s) as run:
        run.advance(3)
        run.settle()
        yield run, sorted(run.nodes, key=lambda node: node.core.replica)


def note(node: SimulatedNode, cell_path: bytes = X) -> Cell:
    with node.core.store.snapshot() as views:
        return views("default").cell(cell_path)


def counts(node: SimulatedNode) -> tuple[int, int, int]:
    return tuple(node.status()["keyspaces"]["default"]["operations"].values())


def values(nodes: Sequence[SimulatedNode]) -> list[int]:
    return [node.counter("sold").value() for node in nodes]


def settle(run: Cluster, seconds: float = 4) -> None:
    run.heal()
    run.advance(seconds)
    run.settle()


def tried_on_both_sides(mutate: Mutate) -> None:
    """Each side knows its own try; neither is stable, so nobody folds before they have met."""
    with cluster(2) as (run, (a, b)):
        a.counter("other").add(1)
        settle(run)
        run.partition([a], [b])
        mutate()
        for node in (a, b):
            node.counter("sold").add(5, op_id="x")
        run.advance(3)
        settle(run)
        assert values([a, b]) == [5, 5]
        assert [e.replica for e in operation.dones(note(b))] == [a.core.replica], "one folds, the lowest"


def fold_what_is_not_stable(patch: pytest.MonkeyPatch) -> None:
    honest = stability.foldable

    def mutant(*args: Any) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(stability, "is_stable", lambda cell, stable: True)
            return honest(*args)

    def always(self: Any, drafts: Any, name: str, now: Any) -> None:
        self._folding[name] = b""  # though nothing became stable
        fold(self, drafts, name, now)

    fold = Upkeep._fold
    patch.setattr(stability, "foldable", mutant)
    patch.setattr(Upkeep, "_fold", always)


def everybody_folds(patch: pytest.MonkeyPatch) -> None:
    def foldable(draft: Any, keyspace: Any, own: bytes, reg: Any, stable: Any, after: Any, most: Any) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(stability, "folder", lambda *_: own)
            return honest(draft, keyspace, own, reg, stable, after, most)

    honest = stability.foldable
    patch.setattr(stability, "foldable", foldable)


def a_reset_beside_a_fold(mutate: Mutate) -> None:
    """The reset saw the operation pending, and not the fold: the note takes off what was folded, as long as it is in."""
    with cluster(2) as (run, (a, b)):
        a.counter("sold").add(5, op_id="x")
        run.advance(0.2)
        run.partition([a], [b])
        a.counter("other").add(1)
        run.advance(3)
        assert operation.dones(note(a)), "it is stable by what a knows, and folded"
        b.counter("sold").reset()
        assert b.counter("sold").value() == 0
        mutate()
        settle(run, 3 * WINDOW_S)
        assert values([a, b]) == [0, 0]


def sweep_what_is_contested(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        stability, "may_go", lambda cell_path, cell, counter, stable: stability.is_stable(cell, stable)
    )


def cancelled_here_and_folded_there(mutate: Mutate) -> None:
    """The note of a reset stays until all have it: who has not may fold what it took."""
    with cluster(2) as (run, (a, b)):
        b.counter("sold").add(5, op_id="x")
        run.advance(0.2)
        run.partition([a], [b])
        a.counter("sold").reset()
        mutate()
        run.advance(2 * WINDOW_S)
        b.counter("other").add(1)
        run.advance(3)
        settle(run)
        assert values([a, b]) == [0, 0]


def folded_here_and_reset_there(mutate: Mutate) -> None:
    """The note of a fold stays until all have it: who has not may reset what is in the counter by now."""
    with cluster(3) as (run, (a, b, c)):
        a.counter("sold").add(5, op_id="x")
        run.advance(0.2)
        run.partition([a, c], [b])
        a.counter("other").add(1)
        mutate()
        run.advance(3 * WINDOW_S)
        b.counter("sold").reset()
        settle(run)
        assert values([a, b, c]) == [0, 0, 0]


def sweep_what_is_not_stable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stability, "may_go", lambda cell_path, cell, counter, stable: True)


def reset_by_one_who_was_removed(mutate: Mutate) -> None:
    """It does not count for stability, and comes back with a reset that saw the operation pending."""
    with cluster(3) as (run, (a, b, c)):
        a.counter("sold").add(5, op_id="x")
        run.advance(0.2)
        run.partition([a, c], [b])
        run.advance(3)
        a.write(SYSTEM, registry.remove_ops(b.name))
        mutate()
        run.advance(3 * WINDOW_S)
        b.counter("sold").reset()
        settle(run)
        assert values([a, b, c]) == [0, 0, 0]


def sweep_though_one_may_return(patch: pytest.MonkeyPatch) -> None:
    honest = duties.Duties.may_sweep

    def mutant(self: Any, *args: Any) -> bool:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(duties.Duties, "may_return", lambda self: frozenset())
            return honest(self, *args)

    patch.setattr(duties.Duties, "may_sweep", mutant)


class Slow:
    """A node's backend, on which the others have their say after every write."""

    def __init__(self, node: SimulatedNode, between: Callable[[], None]) -> None:
        self._node, self._between = node, between

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def write(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        """With one cell an event at most; what nodes do by themselves is not bound by it."""
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(apply, "TRANSACTION_CELLS_MAX", 1)
                return self._node.write(keyspace, ops, op_id)
        finally:
            self._between()


def a_reset_in_parts(mutate: Mutate) -> None:
    """What is folded between two parts is in the counter by then, so the counter comes last."""
    with cluster(2) as (run, (a, b)):
        run.partition([a], [b])
        for name in "xyz":
            a.counter("sold").add(5, op_id=name)
        run.heal()
        while len(note(b).live) == 0 or counts(b)[0] < 3:
            run.clock.step()
        mutate()
        ranges.reset(Slow(b, lambda: run.advance(2)), "default", SOLD)
        settle(run)
        assert values([a, b]) == [0, 0]


def the_counter_first(patch: pytest.MonkeyPatch) -> None:
    def mutant(backend: Any, keyspace: str, counter: bytes, op_id: str | None = None) -> None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(apply, "removes_sum", lambda op: False)
            backend.write(keyspace, (make_op(counter, "reset"),))
        while backend.write(keyspace, (make_op(counter, CANCEL),)) is not None:
            pass

    patch.setattr(ranges, "reset", mutant)


MUTANTS: list[tuple[Callable[[pytest.MonkeyPatch], None], Callable[[Mutate], None]]] = [
    (fold_what_is_not_stable, tried_on_both_sides),
    (everybody_folds, tried_on_both_sides),
    (sweep_what_is_contested, a_reset_beside_a_fold),
    (sweep_what_is_not_stable, cancelled_here_and_folded_there),
    (sweep_what_is_not_stable, folded_here_and_reset_there),
    (sweep_though_one_may_return, reset_by_one_who_was_removed),
    (the_counter_first, a_reset_in_parts),
]


@pytest.mark.parametrize("scene", dict.fromkeys(scene for _, scene in MUTANTS), ids=lambda f: f.__name__)
def test_with_the_rule_the_scene_passes(scene: Callable[[Mutate], None]) -> None:
    scene(lambda: None)


@pytest.mark.parametrize(("mutant", "scene"), MUTANTS, ids=[f"{m.__name__}-{s.__name__}" for m, s in MUTANTS])
def test_without_the_rule_the_scene_fails(mutant: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError):
        scene(lambda: mutant(monkeypatch))


# Who folds


def who_folds(reg: Registry, delivered: Vector, *writers: bytes) -> bytes | None:
    cell = Cell(tuple(Entry(replica, 1, b"\x01\x05") for replica in sorted(writers)))
    state = State()
    state.delivered = delivered
    return stability.folder(cell, "default", state, reg)


A, B, C, OLD = (bytes([n]) * 8 for n in (2, 3, 4, 1))


def sealed(heir: bytes = b"", lowest: bytes = A) -> Registry:
    """OLD is sealed, with 7 events."""
    answers = {"a": Answer({"default": (1, 7)})}
    return Registry({}, {OLD: Seal(OLD, answers=answers, settled=Settlement(heir, lowest))})


def test_the_lowest_replica_folds() -> None:
    assert who_folds(Registry(), Vector(), C, B) == B


def test_nobody_else_folds_for_a_replica_that_is_not_sealed_yet() -> None:
    assert who_folds(Registry({}, {OLD: Seal(OLD, is_forgotten=True)}), Vector(), OLD, C) == OLD


def test_the_heir_of_a_sealed_replica_folds_once_it_has_all_of_it() -> None:
    reg = sealed(heir=B)
    assert who_folds(reg, Vector({OLD: (1, 6)}), OLD, C) is None
    assert who_folds(reg, Vector({OLD: (1, 7)}), OLD, C) == B


def test_without_an_heir_the_lowest_member_that_is_named_in_the_seal_folds() -> None:
    assert who_folds(sealed(), Vector({OLD: (1, 7)}), OLD, C) == A


# What becomes of an operation


def test_an_operation_is_folded_and_swept_and_the_counter_keeps_its_sum() -> None:
    with cluster(3) as (run, nodes):
        nodes[2].counter("sold").add(5, op_id="x")
        with nodes[1].transaction(op_id="t") as tx:
            tx.counter("sold").add(1)
            tx.counter("sold").add(1)
            tx.register("r").set(1)
        run.advance(0.3)
        run.settle()
        assert {sum(counts(node)) for node in nodes} == {3}
        assert values(nodes) == [7, 7, 7]
        run.advance(3)
        assert {counts(node) for node in nodes} == {(0, 2, 1)}
        assert values(nodes) == [7, 7, 7]
        run.advance(3 * WINDOW_S)
        run.settle()
        assert {counts(node) for node in nodes} == {(0, 0, 0)}
        assert values(nodes) == [7, 7, 7]
        run.advance(5)
        assert all(node.core.store.count("default")[1] == 0 for node in nodes), "no row is left of it"


def test_the_heir_of_a_node_that_took_a_new_identity_folds_what_was_pending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gossamer.replication import limits

    monkeypatch.setattr(limits, "SILENCE_S", 3.0)
    with cluster(3) as (run, (a, b, c)):
        run.partition([a], [b, c])
        a.counter("sold").add(5, op_id="x")
        run.kill(a)
        a.take_new_identity()
        run.restart(a)
        settle(run, 1)
        assert counts(b)[0] == 1
        settle(run, 15)
        assert counts(b)[0] == 0
        assert values([a, b, c]) == [5, 5, 5]


def test_what_a_forgotten_member_tried_is_folded_by_one_who_remains() -> None:
    with cluster(3) as (run, (a, b, c)):
        run.partition([a], [b])
        a.counter("sold").add(5, op_id="x")
        run.advance(0.5)
        run.kill(a)
        b.write(SYSTEM, registry.forget_ops(b.core.engine.registry.members[a.name]))
        settle(run, 10)
        assert counts(b)[0] == counts(c)[0] == 0
        assert values([b, c]) == [5, 5]


def test_two_lone_nodes_that_folded_count_once_when_they_meet() -> None:
    """Each was a cluster of its own: both folded, rightly."""
    with Cluster(1, seed=1, op_window_s=WINDOW_S) as run:
        (a,) = run.nodes
        b = run.add([])
        run.partition([a], [b])
        for node in (a, b):
            node.counter("sold").add(5, op_id="x")
        run.advance(3)
        assert operation.dones(note(a)) and operation.dones(note(b))
        settle(run, 2)
        assert values([a, b]) == [5, 5]
        b.counter("sold").reset()
        settle(run, 3 * WINDOW_S)
        assert values([a, b]) == [0, 0]
        assert counts(a) == counts(b) == (0, 0, 0)


# Retries


def test_a_retry_on_any_node_does_nothing() -> None:
    with cluster(3) as (run, nodes):
        nodes[0].counter("sold").add(5, op_id="x")
        for seconds in (0.3, 3):
            run.advance(seconds)
            for node in nodes:
                node.counter("sold").add(5, op_id="x")
            run.settle()
            assert values(nodes) == [5, 5, 5]


def test_a_retry_after_a_reset_does_nothing() -> None:
    with cluster(2) as (run, nodes):
        nodes[0].counter("sold").add(5, op_id="x")
        settle(run, 0.3)
        nodes[1].counter("sold").reset()
        settle(run, 0.3)
        nodes[0].counter("sold").add(5, op_id="x")
        assert values(nodes) == [0, 0]


def test_an_op_id_that_carries_its_time_expires_with_the_window_even_where_it_was_never_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with cluster(2) as (run, (_, b)):
        at = run.clock.now + 1_700_000_000
        monkeypatch.setattr(time, "time_ns", lambda: int(at * 1e9))
        name = gossamer.new_op_id()
        run.advance(WINDOW_S + 1)
        with pytest.raises(OperationExpired, match="window of 5 s"):
            b.counter("sold").add(5, op_id=name)
        with pytest.raises(OperationExpired, match="window of 5 s"):
            b.register("r").set(5, op_id=name)
        assert list(b.keys()) == []


def test_one_that_was_swept_expires_while_its_context_is_there() -> None:
    with cluster(2) as (run, (a, _)):
        a.counter("sold").add(5, op_id="x")
        run.advance(3)
        run.settle()
        while note(a).live:
            run.clock.step()
        with pytest.raises(OperationExpired):
            a.counter("sold").add(5, op_id="x")
        assert a.counter("sold").value() == 5


def test_a_node_that_joined_and_has_got_nothing_yet_counts_a_retry_once_within_the_window() -> None:
    with cluster(2) as (run, (a, b)):
        a.counter("sold").add(5, op_id="x")
        run.advance(2)
        assert operation.dones(note(a)), "it is folded"
        c = run.add()
        c.counter("sold").add(5, op_id="x")
        settle(run, 3 * WINDOW_S)
        assert values([a, b, c]) == [5, 5, 5]


def test_after_the_window_such_a_node_takes_a_retry_for_a_new_operation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has nothing to tell by but the time in the name; those who were members refuse, or know it."""
    with cluster(2) as (run, (a, b)):
        monkeypatch.setattr(time, "time_ns", lambda: int((run.clock.now + 1_700_000_000) * 1e9))
        timed = gossamer.new_op_id()
        a.counter("sold").add(5, op_id="x")
        a.counter("sold").add(1, op_id=timed)
        run.advance(3 * WINDOW_S)
        assert not note(b).live, "it is swept"
        c = run.add()
        c.counter("sold").add(5, op_id="x")
        with pytest.raises(OperationExpired, match="window of 5 s"):
            c.counter("sold").add(1, op_id=timed)
        settle(run)
        assert values([a, b, c]) == [11, 11, 11]


def test_a_note_that_carries_its_time_stays_longer_than_others_take_it() -> None:
    with cluster(2) as (run, (a, _)):
        for name in ("x", gossamer.new_op_id()):
            a.register("r").set(1, op_id=name)
        run.advance(4 * WINDOW_S)
        assert counts(a)[2] <= 1, "the one without a time is gone"


def test_removing_a_map_takes_what_is_pending_in_it_and_spares_what_it_did_not_see() -> None:
    with cluster(2, OP_WINDOW_S) as (run, (a, b)):
        a.map("m").counter("n").add(5, op_id="x")
        a.map("m").counter("n").add(2)
        settle(run, 0.3)
        run.partition([a], [b])
        a.map("m").clear()
        assert a.map("m").value() == {}
        b.map("m").counter("n").add(9, op_id="y")
        settle(run)
        assert a.map("m").value() == b.map("m").value() == {"n": 9}


def test_nobody_shows_the_notes() -> None:
    with cluster(2) as (run, (a, _)):
        space = Keyspace(a)
        space.map("m").counter("n").add(5, op_id="x")
        space.register("r").set(1, op_id="y")
        for _ in range(2):
            assert list(space.keys()) == ["map:m/counter:n", "register:r"]
            assert list(space.items()) == [("map:m/counter:n", 5), ("register:r", 1)]
            assert list(space.map("m").items()) == [("counter", "n", 5)]
            assert list(space.keys("op")) == list(space.keys("map:m/counter:n/op")) == []
            run.advance(3)


def test_the_feed_tells_what_the_counter_gains_and_nothing_of_folds_and_notes() -> None:
    with cluster(2) as (run, (a, b)):
        watch = b.watch("counter:", timeout=0)
        assert list(watch) == []
        a.counter("sold").add(5, op_id="x")
        a.register("r").set(1, op_id="y")
        run.advance(3 * WINDOW_S)
        run.settle()
        b.counter("sold").reset()
        changes = list(watch)
        told = [(c.path, c.old, c.new, c.is_new, c.is_removed) for c in changes]
        assert told == [("counter:sold", 0, 5, True, False), ("counter:sold", 5, 0, False, True)]
        assert changes[0].dots == ((a.core.replica, 1),) and changes[0].members == (a.name,)


def test_a_snapshot_of_the_feed_has_counters_that_are_pending_only() -> None:
    with cluster(2, OP_WINDOW_S) as (run, (a, b)):
        run.partition([a], [b])
        a.map("m").counter("n").add(5, op_id="x")
        a.register("r").set(1, op_id="y")
        found = [(c.path, c.new) for c in a.watch("", timeout=0)]
        assert found == [("map:m/counter:n", 5), ("register:r", 1)]


def test_a_counter_is_explained_by_its_own_entries_and_what_its_operations_add() -> None:
    with cluster(2) as (run, (a, b)):
        run.partition([a], [b])
        a.counter("sold").add(2)
        a.counter("sold").add(5, op_id="x")
        said = a.explain("counter:sold")
        assert (said["value"], [entry["value"] for entry in said["entries"]]) == (7, [2])
        assert said["rule"].endswith("; and 5, which its operations with an op_id add")
        assert a.explain("counter:sold/op:x")["entries"][0]["value"] == 5


def test_a_damaged_operation_is_replaced_by_a_peers_and_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stability, "foldable", lambda *_: (None, []))  # it stays pending
    with cluster(2, OP_WINDOW_S) as (run, (a, b)):
        run.partition([a], [b])
        a.counter("sold").add(5, op_id="x")
        a.register("r").set(1, op_id="y")
        run.heal()
        while counts(b) != (1, 0, 1):
            run.clock.step()
        run.settle()
        for cell_path in (X, path.component("op_id", "y")):
            flip(b.core.store, "default", cell_path, 77)
        b.counter("sold").add(1)
        run.advance(HEALED_S)
        run.settle()
        assert damaged_in(b.core.store, "default") == set()
        assert values([a, b]) == [6, 6]
        assert counts(b) == counts(a) == (1, 0, 1)
