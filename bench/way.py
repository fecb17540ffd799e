"""Where does the time go between a write at A and its sight at B? The profile of P6.

    python bench/way.py [--writes 1000] [--durability commit]

A is this process, B one beside it; both read one clock. Some methods of the node are wrapped to note when they begin or end,
which costs about a microsecond each. Printed are the medians of the stages, as every write passes them, one write at a time.
The methods are private ones: this file follows the node's code, and nothing depends on it.
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import IO, Any, Literal, cast

from rich.console import Console
from rich.table import Table

import gossamer
import loopback
import watcher
from gossamer.errors import NotReady
from gossamer.rpc.link import Link
from gossamer.store.draft import Draft
from gossamer.writer import Writer

LOOK_S = 0.0001
Durability = Literal["commit", "relaxed"]
Mark = tuple[str, float]
STAGES = (
    ("A taken", "from the caller to the writer's thread"),
    ("A flushed", "turn: expand, join, encode, index, hand to LMDB"),
    ("A committed", "LMDB commits, with its fsync"),
    ("A sent", "answer the caller, make the batch, wake the link's loop"),
    ("B heard", "the link's loop, gRPC, the wire, gRPC, the peer's loop"),
    ("B taken", "to the writer's thread"),
    ("B flushed", "turn: decode, check, join, encode, index, hand to LMDB"),
    ("B committed", "LMDB commits, with its fsync"),
    ("seen", "until a reader that looks every 0.1 ms has seen it"),
)
"""The mark at the end of each stage, and what is done in it."""


def main() -> None:
    parser = argparse.ArgumentParser(description="the stages of a write's way to another node")
    parser.add_argument("--writes", type=int, default=1000)
    parser.add_argument("--durability", choices=("commit", "relaxed"), default="commit")
    parser.add_argument("--beside", nargs=2, metavar=("DIRECTORY", "ADDRESS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.beside:
        _read(given.durability, *given.beside)
        return
    stages = measure(given.writes, given.durability)
    table = Table("stage", "median, ms", "what is done")
    for (name, what), taken in zip(STAGES, stages, strict=True):
        table.add_row(name, f"{1000 * median(taken):.2f}", what)
    table.add_row("all", f"{1000 * median(map(sum, zip(*stages, strict=True))):.2f}", "")
    Console().print(table)


def measure(writes: int, durability: Durability) -> list[list[float]]:
    """Of each stage its seconds in each write."""
    marks = _wrapped("A")
    taken: list[list[float]] = [[] for _ in STAGES]
    with tempfile.TemporaryDirectory(prefix="gossamer-way-") as scratch:
        address = f"127.0.0.1:{loopback.free_port()}"
        beside = watcher.beside(
            __file__, "--durability", durability, "--beside", str(Path(scratch, "b")), address
        )
        with (
            gossamer.open(Path(scratch, "a"), listen=address, durability=durability) as node,
            beside as lines,
        ):
            node.register("n").set(0)
            _seen(lines, 0)
            for n in range(1, writes + 1):
                marks.clear()
                began = time.monotonic()
                node.register("n").set(n)
                theirs = _seen(lines, n)
                for stage, seconds in zip(taken, _stages([*marks, *theirs], began), strict=True):
                    stage.append(seconds)
    return taken


def _stages(marks: list[Mark], began: float) -> Iterator[float]:
    """The first mark of each stage that is not before the one of the stage before."""
    at = began
    for name, _ in STAGES:
        end = min((when for what, when in marks if what == name and when >= at), default=at)
        yield end - at
        at = end


def _wrapped(node: str) -> list[Mark]:
    """The marks that this process's node sets from now on."""
    marks: list[Mark] = []

    def mark(owner: type, method: str, name: str, *, at_end: bool = False) -> None:
        wrapped: Callable[..., Any] = getattr(owner, method)

        @functools.wraps(wrapped)
        def marking(*args: Any) -> Any:
            if not at_end:
                marks.append((f"{node} {name}", time.monotonic()))
            found = wrapped(*args)
            if at_end:
                marks.append((f"{node} {name}", time.monotonic()))
            return found

        setattr(owner, method, marking)

    mark(Writer, "_turn", "taken")
    mark(Draft, "flush", "flushed", at_end=True)
    mark(Draft, "committed", "committed")
    mark(Link, "send", "sent")
    mark(Link, "_heard", "heard")
    return marks


def _seen(lines: IO[str], n: int) -> list[Mark]:
    for line in lines:
        seen, marks = json.loads(line)
        if seen == n:
            return [(name, at) for name, at in marks]
    raise RuntimeError("the node beside has ended")


def _read(durability: str, directory: str, address: str) -> None:
    """In the process beside: say of each number when it was first seen, and what marks were set until then."""
    marks = _wrapped("B")
    watcher.end_with_input()
    look = threading.Event()
    with gossamer.open(directory, peers=[address], durability=cast(Durability, durability)) as node:
        register, seen = node.register("n"), -1
        while True:
            with suppress(NotReady):  # it is taking over what there is
                n = register.get(-1)
                if n > seen:
                    seen, now = n, time.monotonic()
                    print(json.dumps([n, [*marks, ("seen", now)]]), flush=True)
                    marks.clear()
            look.wait(LOOK_S)


if __name__ == "__main__":
    main()
