"""Random schedules of members that leave for good, under every fault and with stocks that are spent meanwhile.

Nobody is forgotten here, so nothing may be lost at all: at the end every event that was ever acknowledged is at every node that
stayed, the rights of those who left are with the others or locked with nobody, and collection goes on without them.
"""

from __future__ import annotations

from gossamer.backend import Op
from gossamer.errors import Leaving, OnlyCopy, StateError
from gossamer.replication.registry import SYSTEM
from gossamer.simulation import SimulatedNode
from gossamer.turns import Write

from .bounded import Bounded
from .invariants import KEYSPACE
from .schedule import Action

STAY = 2
"""So many nodes never leave."""


class LeavingSchedule(Bounded):
    """Bounded counters, members that come and go, and some that go for good."""

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
        self.actions = [(what, weight) for what, weight in self.actions if what != self.forget_member]
        self.left: set[str] = set()
        self.is_ending = False

    def work(self) -> list[Action]:
        return [
            (self.write, 6),
            (self.mint, 3),
            (self.spend, 6),
            (self.spend_waiting, 2),
            (self.transfer, 2),
            (self.transact, 3),
            (self.leave, 5),
            (self.remain, 1),
            (self.switch_off, 4),
            (self.long_pause, 2),
            (self.new_identity, 1),
        ]

    def leave(self) -> None:
        going = [n for n in self.cluster.nodes if n.name in self.left or self._is_leaving(n)]
        node = self.any_alive()
        if node is None or len(self.cluster.nodes) - len(going) <= STAY or node in going:
            return
        try:
            node.core.depart()
            self.note(f"{node.name} leaves", "leave")
        except OnlyCopy:
            self.note(f"{node.name} knows nobody to leave it to", "only copy")
        except StateError:
            self.outcome.count("not under this name")
        node.flush()
        self.cluster._schedule(self.cluster.nodes.index(node))

    def _is_leaving(self, node: SimulatedNode) -> bool:
        return node.is_alive and (node.core.engine.is_departing or node.core.engine.has_left)

    def remain(self) -> None:
        for node in self.alive():
            if node.core.engine.is_departing and not node.core.engine.has_left:
                self.note(f"{node.name} stays: {node.core.remain()}", "remain")
                return

    def switch_off(self) -> None:
        """Whoever has left is stopped, and never heard again."""
        for node in self.alive():
            if node.core.engine.has_left and node.core.is_gone:
                self.note(f"{node.name} has left and is switched off", "left")
                self.left.add(node.name)
                self.forgotten.add(node.name)  # the end does not start it again
                self.cluster.kill(node)

    def restart(self) -> None:
        down = [n for n in self.cluster.nodes if not n.is_alive and n.name not in self.left]
        if down:
            node = self.rng.choice(down)
            self.note(f"{node.name} restarts", "restart")
            self.cluster.restart(node)

    def any_alive(self) -> SimulatedNode | None:
        running = [n for n in self.alive() if not n.core.engine.has_left]
        return self.rng.choice(running) if running else None

    def any_operator(self) -> SimulatedNode | None:
        found = super().any_operator()
        return None if found is None or found.core.engine.has_left else found

    def _commit(self, node: SimulatedNode, ops: list[Op], *, dies: bool = False) -> None:
        if not self._is_leaving(node):
            super()._commit(node, ops, dies=dies)
            return
        (result,) = node.core.turn([Write(KEYSPACE, ops)], node._clock())
        assert isinstance(result, Leaving), result
        self.outcome.count("refused while leaving")
        node.flush()
        self.cluster._schedule(self.cluster.nodes.index(node))

    def any_holder(self) -> list[SimulatedNode]:
        """Who has left spends no more, whatever it still has; others may have inherited it."""
        return [node for node in self.alive() if not node.core.engine.has_left]

    def may_write(self, node: SimulatedNode) -> bool:
        return not self._is_leaving(node) and super().may_write(node)

    def _finish(self) -> None:
        """Everybody can reach everybody: who is leaving gets away, unless too few would be left."""
        self.cluster.heal()
        for node in self.cluster.nodes:
            if not node.is_alive and node.name not in self.left:
                self.cluster.restart(node)
        self.cluster.advance(30)
        for node in self.alive():
            if node.core.engine.is_departing and not node.core.engine.has_left:
                why = node.core.lacks_to_go()
                assert self._nobody_stays(node), f"{node} does not get away: {why}"
                self.note(f"{node.name} stays in the end: {node.core.remain()}", "remain")
        self.switch_off()
        assert not any(n.core.engine.has_left for n in self.alive()), "told nobody that it left"
        super()._finish()

    def _nobody_stays(self, node: SimulatedNode) -> bool:
        others = {n.core.replica for n in self.alive() if not self._is_leaving(n)} - {node.core.replica}
        return not others & node.core.engine.registry.current

    def check_end(self) -> None:
        super().check_end()
        for node in self.alive():
            delivered = node.core.state(KEYSPACE).delivered
            lost = [dot for dot in self.oracle.events if dot not in delivered]
            assert not lost, f"{node} lacks {lost}"
            registry = node.core.engine.registry
            for name in self.left & registry.members.keys():
                assert registry.members[name].has_left, f"{node} waits for {name}, which has left"
                ids = registry.members[name].ids
                if not registry.removed:
                    assert ids <= registry.closed, f"{node}: the seals of {name} are open"
            assert node.core.state(SYSTEM).is_whole
        self.outcome.count(f"left: {len(self.left)}")
