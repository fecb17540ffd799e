"""One fault at one system call of a node's life, for each call in turn, until a life passes without meeting it.

``python -m tests.store.sweep`` takes all of them: SIGKILL, EIO and ENOSPC, at each write, flush and rename, from the first
opening of a directory to its closing. The process fails in words or dies; then all that it acknowledged is there, nothing
is torn, the store is sound, and the node is who it was.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from gossamer.errors import DirectoryUnusable, StoreError, StoreFull
from gossamer.maintenance.verify import verify

from .helpers import at, replica_in, value

CALLS = ("pwrite64", "pwritev", "fdatasync", "fsync", "rename")
FAULTS = ("signal=SIGKILL", "error=EIO", "error=ENOSPC")
TURNS = 4

WRITER = f"""
import json, sys
from gossamer.backend import make_op
from gossamer.config import of
from gossamer.crdt import path
from gossamer.errors import StoreError
from gossamer.opening import open_replica
from gossamer.turns import Instant, Write
try:
    replica = open_replica(of(sys.argv[1]))
except StoreError as error:
    print(json.dumps([0, type(error).__name__, str(error)]))
    sys.exit()
print(json.dumps([0, "done", replica.replica.hex()]))
left, right = path.of_text("counter:left"), path.of_text("counter:right")
for n in range(1, {TURNS} + 1):
    ops = [make_op(left, "add", (1,)), make_op(right, "add", (1,))]
    ops.append(make_op(path.of_text(f"register:r{{n}}"), "set", ("x" * 5000,)))
    try:
        replica.turn([Write("default", ops)], Instant(n, 0.0))
        print(json.dumps([n, "done", ""]))
    except StoreError as error:
        print(json.dumps([n, type(error).__name__, str(error)]))
replica.close()
"""


class Life(NamedTuple):
    """What one process said before its end."""

    said: list[list[Any]]
    """Turn (0: the opening), outcome, words."""
    was_struck: bool
    was_killed: bool

    @property
    def done(self) -> list[int]:
        """Turns that were acknowledged."""
        return [turn for turn, outcome, _ in self.said if turn and outcome == "done"]


def life(folder: Path, data: Path, call: str, fault: str, when: int) -> Life:
    """Run the writer, and strike it."""
    trace = folder / "trace"
    inject = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={call}", "-e"]
    command = [*inject, f"inject={call}:{fault}:when={when}", sys.executable, "-u", "-c", WRITER, str(data)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    was_killed = done.returncode in (-9, 137)
    assert done.returncode == 0 or was_killed, (call, fault, when, done.stderr)
    said = [json.loads(line) for line in done.stdout.splitlines(keepends=True) if line.endswith("\n")]
    return Life(said, was_killed or "INJECTED" in trace.read_text(), was_killed)


def survives(folder: Path, call: str, fault: str, when: int) -> Life:
    """One life, on a directory of its own, and what must hold after it."""
    data = folder / f"{call} {when}"
    lived = life(folder, data, call, fault, when)
    try:
        with replica_in(data) as replica:
            left, right = value(replica, "counter:left"), value(replica, "counter:right")
            assert left == right, f"half an event: {left} and {right}"
            for turn in lived.done:
                assert replica.cell("default", at(f"register:r{turn}")).live, f"turn {turn} is lost"
            missing = left - len(lived.done)
            assert 0 <= missing <= 1, f"{left} turns are there, {lived.said} were told"
            assert not missing or lived.was_killed or lived.said[-1][1] != "done", lived.said
            opened = [words for turn, outcome, words in lived.said if turn == 0 and outcome == "done"]
            assert opened in ([], [replica.replica.hex()]), "another identity"
    except DirectoryUnusable as error:
        raise AssertionError(f"{fault} at {call} {when} left what cannot be opened: {error}") from error
    report = verify(data)
    assert report.is_sound, report.findings
    _check_words(lived, fault)
    return lived


def _check_words(lived: Life, fault: str) -> None:
    """What failed said so by an error of ours; no space is called that, and one failed commit ends writing or does not."""
    outcomes = [outcome for _, outcome, _ in lived.said]
    assert set(outcomes) <= {
        "done",
        StoreError.__name__,
        StoreFull.__name__,
        "StoreFailed",
        "DirectoryUnusable",
    }, outcomes
    if "StoreFailed" in outcomes:
        assert set(outcomes[outcomes.index("StoreFailed") :]) == {"StoreFailed"}, outcomes
    if fault == "error=ENOSPC":
        failed = next((outcome for outcome in outcomes if outcome != "done"), StoreFull.__name__)
        assert failed == StoreFull.__name__, lived.said


def sweep(folder: Path, call: str, fault: str) -> Counter[str]:
    """From the first call until a life is not struck any more; what the lives came to."""
    came = Counter[str]()
    for when in count(1):
        lived = survives(folder, call, fault, when)
        if not lived.was_struck:
            return came
        outcomes = {outcome for _, outcome, _ in lived.said} - {"done"}
        came["killed" if lived.was_killed else " then ".join(sorted(outcomes)) or "went on"] += 1
    raise AssertionError


def main() -> None:
    """The command."""
    for fault in FAULTS:
        for call in CALLS:
            with tempfile.TemporaryDirectory(prefix="gossamer-sweep-") as folder:
                print(f"{fault} at each {call}: {dict(sweep(Path(folder), call, fault))}", flush=True)


if __name__ == "__main__":
    main()
