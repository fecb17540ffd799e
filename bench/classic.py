"""Classic delta replication, as a model: what would a mesh send that does not take redundant deltas apart?

Each replica keeps a buffer of deltas. Once a round it sends the join of them to all its neighbours, and forgets them.
A group that brings its receiver anything new is joined, and goes into the receiver's buffer whole, so that neighbours
who are not linked get it; what was in it and known already goes round again. (Almeida, Shoker, Baquero, *Delta state
replicated data types*, 2018, its basic algorithm; Enes et al., *Efficient synchronization of state-based CRDTs*, 2019,
show where the redundancy is, and how to take it out.) Nothing is lost or late here, and only the cells' own bytes
count, deflated as ours are: no frames, no acknowledgements, no vectors.
"""

from __future__ import annotations

import zlib

Version = tuple[int, int]
"""``(round, replica)`` of a write; of one key the highest wins."""
Group = dict[bytes, tuple[Version, bytes]]
"""Key -> its newest write, and the bytes of the cell."""


class Classic:
    """A full mesh of replicas."""

    def __init__(self, replicas: int) -> None:
        self._states: list[Group] = [{} for _ in range(replicas)]
        self._buffers: list[Group] = [{} for _ in range(replicas)]
        self.bytes_sent = 0

    def write(self, replica: int, version: Version, cells: dict[bytes, bytes]) -> None:
        """A replica's own write: a delta."""
        delta = {key: (version, cell) for key, cell in cells.items()}
        _join(self._states[replica], delta)
        _join(self._buffers[replica], delta)

    def gossip(self) -> bool:
        """One round; whether anything was sent."""
        groups, self._buffers = self._buffers, [{} for _ in self._states]
        for sender, group in enumerate(groups):
            if group:
                self.bytes_sent += _size(group) * (len(groups) - 1)
            for receiver in range(len(groups)):
                if receiver != sender and _inflates(group, self._states[receiver]):
                    _join(self._states[receiver], group)
                    _join(self._buffers[receiver], group)
        return any(groups)

    def is_settled(self) -> bool:
        """Whether all hold the same."""
        return all(state == self._states[0] for state in self._states)


def _inflates(group: Group, state: Group) -> bool:
    return any(key not in state or state[key][0] < version for key, (version, _) in group.items())


def _join(into: Group, group: Group) -> None:
    for key, write in group.items():
        if key not in into or into[key][0] < write[0]:
            into[key] = write


def _size(group: Group) -> int:
    return len(zlib.compress(b"".join(key + cell for key, (_, cell) in sorted(group.items())), 1))
