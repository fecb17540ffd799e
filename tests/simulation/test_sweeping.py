"""What has expired is swept, by whom and when, in schedules written out by hand; without a rule they fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gossamer.crdt import Cell, Entry, Event, expiring, expiry, path, register_lww
from gossamer.crdt.cell import assign, own_entry, supersede, withdraw
from gossamer.replication import limits, sweeping
from gossamer.simulation import Cluster, SimulatedNode

Mutate = Callable[[], None]


@contextmanager
def cluster(count: int, **limited: Any) -> Iterator[Cluster]:
    """Nodes that have met; others sweep after 20 s."""
    limited = {"SWEEP_GRACE_S": 20.0, "SWEEP_SPREAD_S": 0.0} | limited
    kept = {name: getattr(limits, name) for name in limited}
    try:
        for name, number in limited.items():
            setattr(limits, name, number)
        with Cluster(count, seed=1) as found:
            found.advance(7)  # they have met, and know each other's clocks
            yield found
    finally:
        for name, number in kept.items():
            setattr(limits, name, number)


def live(node: SimulatedNode, text: str) -> tuple[Entry, ...]:
    return node.core.cell("default", path.of_text(text)).live


def rows(node: SimulatedNode) -> int:
    with node.core.store.snapshot() as views:
        return views("default").expiry_count()


def test_the_writer_sweeps_at_once_and_the_others_see_it() -> None:
    with cluster(3) as found:
        a, b, c = found.nodes
        a.register("r").set("v", ttl=2)
        found.advance(1)
        assert rows(c) == 1
        found.advance(2.5)
        assert [live(node, "register:r") for node in found.nodes] == [(), (), ()]
        assert [rows(node) for node in found.nodes] == [0, 0, 0]
        assert b.core.state("default").delivered.count() == 2, "one write, one sweep"


def test_a_node_that_was_down_sweeps_what_fell_due_meanwhile() -> None:
    with cluster(2) as found:
        a, b = found.nodes
        a.set("s").update(range(30), ttl=2)
        found.advance(1)
        found.kill(a)
        found.advance(5)
        assert len(b.set("s")) == 0 and rows(b) == 30, "hidden, and not b's to sweep yet"
        found.restart(a)
        found.advance(3)
        found.settle()
        assert rows(a) == rows(b) == 0


def test_another_member_sweeps_after_the_grace_time() -> None:
    with cluster(3) as found:
        a, b, c = found.nodes
        a.register("r").set("v", ttl=2)
        found.advance(1)
        found.kill(a)
        found.advance(20)
        assert rows(b) == rows(c) == 1
        found.advance(4)
        assert rows(b) == rows(c) == 0


def test_who_is_alone_sweeps_nothing_of_others() -> None:
    with cluster(2) as found:
        a, b = found.nodes
        a.register("r").set("v", ttl=2)
        found.advance(1)
        found.kill(a)
        found.advance(60)
        assert b.register("r").get() is None and rows(b) == 1


def test_a_new_identity_sweeps_what_the_old_one_wrote() -> None:
    with cluster(2) as found:
        a, b = found.nodes
        a.register("r").set("v", ttl=2)
        found.advance(1)
        found.kill(a)
        a.take_new_identity()
        found.restart(a)
        found.advance(4)
        assert rows(a) == rows(b) == 0


def test_a_joiner_indexes_what_it_fetches() -> None:
    with cluster(2) as found:
        a, b = found.nodes
        a.set("s").update(range(50), ttl=1000)
        found.advance(7)  # collected, so that a joiner needs a full exchange
        joiner = found.add()
        found.settle()
        found.advance(7)
        assert rows(joiner) == 50
        found.kill(a)
        found.advance(1025)
        assert rows(joiner) == rows(b) == 0


def test_large_batches_are_indexed_part_by_part() -> None:
    with cluster(2, BATCH_BYTES_MAX=100, BATCH_BYTES_TARGET=60) as found:
        a, b = found.nodes
        found.partition([a], [b])
        with a.transaction() as tx:
            tx.set("s").update(range(40), ttl=1000)
        found.heal()
        found.settle()
        assert rows(a) == rows(b) == 40


def test_many_are_swept_in_steps() -> None:
    with cluster(1, SWEEP_ROWS=7) as found:
        (a,) = found.nodes
        a.set("s").update(range(300), ttl=2)
        found.advance(60)
        assert rows(a) == 0


def test_an_entry_that_no_one_may_sweep_does_not_hold_up_the_others() -> None:
    """Each member has an entry of its own beside it. It is hidden, and goes with the next write."""
    with cluster(3, SWEEP_ROWS=1) as found:
        a, b, gone = found.nodes
        found.partition([a], [b], [gone])
        gone.set("s").add("x", ttl=10)
        a.set("s").add("x")
        b.set("s").add("x")
        found.heal()
        found.settle()
        gone.set("s").add("y", ttl=1)
        found.advance(0.3)
        found.kill(gone)
        found.advance(40)
        assert (rows(a), rows(b)) == (1, 1)
        a.set("s").discard("x")
        found.settle()
        assert (rows(a), rows(b)) == (0, 0)


def test_the_status_shows_whose_clock_is_wrong() -> None:
    with cluster(3) as found:
        a, _, c = found.nodes
        found.skew[2] = 100.0
        found.advance(10)
        found.settle()
        skews = {m["name"]: m["clock_skew_s"] for m in a.status()["members"]}
        assert skews["n0"] == 0 and abs(skews["n1"]) < 0.1 and abs(skews["n2"] - 100) < 0.1
        found.kill(c)
        found.advance(5)
        assert {m["name"]: m["clock_skew_s"] for m in a.status()["members"]}["n2"] is None


# Rules, each with a schedule that fails without it.


def a_renewal_that_the_sweep_did_not_see(mutate: Mutate) -> None:
    with cluster(2) as found:
        a, b = found.nodes
        for kind in ("register", "set"):
            a.register("r").set("v", ttl=2)
            a.set("s").add("x", ttl=2)
        found.settle()
        found.partition([a], [b])
        b.register("r").expire(ttl=1000)
        b.set("s").expire("x", ttl=1000)
        mutate()
        found.advance(5)
        assert not live(a, "register:r"), "swept"
        found.heal()
        found.settle()
        for node in (a, b):
            assert (node.register("r").get(), "x" in node.set("s")) == ("v", True), kind


def an_entry_that_stays_beside_one_that_expires(mutate: Mutate) -> None:
    with cluster(2) as found:
        a, b = found.nodes
        found.partition([a], [b])
        a.set("s").add("x", ttl=2)
        b.set("s").add("x")
        mutate()
        found.heal()
        found.settle()
        found.advance(5)
        assert "x" in a.set("s") and "x" in b.set("s")


def sweep_all_there_is(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(expiring, "withdraw", lambda cell, event, is_due: supersede(cell, event))


def a_value_that_was_beaten_by_one_that_expires(mutate: Mutate) -> None:
    with cluster(2) as found:
        a, b = found.nodes
        found.partition([a], [b])
        a.register("r").set("beaten")
        found.advance(0.1)
        b.register("r").set("beats", ttl=6)
        mutate()
        found.heal()
        found.settle()
        assert a.register("r").get() == "beats"
        for _ in range(100):
            assert a.register("r").get() in ("beats", None)
            found.advance(0.1)
        assert live(a, "register:r") == live(b, "register:r") == ()


def pick_among_what_has_not_expired(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(register_lww.RegisterLWW, "at", expiring.Expiring.at)


def leave_what_was_beaten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(register_lww.RegisterLWW, "sweep", expiring.Expiring.sweep)


def a_clock_that_runs_ahead(mutate: Mutate) -> None:
    """It hides, and destroys nothing: neither what others wrote nor what it wrote itself."""
    with cluster(3) as found:
        a, b, c = found.nodes
        a.register("theirs").set("v", ttl=100)
        c.register("own").set("v", ttl=100)
        found.settle()
        mutate()
        found.skew[2] = 3600.0
        found.advance(30)
        assert c.register("theirs").get() is None and c.register("own").get() is None
        assert a.register("theirs").get() == b.register("own").get() == "v"
        found.skew[2] = 0.0
        assert c.register("theirs").get() == c.register("own").get() == "v"


def sweep_by_the_own_clock(patch: pytest.MonkeyPatch) -> None:
    honest = sweeping.due
    patch.setattr(sweeping, "due", lambda wall, skews, *rest: honest(wall, [0, 0, 0], *rest))


def a_removal_while_another_ones_add_is_swept(mutate: Mutate) -> None:
    """To show its event, a sweeper with an entry that stays would have to write that one anew."""
    with cluster(4) as found:
        a, b, c, d = found.nodes
        found.partition([a], [b], [c], [d])
        a.set("s").add("x")
        d.set("s").add("x")
        b.set("s").add("x", ttl=10)
        found.heal()
        found.settle()
        found.kill(b)
        found.partition([a, d], [c])
        c.set("s").remove("x")
        mutate()
        found.advance(40)
        found.heal()
        found.settle()
        assert [list(node.set("s")) for node in (a, c, d)] == [[], [], []]


def write_the_own_entry_anew(patch: pytest.MonkeyPatch) -> None:
    honest = withdraw

    def mutant(cell: Cell, event: Event, is_due: Callable[[Entry], bool]) -> Cell:
        own = own_entry(cell, event.replica)
        if own is None or is_due(own):
            return honest(cell, event, is_due)
        return assign(cell, event, own.payload, {e.replica: e.seq for e in cell.live if is_due(e)})

    patch.setattr(expiring, "withdraw", mutant)


RULES = [
    (sweep_all_there_is, an_entry_that_stays_beside_one_that_expires),
    (pick_among_what_has_not_expired, a_value_that_was_beaten_by_one_that_expires),
    (leave_what_was_beaten, a_value_that_was_beaten_by_one_that_expires),
    (sweep_by_the_own_clock, a_clock_that_runs_ahead),
    (write_the_own_entry_anew, a_removal_while_another_ones_add_is_swept),
]


@pytest.mark.parametrize(
    "scene",
    [
        *dict.fromkeys(scene for _, scene in RULES),
        a_renewal_that_the_sweep_did_not_see,
        a_removal_while_another_ones_add_is_swept,
    ],
    ids=lambda f: f.__name__,
)
def test_with_the_rule_the_schedule_passes(scene: Callable[[Mutate], None]) -> None:
    scene(lambda: None)


@pytest.mark.parametrize(("mutant", "scene"), RULES, ids=[mutant.__name__ for mutant, _ in RULES])
def test_without_the_rule_the_schedule_fails(
    mutant: Callable[[pytest.MonkeyPatch], None],
    scene: Callable[[Mutate], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(AssertionError):
        scene(lambda: mutant(monkeypatch))


# The clocks.


@pytest.mark.parametrize(
    ("skews", "own", "others"),
    [
        ([], 100, None),
        ([0], 100, 40),
        ([50], 100, 40),
        ([-50], 50, -10),
        ([50, 60], 100, 90),
        ([-50, 60], 100, 40),
        ([1000, 1, 2], 100, 41),
    ],
)
def test_up_to_which_moments(
    skews: list[int], own: int, others: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SWEEP_GRACE_S", 60e-6)
    monkeypatch.setattr(limits, "SWEEP_SPREAD_S", 0.0)
    found = sweeping.due(100, skews, {b"me"}, bytes(8))
    assert found.upto(b"me") == own
    assert found.upto(b"you") == (sweeping.NEVER if others is None else others)


def test_the_grace_time_is_another_one_on_every_node() -> None:
    graces = {
        sweeping.due(0, [0], set(), bytes((first,)) + bytes(7)).upto(b"you") for first in range(0, 256, 16)
    }
    assert len(graces) == 16
    assert all(
        limits.SWEEP_GRACE_S <= -g / 1e6 <= limits.SWEEP_GRACE_S + limits.SWEEP_SPREAD_S for g in graces
    )
    assert expiry.EXPIRES_MAX > 2**59
