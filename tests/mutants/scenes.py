"""Scenes for bugs that no other test meets at once."""

from __future__ import annotations

from ..simulation.script import script


def a_write_before_a_kill() -> None:
    """What a writer was told is there when the node is back."""
    with script(1) as run:
        (node,) = run.nodes
        run.do(node, ("register:r", "set", 1))
        run.cluster.kill(node)
        run.cluster.restart(node)
        assert node.register("r").get() == 1
