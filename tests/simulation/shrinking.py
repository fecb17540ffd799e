"""A failing schedule of the core simulation, shrunk to the steps that it needs.

A step's choices depend on the random stream as it was when the step was drawn, and on nothing that earlier steps drew. So
any of them can be left out; a step that makes no sense then does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .ddmin import ddmin
from .kinds import KINDS
from .schedule import Step


class Failure(NamedTuple):
    """What is left of a schedule."""

    kept: list[int]
    """The numbers of its steps, as they were drawn."""
    steps: list[str]
    why: str


def drawn(seed: int, kind: str) -> list[Step]:
    """The steps of a seed, up to where it fails."""
    schedule = KINDS[kind](seed)
    try:
        schedule.run()
    except Exception:  # noqa: BLE001  # whatever it ends with is the failure
        return schedule.drawn
    return schedule.drawn


def take(seed: int, kind: str, steps: Sequence[Step], kept: list[int]) -> Failure | None:
    """Some of the steps of a seed; None if it does not fail."""
    schedule = KINDS[kind](seed)
    schedule.replayed = [steps[at] for at in kept if at < len(steps)]
    try:
        schedule.run()
    except Exception as error:  # noqa: BLE001  # as above
        return Failure(kept, schedule.outcome.steps, f"{type(error).__name__}: {error}")
    return None


def replay(seed: int, kind: str, kept: list[int]) -> Failure | None:
    """As `take`, from the seed alone."""
    return take(seed, kind, drawn(seed, kind), kept)


def shortest(seed: int, kind: str, runs: int) -> Failure | None:
    """The fewest steps that still fail, as far as ``runs`` schedules find them; None if the seed passes."""
    steps = drawn(seed, kind)
    left = [runs]

    def fails(kept: list[int]) -> bool:
        left[0] -= 1
        return left[0] >= 0 and take(seed, kind, steps, kept) is not None

    return take(seed, kind, steps, ddmin(range(len(steps)), fails))
