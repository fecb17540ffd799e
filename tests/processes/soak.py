"""Hours of the same: three nodes on which a bounded set of cells is written over and over. Does anything grow?

``python -m tests.processes.soak --minutes 30``. Counters, registers with values of every size, elements that come and go,
entries that expire, transactions, and now and then a node that is killed. Once the first quarter is over, the heap, the store's
bytes in use, its cells and its rows must stay as they are: what the last quarter shows at most is compared with what the second
did.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Event
from typing import Any, NamedTuple

import gossamer

from .load import Worker
from .process import Serve
from .trio import Trio

CELLS = 200
"""Of each kind."""
PACE_S = 0.004
SAMPLE_S = 2.0
KILL_EVERY = 20
"""Samples between two kills of the last node."""
GROWTH = {"heap": 4 * 1024**2, "store": 2 * 1024**2, "cells": 200, "rows": 400}
"""What the last quarter may show above the second: the allocator's and LMDB's whims, and what waits for a slow moment."""


class Sample(NamedTuple):
    """One look at the first node, which is never killed."""

    at: float
    heap: int
    store: int
    cells: int
    rows: int


class Churner(Worker):
    """Writes within bounds."""

    def __init__(self, node: Serve, seed: int) -> None:
        super().__init__(node, f"churner {node.name}", PACE_S)
        self._rng = Random(seed)
        self.writes = 0

    def step(self) -> None:
        kinds = (self._count, self._set, self._element, self._expire, self._pair)
        try:
            self._rng.choice(kinds)(self.node.client, f"{self._rng.randrange(CELLS)}")
            self.writes += 1
        except (gossamer.Unreachable, gossamer.OutcomeUnknown):
            self.told.wait(PACE_S * 10)

    def _count(self, client: Any, name: str) -> None:
        client.counter(name).add(self._rng.randint(-5, 5))

    def _set(self, client: Any, name: str) -> None:
        client.map("m").register(name).set("x" * self._rng.choice((10, 100, 1_000, 5_000)))

    def _element(self, client: Any, name: str) -> None:
        members = client.set("elements")
        (members.add if self._rng.random() < 0.5 else members.discard)(name)

    def _expire(self, client: Any, name: str) -> None:
        client.register(f"short {name}").set("x" * 200, ttl=self._rng.uniform(0.5, 5))

    def _pair(self, client: Any, name: str) -> None:
        with client.transaction() as tx:
            tx.counter("left").add(1)
            tx.counter("right").add(1)


def look(node: Serve, began: float) -> Sample:
    status = node.client.status()
    keyspace = status["keyspaces"]["default"]
    at = time.monotonic() - began
    return Sample(at, node.heap_bytes(), status["store_bytes"], keyspace["cells"], keyspace["rows"])


def run(folder: Path, seconds: float, seed: int = 1, tell: Callable[[Sample], object] = id) -> list[Sample]:
    """Churn for so long; the samples. `AssertionError` if something grew."""
    with Trio(folder) as trio:
        churners = [Churner(node, 10 * seed + at) for at, node in enumerate(trio.all)]
        for churner in churners:
            churner.start()
        samples: list[Sample] = []
        began, pause = time.monotonic(), Event()
        try:
            while time.monotonic() - began < seconds:
                pause.wait(SAMPLE_S)
                samples.append(look(trio.nodes["a"], began))
                tell(samples[-1])
                if len(samples) % KILL_EVERY == 0:
                    trio.nodes["c"].kill()
                    trio.start("c")
        finally:
            for churner in churners:
                churner.stop()
        trio.equal(10.0)
        assert all(churner.writes for churner in churners)
    check(samples)
    return samples


def check(samples: list[Sample]) -> None:
    """That nothing grew from the second quarter to the last."""
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    for name, allowed in GROWTH.items():
        before, after = (max(getattr(one, name) for one in part) for part in (second, last))
        assert after - before <= allowed, f"{name} grew from {before} to {after}, and may by {allowed}"


def told(samples: list[Sample]) -> str:
    """What the quarters showed at most."""
    quarter = len(samples) // 4
    parts = [samples[at * quarter : (at + 1) * quarter] for at in range(4)]
    lines = [
        f"{name}: " + ", ".join(f"{max(getattr(one, name) for one in part):,}" for part in parts)
        for name in GROWTH
    ]
    return f"{samples[-1].at / 60:.1f} minutes; at most, in each quarter: " + "; ".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gossamer-soak-") as folder:
        print(told(run(Path(folder), given.minutes * 60, given.seed)))


if __name__ == "__main__":
    main()
