"""P6: how long after a write is called at A does a reader at B see it?

B is a process of its own, on the same machine, so that both read one clock. There a reader looks again and again
with `LOOK_S` between, which is part of the figure. A's own commit is part of it too, and B's. Beside it: a put that a
watcher in another process sees by way of a server, NATS JetStream's key-value store (not synced) and etcd (synced).
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Literal, cast

import grpc

import etcd_peer
import gossamer
import loopback
import nats_peer
import watcher
from gossamer.errors import NotReady
from measure import ROUNDS, Figure, Sample, percentile

LOOK_S = 0.0001
Durability = Literal["commit", "relaxed"]
DURABILITIES: tuple[Durability, ...] = ("relaxed", "commit")
BESIDE = {"relaxed": ("nats", "NATS KV put to watch", 0.9), "commit": ("etcd", "etcd put to watch", 1.0)}
"""Durability -> whose figure stands beside it, in words, and the goal for the ratio of the medians."""
SHARES = {"p50": 0.5, "p99": 0.99}

Once = Callable[[int], float]
"""Writes a number, and says how many milliseconds later it was seen."""


def measure(writes: int, scratch: Path) -> Iterator[Figure]:
    """``writes`` a round, one after the other, each once the one before was seen."""
    with ExitStack() as stack:
        cases: dict[str, Once] = {}
        for durability in DURABILITIES:
            node, lines = stack.enter_context(linked(durability, scratch / durability))
            cases[durability] = lambda n, node=node, lines=lines: _ours(node, lines, n)  # type: ignore[misc]  # the defaults bind the loop's
        if nats_peer.is_there():
            cases["nats"] = stack.enter_context(_nats(scratch / "nats"))
        if etcd_peer.is_there():
            cases["etcd"] = stack.enter_context(_etcd(scratch / "etcd"))
        taken: dict[str, list[list[float]]] = {name: [] for name in cases}
        for round_ in range(ROUNDS):
            first = 1 + round_ * writes
            for name, once in cases.items():
                taken[name].append([once(n) for n in range(first, first + writes)])
    for durability in DURABILITIES:
        yield from _figures(durability, taken)


def _figures(durability: Durability, taken: dict[str, list[list[float]]]) -> Iterator[Figure]:
    peer, against, wanted = BESIDE[durability]
    said = "durable" if durability == "commit" else durability
    for quantile, share in SHARES.items():

        def sample(name: str, share: float = share) -> Sample:
            return Sample([percentile(times, share) for times in taken[name]], "ms")

        yield Figure(
            goal="P6",
            what=f"write at A to visible at B, {said}, {quantile}",
            ours=sample(durability),
            against=against if peer in taken else "",
            theirs=sample(peer) if peer in taken else None,
            less_is_better=True,
            wanted=wanted if peer in taken and quantile == "p50" else None,
        )


def _ours(node: gossamer.Node, lines: IO[str], n: int) -> float:
    began = time.monotonic()
    node.register("n").set([n, watcher.PAD.decode()])
    return (watcher.seen(lines, n) - began) * 1000


@contextmanager
def _nats(directory: Path) -> Iterator[Once]:
    with ExitStack() as stack:
        port = stack.enter_context(nats_peer.running(directory))
        runner = stack.enter_context(asyncio.Runner())
        bucket = nats_peer.bucket(port)
        store = runner.run(bucket.__aenter__())
        stack.callback(lambda: runner.run(bucket.__aexit__(None, None, None)))
        lines = stack.enter_context(watcher.beside(nats_peer.__file__, str(port)))

        async def put(n: int) -> float:
            began = time.monotonic()
            await store.put("n", watcher.value(n))
            return began

        runner.run(_until_seen(put, lines))

        def once(n: int) -> float:
            began = runner.run(put(n))
            return (watcher.seen(lines, n) - began) * 1000

        yield once


async def _until_seen(put: Callable[[int], Awaitable[float]], lines: IO[str]) -> None:
    """Put 0 until the watcher, which takes a while to start, has seen one."""
    first = asyncio.create_task(asyncio.to_thread(watcher.seen, lines, 0))
    while not first.done():
        await put(0)
        await asyncio.wait([first], timeout=0.2)
    await first


@contextmanager
def _etcd(directory: Path) -> Iterator[Once]:
    with ExitStack() as stack:
        port = stack.enter_context(etcd_peer.running(directory))
        put = etcd_peer.putter(stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}")))
        lines = stack.enter_context(watcher.beside(etcd_peer.__file__, str(port)))

        def once(n: int) -> float:
            began = time.monotonic()
            put(b"n", watcher.value(n))
            return (watcher.seen(lines, n) - began) * 1000

        async def again(n: int) -> float:
            put(b"n", watcher.value(n))
            return 0.0

        asyncio.run(_until_seen(again, lines))
        yield once


@contextmanager
def linked(durability: Durability, scratch: Path) -> Iterator[tuple[gossamer.Node, IO[str]]]:
    """A node here, and what the reader beside one in another process says of the register ``n``."""
    address = f"127.0.0.1:{loopback.free_port()}"
    with (
        gossamer.open(scratch / "a", listen=address, durability=durability) as node,
        watcher.beside(__file__, durability, str(scratch / "b"), address) as lines,
    ):
        node.register("n").set([0, ""])
        watcher.seen(lines, 0)  # it is linked, and has seen the first
        yield node, lines


def read(durability: Durability, directory: str, address: str) -> None:
    """In the other process: say of each number when it was first seen, until the standard input ends."""
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    with gossamer.open(directory, peers=[address], durability=durability) as node:
        register, seen = node.register("n"), -1
        while not ended.is_set():
            with suppress(NotReady):  # it is taking over what there is
                n = register.get((-1,))[0]
                if n > seen:
                    watcher.say(b"%d" % n, time.monotonic())
                    seen = n
            ended.wait(LOOK_S)


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    read(cast(Durability, sys.argv[1]), *sys.argv[2:])
