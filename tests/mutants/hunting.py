"""Whether a bug is noticed: by the one who must, and by random schedules."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from gossamer.replication import limits

from ..simulation.run import run
from .catalogue import Caught
from .planting import MisfitError, Mutant, plant

FAULTS_OF_THE_SCENE = {"gossip before commit", "reuse an identity"}
"""Bugs that are in the scene itself, from its beginning."""


def notices(one: Caught, *, is_planted: bool = True) -> bool:
    """Whether it fails with the bug; or, for nothing, without it."""
    with pytest.MonkeyPatch.context() as patch:
        return _fails(one, patch, is_planted)


def _fails(one: Caught, patch: pytest.MonkeyPatch, is_planted: bool) -> bool:
    def mutate() -> None:
        if not is_planted:
            return
        if isinstance(one.bug, Mutant):
            plant(one.bug, patch)
        else:
            one.bug(patch)

    if "bounded" in one.witness:
        patch.setattr(limits, "WATCHED_MAX", 0)  # as in their tests: nothing is evened out
    given: dict[str, Any] = {}
    if not isinstance(one.by, tuple):
        names = inspect.signature(one.by).parameters
        given = {name: patch for name in ("monkeypatch", "patch") if name in names}
        if "mutate" in names:
            given["mutate"] = mutate
    if "mutate" not in given or one.name in FAULTS_OF_THE_SCENE:
        mutate()
    try:
        if isinstance(one.by, tuple):
            run(one.by[1], one.by[0])
        else:
            one.by(**given)
    except MisfitError:  # it was never planted
        raise
    except (Exception, pytest.fail.Exception):  # noqa: BLE001  # whatever it fails with, it has noticed
        return True
    return False


def schedules_until_noticed(one: Caught, kind: str, start: int, most: int) -> int | None:
    """After how many random schedules it shows; None if it does not."""
    with pytest.MonkeyPatch.context() as patch:
        if isinstance(one.bug, Mutant):
            plant(one.bug, patch)
        else:
            one.bug(patch)
        for at in range(most):
            try:
                run(start + at, kind)
            except AssertionError:
                return at + 1
    return None
