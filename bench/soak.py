"""A soak: does anything grow, on three real nodes that take the same updates for half an hour or a day?

    python bench/soak.py [--minutes 30] [--rate 100000] [--plot FILE.svg] [--json FILE]

Sampled are, on each node, the memory that is its own and not the page cache's, the store's file, and the rows of its index.
The names that are written are the same all the time, so after the first third nothing may grow: over the rest, the
line through the samples may rise by no more than a share of their median, and some slack. At the end all three must
hold the same. The exit code is 1 if one of these is not so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from loopback import free_port
from measure import Load, number
from soak_node import NOTES

NODES = ("a", "b", "c")
RATE = 102_000
"""Updates a minute, of all nodes together: ten times 10,000, and some more for stalls, which are not made up for."""
RATE_SHARE = 0.9
"""Of the rate that must be reached, or the soak says that it was not: a machine that others load does less."""
SAMPLES = 200
"""A node's, about."""
WARM = 1 / 3
"""Of the time, after which nothing may grow."""
CONVERGED_S = 120.0
START_S = END_S = 60.0

Sample = dict[str, Any]


class Bound(NamedTuple):
    """How much a figure may rise after the warm part."""

    what: str
    unit: str
    per: float
    share: float
    """Of its median."""
    slack: float
    """What a garbage collection, a page, a second without acknowledgement may add."""


BOUNDS = {
    "heap": Bound("memory, page cache aside", "MB", 1e6, 0.05, 4e6),
    "file": Bound("the store's file", "MB", 1e6, 0.05, 0.4e6),
    "rows": Bound("rows of the index", "", 1.0, 0.25, 10_000),
}


class Verdict(NamedTuple):
    """One figure of one node."""

    node: str
    bound: Bound
    median: float
    rise: float
    """Over the whole time after the warm part, along the line through its samples."""
    allowed: float

    @property
    def is_met(self) -> bool:
        return self.rise <= self.allowed


def main() -> int:
    """Run it, print a table, and say by the exit code whether nothing grew."""
    parser = argparse.ArgumentParser(description="three nodes under load for long: does anything grow?")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=RATE, help="updates a minute, of all three together")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the samples there, as SVG")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the samples there")
    options = parser.parse_args()
    console = Console()
    load = Load()
    with tempfile.TemporaryDirectory(prefix="gossamer-soak-") as scratch:
        samples, differing = run(Path(scratch), options.minutes * 60, options.rate / 60)
    if options.json:
        options.json.write_text(json.dumps(samples))
    if options.plot:
        draw(options.plot, samples)
    verdicts = [verdict for name, taken in samples.items() for verdict in judged(name, taken)]
    _show(verdicts, console)
    written, took = sum(taken[-1]["written"] for taken in samples.values()), options.minutes
    reached = f"{written:,} updates, {written / took:,.0f} a minute of {options.rate:,.0f}"
    console.print(f"{reached}; {load}", highlight=False)
    beaten = max(taken[-1]["beaten"] for taken in samples.values())
    console.print(f"{beaten:,} values were beaten by concurrent ones, {NOTES:,} notes of them are kept")
    if written < RATE_SHARE * options.rate * took:
        console.print(
            f"NOT AT ITS RATE: what is shown holds for {written / took:,.0f} updates a minute",
            highlight=False,
        )
    if differing:
        console.print(f"NOT CONVERGED: {differing}", highlight=False)
    grown = [verdict for verdict in verdicts if not verdict.is_met]
    for verdict in grown:
        console.print(f"GREW: {verdict.bound.what} of {verdict.node}", highlight=False)
    return 1 if grown or differing else 0


def run(scratch: Path, seconds: float, per_second: float) -> tuple[dict[str, list[Sample]], str]:
    """The samples of each node while it was written to; and how the nodes differ in the end, if they do."""
    addresses = {name: f"127.0.0.1:{free_port()}" for name in NODES}
    with ExitStack() as stack:
        nodes = {}
        for name in NODES:
            settings = {
                "data": str(scratch / name),
                "name": name,
                "listen": addresses[name],
                "peers": [addresses[other] for other in NODES if other != name],
                "per_second": per_second / len(NODES),
                "sample_s": seconds / SAMPLES,
            }
            nodes[name] = stack.enter_context(_running(settings))
        _watch(nodes, lambda: all(node.samples for node in nodes.values()), START_S)
        _watch(nodes, lambda: False, seconds)
        samples = {}
        for name, node in nodes.items():
            node.stop_writing()
            samples[name] = list(node.samples)
        differing = _converge(list(nodes.values()))
    return samples, differing


def _watch(nodes: dict[str, Running], is_over: Callable[[], bool], seconds: float) -> None:
    """Wait, unless something is so before. `RuntimeError` if a node ends meanwhile."""
    until = time.monotonic() + seconds
    while not is_over() and time.monotonic() < until:
        ended = [name for name, node in nodes.items() if node.has_ended]
        if ended:
            raise RuntimeError(f"the process of node {', '.join(ended)} has ended")
        time.sleep(0.05)  # samples come from other processes, when they come


class Running:
    """A node in its process, and what it has said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.samples: list[Sample] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def stop_writing(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Let it end, or make it."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._listener.join()
        process.stdout.close()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.samples.append(json.loads(line))


@contextmanager
def _running(settings: dict[str, Any]) -> Iterator[Running]:
    command = [sys.executable, str(Path(__file__).with_name("soak_node.py")), json.dumps(settings)]
    node = Running(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    try:
        yield node
    finally:
        node.end()


def _converge(nodes: Sequence[Running]) -> str:
    """Wait until the newest samples of all hold the same; otherwise how they differ."""
    until = time.monotonic() + CONVERGED_S
    while time.monotonic() < until and not any(node.has_ended for node in nodes):
        last = [node.samples[-1] if node.samples else {} for node in nodes]
        held = [(one.get("events"), one.get("digest")) for one in last]
        if held[0][0] and all(one == held[0] for one in held):
            return ""
        time.sleep(0.05)  # samples come from other processes, when they come
    return "; ".join(str(node.samples[-1:] or "it said nothing") for node in nodes)


def judged(node: str, samples: Sequence[Sample]) -> Iterator[Verdict]:
    """Each figure of a node against its bound."""
    last = samples[-1]["at"]
    kept = [one for one in samples if one["at"] >= last * WARM]
    for name, bound in BOUNDS.items():
        points = [(one["at"], float(one[name])) for one in kept]
        middle = median(y for _, y in points)
        rise = slope(points) * (points[-1][0] - points[0][0])
        yield Verdict(node, bound, middle, rise, bound.share * middle + bound.slack)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line through points: the median of the slopes between any two, which single spikes do not move."""
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2]
    return median(slopes) if slopes else 0.0


def _show(verdicts: Sequence[Verdict], console: Console) -> None:
    table = Table("node", "figure", "median", "rise after the first third", "allowed", "")
    for one in verdicts:
        values = [f"{_number(value / one.bound.per)} {one.bound.unit}" for value in one[2:]]
        table.add_row(one.node, one.bound.what, *values, "" if one.is_met else "GREW")
    console.print(table)


def _number(value: float) -> str:
    return f"-{number(-value)}" if value < 0 else number(value)


def draw(file: Path, samples: dict[str, list[Sample]]) -> None:
    """The samples over time, a picture a figure, one above the other."""
    from matplotlib.figure import Figure  # takes longer to import than a smoke run

    figure = Figure(figsize=(7.0, 7.0), layout="constrained")
    for axes, (name, bound) in zip(figure.subplots(len(BOUNDS), sharex=True), BOUNDS.items(), strict=True):
        for node, taken in samples.items():
            axes.plot([one["at"] / 60 for one in taken], [one[name] / bound.per for one in taken], label=node)
        axes.set_title(bound.what, fontsize="small")
        axes.set_ylabel(bound.unit)
        axes.set_ylim(bottom=0)
        axes.legend()
    axes.set_xlabel("minutes")
    figure.savefig(file, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
