"""All links of a node by number, and the two ways a link comes to be: accepted, or dialed.

Who closes what? The engine's sends and closes come here from the writer thread; a link that is gone is simply
not found, since the engine learns of it a turn later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import count
from typing import Any

import grpc

from gossamer.proto import replication_pb2_grpc
from gossamer.proto.replication_pb2 import Frame

from ..limits import LINKS_MAX, LinkTiming
from ..turns import Effect, Send
from ..writer import Writer
from . import credentials
from .link import Link, Stream

log = logging.getLogger("gossamer")

Context = grpc.aio.ServicerContext[Any, Any]


class Links:
    """Lives on the loop; `dispatch` alone is called from the writer thread."""

    def __init__(self, writer: Writer, timing: LinkTiming) -> None:
        self._writer, self._timing = writer, timing
        self._links: dict[int, Link] = {}
        self._numbers = count(1)
        self._closed: str | None = None
        self._loop = asyncio.get_running_loop()

    def dispatch(self, effects: Sequence[Effect]) -> None:
        """Perform what the engine wants, from any thread, in order."""
        try:
            self._loop.call_soon_threadsafe(self._perform, effects)
        except RuntimeError:  # the loop is closed, and every link with it
            pass

    async def run(self, stream: Stream, dialed: str | None, vouched: frozenset[str] | None = None) -> str:
        """The whole life of a link; the reason why it ended. ``vouched``: names that the peer's certificate is for."""
        if self._closed is not None:
            return self._closed
        link = Link(next(self._numbers), stream, self._writer, self._timing)
        self._links[link.number] = link
        try:
            reason = await link.run(dialed, vouched)
        finally:
            del self._links[link.number]
        log.info("link %d (%s) ended: %s", link.number, dialed or "accepted", reason)
        return reason

    @property
    def is_full(self) -> bool:
        """No more can be accepted."""
        return len(self._links) >= LINKS_MAX

    def end_all(self, reason: str) -> None:
        """End every link now, and each that comes later at once."""
        self._closed = reason
        for link in self._links.values():
            link.end(reason)

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            link = self._links.get(effect.link)
            if link is None:
                continue
            if isinstance(effect, Send):
                link.send(effect.body)
            else:
                link.close(effect.reason)


class ReplicationService(replication_pb2_grpc.ReplicationServicer):
    """Accepts links."""

    def __init__(self, links: Links, has_tls: bool) -> None:
        self._links, self._has_tls = links, has_tls

    async def Exchange(  # type: ignore[override]  # the stubs know only the form with iterators
        self, _: Any, context: grpc.aio.ServicerContext[Frame, Frame]
    ) -> None:
        if self._links.is_full:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{LINKS_MAX} links are open")
        await context.send_initial_metadata(())  # the dialer waits for it
        vouched = credentials.names_of(context) if self._has_tls else None
        reason = await self._links.run(context, None, vouched)
        await context.abort(grpc.StatusCode.ABORTED, reason)
