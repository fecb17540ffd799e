"""Letting go, of a keyspace or of the cluster: begun, waited for, and given up if it does not come to pass.

What if nobody waits any more? Then it is given up: nothing must go some time later, when nobody expects it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import cast

from .changing import check_outside
from .errors import Closed, OnlyCopy, WaitTimeout
from .turns import Core, Instant
from .until import auntil, until
from .waiting import check_timeout
from .writer import Writer


class Parting:
    """Of one node. Any thread, any event loop."""

    def __init__(self, core: Core, writer: Writer, gone: Callable[[str], None]) -> None:
        """``gone`` is told of a keyspace that may not be hosted any more."""
        self._core, self._writer, self._gone = core, writer, gone

    def drop(self, keyspace: str, force: bool, timeout: float) -> None:
        """Let go of a keyspace. `OnlyCopy` if it may not go within ``timeout`` seconds."""
        _check(timeout)
        self._writer.submit(partial(self._core.leave, keyspace, force)).result()
        try:
            until(self._writer, partial(self._is_here, keyspace), timeout)
        except KeyboardInterrupt:
            self._give_up_drop(keyspace)
            raise
        self._ended(keyspace, self._writer.submit(partial(self._core.stay, keyspace)).result())

    async def adrop(self, keyspace: str, force: bool, timeout: float) -> None:
        """`drop`, awaited."""
        _check(timeout)
        try:
            await self._writer.asubmit(partial(self._core.leave, keyspace, force))
            await auntil(self._writer, partial(self._is_here, keyspace), timeout)
        except asyncio.CancelledError:
            self._give_up_drop(keyspace)
            raise
        self._ended(keyspace, await self._writer.asubmit(partial(self._core.stay, keyspace)))

    def _is_here(self, keyspace: str, _: Instant) -> str | None:
        return "it is here" if self._core.hosts(keyspace) else None

    def _give_up_drop(self, keyspace: str) -> None:
        with suppress(Closed):
            self._gone(keyspace)  # it may be gone already
            self._writer.submit(partial(self._core.stay, keyspace))

    def _ended(self, keyspace: str, why_not: str) -> None:
        if why_not:
            raise OnlyCopy(why_not)
        self._gone(keyspace)

    def leave(self, timeout: float) -> None:
        """Leave the cluster for good. `WaitTimeout` if it may not go within ``timeout`` seconds; then it stays."""
        check_outside()
        _check(timeout)
        self._writer.submit(self._core.depart).result()
        try:
            until(self._writer, self._is_staying, timeout)
        except KeyboardInterrupt:
            self._give_up_leaving()
            raise
        _left(self._writer.submit(self._core.remain).result(), timeout)

    async def aleave(self, timeout: float) -> None:
        """`leave`, awaited."""
        _check(timeout)
        try:
            await self._writer.asubmit(self._core.depart)
            await auntil(self._writer, self._is_staying, timeout)
        except asyncio.CancelledError:
            self._give_up_leaving()
            raise
        _left(cast(str | None, await self._writer.asubmit(self._core.remain)), timeout)

    def _is_staying(self, _: Instant) -> str | None:
        return self._core.lacks_to_go()

    def _give_up_leaving(self) -> None:
        with suppress(Closed):
            self._writer.submit(self._core.remain)


def _check(timeout: float) -> None:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0:
        raise ValueError(f"timeout: {timeout!r} is not a number of seconds")
    check_timeout(timeout)


def _left(why_not: str | None, timeout: float) -> None:
    if why_not is not None:
        raise WaitTimeout(f"the node has not left within {timeout:g} s: {why_not}")
