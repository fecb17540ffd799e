"""A cluster in one process: real nodes on a simulated network and clock, decided by a seed.

The question this answers: *what would my service do if ...?* A run depends on its seed and its calls alone, so a
failure is replayed by running it again. For the user's own tests and for the project's::

    with Cluster(3, seed=7) as cluster:
        a, b, c = cluster.nodes
        cluster.partition([a], [b, c])
        a.counter("x").add(1)
        b.counter("x").add(2)
        cluster.heal()
        cluster.settle()
        assert c.counter("x").value() == 3
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ..limits import OP_WINDOW_S
from ..replication.neighbours import is_mesh
from ..turns import Close, Connected, Disconnected, Effect, Instant, Received, Send
from .network import CALM, Clock, Network, Weather, Wire
from .node import SimulatedNode

NOTICE_S = (0.5, 2.5)
"""Seconds after which a node notices that a link is dead."""
REDIAL_S = (0.05, 0.5)
"""Seconds between attempts to connect."""
SETTLE_S = 600.0
"""Simulated seconds that `settle` waits at most."""
SEEDS = 3
"""Nodes that those of a large cluster are configured with."""
LOOK_S = 0.5
"""Seconds between a node's looks at whom to dial, in a large cluster."""
WALL_AT_START = 1_700_000_000_000_000
"""Microseconds since 1970 at simulated second 0."""


class Cluster:
    """``count`` nodes named n0, n1, …, in directories that are gone afterwards. All are connected, up to 16; of more, each
    with its neighbours, as real ones are."""

    def __init__(
        self,
        count: int = 3,
        *,
        seed: int = 0,
        keyspaces: Sequence[str] = ("default",),
        op_window_s: float = OP_WINDOW_S,
    ) -> None:
        """``op_window_s`` is the setting of `gossamer.open`."""
        self.seed = seed
        self._op_window_s = op_window_s
        self.rng = random.Random(seed)
        self.clock = Clock()
        self.network = Network(self.clock, random.Random(self.rng.random()))
        self.skew: dict[int, float] = {}
        """Index of a node -> seconds by which its wall clock is wrong."""
        self.after_event: Callable[[SimulatedNode], None] = lambda _node: None
        """Called after every event at a node: where a test asserts what must always hold."""
        self._wires: dict[tuple[int, int], Wire] = {}  # (node, its link id) -> wire
        self._looks: dict[int, tuple[float, frozenset[str]]] = {}  # node -> when it looked, and whom it dials
        self._next_link = 0
        self._wake_at: dict[int, float] = {}
        memory = Path("/dev/shm")
        self._root = Path(tempfile.mkdtemp(prefix="gossamer-", dir=memory if memory.is_dir() else None))
        self._keyspaces = tuple(keyspaces)
        self.nodes: list[SimulatedNode] = []
        names = [f"n{index}" for index in range(count)]
        seeds = names if is_mesh(count) else names[:SEEDS]
        for name in names:
            self.add([other for other in seeds if other != name])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop every node and remove what they stored."""
        for node in self.nodes:
            if node.is_alive:
                node.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def add(self, peers: Sequence[str] | None = None) -> SimulatedNode:
        """One more node, empty, started and connected to the others; ``peers`` are those it is configured with."""
        index = len(self.nodes)
        if peers is None:
            peers = [node.name for node in self.nodes]
            peers = peers if is_mesh(index + 1) else peers[:SEEDS]
        node = SimulatedNode(
            f"n{index}",
            self._root / f"n{index}",
            random.Random(self.rng.random()),
            lambda: Instant(
                int(WALL_AT_START + (self.clock.now + self.skew.get(index, 0.0)) * 1e6), self.clock.now
            ),
            self._perform,
            self.clock.step,
            self._keyspaces,
            peers,
            self._pass_until,
            op_window_s=self._op_window_s,
        )
        self.nodes.append(node)
        self.restart(node)
        for other in range(index):
            self._dial(index, other)
        return node

    # Faults

    def partition(self, *groups: Sequence[SimulatedNode]) -> None:
        """Cut every connection between nodes of different groups; those already cut stay so."""
        for i, one in enumerate(groups):
            for other in groups[i + 1 :]:
                for a in one:
                    for b in other:
                        self.cut(a, b)

    def cut(self, a: SimulatedNode, b: SimulatedNode) -> None:
        """Let nothing pass between two nodes; each notices after a while."""
        i, j = self._index(a), self._index(b)
        self.network.cut(i, j)
        for wire in {id(w): w for w in self._wires.values() if set(w.ends) == {i, j}}.values():
            self.clock.at(self.clock.now + self.network.rng.uniform(*NOTICE_S), lambda w=wire: self._end(w))  # type: ignore[misc]  # the default binds the loop's wire

    def heal(self) -> None:
        """Let everything pass again, in calm weather."""
        self.network.heal()
        self.network.weather = CALM

    def weather(self, weather: Weather) -> None:
        """Let the network lose, repeat, delay and reorder from now on."""
        self.network.weather = weather

    def kill(self, node: SimulatedNode) -> None:
        """End a node as SIGKILL would: what was acknowledged is on its disk, and nothing else of it is left."""
        node.stop()
        self._hang_up(self._index(node))

    def restart(self, node: SimulatedNode) -> None:
        """Start a node that is not running from what is on its disk."""
        if node.is_alive:
            raise ValueError(f"node {node.name} is running: kill it first")
        node.start()
        self._schedule(self._index(node))

    # Time

    def advance(self, seconds: float) -> None:
        """Let simulated time pass."""
        self.clock.run_until(self.clock.now + seconds)

    def _pass_until(self, is_over: Callable[[], bool], seconds: float) -> None:
        """Let time pass until something is so, or so many seconds have passed."""
        until = self.clock.now + seconds
        while not is_over():
            due = self.clock.next_at()
            if due is None or due > until:
                self.clock.run_until(until)
                is_over()
                return
            self.clock.step()

    def settle(self, timeout: float = SETTLE_S) -> float:
        """Run until every running node holds the same, digests compared; the simulated seconds that took.

        `AssertionError` with what each lacks, if that does not happen within ``timeout`` simulated seconds.
        """
        began = self.clock.now
        while not self.is_settled():
            if self.clock.now - began > timeout:
                raise AssertionError(f"seed {self.seed}: not settled after {timeout:g} s\n{self.describe()}")
            self.clock.step()
        return self.clock.now - began

    def is_settled(self) -> bool:
        """Whether every running node holds the same and knows that its peers do."""
        alive = [node for node in self.nodes if node.is_alive]
        for name in sorted({name for node in alive for name in node.core.store.keyspaces()}):
            states = [node.core.state(name) for node in alive if name in node.core.store.keyspaces()]
            if any(not s.is_whole or s.delivered != states[0].delivered for s in states):
                return False
            if not all(s.is_counted for s in states):
                return False
            if any(s.digest != states[0].digest for s in states):
                raise AssertionError(
                    f"seed {self.seed}: {name}: equal vectors, unequal digests\n{self.describe()}"
                )
        return True

    def describe(self) -> str:
        """What each node holds, for a failure's message."""
        lines = []
        for node in self.nodes:
            if not node.is_alive:
                lines.append(f"{node.name} is down")
                continue
            for name in node.core.store.keyspaces():
                state = node.core.state(name)
                lines.append(
                    f"{node.name} {name}: {state.delivered} horizon {state.horizon} debt {state.debt}"
                )
            lines += [
                f"    {shared}" for link in node.core.engine.links.values() for shared in link.shared.values()
            ]
        return "\n".join(lines)

    # The shell: what gRPC and the writer thread do for a real node

    def _index(self, node: SimulatedNode) -> int:
        return self.nodes.index(node)

    def _turn(self, index: int, *inputs: Connected | Received | Disconnected) -> None:
        node = self.nodes[index]
        if node.is_alive:
            node.turn(inputs)
            self._schedule(index)
            self.after_event(node)

    def _schedule(self, index: int) -> None:
        """Tick when the node wants to be woken."""
        when = max(self.nodes[index].core.wake_at, self.clock.now + 0.001)
        if self._wake_at.get(index, 0.0) > self.clock.now and self._wake_at[index] <= when:
            return
        self._wake_at[index] = when
        self.clock.at(when, lambda: self._wake(index, when))

    def _wake(self, index: int, when: float) -> None:
        if self._wake_at.get(index) != when or not self.nodes[index].is_alive:
            return
        del self._wake_at[index]
        self.nodes[index].tick()
        self._schedule(index)
        self.after_event(self.nodes[index])

    def _perform(self, node: SimulatedNode, effects: list[Effect]) -> None:
        index = self._index(node)
        for effect in effects:
            wire = self._wires.get((index, effect.link))
            if wire is None:
                continue
            if isinstance(effect, Send):
                self._send(wire, index, effect.body)
            elif isinstance(effect, Close):
                self.clock.at(wire.arrives_at[wire.ends.index(index)], lambda w=wire: self._end(w))  # type: ignore[misc]  # the default binds the loop's wire
        if node.is_alive:
            self._schedule(index)

    def _send(self, wire: Wire, index: int, body: bytes) -> None:
        end = wire.ends.index(index)
        other, link = wire.ends[1 - end], wire.links[1 - end]

        def deliver() -> None:
            if wire.is_open:
                self._turn(other, Received(link, body))

        self.network.send(wire, end, deliver, len(body))

    def _dial(self, i: int, j: int) -> None:
        """Keep two nodes connected: one connection, dialed again whenever there is none."""

        def attempt() -> None:
            if not is_mesh(len(self.nodes)):
                self._dial_neighbour(i, j)
                again()
            elif self._is_connected(i, j) or self.network.is_cut(i, j):
                again()
            elif self.nodes[i].is_alive and self.nodes[j].is_alive:
                self._connect(i, j)
                again()
            else:
                again()

        def again() -> None:
            self.clock.at(self.clock.now + self.network.rng.uniform(*REDIAL_S), attempt)

        self.clock.at(self.clock.now + 0.001, attempt)

    def _dial_neighbour(self, i: int, j: int) -> None:
        """One look at two nodes that need not be connected: whoever dialed and wants it no more ends it."""
        if not self.nodes[i].is_alive or not self.nodes[j].is_alive:
            return
        wire = next((w for w in self._wires.values() if set(w.ends) == {i, j}), None)
        if wire is not None:
            if not self._wants(*wire.ends):
                self._end(wire)
        elif not self.network.is_cut(i, j):
            if self._wants(i, j):
                self._connect(i, j)
            elif self._wants(j, i):
                self._connect(j, i)

    def _wants(self, i: int, j: int) -> bool:
        """Whether one node dials another, as of its last look."""
        node, (looked_at, found) = self.nodes[i], self._looks.get(i, (-LOOK_S, frozenset[str]()))
        if self.clock.now - looked_at >= LOOK_S:
            found = frozenset(node.core.addresses())
            self._looks[i] = (self.clock.now, found)
        return self.nodes[j].name in found

    def _is_connected(self, i: int, j: int) -> bool:
        return any(set(wire.ends) == {i, j} for wire in self._wires.values())

    def _connect(self, i: int, j: int) -> None:
        links = (self._next_link, self._next_link + 1)
        self._next_link += 2
        wire = Wire((i, j), links)
        self._wires[i, links[0]] = self._wires[j, links[1]] = wire
        self._turn(i, Connected(links[0], self.nodes[j].name))
        self._turn(j, Connected(links[1], None))

    def _end(self, wire: Wire) -> None:
        if not wire.is_open:
            return
        wire.is_open = False
        for index, link in zip(wire.ends, wire.links, strict=True):
            self._wires.pop((index, link), None)
            self._turn(index, Disconnected(link))

    def _hang_up(self, index: int) -> None:
        for wire in {id(w): w for w in self._wires.values() if index in w.ends}.values():
            self._end(wire)
