"""Random schedules, and the cells that they reach: what may a replica ever hold?"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from gossamer.crdt import Cell, codec

from .harness import Copy, World, copies
from .specs import SPECS

Step = tuple[Any, ...]

AT = st.integers(0, 2)
AGE = st.sampled_from([0, 0, 0, 1, 2, 5])
"""How many states back: a merge is mostly of the newest, sometimes of an old one."""
NOW = st.sampled_from([0, 1, 50, 51, 1000, -7])
"""Clocks that agree on nothing and go backwards."""


def writes(kind: str) -> st.SearchStrategy[Step]:
    return st.builds(
        lambda at, write, now: ("write", at, *write, now), AT, st.sampled_from(SPECS[kind].writes), NOW
    )


def transactions(kind: str) -> st.SearchStrategy[Step]:
    several = st.lists(st.sampled_from(SPECS[kind].writes), min_size=2, max_size=3)
    return st.tuples(st.just("transact"), AT, several, NOW)


MERGES = st.builds(lambda at, on, age: ("merge", at, (at + on) % 3, age), AT, st.integers(1, 2), AGE)
MEETINGS = st.builds(lambda at, on: ("meet", at, (at + on) % 3), AT, st.integers(1, 2))
COLLECTS = st.tuples(st.just("collect"), AT)
SETS_OVER = st.tuples(st.just("set_over"), AT, st.sampled_from("ab"), AT, AGE, NOW)
RESOLVES = st.tuples(st.just("resolve"), AT, st.sampled_from("ab"), AT, AGE)


def schedules(kind: str, most: int = 20) -> st.SearchStrategy[list[Step]]:
    """Up to ``most`` steps of writes, merges and collections for a `World` of this kind."""
    steps = [writes(kind), writes(kind), transactions(kind), MERGES, MERGES, MEETINGS, COLLECTS]
    if kind == "mv_register":
        steps.append(RESOLVES)
    if kind == "register":
        steps.append(SETS_OVER)
    return st.lists(st.one_of(steps), min_size=most // 2, max_size=most)


def reachable(kind: str, most: int = 16) -> st.SearchStrategy[list[Cell]]:
    """Every cell that the three replicas held in some schedule."""
    return schedules(kind, most).map(lambda schedule: World(kind).run(schedule).cells())


@st.composite
def quarantined(draw: st.DrawFn, kind: str) -> list[list[Cell]]:
    """As `reachable`, but the first replica's directory was copied twice and all three went on under one id.

    First the cells of these three, then those of the two others. The three do not hear of each other: a node
    that does, takes a new identity. A counter's reset may fall on any of them, so that one of them begins a
    generation where another goes on in the old one, under the same dot or under dots that cross.
    """
    world = World(kind).run(draw(schedules(kind, 6)))
    original, *others = world.copies
    twins = [Copy(kind, original.replica, original.cell, original.seen, original.seq) for _ in range(2)]
    for copy in (original, *twins):
        for method, args in draw(st.lists(st.sampled_from(SPECS[kind].writes), min_size=1, max_size=3)):
            copy.write(method, *args, now=draw(NOW))
    for at, source in draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 4)), max_size=6)):
        others[at].take([original, *twins, *others][source])
        if draw(st.booleans()):
            method, args = draw(st.sampled_from(SPECS[kind].writes))
            others[at].write(method, *args, now=draw(NOW))
    return [[state for state, _ in copy.past] for copy in (original, *twins, *others)]


@st.composite
def rival_generations(draw: st.DrawFn) -> list[Cell]:
    """Counters of a replica whose directory was copied, and of another that meets both: adds, resets and merges.

    One of the two goes on in the generation that the other has ended, and the third leaves floors of both.
    """
    original, other = copies("counter")
    original.write("add", 1)
    twin = Copy("counter", original.replica, original.cell, original.seen, original.seq)
    three = (original, twin, other)
    steps = st.tuples(st.integers(0, 2), st.sampled_from(("add", "add", "reset", "take")), st.integers(0, 1))
    for at, verb, source in draw(st.lists(steps, min_size=4, max_size=12)):
        if verb != "take":
            three[at].write(verb, *((1,) if verb == "add" else ()))
        else:
            other.take(three[source])
    return sorted({state for copy in three for state, _ in copy.past}, key=codec.encode)
