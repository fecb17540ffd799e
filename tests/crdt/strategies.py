"""Random schedules, and the cells that they reach: what may a replica ever hold?"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from gossamer.crdt import Cell

from .harness import Copy, World
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


MERGES = st.tuples(st.just("merge"), AT, AT, AGE)
COLLECTS = st.tuples(st.just("collect"), AT)
RESOLVES = st.tuples(st.just("resolve"), AT, st.sampled_from("ab"), AT, AGE)


def schedules(kind: str, most: int = 20) -> st.SearchStrategy[list[Step]]:
    """Up to ``most`` steps of writes, merges and collections for a `World` of this kind."""
    steps = [writes(kind), writes(kind), transactions(kind), MERGES, MERGES, MERGES, COLLECTS]
    if kind == "mv_register":
        steps.append(RESOLVES)
    return st.lists(st.one_of(steps), max_size=most)


def reachable(kind: str, most: int = 16) -> st.SearchStrategy[list[Cell]]:
    """Every cell that the three replicas held in some schedule."""
    return schedules(kind, most).map(lambda schedule: World(kind).run(schedule).cells())


@st.composite
def quarantined(draw: st.DrawFn, kind: str) -> list[Cell]:
    """As `reachable`, but the first replica's directory was copied on the way and both went on under one id.

    Neither hears of the other: a node that does, takes a new identity. Nor does a counter's reset fall on
    either: two generations under one dot are the digest's affair, not the join's.
    """
    world = World(kind).run(draw(schedules(kind, 6)))
    original, *others = world.copies
    twin = Copy(kind, original.replica, original.cell, original.seen, original.seq)
    own = [write for write in SPECS[kind].writes if kind != "counter" or write[0] == "add"]
    for copy in (original, twin):
        for method, args in draw(st.lists(st.sampled_from(own), max_size=3)):
            copy.write(method, *args, now=draw(NOW))
    for at, source in draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), max_size=6)):
        others[at].take([original, twin, *others][source])
        if draw(st.booleans()):
            method, args = draw(st.sampled_from(SPECS[kind].writes))
            others[at].write(method, *args, now=draw(NOW))
    return [state for copy in (original, twin, *others) for state, _ in copy.past]
