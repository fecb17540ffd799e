"""How much is said, how large it gets, and what happens when it is cut short."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from gossamer.crdt import Cell, Entry, join, path, values
from gossamer.replication import limits, registry, sending
from gossamer.replication.messages import Ack, Tell
from gossamer.simulation import SimulatedNode
from gossamer.testing import Cluster
from tests.simulation.script import script

from .listening import Listener

TEXT = "x" * 1000
DEFAULT = 1


def fill(node: SimulatedNode, cells: int, text: str = TEXT) -> None:
    for n in range(cells):
        node.map("m").register(f"k{n:04}").set(f"{n} {text}")


def state_of(node: SimulatedNode) -> Any:
    return node.core.state("default")


def unacknowledged(node: SimulatedNode) -> int:
    links = node.core.engine.links.values()
    return max((sum(s.unacked) for link in links for s in link.shared.values()), default=0)


# Full exchanges.


def bootstrapped_with_cuts(monkeypatch: pytest.MonkeyPatch, *, cuts: int) -> tuple[int, int]:
    """How many batches a joiner got in full exchanges, and how many cells they had."""
    monkeypatch.setattr(limits, "BATCH_BYTES_TARGET", 10_000)
    monkeypatch.setattr(limits, "WINDOW_BATCHES", 2)
    with Cluster(1, seed=21) as cluster:
        (a,) = cluster.nodes
        fill(a, 300)
        cluster.advance(10)
        assert a.core.store.count("default")[1] == 0
        listener = Listener(cluster)
        joiner = cluster.add()
        for n in range(cuts):
            while joiner.core.store.count("default")[0] < 60 * (n + 1):
                assert cluster.clock.step()
            cluster.cut(a, joiner)
            cluster.advance(5)
            assert not state_of(joiner).is_whole
            if n % 2:
                cluster.kill(joiner)
                cluster.restart(joiner)
            cluster.heal()
        cluster.advance(2)
        cluster.settle()
        assert len(joiner.map("m").value()) == 300
        full = [b for _, b in listener.batches() if b.full is not None]
        return len(full), sum(len(b.cells) // 2 for b in full)


def test_a_full_exchange_goes_on_where_it_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cells = bootstrapped_with_cuts(monkeypatch, cuts=0)
    cut, cells_with_cuts = bootstrapped_with_cuts(monkeypatch, cuts=4)
    assert cells == 300 and whole >= 30
    lost = 4 * 3  # batches: what was in the window, and one more, each time
    assert cut <= whole + lost
    assert cells_with_cuts <= cells + lost * 11


def test_another_peer_finishes_what_one_that_is_gone_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_BYTES_TARGET", 10_000)
    monkeypatch.setattr(limits, "WINDOW_BATCHES", 1)
    with Cluster(2, seed=22) as cluster:
        a, b = cluster.nodes
        fill(a, 200)
        cluster.settle()
        cluster.advance(20)
        cluster.kill(b)
        joiner = cluster.add()
        while joiner.core.store.count("default")[0] < 80:
            assert cluster.clock.step()
        cluster.kill(a)
        cluster.advance(5)
        assert not state_of(joiner).is_whole
        assert not joiner.status()["keyspaces"]["default"]["ready"]
        cluster.restart(b)
        cluster.advance(2)
        cluster.settle()
        assert len(joiner.map("m").value()) == 200
        assert joiner.status()["keyspaces"]["default"]["ready"]
        assert state_of(joiner).bootstrap is None


@pytest.mark.parametrize("target", [1, 200, 128 * 1024])
def test_two_that_are_each_below_the_others_horizon_help_each_other(target: int) -> None:
    with script(4, COLLECT_EVERY_S=0.05, BATCH_BYTES_TARGET=target, WINDOW_BATCHES=1) as run:
        a, b, c, d = run.nodes
        run.do(a, ("register:r", "set", "first"), ("set:s/str:x", "add"))
        run.do(c, ("counter:c", "add", 1))
        run.settle()
        run.wait(10)
        run.cut([a, b], [c, d])
        run.wait(5)
        for near, far in ((a, (c, d)), (c, (a, b))):  # each half takes the other for removed, and collects
            for gone in far:
                run._system(near, registry.remove_ops(gone.name))
        run.do(a, ("set:s/str:x", "remove"))
        run.do(b, ("counter:c", "add", 10))
        run.do(b, ("register:r", "set", "left"))
        run.do(c, ("register:r", "set", "right"))
        run.do(d, ("counter:c", "add", 100))
        run.wait(1)
        run.do(c, ("counter:c", "reset"))
        run.do(d, ("set:s/int:1", "add"), ("flag:f", "enable"))
        run.wait(20)
        assert state_of(a).horizon.covers(state_of(a).delivered)
        assert state_of(c).horizon.covers(state_of(c).delivered)
        assert not state_of(a).delivered.covers(state_of(c).horizon)
        assert not state_of(c).delivered.covers(state_of(a).horizon)
        listener = Listener(run.cluster)
        run.cluster.heal()
        run.settle()
        run.wait(10)
        run.settle()
        assert listener.full()
        assert {node.counter("c").value() for node in run.nodes} == {10}
        assert all("x" not in node.set("s") and 1 in node.set("s") for node in run.nodes)


def healthy_traffic(seconds: float) -> Listener:
    with script(4, COLLECT_EVERY_S=0.01, DIGEST_EVERY_S=0.05, TELL_AFTER_S=0.05) as run:
        run.settle()
        run.wait(5)
        listener = Listener(run.cluster)
        for n in range(int(seconds / 0.05)):
            run.do(run.nodes[n % 4], ("counter:c", "add", 1))
            run.wait(0.05)
        run.settle()
        return listener


def test_a_healthy_cluster_makes_no_full_exchange() -> None:
    assert healthy_traffic(3).full() == []


def test_without_what_third_nodes_say_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sending, "has_collected", lambda link, shared, state: shared.theirs.covers(state.horizon)
    )
    assert healthy_traffic(3).full() != []


# What is said, and how often.


def test_in_a_mesh_each_event_crosses_each_link_about_once() -> None:
    with Cluster(5, seed=23) as cluster:
        cluster.settle()
        cluster.advance(10)
        listener = Listener(cluster)
        events = 0
        for n in range(40):
            for node in cluster.nodes:
                node.counter(f"c{n % 3}").add(1)
                events += 1
            cluster.advance(0.05)
        cluster.advance(3)
        cluster.settle()
        batches = listener.batches()
        assert len(batches) >= 4 * events - 10, "own events go to four peers"
        assert len(batches) <= 1.05 * 4 * events, "once, and hardly ever by another way"
        assert len(listener.of(Ack)) <= len(batches)
        delay = max(heard.at for heard, _ in batches) - batches[0][0].at
        assert delay < 2.5, "and at once"


def test_what_another_node_did_is_told_in_time_and_not_each_time() -> None:
    with Cluster(3, seed=25) as cluster:
        a, b, _ = cluster.nodes
        cluster.settle()
        cluster.advance(10)
        listener, came = Listener(cluster), list[float]()

        def note(node: SimulatedNode) -> None:
            if node is b and len(came) < node.counter("c").value():
                came.append(cluster.clock.now)
                (link,) = [link for link in b.core.engine.links.values() if link.name == "n2"]
                assert link.quiet_until <= cluster.clock.now + limits.TELL_AFTER_S, "it is looked at in time"

        cluster.after_event = note
        for _ in range(40):
            a.counter("c").add(1)
            cluster.advance(0.05)
        cluster.advance(1)
        news = [(h, h.message) for h in listener.heard if isinstance(h.message, Tell)]
        told = [h.at for h, tell in news if (h.sender, h.receiver) == ("n1", "n2") and tell.gained]
        assert told[0] == pytest.approx(came[0] + limits.TELL_AFTER_S)
        assert len(told) >= 4, "for two seconds of gains"
        for at, later in pairwise(told):  # the next gain comes within 0.05 s
            assert limits.TELL_AFTER_S <= later - at <= limits.TELL_AFTER_S + 0.1


def test_an_event_is_pushed_at_once_and_forwarded_only_where_a_link_is_broken() -> None:
    with Cluster(3, seed=24) as cluster:
        a, _, c = cluster.nodes
        cluster.settle()
        cluster.advance(10)
        listener = Listener(cluster)
        a.register("r").set(1)
        now = cluster.clock.now
        assert {(h.sender, h.receiver) for h, _ in listener.batches() if h.at == now} == {
            ("n0", "n1"),
            ("n0", "n2"),
        }
        cluster.advance(3)
        assert len(listener.batches()) == 2, "nobody forwarded what all had"
        cluster.cut(a, c)
        cluster.advance(5)
        listener.forget()
        a.register("r").set(2)
        cluster.advance(3)
        assert [(h.sender, h.receiver) for h, _ in listener.batches()] == [("n0", "n1"), ("n1", "n2")]
        (pushed, _), (forwarded, _) = listener.batches()
        assert forwarded.at - pushed.at >= limits.FORWARD_AFTER_S
        assert c.register("r").get() == 2


def test_an_acknowledgement_says_only_what_changed() -> None:
    with Cluster(5, seed=25) as cluster:
        for _ in range(3):  # many old replica ids make the vector long
            for node in cluster.nodes:
                node.counter("n").add(1)
                cluster.advance(0.5)
                cluster.kill(node)
                node.take_new_identity()
                cluster.restart(node)
        cluster.advance(2)
        cluster.settle()
        cluster.advance(5)
        a = cluster.nodes[0]
        assert len(state_of(a).delivered.replicas()) == 15
        listener = Listener(cluster)
        a.register("r").set(1)
        cluster.advance(0.1)
        acks = [h for h in listener.of(Ack) if h.receiver == a.name]
        assert len(acks) == 4
        assert all(h.size < 20 for h in acks)
        assert all(h.message.gained == [1, 2, 1, 0] for h in acks)  # type: ignore[union-attr]  # they are Acks


# Windows and sizes.


def test_a_slow_peer_is_a_lagging_vector_and_no_growing_buffer() -> None:
    with Cluster(2, seed=26) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        cluster.advance(5)
        listener = Listener(cluster)
        honest = b.turn
        b.turn = lambda inputs, **more: []  # type: ignore[method-assign]  # it is stopped, and its links stand
        most = 0
        for n in range(100):
            a.register(f"r{n}").set("x" * 100_000)
            cluster.advance(0.02)
            most = max(most, unacknowledged(a))
        assert 0 < most <= limits.WINDOW_BYTES + limits.BATCH_BYTES_TARGET + 101_000
        sent = sum(h.size for h in listener.heard if h.sender == a.name)
        assert sent <= limits.WINDOW_BYTES + 2 * limits.BATCH_BYTES_TARGET
        assert not any(link.pending for link in a.core.engine.links.values())
        b.turn = honest  # type: ignore[method-assign]
        cluster.advance(limits.ACK_TIMEOUT_S + 5)
        cluster.settle()
        assert b.register("r99").get() == "x" * 100_000


def test_the_window_in_batches_is_kept_too() -> None:
    with script(2, BATCH_BYTES_TARGET=1, WINDOW_BATCHES=3) as run:
        a, b = run.nodes
        run.settle()
        run.cut([a], [b])
        run.wait(5)
        for text in ("register:r", "flag:f", "counter:c", "max_register:m", "mv_register:v", "set:s/str:x"):
            method = {"flag:f": ("enable",), "set:s/str:x": ("add",), "counter:c": ("add", 1)}
            run.do(a, (text, *method.get(text, ("set", 1))))
        most = 0

        def watch(node: SimulatedNode) -> None:
            nonlocal most
            links = a.core.engine.links.values()
            most = max([most, *(len(s.unacked) for link in links for s in link.shared.values())])
            run.invariants.check(node)

        run.cluster.after_event = watch
        run.cluster.heal()
        run.settle()
        assert most == 3


def test_a_batch_of_more_than_a_message_goes_in_parts() -> None:
    noise = random.Random(27).randbytes(250_000)  # or it would be deflated to less than a message
    with Cluster(2, seed=27) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        cluster.partition([a], [b])
        for n in range(6):  # six events that share a cell make one batch
            with a.transaction() as tx:
                tx.counter("shared").add(1)
                tx.register(f"big{n}").set(noise[n:])
        listener = Listener(cluster)
        cluster.heal()
        cluster.advance(10)
        cluster.settle()
        parts = list(listener.parts())
        assert len(parts) == 2 and all(h.size <= limits.MESSAGE_BYTES_MAX for h in listener.heard)
        assert b.counter("shared").value() == 6 and b.register("big5").get() == noise[5:]


def grown(count: int, size: int, seed: int, joiner: bool = False) -> None:
    """A cell that ``count`` replicas wrote at once, each ``size`` bytes; it must reach everyone."""
    with Cluster(3, seed=seed) as cluster:
        a, b, c = cluster.nodes
        cluster.settle()
        cluster.partition([a], [b], [c])
        writers = [a, b, c]
        for n in range(count):
            node = writers[n % 3]
            _write_as(node, bytes((0x80, n, *bytes(6))), n, size)
        cluster.heal()
        cluster.advance(60)
        cluster.settle(timeout=600)
        for node in cluster.nodes:
            assert len(node.mv_register("v").values()) == count
        if joiner:
            cluster.advance(60)
            new = cluster.add()
            cluster.advance(30)
            cluster.settle()
            assert len(new.mv_register("v").values()) == count


def _write_as(node: SimulatedNode, replica: bytes, n: int, size: int) -> None:
    """One write of a replica of which nothing else is left, as the node got it from it."""
    at = path.of_text("mv_register:v")
    with node.core.store.transaction() as drafts:
        draft = drafts("default")
        payload = values.encode([values.encode(f"{n} " + "x" * size)], most=values.PAYLOAD_BYTES_MAX)
        own = Cell((Entry(replica, 1, payload),))
        draft.put(at, join(draft.cell(at), own))
        draft.state.delivered.add(replica, 1)


@pytest.mark.parametrize("joiner", [False, True])
def test_a_cell_that_has_grown_beyond_a_message_arrives(joiner: bool) -> None:
    grown(8, 200 * 1024, 28, joiner)


def test_a_cell_larger_than_a_batch_arrives() -> None:
    grown(80, 250_000, 29)
