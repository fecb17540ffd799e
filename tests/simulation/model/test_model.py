"""The rules of the replication hold in the set model, and each of them is needed."""

from __future__ import annotations

import os
import random

import pytest

from ..ddmin import ddmin
from . import world
from .__main__ import shrink, told
from .mutants import CAUGHT
from .rules import SPLIT_EVENTS
from .runs import run

CHUNKS = 12
EACH = int(os.environ.get("GOSSAMER_MODEL_SCHEDULES", "60000")) // CHUNKS
FIRST = int(os.environ.get("GOSSAMER_FIRST_SEED", "0"))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_schedules(chunk: int) -> None:
    _, seen, failed = run(FIRST + chunk * EACH, EACH, False)
    assert not failed, "\n".join(told(seed, why) for seed, why in failed.items())
    if EACH >= 5000:
        never = [name for name in world.SIGHTS[:-2] if not seen[name]]  # the last two are too rare here
        assert not never, f"{EACH} schedules never saw: {', '.join(never)}; they test nothing of it"


def test_setbacks_of_all_while_one_is_being_sent_everything() -> None:
    _, seen, failed = run(world.SETBACKS + FIRST, EACH, False)
    assert not failed, "\n".join(told(seed, why) for seed, why in failed.items())
    assert seen["cells replaced, as what is waited for is nowhere"] > EACH // 4


@pytest.mark.parametrize("rule", CAUGHT, ids=[what for what, _ in CAUGHT.values()])
def test_without_a_rule_a_schedule_fails_and_with_it_passes(rule: int) -> None:
    steps = bytes.fromhex(CAUGHT[rule][1])
    assert world.fails(steps, rule)
    assert not world.fails(steps)


def test_a_failure_is_shrunk_to_what_can_be_replayed() -> None:
    seed = next(seed for seed in range(100) if world.fails(world.steps_of(seed), SPLIT_EVENTS))
    least = shrink(seed, SPLIT_EVENTS)
    assert len(least) <= 3 * 8, world.told(least)
    assert world.fails(least, SPLIT_EVENTS)
    for at in range(0, len(least), 3):
        assert not world.fails(least[:at] + least[at + 3 :], SPLIT_EVENTS), "a step is there for nothing"
    assert f"--steps {least.hex()} --without {SPLIT_EVENTS}" in told(seed, "why", SPLIT_EVENTS)


def test_shrinking_finds_the_parts_that_matter() -> None:
    rng = random.Random(1)
    for _ in range(50):
        wanted = set(rng.sample(range(60), rng.randint(0, 5)))
        assert ddmin(range(60), lambda some, wanted=wanted: wanted <= set(some)) == sorted(wanted)  # type: ignore[misc]  # the default binds the loop's set
