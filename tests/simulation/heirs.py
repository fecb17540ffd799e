"""Random schedules of members that come, go, change their ids and are forgotten: two nodes never believe in two heirs.

All removing and forgetting is done at the first node, which nobody removes. Members that remove each other while they
are cut off may agree on two heirs, as ARCHITECTURE.md says; everything else may happen to everybody.
"""

from __future__ import annotations

from gossamer.crdt import Vector
from gossamer.replication import registry
from gossamer.replication.registry import Registry
from gossamer.replication.seals import Settlement
from gossamer.simulation import SimulatedNode

from .schedule import Action, Schedule


class HeirSchedule(Schedule):
    """Much churn, few writes; what a node believes of a seal is compared with what any node ever believed."""

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
        self.believed: dict[bytes, Settlement] = {}
        self.inherited: dict[bytes, bytes] = {}
        self.taken: dict[str, int] = {}
        self._registries: dict[str, Registry] = {}
        check = self.cluster.after_event

        def both(node: SimulatedNode) -> None:
            check(node)
            self.check_heirs(node)

        self.cluster.after_event = both

    def work(self) -> list[Action]:
        return [
            (self.write, 5),
            (self.new_identity, 4),
            (self.name_another, 3),
            (self.restart, 3),
            (self.long_pause, 2),
            (self.remove_member, 1),
            (self.forget_member, 1),
            (self.confirm_dead, 1),
        ]

    def any_operator(self) -> SimulatedNode | None:
        first = self.cluster.nodes[0]
        return first if first.is_alive and first.core.state(registry.SYSTEM).is_whole else None

    def new_identity(self) -> None:
        before = {node.name: node._identity[0] for node in self.cluster.nodes}
        super().new_identity()
        for node in self.cluster.nodes:
            self.taken[node.name] = self.taken.get(node.name, 0) + (node._identity[0] != before[node.name])

    def name_another(self) -> None:
        """A directory that was registered under another member's name: it names an id that was that member's."""
        node = self.any_alive()
        if node is None or not node.core.state(registry.SYSTEM).is_whole:
            return
        reg = node.core.engine.registry
        strangers = sorted(reg.old - reg.ending)
        if not strangers:
            return
        old = self.rng.choice(strangers)
        self.note(f"{node.name} names {old.hex()[:6]} as its own", "named")
        me = node.core.engine.identity
        hosted = node.core.store.keyspaces()
        ops = registry.join_ops(reg, me.name, me.replica, me.address, hosted, [old], is_again=True)
        self._system(node, ops)

    def remove_member(self) -> None:
        node, gone = self.any_operator(), self.rng.choice(self.cluster.nodes)
        if node is None or gone is node or gone.name not in node.core.engine.registry.members:
            return
        self.note(f"{node.name} removes {gone.name}", "remove member")
        self._system(node, registry.remove_ops(gone.name))

    def forget_member(self) -> None:
        node = self.any_operator()
        down = [n for n in self.cluster.nodes if not n.is_alive and n.name not in self.forgotten]
        if node is None or not down or len(self.cluster.nodes) - len(self.forgotten) < 3:
            return
        gone = self.rng.choice(down)
        member = node.core.engine.registry.members.get(gone.name)
        if gone is self.cluster.nodes[0] or member is None or not member.ids:
            return
        is_dead = self.rng.random() < 0.5
        self.note(f"{node.name} forgets {gone.name}{' as dead' if is_dead else ''}", "forget member")
        self.forgotten.add(gone.name)
        self._system(node, registry.forget_ops(member, is_dead=is_dead))

    def confirm_dead(self) -> None:
        node = self.any_operator()
        members = node.core.engine.registry.members.values() if node else ()
        gone = [m for m in members if m.is_forgotten and m.name in self.forgotten]
        if node is not None and gone:
            self.note(f"{node.name} confirms that {gone[0].name} is dead", "confirm")
            self._system(node, registry.forget_ops(gone[0], is_dead=True))

    def check_heirs(self, node: SimulatedNode) -> None:
        """What is agreed on is the same at every node, and for ever; so is who has inherited what."""
        reg = node.core.engine.registry
        if self._registries.get(node.name) is reg:
            return
        self._registries[node.name] = reg
        for replica in reg.sealed:
            settled = reg.seals[replica].settled
            assert settled is not None
            known = self.believed.setdefault(replica, settled)
            assert known == settled, f"{node} believes in {settled} for {replica.hex()}, others in {known}"
        for replica in reg.closed:
            heir = reg.heir(replica)
            if heir is not None:
                assert self.inherited.setdefault(replica, heir) == heir, (
                    f"{node}: {replica.hex()} went to two"
                )
                assert replica in reg.estate(heir)
        self._check_bounds(node, reg)

    def _check_bounds(self, node: SimulatedNode, reg: Registry) -> None:
        """Nothing of a sealed id goes beyond what was answered, once this node has answered itself."""
        for replica, seal in reg.seals.items():
            if node.core.engine.identity.name in seal.answers:
                has: Vector = node.core.state("default").delivered.only(replica)
                assert seal.bound("default").covers(has), f"{node} has {has} beyond {seal.bound('default')}"

    def check_end(self) -> None:
        for node in self.cluster.nodes:
            assert len(node._identity[1]) == self.taken.get(node.name, 0), f"{node} gave up an id unasked"
        self.cluster.advance(30)
        self.cluster.settle()
        alive = self.alive()
        regs = [node.core.engine.registry for node in alive]
        for node in alive:
            self.check_heirs(node)
        first = regs[0]
        for reg in regs:
            assert reg.sealed == first.sealed and reg.closed == first.closed
            assert [reg.estate(n.core.replica) for n in alive] == [
                first.estate(n.core.replica) for n in alive
            ]
        estates = [replica for node in alive for replica in first.estate(node.core.replica)]
        assert len(estates) == len(set(estates)), "an id belongs to two estates"
        self.outcome.seen["sealed"] = len(first.sealed)
        self.outcome.seen["closed"] = len(first.closed)
        self.outcome.seen["with an heir"] = len(self.inherited)
        waiting = [r.hex() for r in first.ending - first.sealed]
        names = {m.name for m in first.remaining}
        if not waiting or not names <= {node.name for node in alive}:
            return
        raise AssertionError(f"seals that never take effect: {waiting}, {first.seals}")
