"""P1: how many values a second does a service read from its own node?

Beside it: the same bytes got from LMDB directly, each in a read transaction of its own as ours are, and GET of
Redis on loopback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import lmdb

import gossamer
import redis_peer
from measure import Figure, Sample, interleaved, rate

NAMES = 1000
VALUE = "v" * 64
GOAL = 30.0


def measure(reads: int, scratch: Path) -> Iterator[Figure]:
    """``reads`` of each kind a round."""
    with ExitStack() as stack:
        cases = _ours(stack, scratch)
        cases["raw"] = _raw(stack, scratch)
        if redis_peer.is_there():
            cases["redis"] = _redis(stack, scratch)
        counts = {name: max(1, reads // 20) if name == "redis" else reads for name in cases}
        taken = interleaved(
            {name: lambda w=work, n=counts[name]: rate(w, n) for name, work in cases.items()},  # type: ignore[misc]  # the defaults bind the loop's names
            "/s",
        )
    for name in ("register", "counter", "map field"):
        yield _figure(f"read a {name}", taken[name], "LMDB get", taken["raw"])
        if "redis" in taken:
            yield _figure(f"read a {name}", taken[name], "Redis GET", taken["redis"], GOAL)


def _figure(what: str, ours: Sample, against: str, theirs: Sample, wanted: float | None = None) -> Figure:
    return Figure(goal="P1", what=what, ours=ours, against=against, theirs=theirs, wanted=wanted)


def _ours(stack: ExitStack, scratch: Path) -> dict[str, Callable[[int], object]]:
    node = stack.enter_context(gossamer.open(scratch / "node"))
    with node.transaction() as tx:
        for i in range(NAMES // 4):
            tx.register(f"r{i}").set(VALUE)
            tx.counter(f"c{i}").add(i)
            tx.map("m").register(f"f{i}").set(VALUE)
    registers = [node.register(f"r{i}") for i in range(NAMES // 4)]
    counters = [node.counter(f"c{i}") for i in range(NAMES // 4)]
    inside = node.map("m")
    fields = [f"f{i}" for i in range(NAMES // 4)]
    return {
        "register": lambda n: _each(lambda handle: handle.get(), registers, n),
        "counter": lambda n: _each(lambda handle: handle.value(), counters, n),
        "map field": lambda n: _each(lambda name: inside.register(name).get(), fields, n),
    }


def _each(read: Callable[[Any], object], names: list[Any], count: int) -> None:
    for name in islice(cycle(names), count):
        read(name)


def _raw(stack: ExitStack, scratch: Path) -> Callable[[int], object]:
    env = lmdb.open(str(scratch / "raw"), map_size=1 << 30)
    stack.callback(env.close)
    names = [b"\x10r%d\x00" % i for i in range(NAMES // 4)]
    with env.begin(write=True) as txn:
        for name in names:
            txn.put(name, VALUE.encode() + b"\0" * 32)

    def get(name: bytes) -> None:
        with env.begin() as txn:
            txn.get(name)

    return lambda n: _each(get, names, n)


def _redis(stack: ExitStack, scratch: Path) -> Callable[[int], object]:
    client = redis_peer.connect(stack.enter_context(redis_peer.running(scratch / "redis")))
    stack.callback(client.close)
    names = [f"r{i}" for i in range(NAMES // 4)]
    for name in names:
        client.set(name, VALUE)
    return lambda n: _each(client.get, names, n)
