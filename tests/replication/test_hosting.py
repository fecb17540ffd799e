"""Nodes that host what they name: what goes where, who writes, and how a keyspace is let go of."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import gossamer
from gossamer.backend import make_op
from gossamer.crdt import path
from gossamer.replica import Replica
from gossamer.replication import limits
from gossamer.simulation import SimulatedNode
from gossamer.testing import Cluster
from gossamer.turns import Write
from tests.processes.waiting import so

NAME = "orders"


def sharing(cluster: Cluster, *nodes: SimulatedNode) -> None:
    """Those nodes host one more keyspace, and have five events of the first of them."""
    for node in nodes:
        node.keyspace(NAME)
    for n in range(5):
        nodes[0].keyspace(NAME).register(f"r{n}").set("x" * 2000)
    cluster.advance(5)


def test_only_hosts_have_what_is_written_and_a_node_between_passes_nothing_on() -> None:
    with Cluster(3, seed=1) as cluster:
        a, b, c = cluster.nodes
        sharing(cluster, a, c)
        assert c.keyspace(NAME).register("r4").get() and not b.core.hosts(NAME)
        assert a.status()["keyspaces"][NAME]["hosts"] == ["n0", "n2"]
        cluster.cut(a, c)
        a.keyspace(NAME).register("new").set(1)
        a.register("new").set(1)
        cluster.advance(limits.UNREACHABLE_AFTER_S * 2 + 5)
        assert c.register("new").get() == 1, "the default one goes by way of b"
        assert c.keyspace(NAME).register("new").get() is None
        assert a.status()["keyspaces"][NAME]["unreachable_hosts"] == ["n2"]
        assert a.status()["keyspaces"]["default"]["unreachable_hosts"] == []
        b.keyspace(NAME)
        cluster.advance(limits.UNREACHABLE_AFTER_S * 2 + 5)
        assert c.keyspace(NAME).register("new").get() == 1
        assert a.status()["keyspaces"][NAME]["unreachable_hosts"] == []


@pytest.mark.parametrize("is_dropped", [True, False])
def test_additions_of_one_that_writes_no_more_are_folded_by_another(is_dropped: bool) -> None:
    with Cluster(3, seed=3, keyspaces=("default", NAME)) as cluster:
        a, b, away = cluster.nodes
        cluster.settle()
        cluster.advance(3)
        cluster.kill(away)
        for n in range(5):
            b.keyspace(NAME).counter("n").add(1, op_id=f"o{n}")
        cluster.settle()
        if is_dropped:
            b.drop_keyspace(NAME)
        else:
            cluster.kill(b)
            b.keyspaces, b.read_only = ("default",), (NAME,)
            cluster.restart(b)
        cluster.advance(3)
        assert a.core.store.operation_counts(NAME).pending == 5
        cluster.restart(away)
        cluster.settle()
        cluster.advance(10)
        for node in (a, away):
            assert node.core.store.operation_counts(NAME).pending == 0
            assert node.keyspace(NAME).counter("n").value() == 5


def test_a_node_can_do_without_the_default_keyspace(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", keyspaces=[NAME], host_default=False) as node:
        node.keyspace(NAME).counter("c").add(1)
        with pytest.raises(ValueError, match="does not host"):
            node.counter("c").value()
        with pytest.raises(ValueError, match="does not host"):
            node.counter("c").add(1)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"read_only": ["$system"]}, "read_only"),
        ({"read_only": [""]}, "read_only"),
        ({"host_default": 1}, "host_default"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object], what: str, tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError), match=what):
        gossamer.open(tmp_path / "a", **settings)  # type: ignore[arg-type]  # that is the point


# Reading only.


def test_who_only_reads_makes_no_event_and_counts_for_all_else() -> None:
    with Cluster(3, seed=2) as cluster:
        a, b, c = cluster.nodes
        b.read_only = ("default",)
        cluster.kill(b)
        cluster.restart(b)
        a.flag("f", policy="disable-wins").enable()
        a.register("r").set(1)
        a.counter("c").add(1)
        cluster.advance(5)
        made = b.core.state("default").delivered.intervals(b.core.replica)
        with pytest.raises(gossamer.ReadOnly, match="only reads"):
            b.register("r").set(2)
        with pytest.raises(gossamer.ReadOnly):
            b.register("r").update(lambda value: value)
        a.bounded_counter("stock").mint(9)
        with pytest.raises(ValueError, match="only reads"):
            a.bounded_counter("stock").transfer("n1", 3)
        cluster.advance(10)
        assert b.bounded_counter("stock").value() == 9 and b.bounded_counter("stock").available() == 0
        cluster.cut(a, c)
        a.register("r").set(3)
        cluster.advance(5)
        assert c.register("r").get() == 3, "it passes on what others write"
        cluster.heal()
        a.flag("f", policy="disable-wins").disable()
        cluster.advance(30)
        cluster.settle()
        assert b.core.state("default").delivered.intervals(b.core.replica) == made == ()
        assert [node.core.store.count("default")[1] for node in cluster.nodes] == [0, 0, 0], (
            "all is collected"
        )
        assert a.status()["members"][1]["read_only"] == ["default"]


def test_the_sweeper_is_one_that_may_write() -> None:
    with Cluster(2, seed=5) as cluster:
        low, high = sorted(cluster.nodes, key=lambda node: node.core.replica)
        low.flag("f", policy="disable-wins").disable()
        low.set("w", policy="remove-wins").add(1)
        high.set("w", policy="remove-wins").add(2)
        cluster.advance(1)
        low.read_only = ("default",)
        cluster.kill(low)
        cluster.restart(low)
        high.set("w", policy="remove-wins").clear()
        cluster.advance(30)
        cluster.settle()
        assert [node.core.store.count("default") for node in (low, high)] == [(0, 0)] * 2


# Letting go.


def test_the_pages_are_free_and_the_others_unharmed() -> None:
    with Cluster(3, seed=3) as cluster:
        a, b, _ = cluster.nodes
        sharing(cluster, a, b)
        before = b.core.state(NAME).delivered
        a.drop_keyspace(NAME)
        assert NAME not in a.status()["keyspaces"] and not a.core.hosts(NAME)
        size = a.core.store.size()
        for n in range(5):
            a.register(f"again{n}").set("y" * 2000)
        assert a.core.store.size() <= size, "its pages are used again"
        cluster.kill(a)
        cluster.restart(a)
        cluster.advance(10)
        assert not a.core.hosts(NAME) and b.core.state(NAME).delivered == before
        assert b.status()["keyspaces"][NAME]["hosts"] == ["n1"]
        b.keyspace(NAME).register("r0").remove()
        cluster.advance(20)
        assert b.core.store.count(NAME)[1] == 0, "who dropped it holds nobody back"


def test_what_nobody_else_has_is_not_dropped() -> None:
    with Cluster(3, seed=4) as cluster:
        a, b, _ = cluster.nodes
        sharing(cluster, a, b)
        cluster.partition([a], [b])
        cluster.advance(5)
        a.keyspace(NAME).counter("c").add(1)
        a.keyspace(NAME).counter("c").add(1)
        with pytest.raises(gossamer.OnlyCopy, match="2 events are on no other host"):
            a.drop_keyspace(NAME)
        cluster.advance(10)
        assert a.keyspace(NAME).counter("c").value() == 2
        assert a.status()["keyspaces"][NAME]["hosts"] == ["n0", "n1"], "it is registered again"
        cluster.heal()
        cluster.advance(5)
        a.drop_keyspace(NAME)
        with pytest.raises(gossamer.OnlyCopy, match="no other member"):
            b.drop_keyspace(NAME)
        assert b.keyspace(NAME).counter("c").value() == 2
        b.drop_keyspace(NAME, force=True)
        assert not b.core.hosts(NAME)


def test_two_that_leave_at_once_do_not_rely_on_each_other() -> None:
    with Cluster(2, seed=6) as cluster:
        a, b = cluster.nodes
        sharing(cluster, a, b)
        a.core.leave(NAME)
        b.core.leave(NAME)
        cluster.advance(30)
        assert a.core.hosts(NAME) and b.core.hosts(NAME)
        a.core.stay(NAME)
        cluster.advance(10)
        assert a.core.hosts(NAME) and not b.core.hosts(NAME)


def test_who_takes_a_new_id_while_it_leaves_has_told_nobody_yet() -> None:
    with Cluster(2, seed=6) as cluster:
        a, b = cluster.nodes
        sharing(cluster, a, b)
        a.keyspace(NAME).counter("c").add(3)
        cluster.advance(3)
        for node in (a, b):
            node.keyspace("mine")
            node.drop_keyspace("mine")  # it is empty: it goes at once
        cluster.advance(3)
        cluster.partition([a], [b])
        for node in (a, b):
            node.core.leave(NAME)
        cluster.advance(1)  # both have written it down, and neither hears it of the other
        for node in (a, b):
            before = node.core.replica
            node.keyspace("mine")
            assert node.core.replica != before
            node.counter("x").add(1)
            assert node.core.hosts(NAME), "what was said under the old id is not known to anybody"
        cluster.heal()
        cluster.advance(10)
        assert a.core.hosts(NAME) and b.core.hosts(NAME)
        a.core.stay(NAME)
        cluster.advance(10)
        assert a.keyspace(NAME).counter("c").value() == 3 and not b.core.hosts(NAME)


def test_to_host_it_again_is_to_be_another_replica() -> None:
    with Cluster(2, seed=7) as cluster:
        a, b = cluster.nodes
        sharing(cluster, a, b)
        a.keyspace(NAME).counter("c").add(3)
        cluster.advance(3)
        a.drop_keyspace(NAME)
        old = a.core.replica
        a.keyspace(NAME).counter("c").add(4)
        assert a.core.replica != old and a.core.engine.old_ids == [old]
        cluster.advance(10)
        cluster.settle()
        assert [n.keyspace(NAME).counter("c").value() for n in (a, b)] == [7, 7]
        a.drop_keyspace("default", force=True)
        now = a.core.replica
        cluster.kill(a)
        a.keyspaces = ("default", NAME)  # it is in the settings still
        cluster.restart(a)
        assert a.core.replica != now
        cluster.advance(5)
        cluster.settle()


def test_wrong_names_are_named_and_a_write_into_what_is_gone_is_refused() -> None:
    with Cluster(2, seed=8) as cluster:
        a, b = cluster.nodes
        sharing(cluster, a, b)
        for name in ("$system", "nothing"):
            with pytest.raises(ValueError, match=name.replace("$", r"\$")):
                a.drop_keyspace(name)
        op = make_op(path.of_text("counter:c"), "add", (1,))
        a.drop_keyspace(NAME)
        (result,) = a.core.turn([Write(NAME, [op])], a._clock())
        assert isinstance(result, KeyError)
        cluster.advance(3)


def until_it_has_two_hosts(node: gossamer.Node, name: str) -> None:
    so(lambda: len(node.status()["keyspaces"][name]["hosts"]) == 2, f"a second host of {name}")


def test_a_real_node_lets_go_by_itself_by_the_client_and_in_a_coroutine(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", listen="127.0.0.1:0", keyspaces=["x", "y", "z"]) as a:
        assert a.address is not None
        with (
            gossamer.open(tmp_path / "b", keyspaces=["x", "y"], peers=[a.address]) as b,
            gossamer.connect(a.address, timeout=90) as client,
        ):
            for name in ("x", "y", "z"):
                a.keyspace(name).counter("c").add(1)
            for name in ("x", "y"):
                until_it_has_two_hosts(a, name)
            client.drop_keyspace("x", timeout=60)
            a.drop_keyspace("y", timeout=60)
            with pytest.raises(gossamer.OnlyCopy):
                client.drop_keyspace("z")
            assert sorted(a.status()["keyspaces"]) == ["$system", "default", "z"]
            assert [b.keyspace(name).counter("c").value() for name in ("x", "y")] == [1, 1]
            with pytest.raises(ValueError, match="timeout"):
                a.drop_keyspace("z", timeout=-1)
            client.drop_keyspace("z", force=True)
            assert not a.backend.core.hosts("z")


async def test_the_async_twin(tmp_path: Path) -> None:
    async with gossamer.aopen(tmp_path / "a", keyspaces=["x"]) as node:
        await node.keyspace("x").counter("c").aadd(1)
        with pytest.raises(gossamer.OnlyCopy):
            await node.adrop_keyspace("x")
        await node.adrop_keyspace("x", force=True)
        with pytest.raises(ValueError, match="does not host"):
            await node.backend.acell("x", b"")


async def test_letting_go_ends_with_the_caller_who_is_cancelled(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", name="a", listen="127.0.0.1:0", keyspaces=["x"]) as a:
        assert a.address is not None
        with gossamer.open(tmp_path / "b", name="b", keyspaces=["x"], peers=[a.address]):
            until_it_has_two_hosts(a, "x")
        a.keyspace("x").counter("c").add(1)  # which b, that is down now, must have before it may go
        core = a.backend.core
        assert isinstance(core, Replica)
        dropping = asyncio.create_task(a.adrop_keyspace("x", timeout=600))
        while "x" not in core.engine.leaving:
            await asyncio.sleep(0)
        dropping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dropping
        await a.astatus()  # behind what the cancelled one has queued
        assert "x" not in core.engine.leaving
        with gossamer.connect(a.address, timeout=0.2) as client, pytest.raises(gossamer.OutcomeUnknown):
            client.drop_keyspace("x", timeout=600)  # its deadline cancels it there
        while "x" in core.engine.leaving:
            await asyncio.sleep(0.001)
        assert core.hosts("x")
