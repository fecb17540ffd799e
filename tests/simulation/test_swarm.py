"""Random schedules of every fault: what is rare happens in them."""

from __future__ import annotations

from collections import Counter

from .setbacks import Setbacks
from .swarm import SOMETIMES, Swarm

STEPS = 40
REPLACED = (5, 25)
SEEDS = (8, 12, 13, 16, 17, 20, 23, 44, 67)


def test_whatever_is_rare_is_seen() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        seen += Counter(Swarm(seed, STEPS).run().seen)
    never = [what for what in SOMETIMES if not seen[what]]
    assert not never, f"{len(SEEDS)} schedules never saw: {', '.join(never)}; they test nothing of it"


def test_what_exists_nowhere_any_more_is_replaced() -> None:
    seen: Counter[str] = Counter()
    for seed in REPLACED:
        seen += Counter(Setbacks(seed).run().seen)
    assert seen["cells of data replaced"] and seen["cells of the registry replaced"], seen
