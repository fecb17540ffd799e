"""Who has an event on disk: how many members are known to, and how many are wanted.

The question this answers: *if this node were gone, would it still be there?* A member's vector says what it has
committed, and all of that is on its disk, unless its durability is *relaxed*: then it has the event, and a power cut
may still take it. So such a member does not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Peers = int | Literal["majority", "all"]


@dataclass
class Holders:
    """Members that host the keyspace, by name, and whether they are known to have an event."""

    own: str
    """This node's name; it is one of them."""
    durable: set[str] = field(default_factory=set)
    """They have it, and no power cut takes it."""
    relaxed: set[str] = field(default_factory=set)
    """They have it, and a power cut may take it."""
    missing: set[str] = field(default_factory=set)
    """They are not known to have it."""
    unmet: list[str] = field(default_factory=list)
    """Configured addresses at which nobody was met yet: members, for all we know."""

    def lacks(self, peers: Peers) -> str | None:
        """What is missing until so many have it; None: nothing."""
        total = len(self.durable | self.relaxed | self.missing) + len(self.unmet)
        counted, wanted = self._counted(peers, total)
        return None if len(counted) >= wanted else self._sentence(counted, wanted)

    def _counted(self, peers: Peers, total: int) -> tuple[set[str], int]:
        if peers == "majority":
            return self.durable, total // 2 + 1
        if peers == "all":
            return self.durable, total
        return self.durable - {self.own}, peers

    def _sentence(self, counted: set[str], wanted: int) -> str:
        parts = [f"{len(counted)} of {wanted} members are known to have it durably{_names(counted)}"]
        if self.relaxed:
            parts.append(f"not durably{_names(self.relaxed)}")
        if self.missing:
            parts.append(f"not known to have it{_names(self.missing)}")
        if self.unmet:
            parts.append(f"never met{_names(self.unmet)}")
        if self.own not in self.missing:
            parts.append("the write stands here")
        return "; ".join(parts)


def check(peers: Peers) -> Peers:
    """The argument itself. `TypeError` or `ValueError` says what is wrong with it."""
    if peers in ("majority", "all"):
        return peers
    if type(peers) is not int:
        raise TypeError(f'peers: an int, "majority" or "all" is wanted, not {peers!r}')
    if peers < 1:
        raise ValueError(f"peers: {peers} is not 1 or more")
    return peers


def _names(names: set[str] | list[str]) -> str:
    return f" ({', '.join(sorted(names))})" if names else ""
