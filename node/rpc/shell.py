"""A node's side of the network: its server, its links, its dialers, on one loop in one thread.

What is the order of starting and stopping? The port is taken first, so that a node that cannot listen says so
and has told nobody of itself. On the way down links end first, then calls get a moment to finish, and only
then is the writer free to stop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # has no types

from gossamer.proto import data_pb2_grpc, replication_pb2_grpc

from ..access import Access
from ..errors import GossamerError, ListenError
from ..limits import CALLS_MAX, END_S_MAX, SERVER_GRACE_S, LinkTiming
from ..tls import TLS
from ..turns import Effect
from ..writer import Writer
from . import address, credentials
from .data import DataService, Served
from .dialer import Dialers
from .guard import Guard
from .links import Links, ReplicationService
from .loop import LoopThread
from .malformed import Reader

log = logging.getLogger("gossamer")

ADDRESSES_S = 1.0
"""Between two looks at whom to dial: a new member is dialed within this."""
_SERVICES = ("", "gossamer.v1.Replication", "gossamer.v1.Data")


class Shell:
    """Made and closed from any thread; `dispatch` is for the writer thread."""

    def __init__(
        self,
        node: Served,
        writer: Writer,
        *,
        timing: LinkTiming,
        rng: Random,
        addresses: Callable[[], list[str]],
        wants: Callable[[str], bool],
        name_at: Callable[[str], str | None],
        tls: TLS | None = None,
        access: Access | None = None,
    ) -> None:
        """``addresses`` are those to dial, if ``wants`` says so at the time; ``name_at`` is who should be there. All
        three are asked on the writer thread."""
        self._node, self._writer, self._addresses, self._wants = node, writer, addresses, wants
        self._names, self._tls, self._access = name_at, tls, access
        self._timing, self._rng = timing, rng
        self._server: grpc.aio.Server | None = None
        self._loop = LoopThread("gossamer-rpc")
        self._loop.run(self._prepare())

    async def _prepare(self) -> None:
        self._links = Links(self._writer, self._timing)
        self._dialers = Dialers(
            self._links, self._is_wanted, self._name_at, self._timing, self._rng, self._tls
        )
        self._upkeep: asyncio.Task[None] | None = None

    def dispatch(self, effects: Sequence[Effect]) -> None:
        """Perform what the engine wants sent and closed."""
        self._links.dispatch(effects)

    def start(self, listen: str | None) -> str | None:
        """Listen, if at all, and begin to dial; the address listened on. `ListenError` if it is taken."""
        return self._loop.run(self._start(listen))

    def close(self) -> None:
        """End all links and calls, and the thread: in time, even if the writer does not answer them."""
        try:
            self._loop.run(self._close())
        except TimeoutError:
            log.error("links and calls did not end within %g s: the disk may hang", END_S_MAX)
        self._loop.close()

    async def _start(self, listen: str | None) -> str | None:
        bound = None if listen is None else await self._listen(listen)
        self._upkeep = asyncio.create_task(self._keep_dialing())
        return bound

    async def _listen(self, listen: str) -> str:
        guards = [Reader()] if self._access is None else [Guard(self._access), Reader()]
        server = grpc.aio.server(
            interceptors=guards, options=address.server_options(), maximum_concurrent_rpcs=CALLS_MAX
        )
        replication_pb2_grpc.add_ReplicationServicer_to_server(
            ReplicationService(self._links, self._tls is not None), server
        )
        data_pb2_grpc.add_DataServicer_to_server(DataService(self._node), server)
        healths = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(healths, server)
        for service in _SERVICES:
            await healths.set(service, health_pb2.HealthCheckResponse.SERVING)
        port = _bind(server, listen, self._tls)
        await server.start()
        self._server = server
        return f"{listen.rpartition(':')[0]}:{port}"

    async def _is_wanted(self, address: str) -> bool:
        try:
            return bool(await self._writer.asubmit(partial(self._wants, address)))
        except GossamerError:
            return False  # the node is going down

    async def _name_at(self, address: str) -> str | None:
        return cast(str | None, await self._writer.asubmit(partial(self._names, address)))

    async def _keep_dialing(self) -> None:
        while True:
            try:
                self._dialers.want(await self._writer.asubmit(self._addresses))
            except GossamerError as error:
                log.debug("whom to dial is not known: %s", error)
            await asyncio.sleep(ADDRESSES_S)

    async def _close(self) -> None:
        if self._upkeep is not None:
            self._upkeep.cancel()
        self._links.end_all("this node is closing")
        await self._dialers.close()
        if self._server is not None:
            await self._server.stop(SERVER_GRACE_S)


def _bind(server: grpc.aio.Server, listen: str, tls: TLS | None) -> int:
    try:
        if tls is not None:
            return server.add_secure_port(listen, credentials.for_server(tls))
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise ListenError(f"listen: {listen!r} is taken, or not an address of this machine") from error
    if not address.is_loopback(listen):
        log.warning("%s is reachable from other machines, and nothing is encrypted or authenticated", listen)
    return port
