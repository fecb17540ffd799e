"""Waiting for what a turn of the node brings about: without polling, and never beyond a deadline.

Who looks? The writer, after each of its turns (`Writer.watch`). So whoever waits is woken by the very commit that ends his wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .ticket import Future, Ticket
from .turns import Instant
from .waiting import Until
from .writer import Writer

Lacks = Callable[[Instant], str | None]
"""What is missing, in words; None: it is over. Asked on the writer's thread; what it raises is raised."""


def until(writer: Writer, lacks: Lacks, timeout: float, why: str = "nothing was found out") -> str | None:
    """Wait until nothing is missing, up to ``timeout`` seconds; what was still missing then, None if nothing."""
    one, ticket = _one(lacks, why), Ticket()
    if timeout > 0:
        writer.watch(one, ticket)
    try:
        ticket.result(timeout)
    except TimeoutError:
        return one.why
    finally:
        one.is_over = True
    return None


async def auntil(
    writer: Writer, lacks: Lacks, timeout: float, why: str = "nothing was found out"
) -> str | None:
    """`until`, awaited."""
    one = _one(lacks, why)
    future: Future = asyncio.get_running_loop().create_future()
    if timeout > 0:
        writer.watch(one, future)
    try:
        async with asyncio.timeout(timeout):
            await future
    except TimeoutError:
        return one.why
    finally:
        one.is_over = True
    return None


def _one(lacks: Lacks, why: str) -> Until:
    one = Until(lacks)
    one.why = why
    return one
