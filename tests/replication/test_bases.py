"""Vectors that stand on a base: what is told and stored less than whole comes back whole, or not at all."""

from __future__ import annotations

import random

import pytest

from gossamer.crdt import MalformedError, Vector, vector
from gossamer.replication import bases, registry
from gossamer.replication.bases import Base, Told
from gossamer.replication.seals import Answer, Seal, Settlement

from .bench import ME, PEER, THIRD, upto

IDS = [bytes((n,)) * 8 for n in range(1, 7)]


def any_vector(rng: random.Random) -> Vector:
    out = Vector()
    for replica in IDS:
        for _ in range(rng.randint(0, 2)):
            start = rng.randint(1, 6)
            out.add(replica, start, start + rng.randint(0, 4))
    return out


def test_what_is_unpacked_is_what_was_packed() -> None:
    rng = random.Random(5)
    shorter = 0
    for _ in range(3000):
        of, bound = any_vector(rng), any_vector(rng)
        if rng.random() < 0.5:
            of.update(bound)
        raw = bases.pack(of, bound, b"basename")
        assert bases.unpack(raw, bound, b"basename") == of
        shorter += len(raw) < len(vector.encode(of))
    assert shorter > 100


def test_a_vector_that_lacks_something_of_the_base_is_told_whole() -> None:
    assert bases.pack(upto(3), upto(4)) == vector.encode(upto(3))
    assert bases.pack(upto(5), upto(4)) == bases.RELATIVE + vector.encode(Vector({PEER: (5, 5)}))


def test_equal_bases_have_one_name_and_others_another() -> None:
    names = {Base({"default": upto(n), "other": Vector()}).name for n in range(5)}
    assert len(names) == 5
    assert Base({"a": upto(1), "b": upto(2)}).name == Base({"b": upto(2), "a": upto(1)}).name
    assert Base({"a": upto(1)}).name != Base({"b": upto(1)}).name


def links(mine: Base, theirs: Base) -> tuple[Told, Told]:
    """Both ends of a link, once each has heard the other's hello."""
    one, other = Told(), Told()
    other.theirs, one.theirs = one.tell(mine), other.tell(theirs)
    return one, other


def test_two_that_know_the_same_spare_each_other_what_is_closed() -> None:
    base = Base({"default": upto(4, THIRD)})
    one, other = links(base, Base({"default": upto(4, THIRD)}))
    of = upto(4, THIRD)
    of.add(ME, 1, 2)
    raw = one.pack("default", of)
    assert THIRD not in raw and ME in raw
    assert other.unpack("default", raw) == of
    assert one.pack("other", of) == vector.encode(of) or other.unpack("other", one.pack("other", of)) == of


def test_two_that_do_not_tell_each_other_everything() -> None:
    one, other = links(Base({"default": upto(4, THIRD)}), Base({"default": upto(5, THIRD)}))
    of = upto(5, THIRD)
    assert one.pack("default", of) == other.pack("default", of) == vector.encode(of)


def test_what_is_on_its_way_on_an_earlier_base_is_still_understood() -> None:
    old, new = Base({"default": upto(4, THIRD)}), Base({"default": upto(9, THIRD)})
    one, other = links(old, old)
    late = one.pack("default", upto(9, THIRD))
    one.theirs = other.tell(new)
    assert other.tell(new) == b"", "it is told once"
    assert other.unpack("default", late) == upto(9, THIRD)
    assert one.pack("default", upto(9, THIRD)) == vector.encode(upto(9, THIRD)), (
        "one does not know the new base"
    )


@pytest.mark.parametrize("raw", [b"\xc1", b"\xc1unknown!" + vector.encode(Vector()), b"\xc1" + bytes(8), b""])
def test_other_bytes_are_refused(raw: bytes) -> None:
    one, _ = links(Base({"default": upto(4)}), Base({}))
    with pytest.raises(MalformedError):
        one.unpack("default", raw)


def test_the_base_is_the_closed_ids_alone() -> None:
    closed = Seal(THIRD, settled=Settlement(b"", ME), bounds={"a": Answer({"default": (1, 4)})})
    sealed = Seal(PEER, settled=Settlement(b"", ME), answers={"a": Answer({"default": (1, 9)})})
    found = registry.Registry(seals={THIRD: closed, PEER: sealed})
    assert found.base.of("default") == upto(4, THIRD)
    assert found.base.of("other") == Vector()


def test_a_closed_seal_is_tidied_only_once_all_is_written_down() -> None:
    seal = Seal(THIRD, settled=Settlement(b"", ME), bounds={"a": Answer({"default": (1, 4)})})
    seal.answers["b"] = Answer({"default": (1, 6)})
    assert not seal.is_tidy
    (more,) = registry.tidy_ops("a", seal)
    assert more.method == "set" and more.raw == ({"default": [1, 5]},)
    seal.bounds["a"] = Answer({"default": (1, 6)})
    assert seal.is_tidy
    assert [op.method for op in registry.tidy_ops("a", seal)] == ["clear"]
