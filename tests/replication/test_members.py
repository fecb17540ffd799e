"""Who counts, who comes back, and who is gone for good: schedules by hand, checked against the oracle at each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gossamer.crdt import Vector, vector
from gossamer.errors import StoreFull
from gossamer.replication import batch, registry
from gossamer.replication.receiving import Receiver
from gossamer.replication.registry import SYSTEM
from gossamer.replication.seals import Answer
from gossamer.simulation import Cluster, SimulatedNode
from gossamer.store import Draft
from gossamer.turns import Write
from tests.simulation.script import Script, script

from .bench import HOSTILE_LINK, ME, PEER, THIRD, at, batch_of, bench, register, upto

BRISK = {"COLLECT_EVERY_S": 0.05, "DIGEST_EVERY_S": 0.5, "SILENCE_S": 3.0}


def rows(node: SimulatedNode) -> int:
    return node.core.store.count("default")[1]


def seals(run: Script) -> list[set[bytes]]:
    return [node.core.engine.registry.sealed for node in run.alive()]


def forget(run: Script, by: SimulatedNode, gone: SimulatedNode) -> None:
    run.forgotten.add(gone.name)
    run._system(by, registry.forget_ops(by.core.engine.registry.members[gone.name]))


# Joining.


def test_a_joiner_is_a_member_and_nothing_it_needs_is_collected_meanwhile() -> None:
    with script(2, BATCH_BYTES_TARGET=1, WINDOW_BATCHES=1, **BRISK) as run:
        a, b = run.nodes
        for n in range(4):
            run.do(a, ("counter:c", "add", n + 1))
            run.do(b, ("register:r", "set", n), ("set:s/str:x", "add"))
        run.settle()
        run.wait(10)
        assert rows(a) == 0
        joiner = run.cluster.add()
        for n in range(20):  # it goes on while the joiner is served
            run.wait(0.004)
            run.do(a, ("counter:c", "add", 1))
            run.do(b, ("set:s/str:x", "remove") if n % 2 else ("set:s/str:x", "add"))
        run.settle()
        run.wait(10)
        names = [sorted(node.core.engine.registry.members) for node in run.nodes]
        assert names == [["n0", "n1", "n2"]] * 3
        assert [rows(node) for node in run.nodes] == [0] * 3
        assert joiner.counter("c").value() == 30


# Removing.


def goes_and_comes_back(mutate: Callable[[], None], *, by_restart: bool) -> None:
    """A member with unsent writes is removed; the others write over what it saw, and collect; then it is back."""
    with script(3, **BRISK) as run:
        a, b, c = run.nodes
        run.settle()
        run.do(c, ("counter:c", "add", 2))
        run.do(c, ("set:s/str:x", "add"))
        run.do(a, ("map:p/counter:c", "add", 10))
        run.do(b, ("register:r", "set", 1))
        run.settle()
        run.wait(10)
        run.cut([a, b], [c])
        run.wait(5)
        run.do(c, ("counter:c", "add", 3))
        run.do(c, ("map:p/counter:c", "reset"))
        run.do(c, ("register:r", "set", 7))
        run.do(c, ("set:s/int:1", "add"), ("flag:f", "enable"))
        if by_restart:
            run.cluster.kill(c)
        run.do(a, ("counter:c", "reset"))
        run.do(b, ("set:s/str:x", "remove"))
        run.do(b, ("map:p/counter:c", "add", 5))
        run.do(a, ("max_register:m", "set", 3))
        run.wait(20)
        assert rows(a) > 0, "the one that is away holds collection back"
        assert (
            c.core.replica.hex() in a.status()["keyspaces"]["default"]["held_back_by"] if c.is_alive else True
        )
        mutate()
        run._system(b, registry.remove_ops(c.name))
        run.wait(20)
        assert a.core.engine.registry.members[c.name].is_removed
        assert a.core.state("default").horizon.covers(a.core.state("default").delivered)
        run.do(b, ("register:r", "set", 2))
        run.wait(10)
        run.cluster.heal()
        if by_restart:
            run.cluster.restart(c)
        run.settle()
        assert not a.core.engine.registry.members[c.name].is_removed
        for node in run.nodes:
            assert node.counter("c").value() == 3
            assert node.map("p").counter("c").value() == 5
            assert "x" not in node.set("s") and 1 in node.set("s")
            assert node.flag("f").value()
        run.wait(20)
        run.settle()
        assert [rows(node) for node in run.nodes] == [0] * 3, "it counts again, and has everything"


@pytest.mark.parametrize("by_restart", [False, True], ids=["cut off", "down"])
def test_removing_is_reversible_and_loses_nothing(by_restart: bool) -> None:
    goes_and_comes_back(lambda: None, by_restart=by_restart)


@pytest.mark.parametrize("by_restart", [False, True], ids=["cut off", "down"])
def test_without_the_floors_kept_for_it_a_counter_is_wrong(
    by_restart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AssertionError):
        goes_and_comes_back(
            lambda: monkeypatch.setattr(batch, "is_kept", lambda cell, may_return: False),
            by_restart=by_restart,
        )


# Forgetting.


def test_what_only_the_forgotten_held_is_lost_and_nothing_else() -> None:
    with script(4, **BRISK) as run:
        a, b, c, d = run.nodes
        run.settle()
        run.do(d, ("counter:c", "add", 1))
        run.settle()
        run.cut([a, b], [c, d])
        run.do(d, ("counter:c", "add", 2))
        run.do(d, ("register:r", "set", "seen by c alone"))
        run.wait(5)
        run.cut([c], [d])
        run.do(d, ("counter:c", "add", 4))
        run.do(d, ("set:s/str:x", "add"))
        gone, had = d.core.replica, d.core.state("default").delivered.copy()
        run.wait(5)
        run.cluster.kill(d)
        forget(run, a, d)
        run.wait(10)
        assert gone not in a.core.engine.registry.sealed, "c has not answered"
        run.cluster.heal()
        run.settle()
        run.wait(10)
        assert seals(run) == [{gone}] * 3
        for node in (a, b, c):
            assert node.counter("c").value() == 3
            assert node.register("r").get() == "seen by c alone"
            assert "x" not in node.set("s")
        lost = had.minus(a.core.state("default").delivered)
        assert lost.count() == 2 and lost.replicas() == [gone]
        run.do(b, ("counter:c", "reset"))
        run.settle()
        run.wait(20)
        assert [rows(node) for node in (a, b, c)] == [0] * 3, "collection goes on after a seal"

        run.cluster.restart(d)
        run.do(d, ("counter:c", "add", 8))
        run.wait(10)
        assert d.status()["forgotten"]
        assert [node.counter("c").value() for node in (a, b, c)] == [0] * 3
        assert not any(link.hello for link in d.core.engine.links.values() if not link.closing)


def test_what_it_alone_held_is_known_before_it_is_forgotten() -> None:
    with script(3, BATCH_BYTES_TARGET=1, WINDOW_BATCHES=1, **BRISK) as run:
        a, b, c = run.nodes
        run.settle()
        run.cut([a, b], [c])
        run.wait(5)
        for n in range(4):
            run.do(c, ("counter:c", "add", 1), ("register:r", "set", n))
        run.cluster.heal()
        run.cut([b], [c])
        while not any(m["ahead"] for m in a.status()["keyspaces"]["default"]["peers"].values()):
            run.cluster.clock.step()
        had = c.core.state("default").delivered
        run.cluster.kill(c)
        run.wait(5)
        lost = had.minus(a.core.state("default").delivered).minus(b.core.state("default").delivered).count()
        (shown,) = [m for m in a.status()["members"] if m["name"] == c.name]
        assert shown["held_alone"] == ({"default": lost} if lost else {}) and lost
        assert 3 < shown["last_heard_s"] < 10
        run.cluster.restart(c)
        run.settle()
        (shown,) = [m for m in a.status()["members"] if m["name"] == c.name]
        assert shown["held_alone"] == {}


def test_concurrent_forgets_of_one_member_join() -> None:
    with script(4, **BRISK) as run:
        a, b, c, d = run.nodes
        run.settle()
        run.do(d, ("counter:c", "add", 1))
        run.cut([a, b], [c])
        run.wait(5)
        gone = d.core.replica
        run.cluster.kill(d)
        forget(run, a, d)
        forget(run, c, d)
        run.do(a, ("counter:c", "reset"))
        run.do(c, ("counter:c", "add", 2))
        run.wait(10)
        run.cluster.heal()
        run.settle()
        run.wait(10)
        assert seals(run) == [{gone}] * 3
        bounds = [n.core.engine.registry.seals[gone].bound("default") for n in run.alive()]
        assert bounds[0] == bounds[1] == bounds[2] == upto(1, gone)
        assert {node.counter("c").value() for node in (a, b, c)} == {2}


def sealed_here(mutate: Callable[[], None]) -> None:
    """A peer has more of a sealed replica than the answers say; later it has answered with it."""
    with bench() as found:
        gone = registry.Member("gone", THIRD, {THIRD})
        found.turn(Write(SYSTEM, registry.forget_ops(gone)))
        found.turn(Write(SYSTEM, registry.answer_ops("me", THIRD, Answer({"default": (1, 1)}))))
        beyond = {at("register:r"): register("x", 2, THIRD), at("register:own"): register("y", 1, PEER)}
        more = Vector({THIRD: (1, 2), PEER: (1, 3)})
        mutate()
        before = found.held()
        found.say(HOSTILE_LINK, batch_of(beyond, more))
        assert THIRD.hex() in found.closed.pop(HOSTILE_LINK)
        assert found.held() == before, "refused whole"

        found.turn(Write(SYSTEM, registry.answer_ops("hostile", THIRD, Answer({"default": (1, 2)}))))
        found.connect(HOSTILE_LINK, PEER, "hostile", fingerprint=b"y" * 8)
        found.open(HOSTILE_LINK, more)
        found.say(HOSTILE_LINK, batch_of(beyond))
        assert found.closed == {}
        assert (THIRD, 2) in found.replica.state("default").delivered


def test_what_goes_beyond_the_answers_is_refused_whole() -> None:
    sealed_here(lambda: None)


def test_without_the_check_of_seals_it_would_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((AssertionError, KeyError)):
        sealed_here(lambda: monkeypatch.setattr(Receiver, "_check_seals", lambda *_: None))


def test_a_claim_beyond_the_answers_is_refused() -> None:
    with bench() as found:
        found.turn(Write(SYSTEM, registry.forget_ops(registry.Member("gone", THIRD, {THIRD}))))
        found.turn(Write(SYSTEM, registry.answer_ops("me", THIRD, Answer())))
        found.say(HOSTILE_LINK, batch_of({}, upto(1, THIRD), claim=True))
        assert THIRD.hex() in found.closed[HOSTILE_LINK]
        assert found.replica.state("default").delivered == upto(1, ME)


def test_a_removed_member_that_held_events_of_a_forgotten_one_brings_them_back() -> None:
    with script(4, **BRISK) as run:
        a, b, c, d = run.nodes
        run.settle()
        run.cut([a, b], [c, d])
        run.wait(5)
        run.do(d, ("counter:c", "add", 5))
        run.wait(5)
        gone = d.core.replica
        run.cluster.kill(d)
        run.cluster.kill(c)
        run._system(a, registry.remove_ops(c.name))
        forget(run, a, d)
        run.wait(10)
        assert [s >= {gone} for s in seals(run)] == [True, True], "the removed one is not waited for"
        assert a.counter("c").value() == 0
        run.cluster.heal()
        run.cluster.restart(c)
        run.settle()
        run.wait(10)
        assert [node.counter("c").value() for node in (a, b, c)] == [5] * 3
        assert seals(run) == [{gone}] * 3


# A new identity.


def test_a_member_with_a_new_identity_has_its_old_one_sealed_and_is_its_heir() -> None:
    with script(3, **BRISK) as run:
        a, _, c = run.nodes
        run.settle()
        run.do(c, ("counter:c", "add", 4))
        run.settle()
        old = c.core.replica
        run.cluster.kill(c)
        c.take_new_identity()
        run.cluster.restart(c)
        run.do(a, ("counter:c", "reset"))
        run.do(c, ("counter:c", "add", 1))
        run.wait(2.0)
        assert seals(run) == [set()] * 3, "it has not been silent for long enough"
        run.wait(10)
        run.settle()
        assert seals(run) == [{old}] * 3
        for node in run.nodes:
            assert node.core.engine.registry.heir(old) == c.core.replica
            (shown,) = [m for m in node.status()["members"] if m["name"] == c.name]
            assert shown["replica"] == c.core.replica.hex()
            assert shown["old_replicas"] == shown["sealed"] == [old.hex()]
        run.wait(10)
        assert [rows(node) for node in run.nodes] == [0] * 3


def test_of_two_members_that_name_an_old_id_the_lower_current_id_is_the_heir() -> None:
    with script(3, **BRISK) as run:
        _, b, c = run.nodes
        run.settle()
        old = c.core.replica
        run.cluster.kill(c)
        c.take_new_identity()
        run.cluster.restart(c)
        b.core.engine.duties.due = _naming(b, old)  # type: ignore[method-assign]  # this node alone
        run.wait(15)
        run.settle()
        heir = min(b.core.replica, c.core.replica)
        assert [node.core.engine.registry.heir(old) for node in run.nodes] == [heir] * 3


def _naming(node: SimulatedNode, old: bytes) -> Any:
    engine = node.core.engine
    honest = engine.duties.due

    def duties(states: Any, now: float) -> Any:
        me = engine.identity
        return [
            *honest(states, now),
            *registry.join_ops(
                engine.registry, me.name, me.replica, me.address, states, [old], is_again=True
            ),
        ]

    return duties


def test_a_seal_waits_for_a_member_that_is_away_and_blocks_nothing_meanwhile() -> None:
    with script(4, **BRISK) as run:
        a, b, c, d = run.nodes
        run.settle()
        run.cluster.kill(d)
        old = c.core.replica
        run.cluster.kill(c)
        c.take_new_identity()
        run.cluster.restart(c)
        run.wait(20)
        run.do(c, ("counter:c", "add", 1))
        run.do(a, ("register:r", "set", 1))
        run.wait(5)
        assert b.counter("c").value() == 1 and c.register("r").get() == 1
        assert seals(run) == [set()] * 3
        run.cluster.restart(d)
        run.settle()
        run.wait(10)
        run.settle()
        assert seals(run) == [{old}] * 4
        run.wait(10)
        assert [rows(node) for node in run.nodes] == [0] * 4


def test_two_nodes_of_one_name_do_not_write_over_each_other_for_ever() -> None:
    with script(3, **BRISK) as run:
        a, b, c = run.nodes
        run.settle()
        run.cluster.kill(c)
        run.cluster.restart(c)
        engine = c.core.engine
        engine.identity = engine.identity._replace(name="n1")  # its address stays its own
        run.wait(10)
        run.settle()
        before = vector.encode(a.core.state(SYSTEM).delivered)
        run.wait(60)
        assert vector.encode(a.core.state(SYSTEM).delivered) == before
        assert seals(run) == [set()] * 3, "both are heard, so neither is sealed"
        members = a.core.engine.registry.members
        assert members["n1"].ids == {b.core.replica, c.core.replica}


def test_a_joiner_that_knew_only_the_forgotten_member_is_told_that_nobody_takes_its_events() -> None:
    with Cluster(2, seed=11) as cluster:
        gone, other = cluster.nodes
        cluster.settle()
        cluster.advance(2)
        cluster.partition([gone], [other])
        joiner = cluster.add([gone.name])
        cluster.partition([joiner], [other])
        gone.register("r").set("only on the joiner")
        cluster.advance(5)
        assert joiner.register("r").get() == "only on the joiner"
        cluster.kill(gone)
        other.write(SYSTEM, registry.forget_ops(other.core.engine.registry.members[gone.name]))
        cluster.advance(10)
        cluster.heal()
        cluster.advance(30)
        beyond = joiner.status()["keyspaces"]["default"]["beyond_seals"]
        assert list(beyond) == [gone._identity[0].hex()] and beyond[gone._identity[0].hex()] >= 1
        assert other.status()["keyspaces"]["default"]["beyond_seals"] == {}


def test_a_node_whose_first_commit_fails_registers_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with Cluster(2, seed=17) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        cluster.kill(b)
        b.take_new_identity()
        cluster.restart(b)
        with monkeypatch.context() as full:
            full.setattr(Draft, "flush", _disk_full)
            with pytest.raises(StoreFull):
                b.tick()
        cluster.settle()
        cluster.advance(5)
        assert a.core.engine.registry.members[b.name].replica == b.core.replica


def _disk_full(_draft: Draft) -> None:
    raise StoreFull("no space left")
