"""How figures are taken and shown: interleaved runs, medians with their spread, the machine's state beside them.

What may be compared? Only what ran in turns within one run, since a machine drifts by more than most differences.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

ROUNDS = 5


class Sample(msgspec.Struct, frozen=True):
    """The same figure, several times."""

    values: list[float]
    unit: str

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        shown = f"{number(self.median)} {self.unit}"
        if len(set(self.values)) > 1:
            shown += f" ({number(min(self.values))}–{number(max(self.values))})"
        return shown


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result: a figure of ours beside another, and the goal for their ratio."""

    goal: str
    """Its number among the goals, ``P1`` and so on."""
    what: str
    ours: Sample
    against: str = ""
    theirs: Sample | None = None
    less_is_better: bool = False
    wanted: float | None = None
    """Of `ratio`: at least this, or with ``less_is_better`` at most; without ``theirs``, of ``ours`` itself."""

    @property
    def ratio(self) -> float:
        """Ours to theirs, or ours alone."""
        return self.ours.median / self.theirs.median if self.theirs else self.ours.median

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None if there is none."""
        if self.wanted is None:
            return None
        return self.ratio <= self.wanted if self.less_is_better else self.ratio >= self.wanted


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """How figures change with something: a plot of the result."""

    name: str
    """Of the file that the plot goes into."""
    what: str
    x: str
    unit: str
    lines: dict[str, list[tuple[float, float]]]
    """What is drawn -> points, each a median."""
    formula: str
    """What it should be, in words: the reason for its shape."""


def number(value: float) -> str:
    """A number for people: three digits that mean something."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def interleaved(
    cases: Mapping[str, Callable[[], float]], unit: str, rounds: int = ROUNDS
) -> dict[str, Sample]:
    """Each case once a round, in turn; the figure that each returns."""
    values: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            values[name].append(case())
    return {name: Sample(taken, unit) for name, taken in values.items()}


def rate(work: Callable[[int], object], count: int) -> float:
    """How often a second: ``work`` is told a count and does its thing so many times."""
    began = time.perf_counter()
    work(count)
    return count / (time.perf_counter() - began)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of 1 of them do not exceed (the nearest rank: one value is enough).

    Raises ValueError if there is none.
    """
    if not values:
        raise ValueError("no value was taken")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def fsync_floor(directory: Path, count: int = 50) -> Sample:
    """Microseconds of appending 4 KiB to a file and syncing it: no durable write can be faster."""
    taken = []
    with (directory / "floor").open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(b"\0" * 4096)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - began) * 1e6)
    return Sample([statistics.median(taken[i::ROUNDS]) for i in range(ROUNDS)], "µs")


def heap_bytes(process: int | None = None) -> int:
    """Resident memory that is not of a file, so without the pages of a store's map: of a process, or of this one."""
    lines = Path(f"/proc/{process or 'self'}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def processor_s(process: int) -> float:
    """Processor time that a process has used, over all its threads that still run."""
    used = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in used) / 1e9


class Load:
    """What the rest of the machine did meanwhile; if that is much, the figures are worth little."""

    def __init__(self) -> None:
        self._busy, self._own, self._at = _busy_s(), _own_s(), time.monotonic()

    def __str__(self) -> str:
        passed = time.monotonic() - self._at
        own = _own_s() - self._own
        others = max(0.0, _busy_s() - self._busy - own)
        return (
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
            f"this bench used {own / passed:.2f} of a core, everything else {others / passed:.2f}"
        )


def _busy_s() -> float:
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split()[1:11]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def show(figures: Sequence[Figure], console: Console) -> None:
    """The figures as a table."""
    table = Table("", "figure", "ours", "against", "theirs", "ratio", "goal", "")
    for f in figures:
        wanted = "" if f.wanted is None else f"{'≤' if f.less_is_better else '≥'} {number(f.wanted)}"
        met = {None: "", True: "met", False: "not met"}[f.is_met]
        ratio = number(f.ratio) if f.theirs else ""
        table.add_row(f.goal, f.what, str(f.ours), f.against, str(f.theirs or ""), ratio, wanted, met)
    console.print(table)
