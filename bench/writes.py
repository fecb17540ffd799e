"""P2 to P5: how many durable writes a second, from one writer and from 256, and is the event loop free meanwhile?

Each write sets one register of 10,000 to a string of 64 bytes and is acknowledged when it is on the disk. Beside
it: LMDB, which commits each put of the same bytes; SQLite, which does the same for a row, or for as many rows as there
are writers; and Redis, which syncs its log before it answers.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import lmdb

import gossamer
import redis_peer
import sqlite_peer
from gossamer.crdt import Cell, codec, path
from measure import Figure, Sample, interleaved, percentile

NAMES = 10_000
VALUE = "v" * 64
WRITERS = 256
LAG_EVERY_S = 0.005
SEED = 1


def measure(seconds: float, scratch: Path) -> Iterator[Figure]:
    """Each kind of writing for ``seconds`` a round."""
    lags: list[float] = []
    with ExitStack() as stack:
        node = stack.enter_context(gossamer.open(scratch / "node"))
        node.register("r0").set(VALUE)
        stored = _stored(node.backend.cell("default", path.component("register", "r0")))
        env = lmdb.open(str(scratch / "raw"), map_size=1 << 30)
        stack.callback(env.close)
        cases: dict[str, Callable[[], float]] = {
            "raw": lambda: _raw(env, stored, 1, seconds),
            "raw many": lambda: _raw(env, stored, WRITERS, seconds),
            "one": lambda: _one(node, seconds),
            "one task": lambda: asyncio.run(tasks(ours(node), 1, seconds)),
            "many": lambda: asyncio.run(_many(node, seconds, lags)),
        }
        put = stack.enter_context(sqlite_peer.table(scratch / "sqlite"))
        cases["sqlite"] = lambda: _sqlite(put, 1, seconds)
        cases["sqlite many"] = lambda: _sqlite(put, WRITERS, seconds)
        if redis_peer.is_there():
            port = stack.enter_context(redis_peer.running(scratch / "redis"))
            cases["redis"] = lambda: asyncio.run(_redis(port, seconds))
        taken = interleaved(cases, "/s")
    yield from _figures(taken, lags)


def _figures(taken: dict[str, Sample], lags: list[float]) -> Iterator[Figure]:
    many, one = taken["many"], taken["one"]
    if "redis" in taken:
        yield _figure("P2", f"durable writes, {WRITERS} tasks", many, "Redis SET", taken["redis"], 3.0)
    batched = f"LMDB durable puts, {WRITERS} a commit"
    yield _figure("P2", f"durable writes, {WRITERS} tasks", many, batched, taken["raw many"])
    rows = f"SQLite, {WRITERS} rows a commit"
    yield _figure("P2", f"durable writes, {WRITERS} tasks", many, rows, taken["sqlite many"])
    yield _figure("P3", "durable write, one thread", one, "LMDB durable put", taken["raw"], 0.7)
    yield _figure("P3", "durable write, one thread", one, "SQLite commit", taken["sqlite"])
    yield _figure("P3", "durable write, one task", taken["one task"], "LMDB durable put", taken["raw"])
    yield _figure("P4", f"durable writes, {WRITERS} tasks", many, "one task", taken["one task"], 12.0)
    yield Figure(
        goal="P5",
        what=f"event loop lag p99, {WRITERS} tasks",
        ours=Sample(lags, "ms"),
        less_is_better=True,
        wanted=5.0,
    )


def _figure(
    goal: str, what: str, ours: Sample, against: str, theirs: Sample, wanted: float | None = None
) -> Figure:
    return Figure(goal=goal, what=what, ours=ours, against=against, theirs=theirs, wanted=wanted)


def _names() -> Iterator[str]:
    rng = random.Random(SEED)
    while True:
        yield f"r{rng.randrange(NAMES)}"


def _one(node: gossamer.Node, seconds: float) -> float:
    names, count = _names(), 0
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds or not count:
        node.register(next(names)).set(VALUE)
        count += 1
    return count / passed


def ours(node: gossamer.Node) -> Callable[[str], Awaitable[object]]:
    """A durable write of a register to await."""
    return lambda name: node.register(name).aset(VALUE)


async def tasks(write: Callable[[str], Awaitable[object]], writers: int, seconds: float) -> float:
    """Writes a second of that many tasks, each of which waits for its write before the next."""
    names, counts = _names(), [0] * writers
    began = time.perf_counter()

    async def writer(index: int) -> None:
        while not counts[index] or time.perf_counter() - began < seconds:
            await write(next(names))
            counts[index] += 1

    await asyncio.gather(*(writer(index) for index in range(writers)))
    return sum(counts) / (time.perf_counter() - began)


async def _many(node: gossamer.Node, seconds: float, lags: list[float]) -> float:
    over = asyncio.Event()
    watch = asyncio.create_task(_lag(over))
    written = await tasks(ours(node), WRITERS, seconds)
    over.set()
    lags.append(percentile(await watch, 0.99) * 1000)
    return written


async def _lag(over: asyncio.Event) -> list[float]:
    """How much later than asked the loop comes back, again and again until it is over; at least once."""
    seen: list[float] = []
    while not seen or not over.is_set():
        asked = time.perf_counter()
        await asyncio.sleep(LAG_EVERY_S)
        seen.append(time.perf_counter() - asked - LAG_EVERY_S)
    return seen


def _stored(cell: Cell) -> bytes:
    """As many bytes as the store has for a cell."""
    return b"\0" * 4 + codec.encode(cell)


def _raw(env: lmdb.Environment, stored: bytes, group: int, seconds: float) -> float:
    """Puts a second, ``group`` of them a commit, sorted as ours are."""
    names, count = _names(), 0
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds or not count:
        keys = sorted(path.component("register", next(names)) for _ in range(group))
        with env.begin(write=True) as txn:
            txn.cursor().putmulti([(key, stored) for key in keys])
        count += group
    return count / passed


def _sqlite(put: Callable[[list[str], str], None], group: int, seconds: float) -> float:
    """Rows a second, ``group`` of them a commit."""
    names, count = _names(), 0
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds or not count:
        put([next(names) for _ in range(group)], VALUE)
        count += group
    return count / passed


async def _redis(port: int, seconds: float) -> float:
    client = redis_peer.aconnect(port, WRITERS)
    try:
        return await tasks(lambda name: client.set(name, VALUE), WRITERS, seconds)
    finally:
        await client.aclose()
