"""P7: how many writes a second does one node take over from another, for seconds on end, durable on both?

A writes in batches of 100 or 1,000, as single events or as transactions, and each is acknowledged by A's disk before
the next. The clock stops when a reader in B's process has seen the last, which B's disk has by then. Beside it: puts
from one client with 64 in flight, acknowledged by one server: by etcd once they are on its disk, by NATS' key-value
store before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import IO

import grpc.aio

import etcd_peer
import gossamer
import nats_peer
import watcher
from gossamer.backend import make_op
from gossamer.crdt import path
from measure import Figure, Sample, interleaved
from visible import linked

BATCHES = (100, 1000)
NAMES = 10_000
IN_FLIGHT = 64
VALUE = "v" * 64
DATA = VALUE.encode()
WANTED = {100: {"etcd": 3.0}, 1000: {"etcd": 7.0, "nats": 2.0}}
"""Batch -> peer -> the goal for the ratio."""
AGAINST = {"etcd": f"etcd put, {IN_FLIGHT} in flight", "nats": f"NATS KV put, {IN_FLIGHT} in flight"}

Write = Callable[[gossamer.Node, int, int], Awaitable[None]]


def measure(seconds: float, scratch: Path) -> Iterator[Figure]:
    """Each kind of writing for ``seconds`` a round."""
    with ExitStack() as stack:
        node, lines = stack.enter_context(linked("commit", scratch / "pair"))
        marks = count(1)
        cases: dict[str, Callable[[], float]] = {}
        for kind, write in KINDS.items():
            for size in BATCHES:
                cases[_name(kind, size)] = lambda w=write, s=size: asyncio.run(  # type: ignore[misc]  # the defaults bind the loop's
                    _sustained(node, lines, w, s, marks, seconds)
                )
        if etcd_peer.is_there():
            etcd = stack.enter_context(etcd_peer.running(scratch / "etcd"))
            cases["etcd"] = lambda: asyncio.run(_etcd(etcd, seconds))
        if nats_peer.is_there():
            nats = stack.enter_context(nats_peer.running(scratch / "nats"))
            cases["nats"] = lambda: asyncio.run(_nats(nats, seconds))
        taken = interleaved(cases, "/s")
    for kind in KINDS:
        for size in BATCHES:
            yield from _figures(kind, size, taken)


def _name(kind: str, size: int) -> str:
    return f"replicated, durable on both, {kind} of {size}"


def _figures(kind: str, size: int, taken: dict[str, Sample]) -> Iterator[Figure]:
    ours = taken[_name(kind, size)]
    peers = [peer for peer in AGAINST if peer in taken]
    if not peers:
        yield Figure(goal="P7", what=_name(kind, size), ours=ours)
    for peer in peers:
        yield Figure(
            goal="P7",
            what=_name(kind, size),
            ours=ours,
            against=AGAINST[peer],
            theirs=taken[peer],
            wanted=WANTED[size].get(peer) if kind == TRANSACTIONS else None,
        )


async def _sustained(
    node: gossamer.Node, lines: IO[str], write: Write, size: int, marks: Iterator[int], seconds: float
) -> float:
    written, began = 0, time.perf_counter()
    while not written or time.perf_counter() - began < seconds:
        await write(node, written, size)
        written += size
    mark = next(marks)
    await node.register("n").aset([mark, ""])  # an event after all of them: who sees it has them
    await asyncio.to_thread(watcher.seen, lines, mark)
    return written / (time.perf_counter() - began)


async def _events(node: gossamer.Node, first: int, size: int) -> None:
    names = (f"r{n % NAMES}" for n in range(first, first + size))
    await asyncio.gather(*(node.register(name).aset(VALUE) for name in names))


async def _transaction(node: gossamer.Node, first: int, size: int) -> None:
    at = [path.component("register", f"r{n % NAMES}") for n in range(first, first + size)]
    await node.backend.awrite("default", [make_op(one, "set", (VALUE,)) for one in at])


TRANSACTIONS = "transactions"
KINDS: dict[str, Write] = {"batches of events": _events, TRANSACTIONS: _transaction}


async def _etcd(port: int, seconds: float) -> float:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        put = etcd_peer.aputter(channel)
        return await _in_flight(lambda name: put(name.encode(), DATA), seconds)


async def _nats(port: int, seconds: float) -> float:
    async with nats_peer.bucket(port) as store:
        return await _in_flight(lambda name: store.put(name, DATA), seconds)


async def _in_flight(put: Callable[[str], Awaitable[object]], seconds: float) -> float:
    """Puts a second, always `IN_FLIGHT` of them on their way."""
    numbers, done = count(), 0
    began = time.perf_counter()

    async def one() -> None:
        nonlocal done
        while not done or time.perf_counter() - began < seconds:
            await put(f"r{next(numbers) % NAMES}")
            done += 1

    await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))
    return done / (time.perf_counter() - began)
