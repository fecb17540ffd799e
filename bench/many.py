"""Many real nodes on loopback: do they converge after a storm of writes, with few streams each, and notice a kill?

Each node is a `gossamer serve` process in a directory of its own under /dev/shm, if there is one; the nodes know the first
three as peers. Each has an address that it tells: a node without one only dials, and is on no ring. Waited for is, in turn,
that all know all, that links are down to what a node keeps, that every node has each write, and the same digest. Then one
is killed. Its neighbours must drop their links with it, and all must take it for away once its signs of life have run
out, which takes a minute.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import gossamer
from gossamer.replication import limits
from gossamer.replication.neighbours import is_mesh, rings
from gossamer.rpc import Client
from loopback import free_port
from measure import Figure, Sample, heap_bytes, processor_s

SEEDS = 3
WAIT_S = 200.0
LOOK_S = 0.5
COUNTER = "storm"
MB = 1e6
MEMORY = Path("/dev/shm")
"""Where the nodes' directories are, if it is there: thirty nodes would measure one disk."""


def measure(count: int, writes: int, idle_s: float, scratch: Path) -> Iterator[Figure]:
    """So many nodes, each of which takes so many writes; while idle they are watched for ``idle_s``."""
    parent = MEMORY if MEMORY.is_dir() else scratch
    with (
        tempfile.TemporaryDirectory(prefix="gossamer-many-", dir=parent) as at,
        Crowd(count, Path(at)) as crowd,
    ):
        yield seconds(f"until {count} nodes all know each other", crowd.met())
        yield seconds("more, until no node has more streams than it keeps", crowd.shed())
        yield Figure(
            goal="",
            what=f"streams of the node that has most; in a full mesh it were {count - 1}",
            ours=Sample([max(crowd.streams())], "streams"),
            less_is_better=True,
            wanted=streams_max(count),
        )
        yield seconds(f"until all have {writes} writes of each", crowd.storm(writes))
        yield seconds("more, until all tell the same digest", crowd.agreed())
        yield Figure(goal="", what="memory of a node, page cache aside", ours=crowd.memory())
        yield Figure(goal="", what="processor time of a node without writes", ours=crowd.idle(idle_s))
        killed = crowd.kill()
        near = f"until the {len(killed.near)} neighbours of a killed node have dropped their links with it"
        yield seconds(near, crowd.cut(killed))
        yield seconds("until all nodes take it for away", crowd.given_up(killed))
        yield seconds("until the others have one more write", crowd.storm(1))


def streams_max(count: int) -> int:
    """That a node keeps once all are met: those of its rings, and some that only the other end wants."""
    return count - 1 if is_mesh(count) else 2 * rings(count) + limits.SURPLUS_MAX


def seconds(what: str, taken: float) -> Figure:
    """A wait, as a figure."""
    return Figure(goal="", what=what, ours=Sample([taken], "s"))


class Killed(NamedTuple):
    """A node that was killed."""

    name: str
    near: set[str]
    """Those that were linked with it."""
    at: float


class Crowd:
    """Nodes that run. A context manager."""

    def __init__(self, count: int, folder: Path, program: Sequence[str] = ("-m", "gossamer")) -> None:
        """``program``: what Python is told to run as a node, and passes ``serve`` and its options to."""
        self._count, self._folder, self._program = count, folder, program
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._stack = ExitStack()
        self._written = 0
        self.clients: dict[str, Client] = {}
        """Of those that run, by their names."""

    def __enter__(self) -> Self:
        seeds: list[str] = []
        try:
            for number in range(self._count):
                address = self._start(f"node-{number}", seeds)
                seeds = [*seeds, address][:SEEDS]
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self, name: str, seeds: list[str]) -> str:
        address = f"127.0.0.1:{free_port()}"
        command = [sys.executable, "-P", *self._program, "serve", "--until-eof", "--durability", "relaxed"]
        command += ["--name", name, "--data", str(self._folder / name), "--listen", address]
        process = subprocess.Popen(
            command + [part for seed in seeds for part in ("--peer", seed)],
            stdin=subprocess.PIPE,  # closed with this process: then it ends too
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        self._processes[name] = process
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            raise RuntimeError(f"{name} does not listen on {address}: {line!r}")
        self.clients[name] = self._stack.enter_context(gossamer.connect(address, timeout=60))
        return address

    def statuses(self) -> dict[str, dict[str, Any]]:
        """What each node says of itself and the others."""
        return {name: client.status() for name, client in self.clients.items()}

    def met(self) -> float:
        """Wait until all know that all are alive."""
        return until("all know each other", lambda: not any(map(self._is_away, self.clients)))

    def _is_away(self, name: str) -> bool:
        return any(state_of(status, name) in ("away", "unknown") for status in self.statuses().values())

    def shed(self) -> float:
        """Wait until no node has more streams than it keeps."""
        return until("links are few", lambda: max(self.streams()) <= streams_max(self._count))

    def streams(self) -> list[int]:
        """How many each node has to others."""
        return [sum(m["state"] == "linked" for m in s["members"]) for s in self.statuses().values()]

    def storm(self, writes: int) -> float:
        """Add to one counter so often on each node, and wait until all have all of it."""
        began = time.monotonic()
        for client in self.clients.values():
            for _ in range(writes):
                client.counter(COUNTER).add(1)
        self._written += len(self.clients) * writes
        until("all have every write", lambda: set(self.values()) == {self._written})
        return time.monotonic() - began

    def values(self) -> list[int]:
        """Of the counter, at each node."""
        return [client.counter(COUNTER).value() for client in self.clients.values()]

    def agreed(self) -> float:
        """Wait until all tell the same digest."""
        return until("one digest", lambda: len({digest_of(s) for s in self.statuses().values()}) == 1)

    def memory(self) -> Sample:
        """Of each node."""
        return Sample([heap_bytes(process.pid) / MB for process in self._processes.values()], "MB")

    def idle(self, passing_s: float) -> Sample:
        """What each node uses of a core while nobody asks it anything."""
        before = {name: processor_s(process.pid) for name, process in self._processes.items()}
        began = time.monotonic()
        time.sleep(passing_s)  # it is measured what happens meanwhile
        passed = time.monotonic() - began
        used = [processor_s(process.pid) - before[name] for name, process in self._processes.items()]
        return Sample([one / passed * 100 for one in used], "% of a core")

    def kill(self) -> Killed:
        """Kill the last node."""
        victim = list(self.clients)[-1]
        near = {name for name, status in self.statuses().items() if state_of(status, victim) == "linked"}
        self.clients.pop(victim)
        self._processes.pop(victim).kill()
        return Killed(victim, near, time.monotonic())

    def cut(self, killed: Killed) -> float:
        """Wait until its neighbours have given up their links with it; the seconds since it was killed."""
        return self._noticed(killed, killed.near, ("reached", "away"))

    def given_up(self, killed: Killed) -> float:
        """Wait until all take it for away: no sign of its life has come for too long. The seconds since it was killed."""
        return self._noticed(killed, self.clients, ("away",))

    def _noticed(self, killed: Killed, by: Collection[str], states: Collection[str]) -> float:
        until(
            f"{killed.name} is {' or '.join(states)} for {len(by)} nodes",
            lambda: all(state_of(self.clients[name].status(), killed.name) in states for name in by),
        )
        return time.monotonic() - killed.at


def until(what: str, is_so: Callable[[], bool]) -> float:
    """Wait; the seconds that took. `AssertionError` if it takes too long."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > WAIT_S:
            raise AssertionError(f"{what}: not within {WAIT_S:g} s")
        time.sleep(LOOK_S)  # another process's status tells nobody that it has changed
    return time.monotonic() - began


def state_of(status: dict[str, Any], name: str) -> str:
    """What one node says of another one."""
    return next((m["state"] for m in status["members"] if m["name"] == name), "unknown")


def digest_of(status: dict[str, Any]) -> str:
    """Of the cells that a node holds."""
    return str(status["keyspaces"]["default"]["digest"])
