"""Is what loses noted, once, with what beat it; and can it be listed, reinstated, dismissed and bounded?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import gossamer
from gossamer import Conflict, VersionMismatch
from gossamer import beaten as beaten_values
from gossamer.crdt import Cell, Dead, Entry, path, register_lww, values
from gossamer.handles import Keyspace
from gossamer.handles.conflicts import conflict
from gossamer.memory import MemoryBackend
from gossamer.replication.registry import SYSTEM, remove_ops
from gossamer.simulation import SimulatedNode
from gossamer.store import Store
from gossamer.store.ledger import Bounds
from gossamer.testing import Cluster

PRICE = path.of_text("register:price")
A, B, C = b"replicaA", b"replicaB", b"replicaC"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(3, seed=5) as cluster:
        cluster.settle()
        yield cluster


def collide(cluster: Cluster, *values: object, name: str = "price") -> list[SimulatedNode]:
    """Each node writes one of ``values``, a second after the other, and none knows of the others'."""
    nodes = cluster.nodes[: len(values)]
    cluster.partition(*[[node] for node in cluster.nodes])
    for node, value in zip(nodes, values, strict=True):
        node.register(name).set(value)
        cluster.advance(1)
    cluster.heal()
    cluster.settle()
    return nodes


def beaten(node: SimulatedNode, prefix: str = "") -> list[object]:
    return [conflict.beaten.value for conflict in node.conflicts(prefix)]


def test_every_node_notes_what_it_merged_with_both_sides_of_it(cluster: Cluster) -> None:
    a, b = collide(cluster, 1, 2)
    for node in cluster.nodes:
        (found,) = node.conflicts()
        assert (found.path, found.keyspace, found.state) == ("register:price", "default", "open")
        assert (found.beaten.value, found.by.value, found.rule) == (1, 2, "stamp")
        assert (found.beaten.replica, found.by.replica) == (a.core.replica, b.core.replica)
        assert (found.beaten.version, found.by.version) == ((a.core.replica, 1), (b.core.replica, 1))
        assert found.beaten.updated_at is not None
        assert found.by.updated_at is not None
        assert found.beaten.updated_at < found.by.updated_at <= found.seen_at
        assert node.register("price").get() == 2
        assert node.status()["keyspaces"]["default"]["beaten"] == 1


def test_equal_values_and_values_that_were_seen_are_no_conflict(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    collide(cluster, "same", "same", "same")
    a.register("price").set("seen")
    cluster.settle()
    b.register("price").set("and replaced")
    cluster.settle()
    assert [beaten(node) for node in cluster.nodes] == [[], [], []]
    assert c.register("price").get() == "and replaced"


def test_other_types_have_no_beaten_values(cluster: Cluster) -> None:
    a, b, _ = cluster.nodes
    cluster.partition(*[[node] for node in cluster.nodes])
    for node, value in ((a, 1), (b, 2)):
        node.mv_register("m").set(value)
        node.max_register("x").set(value)
        node.set("s", "remove-wins").add(value)
        node.flag("f").enable()
        node.counter("c").add(value)
    cluster.heal()
    cluster.settle()
    assert [beaten(node) for node in cluster.nodes] == [[], [], []]


def test_each_loser_is_noted_once_however_often_it_is_merged(cluster: Cluster) -> None:
    collide(cluster, 1, 2, 3)
    for node in cluster.nodes:
        assert sorted(map(str, beaten(node))) == ["1", "2"]
        cluster.kill(node)
        cluster.restart(node)
        cluster.settle()
    cluster.advance(30)
    assert [len(beaten(node)) for node in cluster.nodes] == [2, 2, 2]


def test_a_value_that_won_and_lost_again_is_noted_once(tmp_path: Path) -> None:
    store = Store(tmp_path, sync=False)
    store.host("k")
    low, mid, high = (_entry(r, value) for r, value in ((A, 1), (B, 2), (C, 3)))
    for cell in (
        Cell((low,)),
        Cell((low, mid)),  # low is beaten
        Cell((low,), (Dead(B, 1),)),  # what beat it was removed by one who had not seen it: it stands again
        Cell((low, high), (Dead(B, 1),)),  # and is beaten again
    ):
        with store.transaction() as drafts:
            drafts("k").put(PRICE, cell)
    assert [(n, r.beaten.dot, r.by.dot) for n, r in store.notes("k", None, 9)] == [(1, (A, 1), (B, 1))]
    store.close()


def test_what_differs_from_the_next_winner_is_noted_then(tmp_path: Path) -> None:
    """It lost to an equal value first, which was no conflict."""
    store = Store(tmp_path, sync=False)
    store.host("k")
    same, also, other = _entry(A, 1, stamp=1), _entry(B, 1, stamp=2), _entry(B, 9, seq=2, stamp=3)
    for cell in (Cell((same,)), Cell((same, also)), Cell((same, other))):
        with store.transaction() as drafts:
            drafts("k").put(PRICE, cell)
    assert [(r.beaten.dot, r.by.dot) for _, r in store.notes("k", None, 9)] == [((A, 1), (B, 2))]
    store.close()


def _entry(replica: bytes, value: int, seq: int = 1, stamp: int | None = None) -> Entry:
    when = value if stamp is None else stamp
    return Entry(replica, seq, when.to_bytes(8, "big") + values.encode(value))


def test_between_equal_stamps_the_rule_is_the_replica_id(tmp_path: Path) -> None:
    store = Store(tmp_path, sync=False)
    store.host("default")
    with store.transaction() as drafts:
        drafts("default").put(PRICE, Cell((_entry(A, 1, stamp=7), _entry(B, 2, stamp=7))))

    ((number, record),) = store.notes("default", None, 9)
    assert conflict("default", number, record).rule == "replica"
    store.close()


def test_a_set_over_what_was_read_notes_what_came_since(cluster: Cluster) -> None:
    a, b, _ = cluster.nodes
    before = a.register("price").read()
    b.register("price").set("unseen")
    cluster.settle()
    a.register("price").set("mine", seen=before.context)
    (found,) = a.conflicts()
    assert (found.beaten.value, found.by.value) == ("unseen", "mine")


def test_they_are_listed_newest_first_by_prefix_and_in_pages(cluster: Cluster) -> None:
    a, b, _ = cluster.nodes
    cluster.partition(*[[node] for node in cluster.nodes])
    for name in ("a1", "a2", "b1"):
        a.register(name).set(1)
        b.register(name).set(2)
    cluster.heal()
    cluster.settle()
    found = a.conflicts()
    assert sorted(conflict.path for conflict in found) == ["register:a1", "register:a2", "register:b1"]
    assert [c.id for c in found] == [3, 2, 1]
    assert {c.path for c in a.conflicts("register:a")} == {"register:a1", "register:a2"}
    assert [c.id for c in a.conflicts(limit=2)] == [3, 2]
    assert [c.id for c in a.conflicts(before=2)] == [1]
    assert a.conflicts("register:z") == []


@pytest.mark.parametrize(
    ("wrong", "kind", "said"),
    [
        ({"prefix": 5}, TypeError, "prefix 5"),
        ({"limit": 0}, ValueError, "limit 0"),
        ({"limit": True}, TypeError, "limit True"),
        ({"before": "x"}, TypeError, "before 'x'"),
        ({"settled": 2**70}, TypeError, "settled 1180591620717411303424: true or false"),
        ({"settled": "yes"}, TypeError, "settled 'yes'"),
    ],
)
def test_a_wrong_argument_is_named(
    cluster: Cluster, wrong: dict[str, object], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        cluster.nodes[0].conflicts(**wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="conflict 5: one of conflicts"):
        cluster.nodes[0].reinstate(5)  # type: ignore[arg-type]


def test_reinstating_writes_the_value_everywhere_and_settles_the_note(cluster: Cluster) -> None:
    a, b = collide(cluster, 1, 2)
    (found,) = a.conflicts()
    assert a.reinstate(found) == (a.core.replica, 2)
    assert a.register("price").siblings()[0].value == 1
    assert a.conflicts() == []
    (settled,) = a.conflicts(settled=True)
    assert settled.state == "reinstated"
    cluster.settle()
    assert [node.register("price").get() for node in cluster.nodes] == [1, 1, 1]
    assert [len(node.register("price").siblings()) for node in cluster.nodes] == [1, 1, 1]
    assert b.conflicts() == []
    assert [c.state for c in b.conflicts(settled=True)] == ["reinstated"]


def test_a_note_is_settled_only_by_a_write_that_saw_both_and_says_what_was_beaten(cluster: Cluster) -> None:
    a, b = collide(cluster, 1, 2)
    c = cluster.nodes[2]
    c.register("price").settle()  # what stood, over both
    cluster.settle()
    assert [beaten(node) for node in cluster.nodes] == [[1], [1], [1]]
    a, b = collide(cluster, 3, 4)
    cluster.partition([a, c], [b])
    b.register("price").set(3.0)  # a value of another type says something else
    cluster.heal()
    cluster.settle()
    assert [beaten(node) for node in cluster.nodes] == [[3, 1]] * 3
    a, b = collide(cluster, 5, 6)
    a.dismiss(a.conflicts()[0])
    b.register("price").set(5)
    cluster.settle()
    assert [beaten(node) for node in cluster.nodes] == [[3, 1]] * 3
    states = [[found.state for found in node.conflicts(settled=True)] for node in cluster.nodes]
    assert states == [["dismissed", "open", "open"], *[["reinstated", "open", "open"]] * 2]


def test_a_value_that_comes_again_by_chance_leaves_the_note_open(cluster: Cluster) -> None:
    """Its writer had not seen what stood, so it is one more concurrent write."""
    a, b = cluster.nodes[:2]
    collide(cluster, 1, 2)
    cluster.partition([a], [b, cluster.nodes[2]])
    b.register("price").set(7)
    a.register("price").set(8)
    cluster.heal()
    cluster.settle()
    assert 1 in beaten(a) and 1 in beaten(b)


def apart(cluster: Cluster, *groups: list[SimulatedNode], seconds: float = 5) -> None:
    """Let the nodes of each group, and no others, meet for a while."""
    cluster.heal()
    cluster.partition(*groups)
    cluster.advance(seconds)


def collide_unseen(cluster: Cluster) -> None:
    """The first two write 1 and 2, and both see that 2 stands; the third knows of neither. Then all are cut off."""
    a, b, c = cluster.nodes
    apart(cluster, [a], [b], [c])
    a.register("price").set(1)
    cluster.advance(1)
    b.register("price").set(2)
    apart(cluster, [a, b], [c])
    assert [beaten(node) for node in cluster.nodes] == [[1], [1], []]
    apart(cluster, [a], [b], [c])


@pytest.mark.parametrize("over", [7, None])
def test_of_writes_that_come_together_none_settles_a_note(cluster: Cluster, over: int | None) -> None:
    """That which shows says by chance what was beaten; the one that had seen it says something else, or removes it."""
    a, b, c = cluster.nodes
    collide_unseen(cluster)
    if over is None:
        b.register("price").remove()
    else:
        b.register("price").set(over)
    cluster.advance(1)
    c.register("price").set(1)
    apart(cluster, [a], [b, c])
    cluster.heal()
    cluster.settle()
    assert [node.register("price").get() for node in cluster.nodes] == [1, 1, 1]
    assert 1 in beaten(a) and 1 in beaten(b)


def test_what_a_full_exchange_takes_away_settles_no_note(cluster: Cluster) -> None:
    """What removed it has been collected, so it does not show that it was not what stands."""
    a, b, c = cluster.nodes
    collide_unseen(cluster)
    b.register("price").remove()
    c.register("price").set(1)
    b.write(SYSTEM, remove_ops(a.name))
    apart(cluster, [a], [b, c])
    assert not any(node.core.store.cell("default", PRICE).dead for node in (b, c)), "it is not collected"
    cluster.heal()
    cluster.settle()
    assert [node.register("price").get() for node in cluster.nodes] == [1, 1, 1]
    assert beaten(a) == [1]


@pytest.mark.parametrize("is_delivered", [True, False])
def test_context_that_comes_back_is_of_no_write_that_came(is_delivered: bool) -> None:
    """What was delivered here and collected does not hide who wrote it again."""
    old = Cell((_entry(A, 1), _entry(B, 2)))
    new = Cell((_entry(A, 1, seq=2, stamp=3),), (Dead(B, 1), Dead(C, 1)))
    found = beaten_values.reinstated(PRICE, old, new, lambda replica, seq: is_delivered and replica == C)
    assert list(found) == ([(A, 1)] if is_delivered else [])


def test_what_stood_beside_both_settles_nothing_when_they_go() -> None:
    """It says what was beaten, but was written before they were superseded, by one who had not seen it."""
    old = Cell((_entry(A, 1), _entry(B, 1, stamp=2), _entry(C, 9, stamp=5)))
    new = Cell((_entry(B, 1, stamp=2),), (Dead(A, 1), Dead(C, 2)))
    assert not list(beaten_values.reinstated(PRICE, old, new, lambda _replica, _seq: False))


def test_a_reinstated_value_goes_when_it_would_have_gone(cluster: Cluster) -> None:
    cluster.partition(*[[node] for node in cluster.nodes])
    a, b, c = cluster.nodes
    a.register("price").set(1, ttl=600)
    cluster.advance(1)
    b.register("price").set(2)
    cluster.heal()
    cluster.settle()
    (found,) = a.conflicts()
    a.reinstate(found)
    cluster.settle()
    assert c.register("price").read().expires_at == found.beaten.expires_at is not None
    assert b.conflicts() == []
    cluster.advance(600)
    assert c.register("price").get() is None


def test_what_has_expired_is_not_reinstated(cluster: Cluster) -> None:
    cluster.partition(*[[node] for node in cluster.nodes])
    a, b, _ = cluster.nodes
    a.register("price").set(1, ttl=60)
    cluster.advance(1)
    b.register("price").set(2)
    cluster.heal()
    cluster.settle()
    cluster.advance(60)
    (found,) = a.conflicts()
    with pytest.raises(ValueError, match=f"conflict {found.id}: its value has expired"):
        a.reinstate(found, force=True)
    assert a.register("price").get() == 2
    assert a.conflicts() == [found]


def test_settling_keeps_the_moment_of_what_stood(cluster: Cluster) -> None:
    cluster.partition(*[[node] for node in cluster.nodes])
    a, b, c = cluster.nodes
    a.register("price").set(1)
    cluster.advance(1)
    b.register("price").set(2, ttl=600)
    cluster.heal()
    cluster.settle()
    until = c.register("price").read().expires_at
    assert c.register("price").settle() == 2
    cluster.settle()
    assert [len(node.register("price").siblings()) for node in cluster.nodes] == [1, 1, 1]
    assert a.register("price").read().expires_at == until is not None
    with pytest.raises(StopIteration):
        a.register("price").asettle().send(None)


def test_what_has_moved_on_is_not_overwritten_unless_forced(cluster: Cluster) -> None:
    a, b = collide(cluster, 1, 2)
    b.register("price").set(3)
    cluster.settle()
    (found,) = a.conflicts()
    with pytest.raises(VersionMismatch):
        a.reinstate(found)
    assert a.register("price").get() == 3
    assert [c.state for c in a.conflicts()] == ["open"]
    a.reinstate(found, force=True)
    cluster.settle()
    assert [node.register("price").get() for node in cluster.nodes] == [1, 1, 1]


def test_two_nodes_that_reinstate_different_values_agree(cluster: Cluster) -> None:
    collide(cluster, 1, 2, 3)
    a, b, _ = cluster.nodes
    cluster.partition(*[[node] for node in cluster.nodes])
    a.reinstate(next(c for c in a.conflicts() if c.beaten.value == 1), force=True)
    b.reinstate(next(c for c in b.conflicts() if c.beaten.value == 2), force=True)
    cluster.heal()
    cluster.settle()
    assert len({node.register("price").get() for node in cluster.nodes}) == 1


def test_dismissing_leaves_the_value_and_hides_the_note(cluster: Cluster) -> None:
    a, _ = collide(cluster, 1, 2)
    (found,) = a.conflicts()
    a.dismiss(found)
    assert a.conflicts() == []
    assert [c.state for c in a.conflicts(settled=True)] == ["dismissed"]
    assert a.register("price").get() == 2


def test_a_conflict_of_another_node_or_keyspace_is_refused(cluster: Cluster) -> None:
    a, _ = collide(cluster, 1, 2)
    (found,) = a.conflicts()
    cluster.partition(*[[node] for node in cluster.nodes])
    other = collide(cluster, 5, 6, name="other")[0].conflicts("register:other")[0]

    for wrong in (
        msgspec.structs.replace(other, id=found.id),
        msgspec.structs.replace(found, id=99),
    ):
        with pytest.raises(ValueError, match="this node has no note of it, or not any more"):
            a.reinstate(wrong)
    with pytest.raises(ValueError, match="it is of keyspace 'default', not 'orders'"):
        a.keyspace("orders").reinstate(found)


def test_the_oldest_notes_make_room(tmp_path: Path) -> None:
    store = Store(tmp_path, sync=False)
    store.bound_ledgers(Bounds(records=3))
    store.host("k")
    with store.transaction() as drafts:
        for number in range(10):
            cell_path = path.of_text(f"register:r{number}")
            drafts("k").put(cell_path, Cell((_entry(A, 1), _entry(B, 2))))
    assert [n for n, _ in store.notes("k", None, 99)] == [10, 9, 8]
    assert store.tally("k").notes == 3
    assert store.tally("k").last == 10
    store.close()
    again = Store(tmp_path, sync=False)
    assert again.tally("k").last == 10
    again.close()


def test_what_was_beaten_before_is_not_noted_again_once_its_note_is_gone(tmp_path: Path) -> None:
    store = Store(tmp_path, sync=False)
    store.bound_ledgers(Bounds(records=1))
    store.host("k")
    other = path.of_text("register:other")
    low, mid, high = _entry(A, 1), _entry(B, 2), _entry(C, 3)
    for cell_path, cell in (
        (PRICE, Cell((low, mid))),
        (other, Cell((low, mid))),  # its note takes the place of the first one
        (PRICE, Cell((low, mid, high))),  # mid is beaten now, low was before
    ):
        with store.transaction() as drafts:
            drafts("k").put(cell_path, cell)
    assert store.tally("k").last == 3
    store.close()


def test_large_values_are_bounded_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossamer.store.ledger.LEDGER_BYTES_MAX", 10_000)
    store = Store(tmp_path, sync=False)
    store.host("k")
    with store.transaction() as drafts:
        for number in range(10):
            big = Entry(A, number + 1, bytes(8) + values.encode("x" * 3000))
            drafts("k").put(path.of_text(f"register:r{number}"), Cell((big, _entry(B, 2, seq=number + 1))))
    assert store.tally("k").notes == 3
    assert store.tally("k").size <= 10_000
    store.close()


def test_nothing_is_noted_of_the_registry_or_where_none_are_wanted(tmp_path: Path) -> None:
    store = Store(tmp_path, sync=False)
    store.host("$system")
    store.host("k")
    store.bound_ledgers(Bounds(records=0))
    for name in ("$system", "k"):
        with store.transaction() as drafts:
            drafts(name).put(PRICE, Cell((_entry(A, 1), _entry(B, 2))))
        assert store.tally(name).notes == 0
    store.close()


def test_old_notes_go_on_upkeep() -> None:
    with Cluster(2, seed=5) as cluster:
        for node in cluster.nodes:
            node.bounds = Bounds(age_s=60.0)
            cluster.kill(node)
            cluster.restart(node)
        cluster.settle()
        collide(cluster, 1, 2)
        cluster.advance(30)
        assert [len(beaten(node)) for node in cluster.nodes] == [1, 1]
        cluster.advance(40)
        assert [len(beaten(node)) for node in cluster.nodes] == [0, 0]


def test_a_listener_is_told_of_each_once_and_may_fail(cluster: Cluster) -> None:
    told: list[object] = []
    a = cluster.nodes[0]

    def fails(conflict: Conflict) -> None:
        raise RuntimeError(conflict.path)

    a.on_conflict(fails)
    end = a.on_conflict(lambda conflict: told.append(conflict.beaten.value))
    collide(cluster, 1, 2)
    assert told == [1]
    end()
    collide(cluster, 3, 4, name="other")
    assert told == [1]
    with pytest.raises(TypeError, match="listener"):
        a.on_conflict(5)  # type: ignore[arg-type]


def test_a_backend_in_memory_keeps_none() -> None:
    with pytest.raises(ValueError, match="keeps no notes"):
        Keyspace(MemoryBackend()).conflicts()


def test_the_twins_do_the_same(cluster: Cluster) -> None:
    a, _ = collide(cluster, 1, 2)

    async def run() -> None:
        (found,) = await a.aconflicts()
        assert found == a.conflicts()[0]
        await a.areinstate(found)
        (other,) = await cluster.nodes[1].aconflicts()
        await cluster.nodes[1].adismiss(other)
        assert await cluster.nodes[1].aconflicts() == []

    asyncio.run(run())
    assert a.register("price").get() == 1


def test_settings_are_checked(tmp_path: Path) -> None:
    for wrong, kind in (({"conflicts_max": -1}, ValueError), ({"conflicts_age_s": "x"}, TypeError)):
        with pytest.raises(kind, match=next(iter(wrong))):
            gossamer.open(tmp_path, **wrong)


def test_ranked_is_the_order_of_siblings() -> None:
    cell = Cell((_entry(A, 1, stamp=5), _entry(B, 2, stamp=9), _entry(C, 3, stamp=5)))
    assert [e.replica for e in register_lww.ranked(cell)] == [B, C, A]
