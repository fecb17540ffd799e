"""A cell whose checksum is wrong: does the rest of the node go on, and is it replaced by what a peer has?

Also an index that is wrong, keys that are, and a registry that cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gossamer import limits as node_limits
from gossamer.crdt import path
from gossamer.errors import Damaged
from gossamer.replication import limits
from gossamer.replication.registry import SYSTEM, remove_ops
from gossamer.simulation import SimulatedNode
from gossamer.store import record
from gossamer.testing import Cluster
from gossamer.turns import Instant, Write


def flip(node: SimulatedNode, text: str, keyspace: str = "default") -> bytes:
    """Change one bit of a stored cell; returns what was there."""
    store, at = node.core.store, path.of_text(text)
    cells = store._tables[keyspace].cells
    with store._env.begin(write=True) as txn:
        stored = txn.get(at, db=cells)
        assert stored is not None
        txn.put(at, stored[:-1] + bytes((stored[-1] ^ 1,)), db=cells)
    return bytes(stored)


def put_back(node: SimulatedNode, text: str, stored: bytes) -> None:
    store = node.core.store
    with store._env.begin(write=True) as txn:
        txn.put(path.of_text(text), stored, db=store._tables["default"].cells)


def test_what_cannot_be_sent_is_not_claimed_and_everything_else_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Cluster(2, seed=31, keyspaces=("default", "orders")) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        cluster.advance(5)
        cluster.partition([a], [b])
        a.register("x").set(1)
        a.counter("n").add(1)
        stored = flip(a, "register:x")
        cluster.heal()
        cluster.advance(20)
        a.keyspace("orders").counter("n").add(5)
        b.counter("n").add(10)
        a.counter("n").add(1)
        cluster.advance(20)
        assert b.keyspace("orders").counter("n").value() == 5
        assert a.counter("n").value() == 12, "it still receives"
        assert (
            not b.core.state("default").delivered.replicas()
            or (a.core.replica, 1) not in b.core.state("default").delivered
        )
        with pytest.raises(Damaged):
            a.register("x").get()
        assert "nothing can be sent to 'n1'" in caplog.text and "register:x" in caplog.text
        put_back(a, "register:x", stored)
        cluster.advance(limits.DAMAGED_RETRY_S + 1)
        cluster.settle()
        assert b.register("x").get() == 1 and b.counter("n").value() == 12


def test_it_is_replaced_by_what_a_peer_has_and_collected_like_the_rest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "COLLECT_EVERY_S", 5.0)
    with Cluster(2, seed=32) as cluster:
        a, b = cluster.nodes
        cluster.advance(6)
        for name in ("r0", "r1", "x", "r2"):
            a.register(name).set(1)
        cluster.advance(0.1)
        assert (a.core.replica, 3) in b.core.state("default").delivered
        assert a.core.store.count("default")[1] >= 2, "not collected yet"
        flip(a, "register:x")
        with pytest.raises(Damaged):
            a.register("x").get()
        with pytest.raises(Damaged):
            a.register("x").set(2)
        assert a.status()["damaged"] == ["default: register:x"]
        cluster.advance(2)
        assert a.register("x").get() == 1
        a.register("x").set(3)
        cluster.advance(20)
        cluster.settle()
        assert a.register("x").get() == b.register("x").get() == 3
        assert a.core.store.count("default")[1] == b.core.store.count("default")[1] == 0
        status = a.status()
        assert not status["damaged"] and status["keyspaces"]["default"]["healed"] == 1
        assert "register:x was damaged, and is now as member 'n1' has it" in caplog.text
        assert sums_up(a) and sums_up(b)


def sums_up(node: SimulatedNode) -> bool:
    """The digest is known, and that of the cells."""
    state = node.core.state("default")
    with node.core.store.snapshot() as views:
        total = sum(record.weight(p, c) for p, c in views("default").cells(b"")) % record.DIGEST_MOD
    return state.is_counted and total == state.digest


def test_what_nobody_reads_is_found_by_the_scrub() -> None:
    with Cluster(3, seed=33) as cluster:
        a, b, _ = cluster.nodes
        for i in range(700):
            a.register(f"r{i:03}").set(i)
        cluster.settle()
        flip(b, "register:r699")
        cluster.advance(10)
        assert b.status()["keyspaces"]["default"]["healed"] == 1 and sums_up(b)
        assert b.register("r699").get() == 699


def test_nobody_has_it_so_it_stays_damaged_until_somebody_has() -> None:
    with Cluster(3, seed=34) as cluster:
        a, b, c = cluster.nodes
        cluster.settle()
        cluster.partition([a], [b, c])
        a.register("x").set(1)
        a.register("y").set(1)
        stored = flip(a, "register:x")
        cluster.heal()
        cluster.advance(30)
        with pytest.raises(Damaged):
            a.register("x").get()
        assert a.status()["damaged"] == ["default: register:x"]
        assert a.status()["keyspaces"]["default"]["healed"] == 0
        put_back(a, "register:x", stored)
        cluster.advance(limits.DAMAGED_RETRY_S + 1)
        cluster.settle()
        assert b.register("x").get() == 1 and not a.status()["damaged"]
        flip(a, "register:x")
        cluster.advance(10)
        assert a.register("x").get() == 1


def test_unsent_events_on_other_cells_do_not_stand_in_the_way() -> None:
    """The peer lacks them, but their rows say that they did not touch the damaged cell."""
    with Cluster(2, seed=35) as cluster:
        a, b = cluster.nodes
        a.register("x").set(1)
        cluster.settle()
        cluster.partition([a], [b])
        a.register("y").set(2)
        b.register("x").set(3)
        flip(a, "register:x")
        cluster.heal()
        cluster.advance(20)
        cluster.settle()
        assert a.register("x").get() == 3 and b.register("y").get() == 2
        assert a.status()["keyspaces"]["default"]["healed"] == 1


def test_one_that_was_away_for_long_is_healed_by_its_full_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has events of its own that nobody has, and a peer's batches say all of a range; one cell is gone there."""
    monkeypatch.setattr(limits, "BATCH_BYTES_TARGET", 1)
    with Cluster(3, seed=36) as cluster:
        a, b, c = cluster.nodes
        for name in ("kept", "gone"):
            a.register(name).set(1)
        cluster.settle()
        cluster.partition([a, b], [c])
        cluster.advance(5)
        a.core.turn([Write(SYSTEM, remove_ops("n2"))], Instant(0, cluster.clock.now))
        a.register("gone").remove()
        a.register("kept").set(2)
        c.register("own").set(7)
        cluster.advance(30)
        assert a.core.store.count("default")[1] == 0, "collected"
        flip(c, "register:kept")
        flip(c, "register:gone")
        cluster.heal()
        cluster.advance(20)
        cluster.settle()
        assert c.register("kept").get() == 2 and c.register("gone").get() is None
        assert a.register("own").get() == 7
        assert all(sums_up(node) for node in cluster.nodes)


def test_a_restart_before_the_digest_is_counted_anew_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with Cluster(2, seed=37) as cluster:
        a, b = cluster.nodes
        for i in range(50):
            a.register(f"r{i}").set(i)
        cluster.settle()
        monkeypatch.setattr(node_limits, "SCRUB_CELLS", 1)
        flip(a, "register:r9")
        with pytest.raises(Damaged):
            a.register("r9").get()
        while a.core.state("default").is_counted:
            assert cluster.clock.step()
        cluster.kill(a)
        cluster.advance(1)
        cluster.restart(a)
        assert not a.core.state("default").is_counted
        b.register("new").set(1)
        cluster.advance(10)
        assert sums_up(a)
        cluster.settle()
        assert a.status()["keyspaces"]["default"]["digest_mismatches"] == 0


def test_a_registry_that_cannot_be_read_is_no_reason_to_collect_or_to_stop() -> None:
    with Cluster(2, seed=38) as cluster:
        a, b = cluster.nodes
        a.register("x").set(1)
        cluster.settle()
        cluster.kill(b)
        cluster.advance(1)
        cluster.partition([a], [b])
        cluster.restart(b)
        flip(b, "map:members/map:n0/register:replica", SYSTEM)
        cluster.kill(b)
        cluster.restart(b)
        assert b.core.engine.registry.is_damaged
        b.register("x").set(2)
        b.register("x").remove()
        cluster.advance(10)
        assert b.core.store.count("default") == (1, 2), "nothing is collected"
        cluster.heal()
        cluster.advance(10)
        cluster.settle()
        assert not b.core.engine.registry.is_damaged
        assert a.core.store.count("default") == b.core.store.count("default") == (0, 0)


def change(
    node: SimulatedNode,
    table: str,
    wrong: Callable[[bytes, bytes], tuple[bytes, bytes] | None],
    keyspace: str = "default",
) -> None:
    """Put other pairs in the place of those of a table that ``wrong`` has others for."""
    store = node.core.store
    db = getattr(store._tables[keyspace], table)
    with store._env.begin(write=True) as txn:
        pairs = [(pair, wrong(*pair)) for pair in txn.cursor(db=db)]
        for (key, value), other in pairs:
            if other is not None:
                txn.delete(key, value, db=db)
                txn.put(*other, db=db)


WRONG = {
    "no path": lambda row: row[:-2] + b"\xff\xff",
    "another path": lambda row: row[:-2] + b"q" + row[-1:],
    "another kind of row": lambda row: bytes((row[0] ^ 1,)) + row[1:],
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("table", ["changes", "groups"])
@pytest.mark.parametrize("is_single", [True, False])
def test_a_wrong_index_is_mended_from_the_cells(
    table: str, wrong: Callable[[bytes], bytes], is_single: bool
) -> None:
    """The node goes on, and what a peer is sent in the end is whole."""
    with Cluster(3, seed=39) as cluster:
        a, b, c = cluster.nodes
        cluster.settle()
        cluster.partition([a], [b, c])
        if is_single:
            a.register("x").set(1)
        else:
            with a.transaction() as tx:
                tx.register("x").set(1)
                tx.register("y").set(2)
        x = path.of_text("register:x")
        if table == "changes":
            change(a, table, lambda key, row: (key, wrong(row)) if row[1:] == x else None)
        else:
            change(a, table, lambda key, dot: (key, wrong(dot)) if key == x else None)
        cluster.advance(10)  # a pass of the scrub
        a.register("z").set(3)
        cluster.heal()
        for _ in range(2000):
            cluster.clock.step()
            assert is_single or (b.register("x").get() is None) == (b.register("y").get() is None)
        cluster.settle()
        assert b.register("x").get() == 1 and b.register("z").get() == 3
        cluster.advance(30)
        assert all(node.core.store.count("default")[1] == 0 for node in cluster.nodes) or table == "changes"


@pytest.mark.parametrize("table", ["changes", "groups"])
def test_what_is_sent_before_the_index_is_mended_is_no_half(table: str) -> None:
    with Cluster(2, seed=40) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        cluster.partition([a], [b])
        with a.transaction() as tx:
            tx.register("x").set(1)
            tx.register("y").set(2)
        x = path.of_text("register:x")
        if table == "changes":
            change(a, table, lambda key, row: (key, row[:-2] + b"q\0") if row[1:] == x else None)
        else:
            change(a, table, lambda key, dot: (key, b"q" + dot[1:]) if key == x else None)
        cluster.heal()
        for _ in range(3000):
            cluster.clock.step()
            assert (b.register("x").get() is None) == (b.register("y").get() is None)
        cluster.settle()
        assert b.register("x").get() == 1


def test_a_cell_whose_key_is_damaged_is_found_missing_and_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Cluster(2, seed=41) as cluster:
        a, b = cluster.nodes
        for i in range(5):
            b.register(f"r{i}").set(i)
        cluster.settle()
        cluster.advance(10)
        r4 = path.of_text("register:r4")
        change(a, "cells", lambda key, stored: (b"\xfe" + key[1:], stored) if key == r4 else None)
        cluster.advance(60)
        cluster.settle()
        assert a.register("r4").get() == 4 and sums_up(a)
        assert not a.status()["damaged"]
        assert "a cell whose key is damaged was dropped" in caplog.text


def test_a_cell_larger_than_a_part_is_replaced_whole_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SLICE_BYTES", 1_000)
    with Cluster(3, seed=42) as cluster:
        a = cluster.nodes[0]
        cluster.settle()
        cluster.partition(*([node] for node in cluster.nodes))
        for node in cluster.nodes:
            node.mv_register("large").set(node.name * 300)
        a.register("small").set(1)
        cluster.heal()
        cluster.settle()
        cluster.advance(10)
        flip(a, "mv_register:large")
        flip(a, "register:small")
        for read in (a.mv_register("large").values, a.register("small").get):
            with pytest.raises(Damaged):
                read()
        cluster.advance(30)
        assert a.register("small").get() == 1
        assert sorted(a.mv_register("large").values()) == [f"n{i}" * 300 for i in range(3)]
        cluster.settle()
        assert sums_up(a)


def test_what_a_peer_cannot_send_holds_up_no_other() -> None:
    with Cluster(2, seed=43) as cluster:
        a, b = cluster.nodes
        for name in ("r0", "r1"):
            a.register(name).set(name)
        cluster.settle()
        cluster.advance(10)
        stored = flip(b, "register:r0")
        for name in ("r0", "r1"):
            flip(a, f"register:{name}")
            with pytest.raises(Damaged):
                a.register(name).get()
        cluster.advance(30)
        assert a.register("r1").get() == "r1"
        put_back(b, "register:r0", stored)
        cluster.advance(30)
        assert a.register("r0").get() == "r0"


def test_the_registry_is_read_again_once_what_was_damaged_is_replaced_by_a_repair() -> None:
    """The full exchange fits a batch: neither the vector nor the bootstrap is another than before."""
    with Cluster(2, seed=44) as cluster:
        cluster.settle()
        cluster.advance(10)
        address = path.of_text("map:members/map:n1/register:address")
        low, high = sorted(cluster.nodes, key=lambda node: node.core.replica)
        for node in (low, high):
            change(
                node,
                "cells",
                lambda key, stored: (key[:-2] + b"x" + key[-1:], stored) if key == address else None,
                SYSTEM,
            )
            node.core._system_seen = None
            node.core._refresh()
            assert address_of_n1(node) == ""
            cluster.advance(60)
            cluster.settle()
            stored = node.core.cell(SYSTEM, address)
            assert stored.live, "the cell itself is back"
            assert address_of_n1(node) == "n1"


def address_of_n1(node: SimulatedNode) -> str:
    return node.core.engine.registry.members["n1"].address
