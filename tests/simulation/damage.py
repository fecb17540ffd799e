"""Random schedules in which a disk flips bits: the cell fails, nothing else does, and a peer's takes its place.

A bit is flipped at a moment when another node has all of that cell, or what it said would be lost for good; and at
one node at a time. Until the cell is replaced, reads and writes of it raise `Damaged`. In the end no node has a damaged
cell, all have the digest of their cells, and all say what the oracle says.
"""

from __future__ import annotations

import pytest

from gossamer import limits
from gossamer.backend import CLEAR, Op
from gossamer.crdt import EMPTY, Cell, path
from gossamer.errors import Damaged
from gossamer.replication.registry import SYSTEM
from gossamer.simulation import CALM, SimulatedNode
from gossamer.store import Store

from .invariants import KEYSPACE, Invariants
from .oracle import Oracle
from .schedule import Action, Outcome, Schedule

HEALED_S = 120.0
"""Simulated seconds in which the scrub finds what nobody read, and a peer is asked."""


def flip(store: Store, keyspace: str, cell_path: bytes, bit: int) -> None:
    """Change one bit of what is stored at a path."""
    cells = store._tables[keyspace].cells
    with store._env.begin(write=True) as txn:
        stored = bytearray(txn.get(cell_path, db=cells) or b"")
        stored[bit // 8 % len(stored)] ^= 1 << bit % 8
        txn.put(cell_path, bytes(stored), db=cells)


def damaged_in(store: Store, keyspace: str) -> set[bytes]:
    """The paths of all damaged cells, found or not; the node is not told."""
    with store.snapshot() as views:
        view = views(keyspace)
        known = view.tables.damaged.copy()
        found = set(view.damaged_in(b"", None))
        view.tables.damaged.clear()
        view.tables.damaged.update(known)
    return found


class DamageInvariants(Invariants):
    """As ever, but for the cells that cannot be read, and the digest until it is counted anew."""

    def __init__(self, oracle: Oracle) -> None:
        super().__init__(oracle)
        self.flipped: dict[str, tuple[str, bytes]] = {}
        """Node -> the cell that was damaged there, and may still be."""

    def damaged_at(self, node: SimulatedNode) -> set[bytes]:
        if node.name not in self.flipped:
            return set()
        return damaged_in(node.core.store, KEYSPACE)


class Damage(Schedule):
    """One node's disk at a time."""

    invariants: DamageInvariants

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
        self.invariants = DamageInvariants(self.oracle)
        self.cluster.after_event = self.invariants.check
        # Who is forgotten for good may be the only one who has what was damaged elsewhere.
        self.actions = [(what, weight) for what, weight in self.actions if what != self.forget_member]

    def work(self) -> list[Action]:
        return [*super().work(), (self.flip, 4), (self.read, 4)]

    def run(self) -> Outcome:
        kept = limits.SCRUB_CELLS
        limits.SCRUB_CELLS = self.rng.choice((1, 3, 500))
        try:
            return super().run()
        finally:
            limits.SCRUB_CELLS = kept

    def flip(self) -> None:
        node = self.any_alive()
        if node is None or self._is_damaged_somewhere():
            return
        keyspace = self.rng.choice((KEYSPACE, KEYSPACE, KEYSPACE, SYSTEM))
        with node.core.store.snapshot() as views:
            found = [at for at, _ in views(keyspace).cells(b"")]
        found = [at for at in found if self._is_elsewhere(node, keyspace, at)]
        if found:
            at = self.rng.choice(found)
            self.note(f"a bit of {path.to_text(at)} in {keyspace} flips at {node.name}", "flip")
            flip(node.core.store, keyspace, at, self.rng.randrange(10_000))
            self.invariants.flipped[node.name] = (keyspace, at)

    def _is_damaged_somewhere(self) -> bool:
        for node in self.cluster.nodes:
            if node.name not in self.invariants.flipped:
                continue
            keyspace, _ = self.invariants.flipped[node.name]
            if not node.is_alive or damaged_in(node.core.store, keyspace) or self._is_uncounted(node):
                return True
            del self.invariants.flipped[node.name]
            self.outcome.count("healed")
        return False

    def _is_uncounted(self, node: SimulatedNode) -> bool:
        return not all(node.core.state(name).is_counted for name in (KEYSPACE, SYSTEM))

    def _is_elsewhere(self, node: SimulatedNode, keyspace: str, cell_path: bytes) -> bool:
        """Whether some other node that is whole has every event that the cell includes."""
        mine = node.core.state(keyspace)
        if not mine.is_whole:
            return False
        others = [n.core.state(keyspace) for n in self.alive() if n is not node]
        return any(s.is_whole and s.delivered.covers(mine.delivered) for s in others)

    def read(self) -> None:
        node = self.any_alive()
        if node is None or not node.core.state(KEYSPACE).is_whole:
            return
        for at in sorted(self.invariants.damaged_at(node)):
            with pytest.raises(Damaged):
                node.cell(KEYSPACE, at)
            self.outcome.count("damage read")

    def _commit(self, node: SimulatedNode, ops: list[Op], *, dies: bool = False) -> None:
        damaged = self.invariants.damaged_at(node)
        if not any(
            op.path == at or op.method == CLEAR and at.startswith(op.path) for op in ops for at in damaged
        ):
            return super()._commit(node, ops, dies=dies)
        before = node.core.state(KEYSPACE).delivered
        (result,) = node.core.turn([self.as_input(ops)], node._clock())
        assert isinstance(result, Damaged), result
        assert node.core.state(KEYSPACE).delivered == before
        self.outcome.count("damage written to")
        node.flush()
        if node.is_alive:
            self.cluster._schedule(self.cluster.nodes.index(node))

    def look(self, store: Store, cell_path: bytes) -> Cell:
        try:
            return super().look(store, cell_path)
        except Damaged:
            return EMPTY

    def _finish(self) -> None:
        self.note("heal, restart, and wait for what is damaged", "waited for")
        self.cluster.heal()
        self.cluster.network.weather = CALM
        for node in self.cluster.nodes:
            if not node.is_alive:
                self.cluster.restart(node)
        began = self.cluster.clock.now
        while self._is_damaged_somewhere():
            late = self.cluster.clock.now - began > HEALED_S
            assert not late, f"still damaged: {self.invariants.flipped}\n{self.cluster.describe()}"
            self.cluster.advance(1.0)
        super()._finish()

    def check_end(self) -> None:
        for node in self.alive():
            for name in (KEYSPACE, SYSTEM):
                assert not damaged_in(node.core.store, name) and node.core.state(name).is_counted
                assert not node.status()["damaged"]
