"""What happened to a node between two looks at its status, as events for the log.

Why looks, and not calls at the moment itself? The status says all of it, in one place, and a log of a node's life
may be half a second late. A link that was lost and made again in between is not mentioned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

BEHIND_LOOKS = 4
"""Looks in a row after which a node that is behind is said to be catching up: under a steady load every node is
behind by some milliseconds nearly always."""


class Event(NamedTuple):
    """One line of the log."""

    name: str
    fields: dict[str, Any]


class Life:
    """Remembers the last look."""

    def __init__(self) -> None:
        self._linked: dict[str, dict[str, Any]] = {}
        self._behind: dict[str, int] = {}

    def look(self, status: dict[str, Any]) -> list[Event]:
        """The events since the last look, which at the first one are those of a node just opened."""
        return [*self._links(status), *self._keyspaces(status)]

    def _links(self, status: dict[str, Any]) -> Iterator[Event]:
        before = self._linked
        self._linked = {m["name"]: m for m in status["members"] if m["state"] == "linked"}
        for name in before.keys() - self._linked.keys():
            yield Event("peer lost", {"peer": name, "replica": before[name]["replica"]})
        for name in self._linked.keys() - before.keys():
            yield Event("peer linked", {"peer": name, "replica": self._linked[name]["replica"]})

    def _keyspaces(self, status: dict[str, Any]) -> Iterator[Event]:
        for name, keyspace in status["keyspaces"].items():
            before = self._behind.get(name, 0)
            self._behind[name] = _looks(before, keyspace)
            if before < BEHIND_LOOKS <= self._behind[name]:
                yield Event("catching up", {"keyspace": name})
            elif self._behind[name] == 0 and before >= BEHIND_LOOKS:
                yield Event("caught up", {"keyspace": name, "events": keyspace["events"]})


def _looks(before: int, keyspace: dict[str, Any]) -> int:
    if not keyspace["catching_up"]:
        return 0
    return min(before + 1, BEHIND_LOOKS) if keyspace["ready"] else BEHIND_LOOKS
