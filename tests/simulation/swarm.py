"""Random schedules of every fault there is, a subset a seed: what the other kinds have, and what disks, clocks and versions do.

Backups restored, copies started beside their original, commits lost to a power cut, clocks that jump, and a node of a
later version that writes cells of a kind which the others do not know. What is rare has a name, and a test demands that
each is seen: a schedule in which nothing happens passes, too.
"""

from __future__ import annotations

import shutil

from gossamer.crdt import Cell
from gossamer.crdt import cell as cells
from gossamer.replica import Replica
from gossamer.replication.link import Exchange
from gossamer.simulation import SimulatedNode

from .invariants import KEYSPACE, Invariants
from .oracle import live
from .schedule import Action, Schedule

FOREIGN = b"\x41later\x00"
"""A cell of a kind that no build here knows."""
SOMETIMES = (
    "backup restored",
    "collected",
    "commits lost",
    "clock jumped",
    "copy started",
    "event of a later version",
    "exchange in parts",
    "forget member",
    "full exchange",
    "full exchange resumed",
    "horizon inherited",
    "id sealed",
    "member came back",
    "new identity",
    "partition",
    "settled",
    "transaction",
)
"""What must be seen now and then."""


class Watched(Invariants):
    """The invariants, and what the cell of the unknown kind must hold."""

    def _values(self, node: SimulatedNode, stored: dict[bytes, Cell]) -> None:
        events = self.oracle.by_path.pop(FOREIGN, [])
        try:
            super()._values(node, stored)
        finally:
            if events:
                self.oracle.by_path[FOREIGN] = events
        visible = self.oracle.visible(FOREIGN, node.core.state(KEYSPACE).delivered)
        expected = sorted(did.arg for did in live(visible, ("set",)))
        actual = sorted(entry.payload for entry in stored.get(FOREIGN, cells.EMPTY).live)
        assert actual == expected, f"9: {node} holds {actual} of an unknown kind, its events say {expected}"


class Swarm(Schedule):
    """The same cluster under more."""

    def __init__(self, seed: int, steps: int | None = None) -> None:
        super().__init__(seed, steps)
        self.invariants = Watched(self.oracle)
        self.cluster.after_event = self._look
        self.later = self.cluster.nodes[0]
        self.backups: list[tuple[SimulatedNode, str]] = []
        self._put_back_once: list[SimulatedNode] = []
        self._had_debt: set[str] = set()
        self._removed: set[str] = set()
        self._ran: dict[str, tuple[Replica, bytes]] = {}
        more: list[Action] = [
            (self.back_up, 2),
            (self.restore, 4),
            (self.start_copy, 4),
            (self.power_cut, 3),
            (self.jump, 3),
            (self.write_later_kind, 4),
        ]
        self.actions += [(what, weight) for what, weight in more if self.rng.random() < 0.7]

    def check_end(self) -> None:
        """Nothing is lost but what a node alone had that went back, or was forgotten."""
        gone = [node for node in self.cluster.nodes if node.name in self.forgotten]
        excused = {
            i for node in (*gone, *self._put_back_once) for i in (node._identity[0], *node._identity[1])
        }
        for node in self.alive():
            lost = [dot for dot in self.oracle.events if dot not in node.core.state(KEYSPACE).delivered]
            assert {replica for replica, _ in lost} <= excused, f"10: acknowledged, and lost: {lost}"
        if lost:
            self.outcome.count("events lost with a disk")

    # Disks

    def back_up(self) -> None:
        node = self.any_alive()
        if node is not None:
            self.note(f"back up {node.name}", "backup")
            self.backups.append((node, self._copy(node)))

    def _copy(self, node: SimulatedNode) -> str:
        folder = node.directory.with_name(f"copy{len(list(node.directory.parent.iterdir()))}")
        folder.mkdir()
        node.core.copy_to(folder)
        return folder.name

    def restore(self) -> None:
        """An older state of a node's directory; it is opened in doubt, and takes a new identity."""
        kept = [one for one in self.backups if one[0].name not in self.forgotten]
        if not kept:
            self.back_up()
        else:
            node, folder = self.rng.choice(kept)
            self.note(f"restore {node.name}", "backup restored")
            if node.is_alive:
                self.cluster.kill(node)
            self._put_back(node, folder)

    def _put_back(self, node: SimulatedNode, folder: str) -> None:
        self._put_back_once.append(node)
        shutil.rmtree(node.directory)
        shutil.copytree(node.directory.with_name(folder), node.directory)
        node.take_new_identity()
        self.cluster.restart(node)

    def start_copy(self) -> None:
        """A copy of a directory beside its original, under a name of its own."""
        if not self.backups:
            self.back_up()
        elif len(self.cluster.nodes) < 5:
            origin, folder = self.rng.choice(self.backups)
            name = f"n{len(self.cluster.nodes)}"
            self.note(f"{name} is a copy of {origin.name}", "copy started")
            shutil.copytree(origin.directory.with_name(folder), origin.directory.with_name(name))
            self.cluster.add()

    def power_cut(self) -> None:
        """Relaxed durability: the last commits are undone, though others may have them by now."""
        node = self.any_alive()
        if node is None or not self.may_write(node):
            return
        folder = self._copy(node)
        for _ in range(self.rng.randint(1, 3)):
            self._commit(node, [self._any_op()])
        self.cluster.advance(self.rng.choice((0.0, 0.01, 0.3)))
        if node.is_alive:
            self.note(f"{node.name} loses its last commits", "commits lost")
            self.cluster.kill(node)
            self._put_back(node, folder)

    # Clocks and versions

    def jump(self) -> None:
        index = self.rng.randrange(len(self.cluster.nodes))
        self.cluster.skew[index] = self.rng.choice((-3600.0, -1.0, 0.0, 2.0, 86_400.0))
        self.note(f"the clock of n{index} is wrong by {self.cluster.skew[index]} s", "clock jumped")

    def write_later_kind(self) -> None:
        """The one node of a later version writes its own kind of cell; the others store and forward it."""
        node = self.later
        if not node.is_alive or not self.may_write(node):
            return
        core, now, arg = node.core, node._clock(), self.rng.randbytes(3)
        before = core.state(KEYSPACE).delivered
        with core._drafts(now) as (drafts, _):
            draft = drafts(KEYSPACE)
            event = core._own.next_event(draft, now)
            core._own.stand(draft, event, {FOREIGN: cells.assign(draft.cell(FOREIGN), event, arg)})
        core._refresh()
        self.oracle.record((event.replica, event.seq), {FOREIGN: ("set", arg)}, before, now.wall)
        self.note(f"{node.name} writes a later kind", "event of a later version")
        self.invariants.check(node)
        node.flush()

    # What is rare

    def _look(self, node: SimulatedNode) -> None:
        self.invariants.check(node)
        if not node.is_alive:
            return
        state, engine = node.core.state(KEYSPACE), node.core.engine
        core, replica = self._ran.setdefault(node.name, (node.core, node.core.replica))
        assert core is not node.core or replica == node.core.replica, (
            f"{node} is proved to be another, and no id is used twice here"
        )
        self._ran[node.name] = (node.core, node.core.replica)
        if state.debt:
            self._had_debt.add(node.name)
        elif node.name in self._had_debt:
            self._had_debt.remove(node.name)
            self.outcome.count("horizon inherited")
        for link in engine.links.values():
            shared = link.shared.get(KEYSPACE)
            if shared is not None and shared.exchange is not None:
                self._look_at_exchange(shared.exchange)
        if engine.registry.sealed:
            self.outcome.count("id sealed")
        names = {name for name, member in engine.registry.members.items() if member.is_removed}
        if self._removed - names:
            self.outcome.count("member came back")
        self._removed = (self._removed & names) | names

    def _look_at_exchange(self, exchange: Exchange) -> None:
        if exchange.is_full:
            self.outcome.count("full exchange")
            if exchange.is_resumed:
                self.outcome.count("full exchange resumed")
        if exchange.is_staged:
            self.outcome.count("exchange in parts")
