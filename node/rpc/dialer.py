"""Dialing: keeps one link to each address that is to be dialed, for as long as it is.

When is a lost peer dialed again? After a wait that doubles with each failure up to a maximum, times a random
0.5 to 1, so that a fleet does not come back in step. Only a link that lived for a while counts as a success: a
peer that accepts and then refuses is no reason to hurry.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from random import Random

import grpc

from gossamer.proto import replication_pb2_grpc

from ..errors import GossamerError
from ..limits import LinkTiming
from ..tls import TLS
from . import address, credentials
from .links import Links

log = logging.getLogger("gossamer")


class Dialers:
    """One task for each address. Lives on the loop."""

    def __init__(
        self,
        links: Links,
        wanted: Callable[[str], Awaitable[bool]],
        name_at: Callable[[str], Awaitable[str | None]],
        timing: LinkTiming,
        rng: Random,
        tls: TLS | None,
    ) -> None:
        """``wanted`` says whether dialing an address would help just now, ``name_at`` which member should be there."""
        self._links, self._wanted, self._timing, self._rng = links, wanted, timing, rng
        self._name_at, self._tls = name_at, tls
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def want(self, addresses: Iterable[str]) -> None:
        """Dial these from now on, and no others."""
        wanted = set(addresses)
        for gone in self._tasks.keys() - wanted:
            self._tasks.pop(gone).cancel()
        for new in wanted - self._tasks.keys():
            self._tasks[new] = asyncio.create_task(self._keep(new))

    async def close(self) -> None:
        """End all links that were dialed."""
        tasks = list(self._tasks.values())
        self.want(())
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, to: str) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            if not await self._wanted(to):  # it has dialed us, most likely
                await asyncio.sleep(self._timing.backoff_max_s * self._rng.uniform(0.5, 1))
                continue
            began = loop.time()
            reason = await self._attempt(to)
            failures = 0 if loop.time() - began > self._timing.healthy_s else failures + 1
            wait = backoff(self._timing, failures, self._rng)
            log.log(
                logging.INFO if failures < 2 else logging.DEBUG, "%s: %s; again in %.2f s", to, reason, wait
            )
            await asyncio.sleep(wait)

    async def _attempt(self, to: str) -> str:
        """Dial once, and stay for as long as the link lives; why it ended."""
        try:
            name = None if self._tls is None else await self._name_at(to)
            shown = None if self._tls is None else credentials.for_channel(self._tls)
        except (GossamerError, ValueError) as error:  # it is closed, its disk hangs, its certificate is away
            return f"this node cannot: {error}"
        vouched = None if self._tls is None else frozenset({name} if name else ())
        async with self._channel(to, name, shown) as channel:
            call = replication_pb2_grpc.ReplicationStub(channel).Exchange()
            try:
                # Not wait_for, which before Python 3.12 loses a cancellation that comes as it ends.
                async with asyncio.timeout(self._timing.connect_s):
                    await call.wait_for_connection()
                return await self._links.run(call, to, vouched)
            except TimeoutError:
                return f"no answer within {self._timing.connect_s} s"
            except grpc.aio.AioRpcError as error:
                return f"{error.code().name}: {error.details()}"
            finally:
                call.cancel()

    def _channel(self, to: str, name: str | None, shown: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
        if shown is None:
            return grpc.aio.insecure_channel(to, options=address.LINK)
        # A member's certificate is for its name; of one whose name is not known yet, for its host.
        named = [(credentials.TARGET_NAME, name)] if name else []
        return grpc.aio.secure_channel(to, shown, options=[*address.LINK, *named])


def backoff(timing: LinkTiming, failures: int, rng: Random) -> float:
    """Seconds to wait after so many failures in a row (0: after a good link)."""
    doubled = timing.backoff_base_s * 2.0 ** min(failures, 32)
    return min(doubled, timing.backoff_max_s) * rng.uniform(0.5, 1)
