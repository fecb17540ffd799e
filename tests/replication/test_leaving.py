"""A node that stops for good: drained, said so, waited for by nobody, and nothing of it lost."""

from __future__ import annotations

from pathlib import Path

import pytest

import gossamer
from gossamer.errors import DirectoryUnusable, Leaving, OnlyCopy, WaitTimeout
from gossamer.replication import limits, registry
from gossamer.replication.seals import Seal, Settlement
from gossamer.simulation import Cluster, SimulatedNode
from tests.processes.waiting import so


def states(node: SimulatedNode) -> dict[str, str]:
    return {member["name"]: member["state"] for member in node.status()["members"]}


def test_all_is_with_the_others_its_rights_too_and_collection_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "COLLECT_EVERY_S", 0.05)
    with Cluster(3, seed=1) as cluster:
        a, b, c = cluster.nodes
        cluster.advance(5)
        c.bounded_counter("stock").mint(10)
        c.map("m").bounded_counter("stock").mint(7)
        c.counter("x").add(3)
        a.bounded_counter("stock").mint(1)
        cluster.advance(2)
        c.leave()
        assert c.status()["left"] and not c.status()["leaving"]
        with pytest.raises(Leaving):
            c.counter("x").add(1)
        assert c.counter("x").value() == 3
        cluster.kill(c)
        cluster.advance(15)
        assert [states(n)["n2"] for n in (a, b)] == ["left", "left"]
        assert sum(n.bounded_counter("stock").available() for n in (a, b)) == 11
        assert sum(n.map("m").bounded_counter("stock").available() for n in (a, b)) == 7
        a.set("s").add(1)
        b.set("s").discard(1)
        a.counter("x").reset()
        cluster.advance(15)
        assert [n.core.store.count("default")[1] for n in (a, b)] == [0, 0], (
            "collection waits for one that left"
        )
        assert not a.core.engine.duties.may_return(), "its id is closed"


def test_rights_are_given_and_not_only_inherited() -> None:
    """While a removed member may come back nothing is inherited, and what was given counts at once."""
    with Cluster(4, seed=10) as cluster:
        a, b, c, d = cluster.nodes
        cluster.advance(5)
        cluster.kill(d)
        a.write(registry.SYSTEM, registry.remove_ops("n3"))
        c.bounded_counter("stock").mint(10)
        cluster.advance(3)
        c.leave()
        cluster.kill(c)
        cluster.advance(3)
        assert not a.core.engine.registry.heirs
        assert [n.bounded_counter("stock").available() for n in (a, b)] == [5, 5]


def test_what_nobody_else_has_keeps_it_here() -> None:
    with Cluster(3, seed=2) as cluster:
        a, b, c = cluster.nodes
        cluster.advance(5)
        cluster.partition([c], [a, b])
        c.counter("x").add(1)
        with pytest.raises(WaitTimeout, match="1 events are on no other host|nobody was told|no other host"):
            c.leave(timeout=10)
        c.counter("x").add(1)  # it goes on
        cluster.heal()
        cluster.advance(5)
        cluster.settle()
        assert [n.counter("x").value() for n in (a, b, c)] == [2, 2, 2]
        assert states(a)["n2"] == "linked"
        c.leave()
        a.counter("x").add(1)


def test_who_is_linked_and_slow_is_waited_for_and_named() -> None:
    with Cluster(3, seed=3) as cluster:
        _, b, c = cluster.nodes
        cluster.advance(5)
        cluster.cut(b, c)
        cluster.advance(5)
        c.counter("x").add(1)
        c.leave()  # by way of a, which has it durably; b hears of it from a
        cluster.kill(c)
        cluster.advance(10)
        assert b.counter("x").value() == 1 and states(b)["n2"] == "left"


def test_the_last_member_and_a_keyspace_of_its_own_cannot_go() -> None:
    with Cluster(1, seed=4) as cluster:
        (alone,) = cluster.nodes
        with pytest.raises(OnlyCopy, match="no other member is known"):
            alone.leave()
        alone.counter("x").add(1)
    with Cluster(2, seed=5) as cluster:
        a, b = cluster.nodes
        cluster.advance(5)
        a.keyspace("mine").counter("x").add(1)
        cluster.advance(2)
        with pytest.raises(OnlyCopy, match="mine"):
            a.leave()
        a.keyspace("mine").counter("x").add(1)
        b.leave()


def test_two_that_leave_at_once_do_not_rely_on_each_other() -> None:
    with Cluster(2, seed=6) as cluster:
        a, b = cluster.nodes
        cluster.advance(5)
        a.counter("x").add(1)
        a.core.depart()
        b.core.depart()
        cluster.advance(20)
        assert not a.core.engine.has_left and not b.core.engine.has_left
        assert a.core.remain()
        cluster.advance(10)
        assert b.core.engine.has_left and a.counter("x").value() == 1


def test_one_that_dies_before_it_has_told_goes_on_telling() -> None:
    with Cluster(2, seed=7) as cluster:
        a, b = cluster.nodes
        cluster.advance(5)
        b.core.depart()
        while not b.core.engine.has_left:
            cluster.clock.step()
        cluster.kill(b)
        assert states(a)["n1"] != "left"
        cluster.restart(b)
        with pytest.raises(Leaving):
            b.counter("x").add(1)
        cluster.advance(5)
        assert states(a)["n1"] == "left" and b.core.is_gone


def test_the_answer_that_is_lost_comes_as_a_refusal() -> None:
    with Cluster(2, seed=9) as cluster:
        a, b = cluster.nodes
        cluster.advance(5)
        b.core.depart()
        while "left" not in states(a).values():
            cluster.clock.step()
        cluster.kill(a)  # it knows, and b was not told so
        assert not b.core.is_gone
        cluster.restart(a)
        cluster.advance(5)
        assert b.core.is_gone


def test_members_that_have_yet_to_meet_do_not_agree_without_each_other() -> None:
    """Whoever knows a part of the cluster would take that part for all who must agree on who inherits."""
    with Cluster(4, seed=11) as cluster:
        a, b, c, d = cluster.nodes
        gone, settled = d.core.replica, set[Settlement | None]()

        def look(node: SimulatedNode) -> None:
            settled.add(node.core.engine.registry.seals.get(gone, Seal(gone)).settled)

        cluster.after_event = look
        cluster.partition([a, b], [c, d])
        cluster.advance(1)
        d.core.depart()
        d.tick()
        while gone not in c.core.engine.registry.seals:
            cluster.clock.step()
        cluster.cut(c, d)
        cluster.advance(5)  # c knows of nobody else who is to answer
        cluster.heal()
        cluster.partition([c], [a, b, d])
        cluster.cut(a, d)  # so a hears of the seal from b, and before it hears of c
        cluster.advance(5)
        cluster.heal()
        cluster.advance(5)
        cluster.settle()
        assert settled - {None} == {Settlement(b"", min(n.core.replica for n in (a, b, c)))}
        assert all(gone in n.core.engine.registry.closed for n in (a, b, c))


def test_a_new_directory_may_take_the_name() -> None:
    with Cluster(3, seed=8) as cluster:
        a, b, c = cluster.nodes
        cluster.advance(5)
        c.counter("x").add(1)
        c.leave()
        cluster.kill(c)
        cluster.advance(10)
        old = c.core_id if hasattr(c, "core_id") else c._identity[0]
        c._identity = (b"newcomer", [])
        c.directory = c.directory.with_name("again")
        cluster.restart(c)
        cluster.advance(10)
        cluster.settle()
        c.counter("x").add(1)
        cluster.advance(10)
        assert [n.counter("x").value() for n in (a, b, c)] == [2, 2, 2]
        assert states(a)["n2"] == "linked"
        assert old in a.core.engine.registry.closed
        assert b"newcomer" in a.core.engine.registry.current


def test_real_nodes_by_the_node_the_client_and_in_a_coroutine(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", name="a", listen="127.0.0.1:0") as a:
        assert a.address is not None
        b = gossamer.open(tmp_path / "b", name="b", listen="127.0.0.1:0", peers=[a.address]).start()
        with b:
            assert b.address is not None
            b.counter("x").add(2)
            so(lambda: len(a.status()["members"]) == 2 and len(b.status()["members"]) == 2, "both known")
            with gossamer.connect(b.address, timeout=90) as client:
                client.leave(timeout=60)
                with pytest.raises(Leaving):
                    client.counter("x").add(1)
            b.leave()  # again: it has left
        assert a.counter("x").value() == 2
        with pytest.raises(DirectoryUnusable, match="has left the cluster"):
            gossamer.open(tmp_path / "b", name="b")
        with gossamer.open(tmp_path / "anew", name="b", listen="127.0.0.1:0", peers=[a.address]) as b:
            so(lambda: {m["name"]: m["state"] for m in a.status()["members"]}["b"] == "linked", "b anew")
            so(
                lambda: b.status()["keyspaces"]["default"]["ready"] and b.counter("x").value() == 2,
                "it has all",
            )


async def test_the_async_twin_and_one_that_is_cancelled(tmp_path: Path) -> None:
    import asyncio

    async with gossamer.aopen(tmp_path / "a", name="a", listen="127.0.0.1:0") as a:
        with pytest.raises(OnlyCopy):
            await a.aleave()
        with pytest.raises(ValueError, match="timeout"):
            await a.aleave(timeout=-1)
        with gossamer.open(tmp_path / "b", name="b", peers=[a.address or ""]):
            while len((await a.astatus())["members"]) < 2:
                await asyncio.sleep(0)
        await a.counter("x").aadd(1)  # b is down now
        leaving = asyncio.create_task(a.aleave(timeout=600))
        while not (await a.astatus())["leaving"]:
            await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert not (await a.astatus())["leaving"]
        await a.counter("x").aadd(1)
