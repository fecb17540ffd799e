"""Faults of the nemesis that change who is a member: one is removed while it is away, and comes back; one leaves for good."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from gossamer.admin import REMOVE

from .fleet import Fleet
from .group import state_of
from .load import Worker
from .process import Serve
from .resting import at_rest, catch_up
from .waiting import so


class Membership:
    """Of one run. Everything else is whole when one of these strikes."""

    def __init__(self, fleet: Fleet, rng: Random, workers: Callable[[], Sequence[Worker]]) -> None:
        self._fleet, self._rng, self._workers = fleet, rng, workers

    def exile(self, name: str) -> None:
        """A node is cut off, or down, for so long that it is removed and the others clean up without it; then it is back.

        Whoever else is away, a clone that was there once, is removed too: it would hold up the cleaning.
        What the node wrote meanwhile counts, and what the others removed and cleaned up stays removed.
        """
        node, others = self._fleet.nodes[name], self._fleet.others(name)
        self._fleet.net.cut(name)
        is_down = self._rng.random() < 0.5
        if is_down:
            node.kill()
        self._fleet.away(name)
        rows = {other.name: _rows(other) for other in others}
        for away in _away(others[0]):
            others[0].client.admin(REMOVE, name=away)
        for other in others:
            so(partial(_says, other, name, "removed"), f"{other.name} counts {name} still")
            so(lambda other=other: _rows(other) < rows[other.name], f"{other.name} does not clean up")  # type: ignore[misc]
        self._fleet.net.heal()
        if is_down:
            self._fleet.start(name)
        for other in others:
            so(partial(_says, other, name, "linked"), f"{other.name} does not count {name} again")

    def leave(self, name: str) -> None:
        """A node leaves for good, and another one begins under its name, with nothing."""
        node = self._fleet.nodes[name]
        with at_rest(node, self._workers()):
            before, token = node.identities[-1], node.client.token()
            node.client.leave()
            assert node.wait() == 0, node.log
            for entry in node.data.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            self._fleet.start(name)
            assert node.identities[-1] != before, node.log
            catch_up(node, token)


def _rows(node: Serve) -> int:
    """Of its index of changes: what is not cleaned up."""
    return int(node.client.status()["keyspaces"]["default"]["rows"])


def _away(node: Serve) -> list[str]:
    return [member["name"] for member in node.client.status()["members"] if member["state"] == "away"]


def _says(node: Serve, name: str, state: str) -> bool:
    return state_of(node.client.status(), name) == state
