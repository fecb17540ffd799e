"""One dot with two payloads, corruption that no checksum shows, and cells of a newer build, in real clusters.

The question this answers: *what happens to a value that nobody can vouch for?* It is kept, shown, and settled by
the next write; it is never chosen by chance.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from gossamer.crdt import Cell, Entry, path
from gossamer.errors import Quarantined
from gossamer.simulation import SimulatedNode
from gossamer.store import record
from gossamer.testing import Cluster
from gossamer.turns import Tick

Do = Callable[[SimulatedNode], Any]


def write_twice_under_one_dot(cluster: Cluster, first: Do, second: Do) -> None:
    """n0 writes in sight of n1, is set back to an older copy without noticing, and writes in sight of n2."""
    a, b, c = cluster.nodes
    cluster.settle()
    cluster.advance(10)
    cluster.kill(a)
    copy = a.directory.with_name("copy")
    shutil.copytree(a.directory, copy)
    cluster.partition([a, b], [c])
    cluster.restart(a)
    first(a)
    cluster.advance(10)
    cluster.kill(a)
    shutil.rmtree(a.directory)
    copy.rename(a.directory)
    cluster.heal()
    cluster.partition([a, c], [b])
    cluster.restart(a)
    second(a)
    cluster.advance(10)
    cluster.heal()
    cluster.advance(60)


CASES: list[tuple[Do, Do, Do, Do, tuple[Any, ...], Any]] = [
    (
        lambda n: n.register("x").set("one"),
        lambda n: n.register("x").set("two"),
        lambda n: n.register("x").get(),
        lambda n: n.register("x").set("three"),
        ("one", "two"),
        "three",
    ),
    (
        lambda n: n.counter("x").add(1),
        lambda n: n.counter("x").add(2),
        lambda n: n.counter("x").value(),
        lambda n: n.counter("x").reset(),
        (1, 2),
        0,
    ),
    (
        lambda n: n.max_register("x").set(1),
        lambda n: n.max_register("x").set(2),
        lambda n: n.max_register("x").get(),
        lambda n: n.max_register("x").remove(),
        (1, 2),
        None,
    ),
]


@pytest.mark.parametrize(
    ("first", "second", "read", "settle", "rivals", "settled"), CASES, ids=["register", "counter", "max"]
)
def test_b8_two_payloads_of_one_dot_are_shown_on_every_node_until_one_writes(
    first: Do, second: Do, read: Do, settle: Do, rivals: Any, settled: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Cluster(3, seed=11) as cluster:
        write_twice_under_one_dot(cluster, first, second)
        for node in cluster.nodes:
            with pytest.raises(Quarantined) as raised:
                read(node)
            assert set(raised.value.values) == set(rivals)
            assert node.status()["keyspaces"]["default"]["quarantined"] == 1
            assert node.status()["keyspaces"]["default"]["digest_mismatches"] > 0
        assert len({n.core.state("default").digest for n in cluster.nodes}) == 1
        assert "two payloads under one dot" in caplog.text and "unequal digests" in caplog.text
        settle(cluster.nodes[1])
        cluster.settle()
        assert [read(node) for node in cluster.nodes] == [settled] * 3
        cluster.advance(60)
        assert len({n.core.state("default").digest for n in cluster.nodes}) == 1


def corrupt(node: SimulatedNode, text: str, change: Callable[[Cell], Cell]) -> None:
    """Change a stored cell as a fault would that no checksum shows: the digest of what is stored fits as well."""
    cell_path = path.of_text(text)
    store = node.core.store
    with store.transaction() as drafts:
        draft = drafts("default")
        old = draft.cell(cell_path)
        new = change(old)
        draft._cells[cell_path] = new
        draft._dirty[cell_path] = None if new == Cell() else record.pack(cell_path, _encoded(new))
        weight = record.weight(cell_path, new) - record.weight(cell_path, old)
        draft.state.digest = (draft.state.digest + weight) % record.DIGEST_MOD
        draft.touch()
    node.turn([Tick()])


def _encoded(cell: Cell) -> bytes:
    from gossamer.crdt import codec

    return codec.encode(cell)


def older(cell: Cell) -> Cell:
    """As if the last write were lost."""
    return Cell(tuple(Entry(e.replica, e.seq - 1, b"\x00" * 8 + b"\xa3old") for e in cell.live))


@pytest.mark.parametrize("change", [older, lambda _: Cell()], ids=["older", "lost"])
@pytest.mark.parametrize("which", range(3))
def test_a_cell_that_lost_a_write_gets_it_back_from_a_peer(
    which: int, change: Callable[[Cell], Cell]
) -> None:
    with Cluster(3, seed=12) as cluster:
        a = cluster.nodes[0]
        for value in ("old", "new"):
            a.register("x").set(value)
        a.counter("n").add(7)
        cluster.settle()
        cluster.advance(20)
        struck = cluster.nodes[which]
        corrupt(struck, "register:x", change)
        cluster.advance(60)
        assert struck.status()["keyspaces"]["default"]["digest_mismatches"] > 0
        assert [node.register("x").get() for node in cluster.nodes] == ["new"] * 3
        assert [node.counter("n").value() for node in cluster.nodes] == [7] * 3
        assert len({n.core.state("default").digest for n in cluster.nodes}) == 1
        seen = [n.status()["keyspaces"]["default"]["digest_mismatches"] for n in cluster.nodes]
        cluster.advance(60)
        assert seen == [n.status()["keyspaces"]["default"]["digest_mismatches"] for n in cluster.nodes]


def test_a_changed_value_with_a_right_checksum_is_quarantined() -> None:
    with Cluster(3, seed=13) as cluster:
        a, b, c = cluster.nodes
        a.register("x").set("right")
        cluster.settle()
        cluster.advance(20)
        corrupt(
            b,
            "register:x",
            lambda cell: Cell(tuple(Entry(e.replica, e.seq, b"\x00" * 8 + b"\xa5wrong") for e in cell.live)),
        )
        cluster.advance(60)
        for node in cluster.nodes:
            with pytest.raises(Quarantined) as raised:
                node.register("x").get()
            assert set(raised.value.values) == {"right", "wrong"}
        c.register("x").set("settled")
        cluster.settle()
        assert [node.register("x").get() for node in cluster.nodes] == ["settled"] * 3


def test_f18_a_cell_of_a_newer_build_is_stored_and_passed_on_untouched() -> None:
    with Cluster(3, seed=14) as cluster:
        a, b, c = cluster.nodes
        cluster.settle()
        cluster.partition([a], [c])
        newer, payload = b"\x60future\x00", b"\xc1\xff not msgpack"
        for seq in (1, 2):
            with a.core.store.transaction() as drafts:  # what the newer build would write
                draft = drafts("default")
                me = a.core.replica
                draft.put(newer, Cell((Entry(me, seq, payload * seq, 1),)))
                draft.state.delivered.add(me, seq)
            cluster.advance(5)
            for node in (b, c):
                assert node.core.cell("default", newer) == Cell((Entry(me, seq, payload * seq, 1),))
        with pytest.raises(ValueError, match="no such type"):
            from gossamer.backend import Op

            c.write("default", [Op(newer, "set", (), ())])
        c.counter("n").add(1)
        cluster.heal()
        cluster.settle()
        cluster.advance(30)
        assert [n.core.store.count("default") for n in cluster.nodes] == [(2, 0)] * 3, "collection goes on"
        joiner = cluster.add()
        cluster.settle()
        assert joiner.core.cell("default", newer).live[0].payload == payload * 2
        assert {n.core.state("default").digest for n in cluster.nodes} == {a.core.state("default").digest}
