"""Cancellation at any moment: a call that is given up has been done or not, and harms neither the node nor later calls.

Each call is cancelled after one turn of the loop, then after two, and so on, until it is through before it is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import gossamer
from gossamer.maintenance.verify import verify

TURNS_MAX = 10_000
"""Turns of the loop in which a call must be through."""

Space = Any
"""A node, or a client of one: they have the same handles."""
Call = Callable[[Space, int], Awaitable[Any]]


async def transaction(space: Space, n: int) -> None:
    async with space.transaction() as tx:
        tx.counter("left").add(1)
        tx.counter("right").add(1)
        tx.register("n").set(n)


CALLS: dict[str, Call] = {
    "set": lambda space, n: space.register("r").aset(n),
    "add": lambda space, n: space.counter("c").aadd(1),
    "update": lambda space, n: space.register("u").aupdate(lambda old: (old or 0) + 1),
    "element": lambda space, n: space.set("s").aadd(n),
    "spend": lambda space, n: space.bounded_counter("b").aspend(1, wait=0.01),
    "transaction": transaction,
    "read": lambda space, n: space.map("m").avalue(),
    "token": lambda space, n: space.atoken(),
}


async def cancelled_after(turns: int, call: Awaitable[Any]) -> bool:
    """Whether it was through before it could be cancelled."""
    task = asyncio.ensure_future(call)
    for _ in range(turns):
        await asyncio.sleep(0)
        if task.done():
            break
    if task.done():
        task.result()
        return True
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return False


@pytest.fixture(params=["node", "client"])
async def space(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Space]:
    async with gossamer.aopen(tmp_path, listen="127.0.0.1:0") as node:
        await node.bounded_counter("b").amint(1_000_000)
        if request.param == "node":
            yield node
        else:
            with gossamer.connect(str(node.address)) as client:
                await client.counter("c").avalue()
                yield client
        assert node.counter("left").value() == node.counter("right").value()
    assert verify(tmp_path).is_sound


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_that_is_cancelled_at_any_await_harms_nothing(space: Space, name: str) -> None:
    for turns in range(1, TURNS_MAX):
        if await cancelled_after(turns if turns < 40 else turns * turns // 40, CALLS[name](space, turns)):
            break
    else:
        raise AssertionError("it is never through")
    print(f"{name}: cancelled {turns - 1} times")
    await CALLS["add"](space, 0)
    await transaction(space, -1)
    assert await asyncio.to_thread(space.register("n").get) == -1
