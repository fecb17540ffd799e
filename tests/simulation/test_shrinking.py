"""A failing schedule is shrunk to the steps that it needs, and they can be replayed."""

from __future__ import annotations

import pytest

from ..mutants.catalogue import CATALOGUE
from ..mutants.planting import Mutant, plant
from .run import run
from .shrinking import replay, shortest

BUG = "a write leaves no row"


def test_a_failure_is_shrunk_to_steps_that_fail_alike_and_pass_without_the_bug() -> None:
    seed, kind = 7, "core"
    with pytest.MonkeyPatch.context() as patch:
        (bug,) = [one.bug for one in CATALOGUE if one.name == BUG]
        assert isinstance(bug, Mutant)
        plant(bug, patch)
        with pytest.raises(AssertionError, match=r"--kind core --seeds 1 --start 7"):
            run(seed, kind)
        found = shortest(seed, kind, 40)
        assert found is not None
        assert len(found.kept) <= 3, found.steps
        again = replay(seed, kind, found.kept)
        assert again == found
    assert replay(seed, kind, found.kept) is None
