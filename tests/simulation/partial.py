"""Random schedules of nodes that host different keyspaces, drop them, host them again, and only read some.

Each keyspace has an oracle and invariants of its own. At the end every host of a keyspace has every event that was ever
acknowledged in it, wherever it was written, and a keyspace that has events has a host.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gossamer.backend import Op, make_op
from gossamer.errors import OnlyCopy, ReadOnly
from gossamer.replication.registry import SYSTEM
from gossamer.simulation import CALM, SimulatedNode
from gossamer.turns import Write

from .invariants import Invariants
from .oracle import Oracle
from .schedule import PATHS, Action, Schedule

SPACES = ("audit", "default", "orders")


class PartialSchedule(Schedule):
    """Several keyspaces under the faults of the others, except that nobody is forgotten: that loses events."""

    def __init__(self, seed: int, steps: int = 50) -> None:
        self.fresh: set[tuple[str, str]] = set()
        super().__init__(seed, steps)
        self.actions = [(what, weight) for what, weight in self.actions if what != self.forget_member]
        self.oracles = {name: Oracle() for name in SPACES}
        self.watched = {name: Invariants(oracle, name) for name, oracle in self.oracles.items()}
        self.cluster.after_event = self.check
        for node in self.cluster.nodes:
            for name in SPACES:
                if self.rng.random() < 0.6:
                    node.keyspace(name)
            if self.rng.random() < 0.3:
                node.drop_keyspace("default")  # it is empty: it goes at once
        self.cluster._keyspaces = SPACES
        self.first = {node.name: node.core.replica for node in self.cluster.nodes}

    def work(self) -> list[Action]:
        return [
            (self.write, 14),
            (self.transact, 5),
            (self.host, 3),
            (self.leave, 4),
            (self.stay, 1),
            (self.read_only, 2),
            (self.refuse, 1),
        ]

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Look at one keyspace."""
        kept = self.keyspace, self.oracle, self.invariants
        self.keyspace, self.oracle, self.invariants = name, self.oracles[name], self.watched[name]
        try:
            yield
        finally:
            self.keyspace, self.oracle, self.invariants = kept

    def hosted(self, node: SimulatedNode) -> list[str]:
        return [name for name in node.core.store.keyspaces() if name != SYSTEM]

    def check(self, node: SimulatedNode) -> None:
        node.keyspaces = tuple(self.hosted(node))  # the store knows them; a restart adds none
        node.read_only = tuple(set(node.read_only).intersection(node.keyspaces))
        for name in node.keyspaces:
            self.watched[name].check(node)
            if (node.name, name) in self.fresh and self._has_fetched(node, name):
                self.fresh.discard((node.name, name))

    def _has_fetched(self, node: SimulatedNode, name: str) -> bool:
        """Whether a new host has what some other host has, or is the only one there is."""
        core = node.core
        if not core.state(SYSTEM).is_whole or core.engine.unmet():
            return False
        shared = [link.shared.get(name) for link in core.engine.links.values() if not link.closing]
        theirs = [s.theirs for s in shared if s is not None and s.theirs is not None and s.their_whole]
        state = core.state(name)
        return state.is_whole and any(had and state.delivered.covers(had) for had in theirs)

    # Writes

    def _commit(self, node: SimulatedNode, ops: list[Op], *, dies: bool = False) -> None:
        can = [name for name in self.hosted(node) if node.core.may_write(name)]
        if not can:
            self.outcome.count("nowhere to write")
            return
        name = self.rng.choice(can)
        if (node.name, name) in self.fresh:
            self.outcome.count("write before it has fetched")
            return
        with self.at(name):
            super()._commit(node, ops, dies=dies)
        if node.is_alive:
            self.check(node)

    def refuse(self) -> None:
        """A write into a keyspace that is only read, or not here, changes nothing."""
        node = self.any_alive()
        if node is None:
            return
        op = make_op(PATHS["counter:c"], "add", (1,))
        for name in SPACES:
            if node.core.may_write(name) and node.core.hosts(name):
                continue
            before = node.core.state(name).delivered if node.core.hosts(name) else None
            (result,) = node.core.turn([Write(name, [op])], node._clock())
            assert isinstance(result, ReadOnly if before is not None else KeyError), result
            assert before is None or node.core.state(name).delivered == before
            self.outcome.count("refused")

    # Hosting

    def host(self) -> None:
        node = self.any_alive()
        lacking = [name for name in SPACES if node and not node.core.hosts(name)]
        if node is None or not lacking or not node.core.state(SYSTEM).is_whole:
            return
        name = self.rng.choice(lacking)
        before = node.core.replica
        node.keyspace(name)
        again = node.core.replica != before
        self.note(f"{node.name} hosts {name}{' again, under a new id' if again else ''}", "host")
        self.outcome.count("host again" if again else "host anew")
        self.fresh.add((node.name, name))
        self.cluster._schedule(self.cluster.nodes.index(node))

    def leave(self) -> None:
        node = self.any_alive()
        if node is None or not self.hosted(node):
            return
        name = self.rng.choice(self.hosted(node))
        try:
            node.core.leave(name)
            self.note(f"{node.name} leaves {name}", "leave")
        except OnlyCopy:
            self.note(f"{node.name} is the only host of {name}", "only copy")
        self.check(node)
        node.flush()
        self.cluster._schedule(self.cluster.nodes.index(node))

    def stay(self) -> None:
        node = self.any_alive()
        for name in sorted(node.core.engine.leaving) if node else ():
            assert node is not None
            self.note(f"{node.name} stays with {name}: {node.core.stay(name)}", "stay")

    def read_only(self) -> None:
        """A restart with other settings."""
        node = self.any_alive()
        if node is None:
            return
        node.read_only = tuple(name for name in self.hosted(node) if self.rng.random() < 0.4)
        self.note(f"{node.name} restarts, and only reads {node.read_only}", "read only")
        self.cluster.kill(node)
        self.cluster.restart(node)

    def join(self) -> None:
        before = len(self.cluster.nodes)
        super().join()
        for node in self.cluster.nodes[before:]:
            self.fresh |= {(node.name, name) for name in SPACES}

    def may_write(self, node: SimulatedNode) -> bool:
        return node.core.state(self.keyspace).is_whole

    # The end

    def _finish(self) -> None:
        self.note("the end: heal, restart, settle", "end")
        self.cluster.heal()
        self.cluster.network.weather = CALM
        for node in self.cluster.nodes:
            node.read_only = ()
            if not node.is_alive:
                self.cluster.restart(node)
        self.cluster.advance(5)
        for node in self.cluster.nodes:
            for name in sorted(node.core.engine.leaving):
                node.core.stay(name)
        self.cluster.settle()
        self.cluster.advance(12)
        self.cluster.settle()
        for name in SPACES:
            with self.at(name):
                self._check_keyspace(name)
        for what, count in (("checks", "checks"), ("sweeps", "sweeps")):
            self.outcome.seen[what] = sum(getattr(found, count) for found in self.watched.values())

    def _check_keyspace(self, name: str) -> None:
        hosts = [node for node in self.alive() if node.core.hosts(name)]
        assert hosts or not self.oracle.events, f"nobody has {name} any more"
        for node in hosts:
            self.invariants.check(node)
            delivered = node.core.state(name).delivered
            lost = [dot for dot in self.oracle.events if dot not in delivered]
            assert not lost, f"{node} lacks {lost} of {name}"
            assert node.status()["keyspaces"][name]["hosts"] == sorted(n.name for n in hosts)
            self._is_collected(node)
