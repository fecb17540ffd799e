"""Random schedules of read-modify-write: updates, conditional writes, and sets over what was read some time ago.

What must hold is what the oracle says: a set over a read supersedes what was read and what its own node wrote, a
condition holds exactly while the write that was read still stands, and an update is given what stands at its commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gossamer.backend import EXPECT, Op, make_op
from gossamer.crdt import Cell, Dot, Vector, register_lww
from gossamer.errors import VersionMismatch
from gossamer.simulation import SimulatedNode
from gossamer.turns import Settle, Update, Write

from .invariants import KEYSPACE
from .oracle import Did, Oracle, live
from .schedule import PATHS, Action, Schedule

REGISTERS = ("register:r", "map:p/register:r")


class OverOracle(Oracle):
    """Knows sets that name what they have seen."""

    over: dict[bytes, int] | None = None
    """What the set that is recorded next has seen; None: all there was."""

    def record(self, dot: Dot, writes: dict[bytes, tuple[str, Any]], before: Vector, now: int) -> None:
        over, self.over = self.over, None
        if over is None:
            return super().record(dot, writes, before, now)
        ((path, (op, arg)),) = writes.items()
        tops = self.tops(path, before)
        seen = {replica: min(seq, over.get(replica, 0)) for replica, seq in tops.items()}
        seen[dot[0]] = tops.get(dot[0], 0)
        alone = Did(dot, op, arg, 0, seen)
        stamps = [d.stamp + 1 for d in self.standing(path, before) if alone.saw(d)]
        self.events[dot] = [path]
        self.made[dot[0]] = self.made.get(dot[0], 0) + 1
        self.by_path.setdefault(path, []).append(Did(dot, op, arg, max([now, *stamps]), seen))

    def standing(self, path: bytes, delivered: Vector) -> list[Did]:
        """The sets that stand at a node with that vector, the one that wins first."""
        sets = live(self.visible(path, delivered), ("set",))
        return sorted(sets, key=lambda d: (d.stamp, d.dot[0]), reverse=True)


class Changing(Schedule):
    """Reads are remembered, and written over at any node, at any later time."""

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
        self.oracle: OverOracle = OverOracle()
        self.invariants.oracle = self.oracle
        self.reads: list[tuple[bytes, dict[bytes, int], Dot | None]] = []
        self.updating: Update | None = None

    def work(self) -> list[Action]:
        return [*super().work(), (self.read, 8), (self.set_over, 8), (self.expect, 6), (self.update, 6)]

    def read(self) -> None:
        node = self.any_alive()
        if node is not None:
            cell_path = PATHS[self.rng.choice(REGISTERS)]
            cell = node.core.store.cell(KEYSPACE, cell_path)
            winner = register_lww.winner(cell)
            version = None if winner is None else (winner.replica, winner.seq)
            self.reads.append((cell_path, cell.context(), version))

    def _ready(self) -> SimulatedNode | None:
        """A node whose vector says all that it shows, so that the oracle knows what it writes over."""
        node = self.any_alive()
        ready = node is not None and self.may_write(node)
        return node if ready else None

    def set_over(self) -> None:
        node = self._ready()
        if node is None or not self.reads:
            return
        cell_path, seen, _ = self.rng.choice(self.reads[-4:])
        op = make_op(cell_path, "set", (self.rng.randint(0, 9), seen))
        me, delivered = node.core.replica, node.core.state(KEYSPACE).delivered
        own = [d for d in self.oracle.standing(cell_path, delivered) if d.dot[0] == me]
        if any(d.dot[1] > seen.get(me, 0) for d in own):
            self._refused(node, [op])
        else:
            self.oracle.over = seen
            self._commit(node, [op])
            self.outcome.count("set over a read")

    def expect(self) -> None:
        node = self._ready()
        if node is None or not self.reads:
            return
        cell_path, _, version = self.rng.choice(self.reads[-4:])
        ops = [
            make_op(cell_path, EXPECT, (version,)),
            make_op(cell_path, "set", (self.rng.randint(0, 9),)),
            make_op(PATHS["counter:c"], "add", (1,)),
        ]
        standing = self.oracle.standing(cell_path, node.core.state(KEYSPACE).delivered)
        if version == (standing[0].dot if standing else None):
            self._commit(node, ops)
            self.outcome.count("as expected")
        else:
            self._refused(node, ops)

    def _refused(self, node: SimulatedNode, ops: list[Op]) -> None:
        before = node.core.state(KEYSPACE).delivered
        (result,) = node.core.turn([Write(KEYSPACE, ops)], node._clock())
        assert isinstance(result, VersionMismatch), f"{node} wrote over what stands unread: {result}"
        assert node.core.state(KEYSPACE).delivered == before, f"{node} made an event of a refused write"
        self.outcome.count("refused")

    def update(self) -> None:
        node = self._ready()
        if node is None:
            return
        cell_path = PATHS[self.rng.choice(REGISTERS)]
        standing = self.oracle.standing(cell_path, node.core.state(KEYSPACE).delivered)
        before = standing[0].arg if standing else None

        def change(cell: Cell) -> Sequence[Op]:
            winner = register_lww.winner(cell)
            found = None if winner is None else register_lww.value_of(winner)
            assert found == before, f"{node} updates {found}, its events say {before}"
            return ops

        ops = [make_op(cell_path, "set", ((before or 0) + 1,))]
        self.updating = Update(KEYSPACE, cell_path, change)
        self._commit(node, ops)
        self.outcome.count("update")

    def as_input(self, ops: list[Op]) -> Write | Update | Settle:
        updating, self.updating = self.updating, None
        return updating or super().as_input(ops)

    def _as_recorded(self, cell_path: bytes, ops: list[Op]) -> tuple[str, Any]:
        return super()._as_recorded(cell_path, [op for op in ops if op.method != EXPECT])
