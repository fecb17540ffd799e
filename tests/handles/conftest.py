"""Every method is tried in six places: sync and async, at the top, inside a map, and inside a transaction."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from gossamer.backend import Change, Op
from gossamer.crdt import Cell, Dot
from gossamer.documents.schema import Schema
from gossamer.handles import Handles, Keyspace, Set
from gossamer.memory import MemoryBackend
from gossamer.waiting import Wait


class AsyncOnly:
    """A backend as a remote node is: whoever does not await it has forgotten a twin."""

    def __init__(self, inner: MemoryBackend) -> None:
        self._inner = inner
        self.bound: set[tuple[str, type]] = set()
        self.resolvers = inner.resolvers

    def bind(self, keyspace: str, schema: Schema) -> None:
        raise AssertionError("a blocking bind")

    async def abind(self, keyspace: str, schema: Schema) -> None:
        await asyncio.sleep(0)
        await self._inner.abind(keyspace, schema)

    def now(self) -> int:
        return self._inner.now()

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        raise AssertionError("a blocking read")

    def scan(self, keyspace: str, prefix: bytes) -> Iterator[tuple[bytes, Cell]]:
        raise AssertionError("a blocking read")

    def write(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        raise AssertionError("a blocking write")

    def update(self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None) -> Dot | None:
        raise AssertionError("a blocking write")

    async def aupdate(
        self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None
    ) -> Dot | None:
        await asyncio.sleep(0)
        return self._inner.update(keyspace, cell_path, change, op_id)

    def write_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        raise AssertionError("a blocking write")

    def estate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        raise AssertionError("a blocking read")

    def make_token(self, keyspace: str, dot: Dot | None = None) -> str:
        raise AssertionError("a blocking call")

    async def amake_token(self, keyspace: str, dot: Dot | None = None) -> str:
        await asyncio.sleep(0)
        return self._inner.make_token(keyspace, dot)

    def wait_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        raise AssertionError("a blocking wait")

    async def await_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        await asyncio.sleep(0)
        self._inner.wait_until(keyspace, wait, timeout)

    async def acell(self, keyspace: str, cell_path: bytes) -> Cell:
        await asyncio.sleep(0)
        return self._inner.cell(keyspace, cell_path)

    async def ascan(self, keyspace: str, prefix: bytes) -> list[tuple[bytes, Cell]]:
        await asyncio.sleep(0)
        return list(self._inner.scan(keyspace, prefix))

    async def awrite(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        await asyncio.sleep(0)
        return self._inner.write(keyspace, ops, op_id)

    async def awrite_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        await asyncio.sleep(0)
        return self._inner.write_within(keyspace, ops, wait, op_id)

    async def aestate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        await asyncio.sleep(0)
        return self._inner.estate(keyspace, member)


async def _iterate(members: Set) -> list[Any]:
    return [element async for element in members]


class World:
    """A place with handles, and the way to call them there."""

    def __init__(self, place: Handles, is_async: bool) -> None:
        self.place = place
        self.is_async = is_async

    def do(self, handle: Any, method: str, *args: Any, **named: Any) -> Any:
        """Call ``method``, or await its twin."""
        if self.is_async:
            return asyncio.run(getattr(handle, f"a{method}")(*args, **named))
        found = getattr(handle, method)(*args, **named)
        return list(found) if method == "items" else found

    def contains(self, members: Set, element: object) -> bool:
        return self.do(members, "contains", element) if self.is_async else element in members

    def len(self, members: Set) -> int:
        return self.do(members, "len") if self.is_async else len(members)

    def list(self, members: Set) -> list[Any]:
        return asyncio.run(_iterate(members)) if self.is_async else list(members)


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend(clock=lambda: 1_000_000)


@pytest.fixture
def space(backend: MemoryBackend) -> Keyspace:
    return Keyspace(backend)


@pytest.fixture(params=["sync", "async"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "async")


@pytest.fixture(params=["top", "map", "transaction"])
def world(request: pytest.FixtureRequest, backend: MemoryBackend, is_async: bool) -> Iterator[World]:
    space = Keyspace(AsyncOnly(backend) if is_async else backend)
    if request.param == "top":
        yield World(space, is_async)
    elif request.param == "map":
        yield World(space.map("outer").map("inner"), is_async)
    else:
        tx = space.transaction()
        tx.__enter__()
        yield World(tx, is_async)
        asyncio.run(tx.__aexit__(None, None, None)) if is_async else tx.__exit__(None, None, None)
