"""Do tokens say exactly what they were made of, and is anything else refused?"""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.crdt import Vector, vector
from gossamer.replication import limits
from gossamer.replication.token import Token, decode, encode

SEQS = st.integers(1, 9) | st.integers(1, vector.SEQ_MAX)
REPLICAS = st.sampled_from(
    [bytes([a, b]) + bytes(5) + bytes([c]) for a in (1, 2) for b in (0, 7) for c in (0, 1)]
)


@st.composite
def vectors(draw: st.DrawFn) -> Vector:
    out = Vector()
    for replica in draw(st.lists(REPLICAS, max_size=8)):
        start = draw(SEQS)
        out.add(replica, start, min(vector.SEQ_MAX, start + draw(st.integers(0, 5))))
    return out


def many(count: int, seed: int = 1) -> Vector:
    """A vector of a large cluster."""
    rng = random.Random(seed)
    return Vector({rng.randbytes(8): (1, rng.randint(1, 10**6)) for _ in range(count)})


def made(of: Vector, **given_: Any) -> str:
    text = encode(of, "c", "k", **given_)
    assert text is not None
    assert len(text) <= limits.TOKEN_CHARS_MAX
    return text


@given(vectors())
def test_a_token_is_its_vector(delivered: Vector) -> None:
    assert decode(made(delivered), "c", "k").vector(()) == delivered


@given(vectors(), vectors())
def test_a_token_lacks_nothing_exactly_where_the_vector_covers_it(delivered: Vector, has: Vector) -> None:
    lacks = decode(made(delivered), "c", "k").lacks(has, has.replicas(), ())
    assert (lacks is None) == has.covers(delivered)


def test_replicas_of_a_large_cluster_are_named_by_their_first_bytes() -> None:
    delivered = many(200)
    token = decode(made(delivered), "c", "k")
    assert {len(prefix) for prefix in token.prefixes} == {2}
    others = many(300, seed=2).replicas()
    assert token.vector([*delivered.replicas(), *others]) == delivered
    assert decode(made(delivered, known=others), "c", "k").vector(delivered.replicas()) == delivered


def test_a_replica_that_begins_like_the_one_that_is_meant_is_not_taken_for_it() -> None:
    delivered = many(200)
    token = decode(made(delivered), "c", "k")
    first, *rest = delivered.replicas()
    double = first[:2] + b"double"
    has = Vector({r: (1, vector.SEQ_MAX) for r in (double, *rest)})
    assert token.lacks(has, has.replicas(), ()) == "events of a replica that is not known here"
    assert token.lacks(has, [first, *has.replicas()], ()) is not None  # known and not delivered
    has.add(first, 1, vector.SEQ_MAX)
    assert token.lacks(has, has.replicas(), ()) is None


def test_what_all_members_have_is_left_out_where_the_vector_is_too_long() -> None:
    delivered = many(400)
    assert encode(delivered, "c", "k") is None
    unstable = many(3, seed=2)
    everything = delivered.copy()
    everything.update(unstable)
    members = frozenset(unstable.replicas())
    token = decode(made(everything, spare=(delivered, members)), "c", "k")
    assert token.lacks(unstable, (), members) is None
    assert token.lacks(Vector(), (), members) is not None
    for others in (members | {b"a joiner"}, frozenset([*members][1:]), frozenset()):
        assert "members are not the same" in str(token.lacks(everything, everything.replicas(), others))


def test_what_no_two_steps_can_shorten_is_no_token() -> None:
    assert encode(many(400), "c", "k", spare=(Vector(), frozenset())) is None


def test_a_token_of_another_place_is_named() -> None:
    text = made(many(2))
    for cluster, keyspace in (("c", "other"), ("other", "k"), ("ck", ""), ("", "ck")):
        with pytest.raises(ValueError, match="token: of another keyspace than .*, or of another cluster"):
            decode(text, cluster, keyspace)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_what_is_no_token_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="token: "):
        decode(text, "c", "k")


@given(vectors(), st.data())
def test_a_token_that_was_changed_is_another_one_or_a_value_error(
    delivered: Vector, data: st.DataObject
) -> None:
    text = made(delivered)
    at = data.draw(st.integers(0, len(text) - 1))
    other = text[:at] + data.draw(st.sampled_from("AZaz09-_=+/ ")) + text[at + 1 :]
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    for bad in (other, cut, text + "A", text + "="):
        try:
            token = decode(bad, "c", "k")
        except ValueError as error:
            assert str(error).startswith("token: ")
        else:
            assert token.ids or token.members or bad == text or encode(_vector(token), "c", "k") == bad


def _vector(token: Token) -> Vector:
    found = token.vector(())
    assert found is not None
    return found


@pytest.mark.parametrize("wrong", [None, 5, b"bytes", ["x"]], ids=repr)
def test_what_is_no_text_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="token: a str is wanted"):
        decode(wrong, "c", "k")


def test_a_token_is_safe_in_a_url_and_a_header() -> None:
    text = made(many(100))
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    with pytest.raises(ValueError, match="at most 2048"):
        decode("A" * 2049, "c", "k")


def test_the_bytes_are_what_they_were() -> None:
    delivered = Vector({b"replica1": (1, 300), b"replica2": (2, 2, 9, 20)})
    assert made(delivered) == "AQgQdyclcmVwbGljYTEDqwJyZXBsaWNhMgQCAAcL"
