"""What is too large for one batch: does it arrive, whole, in bounded steps, whatever happens in between?"""

from __future__ import annotations

import pytest

from gossamer.crdt import EMPTY, Cell, Dead, Entry, path, values
from gossamer.errors import NotReady
from gossamer.replication import batch, limits
from gossamer.replication.state import Bootstrap
from gossamer.simulation import SimulatedNode
from gossamer.simulation import node as simulated
from gossamer.simulation.network import Weather
from gossamer.testing import Cluster

from .test_damaged import flip, put_back

CHAIN = 60


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_BYTES_MAX", 2_000)
    monkeypatch.setattr(limits, "BATCH_BYTES_TARGET", 500)
    monkeypatch.setattr(limits, "APPLY_BYTES", 1)


def chain(node: SimulatedNode, count: int = CHAIN) -> None:
    """Transactions that hang together through a counter, and are not stable: too large for one batch."""
    for i in range(count):
        with node.transaction() as tx:
            tx.counter("sum").add(1)
            tx.register(f"r{i:02}").set("x" * 100)


def is_there(node: SimulatedNode, count: int = CHAIN) -> bool:
    return node.counter("sum").value() == count and all(
        node.register(f"r{i:02}").get() == "x" * 100 for i in range(count)
    )


def collected(cluster: Cluster, node: SimulatedNode) -> None:
    """Something that was cleaned up, so that a joiner needs a full exchange."""
    node.register("old").set(1)
    cluster.settle()
    cluster.advance(10)
    assert node.core.store.count("default")[1] == 0
    assert node.core.state("default").horizon


def one_away(cluster: Cluster) -> SimulatedNode:
    """A member that holds clean-up back from now on."""
    away = cluster.nodes[-1]
    cluster.kill(away)
    return away


def test_a_joiner_gets_a_chain_in_bounded_commits() -> None:
    with Cluster(2, seed=60) as cluster:
        a = cluster.nodes[0]
        collected(cluster, a)
        one_away(cluster)
        chain(a)
        joiner = cluster.add()
        steps = 0
        while not joiner.core.state("default").delivered.covers(a.core.state("default").delivered):
            before = joiner.core.state("default").bootstrap
            assert cluster.clock.step()
            after = joiner.core.state("default").bootstrap
            if before is not None and after is not None and after.applied != before.applied:
                steps += 1
                assert after.applied == before.applied + 1
                with pytest.raises(NotReady):
                    joiner.counter("sum").value()
        assert steps > 10
        assert is_there(joiner)


def left_with_a_journal(cluster: Cluster) -> tuple[SimulatedNode, SimulatedNode, Bootstrap]:
    """A joiner that has applied some parts of a journal when its sender is killed: the sender, the joiner, how far it is."""
    a = cluster.nodes[0]
    collected(cluster, a)
    one_away(cluster)
    chain(a)
    joiner = cluster.add()
    while (boot := joiner.core.state("default").bootstrap) is None or boot.applied < 3:
        assert cluster.clock.step()
    cluster.kill(a)
    return a, joiner, boot


@pytest.mark.parametrize("fate", ["runs on", "is killed", "is killed, and is another replica then"])
def test_a_journal_is_applied_though_its_sender_is_gone_and_the_node_was_killed(fate: str) -> None:
    with Cluster(2, seed=61) as cluster:
        a, joiner, boot = left_with_a_journal(cluster)
        if fate != "runs on":
            cluster.kill(joiner)
            if fate != "is killed":
                joiner.take_new_identity()
            cluster.advance(5)
            cluster.restart(joiner)
            after = joiner.core.state("default").bootstrap
            assert after is not None and after.parts == boot.parts and after.receiver == boot.receiver
            with pytest.raises(NotReady):
                joiner.counter("sum").value()
        cluster.advance(5)
        assert is_there(joiner) and joiner.core.state("default").is_whole
        with joiner.core.store.snapshot() as views:
            assert not list(views("default").txn.cursor(db=views("default").tables.staged))
        cluster.restart(a)
        cluster.settle()


@pytest.mark.parametrize("old", [b"xxxx", None, b""])
def test_a_part_that_the_disk_has_changed_is_not_applied_and_nothing_else_stops(
    old: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A value in it, its beginning, all of it."""
    with Cluster(2, seed=61, keyspaces=("default", "orders")) as cluster:
        a, joiner, _ = left_with_a_journal(cluster)
        cluster.kill(joiner)
        cluster.restart(joiner)
        store = joiner.core.store
        table = store._tables["default"].staged
        with store._env.begin(write=True) as txn:
            key, part = [(bytes(key), bytes(value)) for key, value in txn.cursor(db=table)][-3]
            txn.delete(key, db=table)
            if old != b"":
                at = part.index(old) if old else 0
                txn.put(key, part[:at] + b"\xc1" + part[at + 1 :], db=table)
        cluster.advance(5)
        with pytest.raises(NotReady):
            joiner.counter("sum").value()
        assert "damaged on this node's disk before it was applied" in caplog.text
        cluster.restart(a)
        a.keyspace("orders").register("r").set(1)
        cluster.advance(20)
        assert joiner.keyspace("orders").register("r").get() == 1
        assert joiner.core.engine.registry.members["n0"].replica == a.core.replica


def test_a_journal_that_damage_holds_up_is_looked_at_now_and_then_and_goes_on_once_mended() -> None:
    with Cluster(2, seed=66) as cluster:
        a, joiner, _ = left_with_a_journal(cluster)
        last = f"register:r{CHAIN - 1}"
        joiner.register(f"r{CHAIN - 1}").set("its own, which the journal knows nothing of")
        stored = flip(joiner, last)
        cluster.advance(5)
        assert joiner.core.state("default").is_applying
        turns = 0

        def count(_: SimulatedNode) -> None:
            nonlocal turns
            turns += 1

        cluster.after_event = count
        cluster.advance(10)
        assert joiner.core.state("default").is_applying
        assert turns < 100, "one in a tenth of a second: nothing can be done meanwhile"
        put_back(joiner, last, stored)
        cluster.restart(a)
        cluster.settle()
        assert joiner.core.state("default").is_whole and joiner.counter("sum").value() == CHAIN


def grown(entries: int, size: int) -> Cell:
    """A register that so many replicas have written without knowing of each other."""
    live = [
        Entry(b"w" + i.to_bytes(7, "big"), 2, i.to_bytes(8, "big") + values.encode("x" * size))
        for i in range(entries)
    ]
    return Cell(tuple(live), tuple(Dead(b"z" + i.to_bytes(7, "big"), 1) for i in range(entries)))


def put(node: SimulatedNode, at: bytes, cell: Cell) -> None:
    with node.core.store.transaction() as drafts:
        draft = drafts("default")
        draft.put(at, cell)
        for replica, seq in cell.context().items():
            draft.state.delivered.add(replica, 1, seq)


X = path.of_text("register:x")


@pytest.mark.parametrize("needs_full", [True, False])
def test_a_cell_that_is_larger_than_a_part_goes_in_slices(
    monkeypatch: pytest.MonkeyPatch, needs_full: bool
) -> None:
    monkeypatch.setattr(limits, "SLICE_BYTES", 1_000)
    monkeypatch.setattr(limits, "WINDOW_BATCHES", 1)
    with Cluster(2, seed=63) as cluster:
        a, b = cluster.nodes
        collected(cluster, a)
        cluster.partition([a], [b])
        cell = grown(40, 200)
        put(a, X, cell)
        a.register("after").set(2)
        if needs_full:
            cluster.kill(b)  # else it would answer the joiner before, without that cell
        other = cluster.add([a.name]) if needs_full else b
        cluster.heal()
        sent = 0
        while other.core.store.cell("default", X) == EMPTY:
            link = a.core.engine.links.values()
            sent += any(
                bool((s := one.shared.get("default")) and s.exchange and s.exchange.sliced) for one in link
            )
            assert cluster.clock.step()
        assert other.core.store.cell("default", X) == cell, "never a part of it"
        assert sent > 0
        cluster.settle()
        assert other.register("after").get() == 2


@pytest.mark.parametrize("slices", range(1, 5))
def test_a_cell_that_changes_between_its_slices_arrives_as_it_is_in_the_end(
    monkeypatch: pytest.MonkeyPatch, slices: int
) -> None:
    """What comes into its part that was sent already goes anew, though the last slice is of the cell as it is now."""
    monkeypatch.setattr(limits, "SLICE_BYTES", 1_000)
    monkeypatch.setattr(limits, "WINDOW_BATCHES", 1)
    with Cluster(2, seed=65) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        cluster.partition([a], [b])
        put(a, X, Cell(tuple(e for e in grown(40, 200).live if e.replica[-1] % 2)))
        cluster.heal()
        sent = set[bytes]()
        while len(sent) < slices:
            assert cluster.clock.step()
            exchanges = [s.exchange for link in a.core.engine.links.values() for s in link.shared.values()]
            sent |= {e.sliced_upto for e in exchanges if e is not None and e.sliced_upto}
        put(a, X, Cell(grown(41, 200).live))  # four a slice, and so one in the last: rows follow in its part
        cluster.settle()
        assert b.core.store.cell("default", X) == a.core.store.cell("default", X)


def test_slices_are_the_cell_and_no_larger_than_they_may_be() -> None:
    cell = grown(10, 100)
    parts, after = [], b""
    while True:
        part, after = batch.slice_of(cell, after, 300)
        assert batch.size_of(b"", part) <= 300 or len(part.context()) == 1
        parts.append(part)
        if not after:
            break
    assert len(parts) > 3
    assert tuple(e for p in parts for e in p.live) == cell.live
    assert tuple(d for p in parts for d in p.dead) == cell.dead


def test_a_cell_beyond_every_message_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """36 MiB, with the limits as they are: it could not be sent at all in one piece."""
    monkeypatch.undo()
    monkeypatch.setattr(simulated, "MAP_BYTES", 1024**3)
    with Cluster(2, seed=64) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        cell = grown(150, 250_000)
        assert batch.size_of(X, cell) > limits.PARTS_BYTES_MAX
        put(a, X, cell)
        a.register("after").set(2)
        cluster.advance(30)
        assert b.core.store.cell("default", X) == cell
        assert b.register("after").get() == 2


def staged(node: SimulatedNode) -> int:
    store = node.core.store
    with store.reading() as txn:
        return int(txn.stat(store._tables["default"].staged)["entries"])


@pytest.mark.parametrize("is_full", [False, True])
def test_parts_whose_rest_never_comes_are_dropped(is_full: bool) -> None:
    with Cluster(2, seed=66) as cluster:
        a, b = cluster.nodes
        if is_full:
            collected(cluster, a)
            one_away(cluster)
        else:
            cluster.settle()
            cluster.partition([a], [b])
            cluster.advance(3)
        chain(a, 200)
        cluster.heal()
        cluster.weather(Weather(delay=(0.05, 0.05)))
        receiver = cluster.add() if is_full else b
        while staged(receiver) < 6:
            assert cluster.clock.step()
        cluster.cut(a, receiver)
        cluster.advance(5)
        assert a.core.replica not in receiver.core.state("default").delivered.replicas(), "some is lacking"
        assert staged(receiver) == 0
        cluster.heal()
        cluster.advance(60)
        assert is_there(receiver, 200) and staged(receiver) == 0
