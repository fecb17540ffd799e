"""What a node notes of a remote client's attempts: enough that no write is made twice, and no longer than that needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gossamer.backend import Op, make_op
from gossamer.crdt import Dot, path
from gossamer.errors import AnotherNode
from gossamer.limits import ATTEMPT_SPAN_S, ATTEMPT_TURN_S
from gossamer.simulation import Cluster, SimulatedNode
from gossamer.turns import Attempt, Write

SOLD = make_op(path.of_text("counter:sold"), "add", (1,))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(1) as cluster:
        yield cluster


def attempt(node: SimulatedNode, id_: bytes, by: bytes | None = None, op: Op = SOLD) -> Dot | None:
    (result,) = node.turn([Write("default", [op], attempt=Attempt(by or node.core.replica, id_ * 16))])
    if isinstance(result, Exception):
        raise result
    return result  # type: ignore[no-any-return]  # the outcome of a write


def test_an_attempt_made_again_answers_as_it_did(cluster: Cluster) -> None:
    (node,) = cluster.nodes
    first = attempt(node, b"a")
    assert attempt(node, b"a") == first != attempt(node, b"b")
    assert node.counter("sold").value() == 2


def test_two_in_one_group_are_made_once(cluster: Cluster) -> None:
    (node,) = cluster.nodes
    write = Write("default", [SOLD], attempt=Attempt(node.core.replica, b"a" * 16))
    first, second = node.turn([write, write])
    assert first == second
    assert node.counter("sold").value() == 1


def test_one_that_had_nothing_to_write_has_nothing_to_write_later(cluster: Cluster) -> None:
    (node,) = cluster.nodes
    discard = make_op(path.of_text("set:s/int:1"), "discard")
    assert attempt(node, b"a", op=discard) is None
    node.set("s").add(1)
    assert attempt(node, b"a", op=discard) is None
    assert 1 in node.set("s")


def test_it_is_known_after_a_crash(cluster: Cluster) -> None:
    (node,) = cluster.nodes
    first = attempt(node, b"a")
    cluster.kill(node)
    cluster.restart(node)
    assert attempt(node, b"a") == first
    assert node.counter("sold").value() == 1


def test_another_replica_id_writes_nothing(cluster: Cluster) -> None:
    (node,) = cluster.nodes
    before = node.core.replica
    cluster.kill(node)
    node.take_new_identity()
    cluster.restart(node)
    with pytest.raises(AnotherNode) as caught:
        attempt(node, b"a", by=before)
    assert caught.value.replica == node.core.replica
    assert node.counter("sold").value() == 0


def test_what_it_did_under_an_earlier_id_is_known_all_the_same(cluster: Cluster) -> None:
    (node,) = cluster.nodes
    before = node.core.replica
    first = attempt(node, b"a")
    cluster.kill(node)
    node.take_new_identity()
    cluster.restart(node)
    assert attempt(node, b"a", by=before) == first


def test_it_is_kept_for_longer_than_a_client_asks_and_not_for_ever(cluster: Cluster) -> None:
    (node,) = cluster.nodes
    attempt(node, b"z")  # from here on it has turns
    cluster.advance(0.9 * ATTEMPT_TURN_S)
    first = attempt(node, b"a")
    cluster.advance(ATTEMPT_SPAN_S + 5)
    assert attempt(node, b"a") == first
    cluster.advance(3 * ATTEMPT_TURN_S)
    with node.core.store.snapshot() as views:
        view = views("default")
        cursor = view.txn.cursor(db=view.tables.operations)
        assert not cursor.set_range(b"a")
