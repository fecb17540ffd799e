"""How cost grows with the size of a value, and with the number of writers.

Sizes from 8 bytes to 256 KiB, one thread, each write acknowledged by the disk: beside LMDB, which commits a put of
as many bytes. Writers from 1 to 1,000 tasks of one loop, each waiting for its write before the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import lmdb

import gossamer
from gossamer.crdt.values import PAYLOAD_BYTES_MAX
from measure import Curve, Sample, interleaved
from writes import ours, tasks

NAMES = 100
ROOM_BYTES = 64
"""Of the largest payload, for what surrounds the value."""


def measure(sizes: Sequence[int], writers: Sequence[int], seconds: float, scratch: Path) -> Iterator[Curve]:
    """Each for ``seconds`` a round."""
    env = lmdb.open(str(scratch / "raw"), map_size=1 << 32)
    with gossamer.open(scratch / "node") as node:
        yield _of_sizes(node, env, sizes, seconds)
        yield _of_writers(node, writers, seconds)
    env.close()


def _of_sizes(node: gossamer.Node, env: lmdb.Environment, sizes: Sequence[int], seconds: float) -> Curve:
    cases: dict[str, Callable[[], float]] = {}
    for size in sizes:
        value = b"v" * min(size, PAYLOAD_BYTES_MAX - ROOM_BYTES)
        cases[f"ours {size}"] = lambda v=value: _rate(lambda n: node.register(f"v{n}").set(v), seconds)  # type: ignore[misc]  # the defaults bind the loop's
        cases[f"raw {size}"] = lambda v=value: _rate(lambda n: _put(env, n, v), seconds)  # type: ignore[misc]  # as above
    taken = interleaved(cases, "/s")
    return Curve(
        name="sizes",
        what="durable writes of one thread by the size of the value",
        x="bytes of the value",
        unit="/s",
        lines={
            "Gossamer": [(size, taken[f"ours {size}"].median) for size in sizes],
            "LMDB durable put": [(size, taken[f"raw {size}"].median) for size in sizes],
        },
        formula="1 / (a sync + bytes / the disk's rate): flat as long as the sync is longer",
    )


def _of_writers(node: gossamer.Node, writers: Sequence[int], seconds: float) -> Curve:
    cases: dict[str, Callable[[], float]] = {
        str(many): lambda w=many: asyncio.run(tasks(ours(node), w, seconds))  # type: ignore[misc]  # as above
        for many in writers
    }
    taken: dict[str, Sample] = interleaved(cases, "/s")
    return Curve(
        name="writers",
        what="durable writes of tasks that each wait for theirs",
        x="writers",
        unit="/s",
        lines={"Gossamer": [(many, taken[str(many)].median) for many in writers]},
        formula="writers / (a sync + writers × the work of a write): they share commits until the work is all",
    )


def _rate(write: Callable[[int], object], seconds: float) -> float:
    began = time.perf_counter()
    for n in count(1):
        write(n % NAMES)
        if (passed := time.perf_counter() - began) >= seconds:
            break
    return n / passed


def _put(env: lmdb.Environment, n: int, value: bytes) -> None:
    with env.begin(write=True) as txn:
        txn.put(b"v%d" % n, value)
