"""Orphaned bootstraps: a node was being sent everything, and part of that exists nowhere any more.

The question this answers: *who else may send this node everything, in place of what it has?* The debt of an unfinished full
exchange is paid by whoever has those events. If nobody has them any more (the sender is gone, and whoever had collected them with
it was set back to an older state), the cells show what no other node will ever have, and the node would wait for ever.

So after a while it asks one that is whole for a full exchange that *replaces*: each cell becomes the sender's, and what it showed
beyond that is forgotten. Nobody has counted on that, since a node that is not whole claims nothing. What was delivered here and the sender
lacks (own events, mostly) stays, beside what the sender has: as if its writer had seen nothing of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from gossamer.crdt import Vector, vector

from ..errors import ProtocolError
from . import limits
from .link import Link, Shared
from .messages import Ask, Batch
from .state import Bootstrap, State

if TYPE_CHECKING:
    from .engine import Engine


class Orphans:
    """Notices them, and begins their replacement."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._since: dict[str, float] = {}
        """Keyspace -> since when nobody that is linked has what it waits for."""
        self._ask_at: dict[str, float] = {}
        """Keyspace -> when somebody is asked, next or again."""

    def ask(self, link: Link, shared: Shared, state: State, now: float) -> Iterator[Ask]:
        """Ask a peer for everything, if nothing else will ever end this bootstrap."""
        name = shared.name
        if not self._is_orphaned(state, name, now):
            self._since.pop(name, None)
            self._ask_at.pop(name, None)
            return
        waited = now - self._since.setdefault(name, now)
        if now < self._ask_at.setdefault(name, now + limits.ORPHAN_S):
            return
        if not self._may_replace(state, shared) or (
            waited < 2 * limits.ORPHAN_S and self._has_strays(state, shared)
        ):
            return
        self._ask_at[name] = now + limits.ORPHAN_S  # the next one is asked if nothing comes of this
        shared.is_adopting = True
        self._engine.alarm(
            f"keyspace {name!r}: what it waits for nobody here has; member {link.name!r} is asked for everything"
        )
        yield Ask(0, shared.number)

    def _is_orphaned(self, state: State, keyspace: str, now: float) -> bool:
        if state.is_whole or state.is_applying:
            return False
        owed = state.debt.minus(state.delivered)
        links = (link for link in self._engine.links.values() if not link.closing)
        peers = [link.shared[keyspace] for link in links if keyspace in link.shared]
        return not any(
            now - peer.full_at < limits.ORPHAN_S
            or (peer.their_whole and owed.minus(peer.theirs or Vector()) != owed)
            for peer in peers
        )  # who is not whole cannot send what it has, and may be waiting for this one

    def _may_replace(self, state: State, shared: Shared) -> bool:
        return shared.theirs is not None and shared.their_whole and _paid(state) is not None

    def _has_strays(self, state: State, shared: Shared) -> bool:
        """Whether events of others are delivered here that a peer lacks: who else has them may yet send them to it."""
        assert shared.theirs is not None
        me = self._engine.identity.replica
        return any(replica != me for replica in state.delivered.minus(shared.theirs).replicas())

    def on_full(self, state: State, link: Link, shared: Shared, message: Batch) -> None:
        """A batch came: it may begin an exchange that replaces, since it was asked for, or as one of another sender is under way.

        `ProtocolError` if it should and may not.
        """
        full, boot = message.full, state.bootstrap
        if full is None:
            return
        if boot is not None and boot.replaces:
            if boot.sender == link.peer and (message.staged or boot.reached == full.after):
                return  # it goes on
        elif not shared.is_adopting:
            return
        shared.is_adopting = False
        if state.is_whole:
            return  # what it waited for has come meanwhile
        if full.after or not full.horizon:
            raise ProtocolError("full: it does not begin at the beginning")
        self.begin(state, link, shared)

    def begin(self, state: State, link: Link, shared: Shared) -> None:
        """Give up the bootstrap under way for one from a peer. `ProtocolError` if it may not be."""
        boot, paid = state.bootstrap, _paid(state)
        assert shared.theirs is not None
        if paid is None:
            raise ProtocolError("full: of what it would replace, not all is owed from the first event on")
        # What is delivered of the debt came without rows; what is not is forgotten with the cells that show it.
        state.debt = paid
        is_first = boot is not None and boot.is_first
        state.bootstrap = Bootstrap(link.peer, vector.encode(shared.theirs), b"", is_first, replaces=True)

    def holds_up(self, state: State, link: Link, shared: Shared, message: Batch, now: float) -> bool:
        """Whether a batch of another than the sender must wait: of what it brings, the cells that are replaced would lose a part.

        If the sender tarries, it is taken, and the exchange has to begin anew.
        """
        boot = state.bootstrap
        if boot is None or not boot.replaces or link.peer == boot.sender or message.full is not None:
            return False
        if self._engine.receiver.is_taken(state, link.peer, shared.name, now):
            return True
        state.bootstrap = msgspec.structs.replace(boot, sender=b"")
        return False


def _paid(state: State) -> Vector | None:
    """What is delivered of the debt; None if that is not the first events of each replica, as in a horizon."""
    paid = Vector()
    for replica in state.debt.replicas():
        mine, upto = state.debt.only(replica), state.delivered.prefix(replica)
        found = state.delivered.intersect(mine)
        if found.last(replica) > upto:
            return None
        if found:
            paid.add(replica, 1, found.last(replica))
    return paid
