"""When may a node say that it has all that a peer had? Time is a number here."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gossamer.crdt import Vector
from gossamer.replication.freshness import Asking, Proof, staleness
from gossamer.replication.replicated import Holders, check

ONE, TWO = b"replica1", b"replica2"


def had(seq: int) -> Vector:
    return Vector({ONE: (1, seq)})


def test_what_a_peer_had_counts_from_when_it_was_asked_and_only_once_it_is_here() -> None:
    proof = Proof()
    proof.note(10.0, had(5))
    assert proof.settle(had(4)) == -math.inf
    assert proof.settle(had(5)) == 10.0
    proof.note(11.0, had(5))
    assert proof.settle(had(5)) == 11.0


def test_under_a_steady_stream_each_answer_but_the_first_and_the_last_is_passed_over() -> None:
    proof = Proof()
    for at in range(10):
        proof.note(float(at), had(at + 1))
    assert len(proof.waiting) == 2
    assert proof.settle(had(1)) == 0.0
    proof.note(20.0, had(20))
    assert proof.settle(had(10)) == 9.0
    assert proof.settle(had(19)) == 9.0
    assert proof.settle(had(20)) == 20.0


def test_an_answer_is_of_the_question_that_was_asked_last_and_once() -> None:
    asking, peer = Asking(), Asking()
    first = asking.ask(1.0)
    assert first and not asking.ask(2.0)  # one at a time
    peer.on_question(first)
    assert not peer.is_owed_now
    assert asking.want()  # a reader cannot wait
    second = asking.ask(3.0)
    assert asking.on_answer(peer.answer()) is None  # to the first
    peer.on_question(second)
    assert peer.is_owed_now
    answer = peer.answer()
    assert not peer.answer() and not peer.is_owed_now
    assert asking.on_answer(answer) == 3.0
    assert asking.on_answer(answer) is None


def test_one_urgent_question_is_enough() -> None:
    asking = Asking()
    assert asking.want() and asking.ask(1.0) % 2
    assert not asking.want()
    assert not asking.ask(2.0)


def test_staleness_is_told_of_each_that_counts() -> None:
    proofs = {ONE: Proof(at=7.0)}
    assert staleness(proofs, Vector(), [ONE, TWO], 10.0) == {ONE: 3.0, TWO: math.inf}


def holders(durable: str = "", relaxed: str = "", missing: str = "", unmet: int = 0) -> Holders:
    return Holders("a", set(durable), set(relaxed), set(missing), [f"10.0.0.{n}:7400" for n in range(unmet)])


@pytest.mark.parametrize(
    ("found", "peers", "is_enough"),
    [
        (holders("abc", missing="de"), "majority", True),
        (holders("ab", missing="cd"), "majority", False),  # half is no majority
        (holders("bc", missing="a"), "majority", True),  # without this node
        (holders("ab", relaxed="cde"), "majority", False),
        (holders("ab", unmet=2), "majority", False),  # who was never met is a member, for all we know
        (holders("a"), "majority", True),
        (holders("abc"), "all", True),
        (holders("abc", unmet=1), "all", False),
        (holders("bc", relaxed="a"), "all", False),
        (holders("ab"), 1, True),
        (holders("ab"), 2, False),
        (holders("bc", missing="a"), 2, True),
    ],
)
def test_how_many_are_enough(found: Holders, peers: Any, is_enough: bool) -> None:
    assert (found.lacks(peers) is None) is is_enough


def test_what_is_known_is_said() -> None:
    assert holders("ab", "c", "d", 1).lacks("all") == (
        "2 of 5 members are known to have it durably (a, b); not durably (c); not known to have it (d); "
        "never met (10.0.0.0:7400); the write stands here"
    )
    assert holders("b", missing="a").lacks(2) == (
        "1 of 2 members are known to have it durably (b); not known to have it (a)"
    )


@pytest.mark.parametrize("wrong", [0, -1, True, 1.0, None, "most", "1"], ids=repr)
def test_what_is_no_number_of_peers_is_named(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="peers: "):
        check(wrong)
