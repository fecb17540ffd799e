"""Scenes for bugs that no other test meets at once."""

from __future__ import annotations

import pytest

from gossamer.replication import limits

from ..replication import test_large
from ..simulation.script import script


def a_write_before_a_kill() -> None:
    """What a writer was told is there when the node is back."""
    with script(1) as run:
        (node,) = run.nodes
        run.do(node, ("register:r", "set", 1))
        run.cluster.kill(node)
        run.cluster.restart(node)
        assert node.register("r").get() == 1


def a_cell_that_changes_between_its_slices() -> None:
    """Two of them are sent before, and the others after."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "BATCH_BYTES_MAX", 2_000)
        patch.setattr(limits, "BATCH_BYTES_TARGET", 500)
        test_large.test_a_cell_that_changes_between_its_slices_arrives_as_it_is_in_the_end(patch, 2)
