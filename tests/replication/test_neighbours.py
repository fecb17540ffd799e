"""Whom a node of a large cluster is linked with: few, by both ends alike, and always enough to connect all."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from gossamer.replication import limits
from gossamer.replication.neighbours import Neighbours, epochs, is_mesh, rings
from gossamer.replication.signs import Signs

WALL_S = 1_700_000_000.0


def names_of(count: int) -> frozenset[str]:
    return frozenset(f"n{i}" for i in range(count))


def views(names: frozenset[str], wall_s: float = WALL_S) -> dict[str, set[str]]:
    return {name: Neighbours().wanted(name, names, set(), 0.0, wall_s) for name in names}


def hops(of: dict[str, set[str]], start: str) -> dict[str, int]:
    """How far everybody is from one, as far as links lead."""
    found, edge = {start: 0}, [start]
    while edge:
        edge = [
            near
            for name in edge
            for near in sorted(of[name])
            if near not in found and not found.update({near: found[name] + 1})
        ]
    return found


@pytest.mark.parametrize("count", [17, 64, 512, 1024])
def test_links_are_few_wanted_by_both_and_nobody_is_far(count: int) -> None:
    names = names_of(count)
    found = views(names)
    assert all(name not in near for name, near in found.items())
    assert all(name in found[other] for name, near in found.items() for other in near)
    assert max(map(len, found.values())) <= 2 * rings(count) <= max(8, 1.25 * math.log2(count))
    far = hops(found, "n0")
    assert far.keys() == names
    assert max(far.values()) <= math.log2(count)


def test_up_to_sixteen_are_a_full_mesh() -> None:
    assert [is_mesh(count) for count in (2, 16, 17, 1024)] == [True, True, False, False]


def test_one_ring_turns_at_a_time_and_the_first_never() -> None:
    seen = [epochs(64, WALL_S + turn * limits.RING_TURN_S) for turn in range(10)]
    for before, after in pairwise(seen):
        assert sum(b != a for b, a in zip(before, after, strict=True)) == 1
    assert {epoch[0] for epoch in seen} == {0}
    assert views(names_of(64)) != views(names_of(64), WALL_S + limits.RING_TURN_S)


def test_who_is_down_is_passed_over_and_still_looked_for() -> None:
    names, node = names_of(40), Neighbours()
    before = node.wanted("n0", names, set(), 0.0, WALL_S)
    gone = min(before)
    up = before - {gone}
    assert node.wanted("n0", names, up, limits.PATIENCE_S - 0.1, WALL_S) == before
    later = node.wanted("n0", names, up, limits.PATIENCE_S + 0.1, WALL_S)
    assert later > before, "somebody takes its place, and it is dialed on"
    together = node.wanted("n0", names, later, limits.PATIENCE_S + 1, WALL_S)
    assert together == later, "it is back: its stand-in lingers"
    assert node.wanted("n0", names, later, limits.PATIENCE_S + 2 + limits.LINGER_S, WALL_S) == before


def test_alone_it_looks_for_a_bounded_number() -> None:
    names, node = names_of(1024), Neighbours()
    for second in range(200):
        found = node.wanted("n0", names, set(), float(second), WALL_S)
    assert len(found) <= 2 * rings(1024) * (limits.PASSED_OVER_MAX + 1)
    assert len(found) > 4 * rings(1024), "else it never looked further"


def test_a_part_that_is_cut_off_finds_together() -> None:
    """Each node knows only which of its neighbours it cannot reach; with half of them gone the rest are connected."""
    names = names_of(64)
    part = {name for name in names if int(name[1:]) % 2}
    nodes = {name: Neighbours() for name in part}
    found: dict[str, set[str]] = {}
    for second in range(60):
        linked = {
            name: {o for o in part if o in found.get(name, ()) or name in found.get(o, ())} for name in part
        }
        found = {name: nodes[name].wanted(name, names, linked[name], float(second), WALL_S) for name in part}
    live = {name: {o for o in part if o in found[name] or name in found[o]} for name in part}
    assert hops(live, min(part)).keys() == part
    assert max(map(len, live.values())) <= 3 * rings(64)


def test_a_guest_stays_for_a_while() -> None:
    names, node = names_of(40), Neighbours()
    ring = node.wanted("n0", names, names, 0.0, WALL_S) and Neighbours().wanted(
        "n0", names, set(), 0.0, WALL_S
    )
    guest = min(names - ring - {"n0"})
    node = Neighbours()
    node.invite(guest, 0.0)
    assert node.wanted("n0", names, ring, 1.0, WALL_S) == ring | {guest}
    assert node.wanted("n0", names, ring, limits.GUEST_S + 1, WALL_S) == ring


def test_old_signs_of_life_that_go_round_keep_nobody_alive() -> None:
    a, b, dead = Signs(), Signs(), b"d" * 8
    current = {dead}
    a.note(dead, 1000, 1.0)
    for second in range(2, 50):
        b.take(a.told(b"b" * 8, current), current, float(second))
        a.take(b.told(b"a" * 8, current), current, second + 0.5)
    assert (a.at(dead), b.at(dead)) == (1.0, 2.0)
    a.take([(b"x" * 8, 5000)], current, 60.0)
    assert a.at(b"x" * 8) is None
    a.keep(set())
    assert a.at(dead) is None
