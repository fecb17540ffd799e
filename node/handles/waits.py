"""Tokens, and waiting: what a keyspace's user may ask of the node beside reading and writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..limits import WAIT_S
from ..waiting import Covered, Fresh, Replicated, check, check_timeout

if TYPE_CHECKING:
    from ..backend import Backend
    from ..replication.replicated import Peers
    from .keyspace import Keyspace


class Waits:
    """A part of what stands on a backend and names a keyspace."""

    _backend: Backend
    _keyspace: str

    def token(self) -> str:
        """All that the node has delivered in this keyspace, its own writes included, as text that fits a header.

        At most 2,048 characters of base64url. `LimitExceeded` if it takes more: when hundreds of replicas have
        events that not every member has.
        """
        return self._backend.make_token(self._keyspace)

    async def atoken(self) -> str:
        """`token`, awaited."""
        return await self._backend.amake_token(self._keyspace)

    def wait_for(self, token: str, timeout: float = WAIT_S) -> None:
        """Return once this node has all that the token's node had: your own writes there, and all you read there.

        `WaitTimeout` after ``timeout`` seconds, with what is missing. `ValueError` for what is no token, or one of
        another keyspace or cluster.
        """
        self._backend.wait_until(self._keyspace, check(Covered(token)), check_timeout(timeout))

    async def await_for(self, token: str, timeout: float = WAIT_S) -> None:
        """`wait_for`, awaited."""
        await self._backend.await_until(self._keyspace, check(Covered(token)), check_timeout(timeout))

    def wait_replicated(self, token: str, peers: Peers = "majority", timeout: float = WAIT_S) -> None:
        """Return once so many members are known to have the token's events on disk.

        ``peers`` is a number of other members; or ``"majority"``: more than half of all that host the keyspace,
        this node being one of them if it has them; or ``"all"``. A member whose durability is ``relaxed`` has them,
        and does not count. `WaitTimeout` says who has them and who is not known to; the write stands all the same.
        """
        self._backend.wait_until(self._keyspace, check(Replicated(token, peers)), check_timeout(timeout))

    async def await_replicated(self, token: str, peers: Peers = "majority", timeout: float = WAIT_S) -> None:
        """`wait_replicated`, awaited."""
        wait = check(Replicated(token, peers))
        await self._backend.await_until(self._keyspace, wait, check_timeout(timeout))

    def wait_fresh(self, max_staleness: float, timeout: float = WAIT_S) -> None:
        """Return once this node has all that every member had ``max_staleness`` seconds ago.

        It asks them, if it does not know. `TooStale` if that is not so within ``timeout`` seconds, with 0 at once:
        a member that is away cannot be asked.
        """
        self._backend.wait_until(self._keyspace, check(Fresh(max_staleness)), check_timeout(timeout))

    async def await_fresh(self, max_staleness: float, timeout: float = WAIT_S) -> None:
        """`wait_fresh`, awaited."""
        wait = check(Fresh(max_staleness))
        await self._backend.await_until(self._keyspace, wait, check_timeout(timeout))

    def fresh(self, max_staleness: float, timeout: float = WAIT_S) -> Keyspace:
        """The same handles, each of whose reads begins with `wait_fresh`."""
        from .fresh import bounded
        from .keyspace import Keyspace

        check(Fresh(max_staleness))
        return Keyspace(bounded(self._backend, max_staleness, check_timeout(timeout)), self._keyspace)
