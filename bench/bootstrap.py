"""P11: how many cells a second does a new node take over from another, when it begins with nothing?

Time is the work of both replicas, in one thread, with every commit synced, and without sockets; so a network adds to
it and a second core takes from it. Beside it: LMDB, which appends the same keys and values in order, `GROUP` a synced
commit.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import lmdb

from gossamer.replica import DEFAULT
from measure import ROUNDS, Figure, Sample
from pair import Pair, fill

VALUE = "v" * 64
GROUP = 1000
WANTED = 0.25


def measure(cells: int, scratch: Path) -> Iterator[Figure]:
    """Of a store of ``cells`` cells."""
    ours: list[float] = []
    raw: list[float] = []
    with Pair(scratch / "pair") as pair:
        fill(pair, 0, cells, VALUE, GROUP)
        pair.rest(0)
        for turn in range(ROUNDS):
            if turn:
                pair.disconnect()
                pair.renew(scratch / "pair" / f"b{turn}")
            raw.append(cells / _append(pair, scratch / "raw"))
            pair.connect()
            ours.append(cells / pair.settle())
            pair.quieten()
    yield Figure(
        goal="P11",
        what=f"bootstrap of {cells:,} cells",
        ours=Sample(ours, "/s"),
        against=f"LMDB append, {GROUP:,} a commit",
        theirs=Sample(raw, "/s"),
        wanted=WANTED,
    )


def _append(pair: Pair, directory: Path) -> float:
    """Seconds of appending what A stores, without those of reading it."""
    spent = 0.0
    env = lmdb.open(str(directory), map_size=1 << 34)
    try:
        with pair.a.store.snapshot() as views:
            for group in _groups(views(DEFAULT).stored(b"")):
                began = time.perf_counter()
                with env.begin(write=True) as txn:
                    txn.cursor().putmulti(group, append=True)
                spent += time.perf_counter() - began
    finally:
        env.close()
        shutil.rmtree(directory)
    return spent


def _groups(rows: Iterator[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    group: list[tuple[bytes, bytes]] = []
    for row in rows:
        group.append(row)
        if len(group) == GROUP:
            yield group
            group = []
    if group:
        yield group
