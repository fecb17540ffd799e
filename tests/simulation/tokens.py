"""Random schedules of tokens and waiting, under the same faults.

The oracle of a token is the vector of its node at that moment, noted beside it. What must hold: a node that answers
`wait_for` has all of it, shows it, and never less later; one that does not lacks some of it. What `wait_replicated`
counts is on the disks of so many members with full durability, so it is there when they were all killed. And a node
that is fresh has all that was acknowledged anywhere, by a member it may know of, before the time it is fresh as of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gossamer.crdt import Dot, Vector
from gossamer.errors import LimitExceeded, TooStale, WaitTimeout
from gossamer.replication import limits
from gossamer.replication.replicated import Peers
from gossamer.replication.token import decode
from gossamer.simulation import SimulatedNode

from .invariants import KEYSPACE
from .oracle import Oracle
from .schedule import Action, Outcome, Schedule

TIMEOUTS = (0.0, 0.05, 0.5, 3.0)


class Noted(NamedTuple):
    """A token, and what its node had delivered."""

    text: str
    had: Vector
    is_plain: bool
    """Any node can tell whether it has that; else it may be unable to, and then says no."""


class TimedOracle(Oracle):
    """Knows when each event was acknowledged, and by whom."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[Dot, float] = {}
        self.clock: Callable[[], float] = lambda: 0.0

    def record(self, dot: Dot, writes: dict[bytes, tuple[str, Any]], before: Vector, now: int) -> None:
        self.at[dot] = self.clock()
        super().record(dot, writes, before, now)


class Tokens(Schedule):
    """Tokens are made, kept and waited for, anywhere."""

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
        self.oracle: TimedOracle = TimedOracle()
        self.oracle.clock = lambda: self.cluster.clock.now
        self.invariants.oracle = self.oracle
        self.tokens: list[Noted] = []
        self.lowered: dict[str, Vector] = {}
        """Node -> what it had delivered when its durability was lowered."""

    def work(self) -> list[Action]:
        more: list[Action] = [
            (self.take_token, 6),
            (self.wait_for, 6),
            (self.wait_replicated, 8),
            (self.wait_fresh, 4),
            (self.write_unheard, 3),
            (self.other_durability, 2),
        ]
        return [*super().work(), *more]

    def run(self) -> Outcome:
        """With so few characters, in most schedules, that tokens are cut short or leave something out."""
        kept, limits.TOKEN_CHARS_MAX = limits.TOKEN_CHARS_MAX, self.rng.choice((2048, 34, 30, 24))
        try:
            return super().run()
        finally:
            limits.TOKEN_CHARS_MAX = kept

    def take_token(self) -> None:
        node = self.any_alive()
        if node is None:
            return
        try:
            text = node.token()
        except LimitExceeded:
            self.outcome.count("no token")
            return
        said = decode(text, "simulated", KEYSPACE)
        self.outcome.count("left out" if said.members else "cut short" if said.ids else "token")
        is_plain = not (said.members or said.ids)
        self.tokens.append(Noted(text, node.core.state(KEYSPACE).delivered.copy(), is_plain))

    def _token(self) -> Noted | None:
        return self.rng.choice(self.tokens[-5:]) if self.tokens else None

    def wait_for(self) -> None:
        node, noted, timeout = self.any_alive(), self._token(), self.rng.choice(TIMEOUTS)
        if node is None or noted is None:
            return
        before = self.cluster.clock.now
        try:
            node.wait_for(noted.text, timeout)
        except WaitTimeout:
            is_there = noted.is_plain and self._delivered(node).covers(noted.had)
            assert not is_there, f"{node} has what it says that it lacks"
            assert self.cluster.clock.now >= before + timeout
            self.outcome.count("wait in vain")
        else:
            assert self._delivered(node).covers(noted.had), f"{node} lacks some of a token that it waited for"
            self.outcome.count("waited")
        self.note(f"{node.name} waits {timeout} s for {noted.had}", "wait")

    def _delivered(self, node: SimulatedNode) -> Vector:
        return node.core.state(KEYSPACE).delivered

    def wait_replicated(self) -> None:
        node, noted, timeout = self.any_alive(), self._token(), self.rng.choice(TIMEOUTS)
        if node is None or noted is None:
            return
        choices: tuple[Peers, ...] = (1, 2, "majority", "all")
        peers = self.rng.choice(choices)
        self.note(f"{node.name} waits {timeout} s for {noted.had} at {peers}", "wait replicated")
        try:
            node.wait_replicated(noted.text, peers, timeout)
        except WaitTimeout:
            self.outcome.count("replicated in vain")
        else:
            self._check_replicated(node, noted, peers)

    def _check_replicated(self, node: SimulatedNode, noted: Noted, peers: object) -> None:
        """Kill all, look at what is on their disks, and start those again that ran."""
        members = len(node.core.engine.registry.remaining)
        running = self.alive()
        for one in running:
            self.cluster.kill(one)
        have: list[SimulatedNode] = []
        for one in self.cluster.nodes:
            one.start()
            if self._durable(one).covers(noted.had):
                have.append(one)
            one.stop()
        for one in running:
            self.cluster.restart(one)
        count = len(have) - (node in have) if isinstance(peers, int) else len(have)
        wanted = {"majority": members // 2 + 1, "all": members}.get(str(peers), peers)
        assert isinstance(wanted, int)
        assert count >= wanted, f"{node} counted {wanted} for {noted.had}, and it is durable at {have}"
        self.outcome.count(f"replicated {peers}")

    def _durable(self, node: SimulatedNode) -> Vector:
        """What no power cut takes from a node: all it has, or had when its durability was lowered."""
        return self._delivered(node) if node.durability == "commit" else self.lowered[node.name]

    def wait_fresh(self) -> None:
        node = self.any_alive()
        if node is not None:
            self._be_fresh(node, self.rng.choice((0.1, 1.0, 5.0)), self.rng.choice(TIMEOUTS))

    def _be_fresh(self, node: SimulatedNode, bound: float, timeout: float) -> None:
        self.note(f"{node.name} waits {timeout} s to be {bound} s fresh", "wait fresh")
        try:
            node.wait_fresh(bound, timeout)
        except TooStale:
            self.outcome.count("too stale")
            return
        self.outcome.count("fresh")
        counted = self._counted(node)
        for (replica, seq), at in self.oracle.at.items():
            if replica in counted and at < self.cluster.clock.now - bound:
                assert (replica, seq) in self._delivered(node), f"{node} is fresh and lacks {(replica, seq)}"

    def _counted(self, node: SimulatedNode) -> set[bytes]:
        """The replica ids that write now, of the members that a node knows and the peers that it should know."""
        registry = node.core.engine.registry
        unmet = [n for n in self.cluster.nodes if n.name in node.peers and n.name not in registry.members]
        return {m.replica for m in registry.remaining} | {n._identity[0] for n in unmet}

    def write_unheard(self) -> None:
        """A node writes just after it was cut off, and the other is asked before it can have noticed."""
        if len(self.alive()) < 2:
            return
        reader, writer = self.rng.sample(self.alive(), 2)
        self.wait_fresh()
        self.cluster.advance(self.rng.choice((0.0, 0.002, 0.02)))
        self.note(f"cut {reader.name} from {writer.name}", "cut off")
        self.cluster.cut(reader, writer)
        if writer.is_alive:
            self._commit(writer, [self._any_op()])
        self.cluster.advance(self.rng.choice((0.05, 0.3, 1.0)))
        self._be_fresh(reader, self.rng.choice((0.02, 0.1, 0.5)), self.rng.choice((0.0, 0.3)))

    def other_durability(self) -> None:
        """Open a node anew, with the other durability; lowered, it takes a new id, as a directory does."""
        node = self.any_alive()
        if node is None:
            return
        had = self._delivered(node)
        self.cluster.kill(node)
        if node.durability == "commit":
            self.lowered[node.name] = had
            node.take_new_identity()
        node.durability = "relaxed" if node.durability == "commit" else "commit"
        self.note(f"{node.name} is now {node.durability}", "other durability")
        self.cluster.restart(node)

    def check_end(self) -> None:
        """With all equal, a token of any node, of any time, is covered everywhere, but for what forgetting lost."""
        for node in self.alive():
            delivered = self._delivered(node)
            for noted in self.tokens:
                assert delivered.covers(noted.had.minus(self._given_up(noted.had)))
                if noted.is_plain and delivered.covers(noted.had):
                    node.wait_for(noted.text, 0.0)

    def _given_up(self, had: Vector) -> Vector:
        """Events of forgotten members: what they alone held is lost, and that is said before."""
        out = Vector()
        for node in self.cluster.nodes:
            for replica in (node._identity[0], *node._identity[1]) if node.name in self.forgotten else ():
                out.update(had.only(replica))
        return out
