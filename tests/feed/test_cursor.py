"""Is a cursor good for what it was made for, and for nothing else?"""

from __future__ import annotations

import pytest

from gossamer import CursorExpired, Node
from gossamer.feed import Scope, cursor
from gossamer.store.feed import Place

R = b"replicaR"


def test_its_form() -> None:
    """What callers keep: these may not change."""
    assert cursor.encode("default", R, Place(7), Scope()) == "lAGnZGVmYXVsdMQIcmVwbGljYVIH"
    within = cursor.encode("default", R, Place(7, b"\x12f\x00"), Scope("flag:"))
    assert within == "lwGnZGVmYXVsdMQIcmVwbGljYVIHxAMSZgClZmxhZzrEAA"


@pytest.mark.parametrize("place", [Place(0), Place(2**62), Place(9, b"\x12f\x00")], ids=str)
@pytest.mark.parametrize(
    "scope", [Scope(), Scope("flag:"), Scope("", b"\x01m\x00")], ids=["all", "prefix", "map"]
)
def test_there_and_back(place: Place, scope: Scope) -> None:
    assert cursor.decode(cursor.encode("k", R, place, scope), "k", R, scope) == place


def test_of_another_keyspace_it_is_wrong() -> None:
    other = cursor.encode("other", R, Place(7), Scope())
    with pytest.raises(ValueError, match="keyspace 'other', not of 'default'"):
        cursor.decode(other, "default", R, Scope())


def test_of_another_replica_it_has_expired() -> None:
    other = cursor.encode("default", b"replicaQ", Place(7), Scope())
    with pytest.raises(CursorExpired, match="since=None"):
        cursor.decode(other, "default", R, Scope())


def test_within_a_snapshot_it_belongs_to_a_prefix() -> None:
    within = cursor.encode("default", R, Place(7, b"\x12f\x00"), Scope("flag:"))
    with pytest.raises(ValueError, match="'flag:'"):
        cursor.decode(within, "default", R, Scope("counter:"))
    after = cursor.encode("default", R, Place(7), Scope("flag:"))
    assert cursor.decode(after, "default", R, Scope("counter:")) == Place(7), "then any will do"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "!!!!",
        "lAGnZGVmYXVsdA",
        "é",
        "lAGnZGVmYXVsdMQIcmVwbGljYVL_",
        "lAKnZGVmYXVsdMQIcmVwbGljYVIH",
        "k",
    ],
)
def test_garbage_is_said_to_be_none(node: Node, text: str) -> None:
    with pytest.raises(ValueError, match="since"):
        node.watch(since=text)


def test_what_is_no_str_is_said_to_be_none(node: Node) -> None:
    with pytest.raises(TypeError, match="since"):
        node.watch(since=7)  # type: ignore[arg-type]


def test_it_must_not_lie_ahead(node: Node) -> None:
    replica = node.backend.core.replica
    node.watch(timeout=0)
    with pytest.raises(CursorExpired, match="has not come so far"):
        node.watch(since=cursor.encode("default", replica, Place(2**62), Scope()))
