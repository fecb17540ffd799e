"""What ``gossamer bench`` measures: reads, durable writes, the way to another node, and the floor below them.

What may be compared? What stands in one row: it ran in turns, `ROUNDS` times, since a machine drifts by more than most
differences. LMDB beside us gets or puts the very bytes that a node stores for the same value.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import lmdb
import msgspec

from gossamer.crdt import codec, path

from .. import open as open_node
from ..node import Node
from . import seen

ROUNDS = 3
NAMES = 10_000
WRITERS = 256
VALUE = "v" * 64
GROUP = 1000
"""Registers in a transaction, when they are made."""
SHARES = 7 * ROUNDS
"""Of the time: six measures in turns, and what it takes to start."""
MEMORY_US = 20.0
"""No disk syncs an append faster than this; a file system in memory does."""
START_S = 30.0
"""In which the other node must be up and linked."""


class Row(msgspec.Struct, frozen=True):
    """A figure, and what stands beside it in the same rounds."""

    what: str
    unit: str
    median: float
    least: float
    greatest: float
    beside: str = ""
    beside_median: float | None = None
    ratio: float | None = None


class Taken(msgspec.Struct, frozen=True):
    """What was measured, and on what."""

    directory: str
    machine: str
    sync_us: float
    is_memory: bool
    """There is no disk below the directory."""
    figures: list[Row]


def measure(directory: Path, seconds: float) -> Taken:
    """Measure in a folder of its own below a directory."""
    with TemporaryDirectory(prefix="gossamer-bench-", dir=directory) as made, ExitStack() as stack:
        home = Path(made)
        sync_us = _sync_us(home / "floor", seconds / SHARES)
        address = f"127.0.0.1:{_free_port()}"
        node = stack.enter_context(open_node(home / "a", listen=address))
        _fill(node)
        node.register(seen.NAME).set([0, VALUE])
        env = lmdb.open(str(home / "raw"), map_size=1 << 30)
        stack.callback(env.close)
        figures = _alone(_cases(node, _Raw(env, node), seconds / SHARES))
        with _other_node(home / "b", address) as lines:  # only now: it takes over whatever is written
            figures += _linked(_visible(node, lines, seconds / SHARES * ROUNDS))
    return Taken(str(directory.resolve()), _machine(), sync_us, sync_us < MEMORY_US, figures)


Case = Callable[[], float]


def _cases(node: Node, raw: _Raw, seconds: float) -> dict[str, Case]:
    """Name -> one round of it, in the order in which they take turns."""
    return {
        "read": lambda: _rate(lambda name: node.register(name).get(), seconds, 100),
        "raw read": lambda: _rate(raw.get, seconds, 100),
        "write": lambda: _rate(lambda name: node.register(name).set(VALUE), seconds),
        "raw write": lambda: _rate(lambda name: raw.put([name]), seconds),
        "writes": lambda: asyncio.run(_together(node, seconds)),
        "raw writes": lambda: _rate(raw.put_many, seconds) * WRITERS,
    }


def _alone(cases: dict[str, Case]) -> list[Row]:
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            taken[name].append(case())
    return [
        _beside("read a register", taken["read"], "LMDB get", taken["raw read"]),
        _beside("durable write, one writer", taken["write"], "LMDB durable put", taken["raw write"]),
        _beside(
            f"durable writes, {WRITERS} writers",
            taken["writes"],
            f"LMDB, {WRITERS} durable puts a commit",
            taken["raw writes"],
        ),
    ]


def _linked(visible: list[float]) -> list[Row]:
    ordered = sorted(visible)
    shares = {"write here to visible at another node, p50": 50, "the same, p99": 99}
    return [
        Row(what, "ms", ordered[(len(ordered) - 1) * share // 100], ordered[0], ordered[-1])
        for what, share in shares.items()
    ]


def _beside(what: str, ours: list[float], beside: str, theirs: list[float]) -> Row:
    mine, other = statistics.median(ours), statistics.median(theirs)
    return Row(what, "/s", mine, min(ours), max(ours), beside, other, mine / other)


class _Raw:
    """LMDB with as many bytes for each register as the node has."""

    def __init__(self, env: lmdb.Environment, node: Node) -> None:
        cell = node.backend.cell("default", path.component("register", _name(0)))
        self._env, self._stored = env, b"\0" * 4 + codec.encode(cell)
        with env.begin(write=True) as txn:
            txn.cursor().putmulti([(_key(_name(n)), self._stored) for n in range(NAMES)])

    def get(self, name: str) -> None:
        with self._env.begin() as txn:
            txn.get(_key(name))

    def put(self, names: list[str]) -> None:
        with self._env.begin(write=True) as txn:
            txn.cursor().putmulti([(key, self._stored) for key in sorted(map(_key, names))])

    def put_many(self, name: str) -> None:
        rng = random.Random(name)
        self.put([_name(rng.randrange(NAMES)) for _ in range(WRITERS)])


def _name(n: int) -> str:
    return f"r{n}"


def _key(name: str) -> bytes:
    return path.component("register", name)


def _names() -> Iterator[str]:
    rng = random.Random(1)
    while True:
        yield _name(rng.randrange(NAMES))


def _fill(node: Node) -> None:
    for first in range(0, NAMES, GROUP):
        with node.transaction() as tx:
            for n in range(first, first + GROUP):
                tx.register(_name(n)).set(VALUE)


def _rate(work: Callable[[str], object], seconds: float, between: int = 1) -> float:
    """How often a second; the clock is looked at after ``between`` times."""
    names, count, began = _names(), 0, time.perf_counter()
    while True:
        for _ in range(between):
            work(next(names))
        count += between
        if (passed := time.perf_counter() - began) >= seconds:
            return count / passed


async def _together(node: Node, seconds: float) -> float:
    """Writes a second of tasks that each wait for theirs before the next."""
    names, count, began = _names(), 0, time.perf_counter()

    async def writer() -> None:
        nonlocal count
        while not count or time.perf_counter() - began < seconds:
            await node.register(next(names)).aset(VALUE)
            count += 1

    await asyncio.gather(*(writer() for _ in range(WRITERS)))
    return count / (time.perf_counter() - began)


def _visible(node: Node, lines: Iterator[str], seconds: float) -> list[float]:
    """Milliseconds, of writes one after the other."""
    taken: list[float] = []
    until = time.monotonic() + seconds
    while not taken or time.monotonic() < until:
        mark, began = len(taken) + 1, time.monotonic()
        node.register(seen.NAME).set([mark, VALUE])
        taken.append((_seen_at(lines, mark) - began) * 1000)
    return taken


def _seen_at(lines: Iterator[str], mark: int) -> float:
    for line in lines:
        number, when = json.loads(line)
        if number >= mark:
            return float(when)
    raise OSError("the other node has ended")


@contextmanager
def _other_node(directory: Path, address: str) -> Iterator[Iterator[str]]:
    """What the reader at a node in another process says, once that node is linked."""
    command = [sys.executable, "-m", seen.__name__, str(directory), address]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        if not process.stdout.readline():
            raise OSError("the other node does not start")
        yield process.stdout
    finally:
        process.stdin.close()  # which ends it
        try:
            process.wait(START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(START_S)
        process.stdout.close()


def _sync_us(file: Path, seconds: float) -> float:
    """Microseconds of appending 4 KiB and syncing them: no durable write can be faster."""
    taken: list[float] = []
    until = time.perf_counter() + seconds
    with file.open("wb", buffering=0) as out:
        while not taken or time.perf_counter() < until:
            out.write(b"\0" * 4096)
            began = time.perf_counter()
            os.fdatasync(out.fileno())
            taken.append((time.perf_counter() - began) * 1e6)
    return statistics.median(taken)


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
