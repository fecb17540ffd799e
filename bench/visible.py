"""P6: how long after a write is called at A does a reader at B see it?

B is a process of its own, on the same machine, so that both read one clock. There a reader looks again and again
with `LOOK_S` between, which is part of the figure. A's own commit is part of it too, and B's.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Literal, cast

import gossamer
from measure import ROUNDS, Figure, Sample, percentile

LOOK_S = 0.0001
END_S = 20.0
VALUE = "v" * 64
Durability = Literal["commit", "relaxed"]
DURABILITIES: tuple[Durability, ...] = ("relaxed", "commit")


def measure(writes: int, scratch: Path) -> Iterator[Figure]:
    """``writes`` a round, one after the other, each once the one before was seen."""
    with ExitStack() as stack:
        pairs = {name: stack.enter_context(_linked(name, scratch / name)) for name in DURABILITIES}
        taken: dict[Durability, list[list[float]]] = {name: [] for name in DURABILITIES}
        for round_ in range(ROUNDS):
            for name, (node, lines) in pairs.items():
                first = 1 + round_ * writes
                taken[name].append([_once(node, lines, n) for n in range(first, first + writes)])
    for durability, rounds in taken.items():
        said = "durable" if durability == "commit" else durability
        for quantile, share in (("p50", 0.5), ("p99", 0.99)):
            values = [percentile(times, share) for times in rounds]
            yield Figure(
                goal="P6", what=f"write at A to visible at B, {said}, {quantile}", ours=Sample(values, "ms")
            )


def _once(node: gossamer.Node, lines: IO[str], n: int) -> float:
    began = time.monotonic()
    node.register("n").set([n, VALUE])
    seen: dict[str, float] = json.loads(next(lines))
    return (seen[str(n)] - began) * 1000


@contextmanager
def _linked(durability: Durability, scratch: Path) -> Iterator[tuple[gossamer.Node, IO[str]]]:
    """A node here, and what the reader beside one in another process says."""
    address = f"127.0.0.1:{_free_port()}"
    with gossamer.open(scratch / "a", listen=address, durability=durability) as node:
        command = [sys.executable, __file__, durability, str(scratch / "b"), address]
        reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert reader.stdin is not None and reader.stdout is not None
        try:
            node.register("n").set([0, VALUE])
            next(reader.stdout)  # it is linked, and has seen the first
            yield node, reader.stdout
        finally:
            reader.stdin.close()
            try:
                reader.wait(END_S)
            except subprocess.TimeoutExpired:
                reader.kill()
                reader.wait()
            reader.stdout.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def read(durability: Durability, directory: str, address: str) -> None:
    """In the other process: say of each number when it was first seen, until the standard input ends."""
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    with gossamer.open(directory, peers=[address], durability=durability) as node:
        register, seen = node.register("n"), -1
        while not ended.is_set():
            n = register.get((-1,))[0]
            if n > seen:
                print(json.dumps({str(n): time.monotonic()}), flush=True)
                seen = n
            ended.wait(LOOK_S)


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    read(cast(Durability, sys.argv[1]), *sys.argv[2:])
