"""SIGKILL under load, over and over: what was acknowledged before it must be there after it.

``python -m tests.processes.kills --count 1000`` kills so many times, in a directory that is removed afterwards.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import NamedTuple

from .load import Load
from .process import Serve
from .trio import Trio

WRITES_MAX = 60
"""Acknowledged writes of one node's life, at most: from the first on, each may be the last before the kill."""
EQUAL_S = 5.0
"""From the last restart to equality."""


class Figures(NamedTuple):
    """What a run came to."""

    kills: int
    acknowledged: int
    unknown: int
    reads: int
    """Readings of a transaction's two counters."""
    equal_s: float
    """From the last restart until all nodes were equal."""

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.acknowledged} writes acknowledged and {self.unknown} with unknown outcome, "
            f"all found as they must be; {self.reads} readings of transactions, none of a half; "
            f"equal {self.equal_s:.2f} s after the last restart"
        )


def run(folder: Path, count: int, seed: int = 1) -> Figures:
    """Kill each of three nodes in its own rhythm, ``count`` times in all. `AssertionError` says what was lost."""
    with Trio(folder) as trio:
        ids = {node.name: node.client.status()["replica"] for node in trio.all}
        with Load(trio.all, seed=seed) as load:
            with ThreadPoolExecutor() as pool:
                for done in [
                    pool.submit(_kill, trio, load, node, count // 3 + (at < count % 3), Random(3 * seed + at))
                    for at, node in enumerate(trio.all)
                ]:
                    done.result()
            restarted = time.monotonic()
        trio.equal(EQUAL_S - (time.monotonic() - restarted))
        equal_s = time.monotonic() - restarted
        for node in trio.all:
            load.check(node)
            assert set(node.identities) == {ids[node.name]}, f"{node.name} took a new identity: {node.log}"
        return Figures(
            count, load.acknowledged(), load.unknown, sum(reader.reads for reader in load.readers), equal_s
        )


def _kill(trio: Trio, load: Load, node: Serve, count: int, rng: Random) -> None:
    """Kill a node so many times, each time after some writes were acknowledged since it was started."""
    for _ in range(count):
        enough = load.acknowledged(node.name) + rng.randint(1, WRITES_MAX)
        load.reach(node.name, enough)
        node.kill()
        trio.start(node.name)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="kills in all")
    parser.add_argument("--seed", type=int, default=1, help="of the writes, and of when to kill")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gossamer-kills-") as folder:
        print(run(Path(folder), given.count, given.seed))


if __name__ == "__main__":
    main()
