"""Does interval arithmetic give what sets of ints give?"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.crdt import MalformedError, Vector, vector

from .harness import REPLICAS

SPANS = st.lists(st.tuples(st.integers(1, 24), st.integers(0, 4)), max_size=6)
"""``(start, length - 1)`` of each span to add."""
SETS = st.sets(st.integers(1, 20), max_size=12)
TWINS = st.dictionaries(st.sampled_from(REPLICAS), SETS, max_size=3)


def intervals_of(numbers: set[int]) -> vector.Intervals:
    """The dumb twin's intervals: walk up, and begin a new one at every gap."""
    flat: list[int] = []
    for number in sorted(numbers):
        if flat and flat[-1] == number - 1:
            flat[-1] = number
        else:
            flat += [number, number]
    return tuple(flat)


def vector_of(twin: dict[bytes, set[int]]) -> Vector:
    return Vector({replica: intervals_of(numbers) for replica, numbers in twin.items()})


def numbers(twin: dict[bytes, set[int]], replica: bytes) -> set[int]:
    return twin.get(replica, set())


@given(SPANS)
def test_insert(spans: list[tuple[int, int]]) -> None:
    have: vector.Intervals = ()
    twin: set[int] = set()
    for start, more in spans:
        have = vector.insert(have, start, start + more)
        twin |= set(range(start, start + more + 1))
        assert have == intervals_of(twin)


@given(SETS, SETS)
def test_union_and_minus(a: set[int], b: set[int]) -> None:
    assert vector.union(intervals_of(a), intervals_of(b)) == intervals_of(a | b)
    assert vector.minus(intervals_of(a), intervals_of(b)) == intervals_of(a - b)


@given(SETS, st.integers(0, 22))
def test_contains(a: set[int], seq: int) -> None:
    assert vector.contains(intervals_of(a), seq) is (seq in a)


@given(TWINS, TWINS)
def test_vectors_against_sets(a: dict[bytes, set[int]], b: dict[bytes, set[int]]) -> None:
    one, other = vector_of(a), vector_of(b)
    both = one.copy()
    both.update(other)
    assert both == vector_of({r: numbers(a, r) | numbers(b, r) for r in REPLICAS})
    assert one == vector_of(a)  # the copy's change did not reach it
    assert one.minus(other) == vector_of({r: numbers(a, r) - numbers(b, r) for r in REPLICAS})
    assert one.intersect(other) == vector_of({r: numbers(a, r) & numbers(b, r) for r in REPLICAS})
    assert one.covers(other) is all(numbers(a, r) >= numbers(b, r) for r in REPLICAS)
    assert (one == other) is all(numbers(a, r) == numbers(b, r) for r in REPLICAS)


@given(TWINS)
def test_questions_about_one_vector(a: dict[bytes, set[int]]) -> None:
    one = vector_of(a)
    for replica in REPLICAS:
        mine = numbers(a, replica)
        assert one.last(replica) == max(mine, default=0)
        assert one.prefix(replica) == next(n for n in range(22) if n + 1 not in mine)
        assert one.only(replica) == vector_of({replica: mine})
        assert [n for n in range(23) if one.has(replica, n)] == sorted(mine)
        assert [n for n in range(23) if (replica, n) in one] == sorted(mine)
    assert one.count() == sum(map(len, a.values()))
    assert one.replicas() == sorted(r for r in a if a[r])
    assert bool(one) is any(a.values())


@given(TWINS)
def test_bytes_round_trip(a: dict[bytes, set[int]]) -> None:
    one = vector_of(a)
    assert vector.decode(vector.encode(one)) == one


@given(st.lists(st.tuples(st.sampled_from(REPLICAS), st.integers(1, 9)), max_size=12), st.randoms())
def test_equal_vectors_are_equal_bytes(dots: list[tuple[bytes, int]], random: Random) -> None:
    one, other = Vector(), Vector()
    for replica, seq in dots:
        one.add(replica, seq)
    for replica, seq in random.sample(dots, len(dots)):
        other.add(replica, seq)
    assert one == other
    assert vector.encode(one) == vector.encode(other)


R, Q = b"\x01" * 8, b"\x02" * 8


@pytest.mark.parametrize(
    "flat",
    [
        pytest.param([R], id="a replica without intervals"),
        pytest.param([R, []], id="no interval"),
        pytest.param([R, [1]], id="half an interval"),
        pytest.param([R, [0, 0]], id="seq 0"),
        pytest.param([R, [-1, 5]], id="negative"),
        pytest.param([R, [5, -1]], id="inverted"),
        pytest.param([R, [1, 0, 1, 0]], id="touching"),
        pytest.param([R, [1, 0, 0, 0]], id="overlapping"),
        pytest.param([R, [2**63, 0]], id="beyond the highest seq"),
        pytest.param([R, [1, 2**63 - 1]], id="end beyond the highest seq"),
        pytest.param([R, [True, 0]], id="a bool"),
        pytest.param([R, [1.0, 0]], id="a float"),
        pytest.param([R, b"\x01\x00"], id="bytes for intervals"),
        pytest.param([R[:7], [1, 0]], id="a short replica"),
        pytest.param(["rrrrrrrr", [1, 0]], id="a str for a replica"),
        pytest.param([R, [1, 0], R, [5, 0]], id="a replica twice"),
        pytest.param([Q, [1, 0], R, [1, 0]], id="replicas out of order"),
        pytest.param({R: [1, 0]}, id="a map"),
        pytest.param(None, id="nothing"),
    ],
)
def test_what_is_no_vector_is_refused(flat: object) -> None:
    with pytest.raises(MalformedError, match="^vector: "):
        Vector.of_flat(flat)


def test_the_highest_seq_there_is() -> None:
    top = Vector({R: (vector.SEQ_MAX, vector.SEQ_MAX)})
    assert vector.decode(vector.encode(top)) == top
    whole = Vector({R: (1, vector.SEQ_MAX)})
    assert vector.decode(vector.encode(whole)) == whole
    assert whole.covers(top)


def replicas(count: int) -> list[bytes]:
    return [n.to_bytes(8, "big") for n in range(count)]


def test_as_many_replicas_as_are_allowed_and_one_more() -> None:
    flat = [item for replica in replicas(vector.REPLICAS_MAX) for item in (replica, [1, 0])]
    assert Vector.of_flat(flat).count() == vector.REPLICAS_MAX
    with pytest.raises(MalformedError, match="limits"):
        Vector.of_flat([*flat, b"\xff" * 8, [1, 0]])


def test_as_many_intervals_as_are_allowed_and_one_more() -> None:
    steps = [2, 0] * vector.INTERVALS_MAX
    assert Vector.of_flat([R, steps]).count() == vector.INTERVALS_MAX
    with pytest.raises(MalformedError, match="intervals"):
        Vector.of_flat([R, [*steps, 2, 0]])


def test_a_vector_reads_as_spans() -> None:
    assert str(Vector({R: (1, 3, 5, 5)})) == "010101:1-3,5"
    assert str(Vector()) == "nothing"


def test_a_vector_changes_in_place_and_has_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(Vector())
