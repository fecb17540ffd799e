"""P10 and P13: what does it cost to come back after a partition?

P10: 100 cells of 300,000 changed meanwhile; time and bytes against those of the bootstrap of the whole, and the
time against that in a store of a tenth. P13: one counter was bumped 1,000,000 times; bytes against one update.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gossamer.backend import make_op
from gossamer.crdt import path
from gossamer.replica import DEFAULT
from gossamer.turns import Write
from measure import ROUNDS, Figure, Sample
from pair import Pair, fill, set_field

CHANGED = 100
VALUE = "v" * 64
GROUP = 1000
"""Writes in a commit, where many are made."""
COUNTER = path.component("counter", "c")


def measure(cells: int, bumps: int, scratch: Path) -> Iterator[Figure]:
    """In a store of ``cells`` cells, and with a counter bumped ``bumps`` times."""
    yield from _changed(cells, scratch)
    yield _bumped(bumps, scratch)


def _changed(cells: int, scratch: Path) -> Iterator[Figure]:
    (whole_s, whole_bytes), times, sizes = reconnects(cells, scratch / "all")
    _, smaller, _ = reconnects(cells // 10, scratch / "tenth")
    what = f"catch up, {CHANGED} of {cells:,} cells changed"
    yield Figure(
        goal="P10",
        what=f"bootstrap of all, times {what}",
        ours=Sample([whole_s * 1000], "ms"),
        against="catch up",
        theirs=Sample(times, "ms"),
        wanted=300.0,
    )
    yield Figure(
        goal="P10",
        what=f"bootstrap of all, bytes of {what}",
        ours=Sample([whole_bytes], "B"),
        against="catch up",
        theirs=Sample(sizes, "B"),
        wanted=300.0,
    )
    yield Figure(
        goal="P10",
        what=what,
        ours=Sample(times, "ms"),
        against=f"of {cells // 10:,}",
        theirs=Sample(smaller, "ms"),
        less_is_better=True,
        wanted=1.5,
    )


def reconnects(cells: int, scratch: Path) -> tuple[tuple[float, int], list[float], list[float]]:
    """Seconds and bytes of the bootstrap; milliseconds and bytes of each catching up."""
    times: list[float] = []
    sizes: list[float] = []
    with Pair(scratch) as pair:
        fill(pair, 0, cells, VALUE, GROUP)
        pair.rest(0)
        pair.connect()
        whole = pair.settle(), pair.bytes()
        step = max(1, cells // CHANGED)
        for turn in range(ROUNDS):
            pair.quieten()
            pair.disconnect()
            pair.write(0, *[set_field(i * step, f"{turn:064}") for i in range(min(CHANGED, cells))])
            pair.connect()
            times.append(pair.settle() * 1000)
            sizes.append(pair.bytes())
    return whole, times, sizes


def _bumped(bumps: int, scratch: Path) -> Figure:
    bump = Write(DEFAULT, (make_op(COUNTER, "add", (1,)),))
    with Pair(scratch / "counter") as pair:
        pair.write(0, bump)
        pair.connect()
        pair.settle()
        pair.quieten()
        pair.disconnect()
        pair.write(0, bump)
        one = _reconnect(pair)
        for _ in range(bumps // GROUP):
            pair.write(0, *[bump] * GROUP)
        many = _reconnect(pair)
    return Figure(
        goal="P13",
        what=f"catch up, a counter bumped {bumps:,} times",
        ours=Sample([many], "B"),
        against="bumped once",
        theirs=Sample([one], "B"),
        less_is_better=True,
        wanted=2.0,
    )


def _reconnect(pair: Pair) -> int:
    """The bytes of the batches that it takes."""
    pair.connect()
    pair.settle()
    taken = pair.batch_bytes()
    pair.quieten()
    pair.disconnect()
    return taken
