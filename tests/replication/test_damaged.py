"""A cell whose checksum is wrong: does the rest of the node go on, and is nobody told that he has it?"""

from __future__ import annotations

import pytest

from gossamer.crdt import path
from gossamer.errors import Damaged
from gossamer.replication import limits
from gossamer.simulation import SimulatedNode
from gossamer.testing import Cluster


def flip(node: SimulatedNode, text: str) -> bytes:
    """Change one bit of a stored cell; returns what was there."""
    store, at = node.core.store, path.of_text(text)
    cells = store._tables["default"].cells
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


def test_collection_leaves_it_and_takes_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
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
        cluster.advance(20)
        a.counter("n").add(1)
        b.counter("n").add(1)
        cluster.advance(20)
        assert a.counter("n").value() == b.counter("n").value() == 2
        assert a.core.store.count("default")[1] == 1, "the row of the damaged cell"
        assert b.core.store.count("default")[1] == 0
