"""A keyspace beside its cells: what it has delivered, what it has collected, what it knows of others."""

from __future__ import annotations

import msgspec

from gossamer.crdt import Vector


class Bootstrap(msgspec.Struct, frozen=True, array_like=True):
    """A full exchange that is being received: whose, within which vector, and how far it has come."""

    sender: bytes
    vector: bytes
    """The sender's delivered vector when it began, encoded: what is claimed at the end."""
    reached: bytes
    """Every path up to this one is done."""
    is_first: bool
    """The keyspace held nothing but events of its own before: there is nothing to read yet."""
    receiver: bytes = b""
    """This node's replica id when the rest of it was staged: parts name it by a number."""
    claim: bytes = b""
    """What is delivered once all parts are applied."""
    parts: int = 0
    """How many are staged, all that there are; 0 while they are still coming, or none are."""
    applied: int = 0
    is_repair: bool = False
    replaces: bool = False
    """What another sender had begun is given up: this node's cells are replaced by the sender's. See `orphans`."""


class State:
    """What a keyspace is beside its cells, as of one commit. Not changed once committed, except that ``peers`` may be replaced."""

    __slots__ = ("base", "bootstrap", "debt", "delivered", "digest", "horizon", "is_counted", "peers")

    def __init__(self) -> None:
        self.delivered = Vector()
        """The events whose effect this node's cells include."""
        self.base = Vector()
        """The bounds of closed ids, all of them delivered: the other vectors are stored as what they have beyond."""
        self.digest = 0
        """Sum of the cells' weights, mod 2^128."""
        self.is_counted = True
        """Whether ``digest`` is known: not after a damaged cell was replaced, until all cells were weighed anew."""
        self.horizon = Vector()
        """The events whose index rows may have been collected: a prefix a replica."""
        self.debt = Vector()
        """Events that cells of an unfinished bootstrap show and `delivered` lacks; empty when whole."""
        self.bootstrap: Bootstrap | None = None
        """The full exchange being received, if one is."""
        self.peers: dict[bytes, Vector] = {}
        """Replica id -> what it had delivered at a moment whose whole state is included here."""

    def copy(self) -> State:
        twin = State()
        twin.delivered, twin.digest = self.delivered.copy(), self.digest
        twin.horizon, twin.debt, twin.peers = self.horizon.copy(), self.debt.copy(), dict(self.peers)
        twin.bootstrap, twin.base, twin.is_counted = self.bootstrap, self.base, self.is_counted
        return twin

    @property
    def is_whole(self) -> bool:
        """No bootstrap is unfinished: the vector says all that the cells show, and may be told to others."""
        is_unfinished = self.is_applying or self.is_replacing
        return not is_unfinished and (not self.debt or self.delivered.covers(self.debt))

    @property
    def is_applying(self) -> bool:
        """The rest of a full exchange is here, staged, and is being applied."""
        return self.bootstrap is not None and self.bootstrap.parts > 0

    @property
    def is_replacing(self) -> bool:
        """Cells that the full exchange has not passed may show events that exist nowhere any more."""
        return self.bootstrap is not None and self.bootstrap.replaces

    def adopt_debt(self) -> None:
        """Once whole, what the sender of a full exchange had collected is as good as collected here.

        Its cells came without rows, so we cannot answer for those events either.
        """
        if self.debt and self.is_whole:
            self.horizon.update(self.debt)
            self.debt = Vector()
