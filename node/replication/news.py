"""What a peer tells of its vector, its digest and third replicas, beside the exchanges themselves.

The question this answers: *do we hold the same, and what do others have?*
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossamer.crdt import Vector, vector

from ..errors import ProtocolError
from .bases import NAME_BYTES
from .freshness import Proof
from .link import Link, Shared
from .messages import DIGEST_BYTES, Ask, Tell
from .state import State
from .view import Draft

if TYPE_CHECKING:
    from .engine import Engine


class News:
    """Compares digests, and keeps the table of what third replicas have."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def on_tell(self, draft: Draft, link: Link, shared: Shared, message: Tell, now: float) -> None:
        if len(message.digest) not in (0, DIGEST_BYTES) or len(message.closed) > NAME_BYTES:
            raise ProtocolError("tell: a digest of another length")
        third = [(replica, link.bases.unpack(shared.name, raw)) for replica, raw in message.peers]
        link.bases.theirs = message.closed or link.bases.theirs
        shared.their_whole = True
        shared.their_digest = message.digest
        self._engine.doubts.told(link.peer, shared.name, now)
        theirs, state = shared.theirs, draft.state
        assert theirs is not None
        if message.digest and theirs == state.delivered and state.is_whole and state.is_counted:
            self._compare(link, shared, state)
        self._engine.signs.take(message.alive, self._engine.registry.current, now)
        for replica, had in third:
            self._union_peer(draft, replica, had)

    def on_answer(self, link: Link, shared: Shared, answer: int) -> None:
        """What the peer has told so far is what it had after we asked, at the least."""
        asked_at = shared.asking.on_answer(answer) if answer else None
        if asked_at is not None and shared.theirs is not None:
            proofs = self._engine.proofs.setdefault(shared.name, {})
            proofs.setdefault(link.peer, Proof()).note(asked_at, shared.theirs.copy())

    def _compare(self, link: Link, shared: Shared, state: State) -> None:
        is_equal = shared.their_digest == state.digest.to_bytes(16, "big")
        self._engine.doubts.compared(link.peer, shared.name, is_equal=is_equal)
        if is_equal:
            return
        self._engine.mismatches[shared.name] = self._engine.mismatches.get(shared.name, 0) + 1
        over = (shared.their_digest, state.digest)
        if shared.is_repairing or shared.asked_for == over or shared.exchange is not None:
            return
        # Both ask, since neither knows which of the two has lost something; the lower id once it has answered.
        if self._engine.identity.replica < link.peer and not shared.has_answered:
            return
        shared.asked_for, shared.is_repairing = over, True
        link.pending.append(Ask(0, shared.number))
        self._engine.alarm(
            f"keyspace {shared.name!r}: equal vectors and unequal digests, ours and member "
            f"{link.name!r}'s; a full exchange is asked for"
        )

    def _union_peer(self, draft: Draft, replica: bytes, had: Vector) -> None:
        """What a third replica had once: so a broken link, or a partial view, does not stop collection."""
        if len(replica) != vector.REPLICA_BYTES or replica == self._engine.identity.replica:
            return
        if replica in self._engine.registry.sealed:
            return  # it counts for nothing any more
        mine = draft.state.peers.get(replica, Vector())
        if draft.state.delivered.covers(had) and not mine.covers(had):
            both = mine.copy()
            both.update(had)
            draft.set_peer(replica, both)
