"""A schedule of the set model: steps decided by one seed, the invariants after each, and at the end all must be equal.

A step is three bytes: what, and two arguments, taken modulo what there is. So any part of a schedule is a schedule, and
one that fails can be shrunk by leaving steps out.
"""

from __future__ import annotations

import random

from .history import CELLS, REPLICAS_MAX, WRITES_MAX, History
from .rules import (
    ALL_CELLS,
    GOSSIP_BEFORE_COMMIT,
    MEMBER,
    OLD,
    REMOVED,
    REUSE_IDENTITY,
    Message,
    Node,
    Saved,
    Session,
)
from .violation import Violation

NODES_MAX = 4
SETBACKS = 1_000_000_000
"""From this seed on: all go back to older states while a joiner is being sent everything. Else that is too rare."""
STEPS = 26
MANY = 64
(
    WRITE,
    GROUP,
    REMOVE,
    SYNC,
    OPEN,
    BATCH,
    DELIVER,
    REPEAT,
    TELL,
    COLLECT,
    CRASH,
    START,
    SAVE,
    RESTORE,
    CLONE,
    JOIN,
    LEAVE,
    QUIET,
) = range(18)
NAMES = (
    "write",
    "group",
    "remove",
    "sync",
    "open",
    "batch",
    "deliver",
    "repeat",
    "tell",
    "collect",
    "crash",
    "start",
    "save",
    "restore",
    "clone",
    "join",
    "leave",
    "quiet",
)
ALWAYS = (WRITE, WRITE, REMOVE, SYNC, OPEN, BATCH, BATCH, DELIVER, DELIVER, COLLECT)
SOMETIMES = (
    (GROUP, 3),
    (SYNC, 4),
    (TELL, 2),
    (REPEAT, 1),
    (CRASH, 1),
    (SAVE, 1),
    (CLONE, 1),
    (JOIN, 1),
    (LEAVE, 1),
    (QUIET, 1),
)
NEEDS = {CRASH: START, SAVE: RESTORE}
"""What makes sense only with something else."""


class World:
    """One run."""

    def __init__(self, mutants: int = 0) -> None:
        self.mutants = mutants
        self.history = History()
        self.ids = 0
        self.nodes: list[Node] = []
        self.sessions: list[Session | None] = [None] * (NODES_MAX * NODES_MAX)
        self.links: list[bool] = [False] * (NODES_MAX * NODES_MAX)
        self.mail: list[Message] = []
        self.old_mail: list[Message] = []
        self.saved: list[Saved | None] = [None] * NODES_MAX
        self.may_be_lost = 0
        self.seen = 0
        """The rare things that happened, a bit each; see `SIGHTS`."""
        for _ in range(3):
            self._add()
        for node in self.nodes:
            for other in self.nodes:
                node.registry[other.replica] = node.registry[other.replica] or 4 | MEMBER

    def _add(self) -> Node:
        node = Node(self.history, len(self.nodes), self.ids, self.mutants)
        self.ids += 1
        node.say(node.replica, MEMBER)
        self.nodes.append(node)
        return node

    def run(self, steps: bytes) -> None:
        """All steps, then heal."""
        for at in range(0, len(steps) - 2, 3):
            self.step(steps[at], steps[at + 1], steps[at + 2])
        self.finish()

    def step(self, what: int, x: int, y: int) -> None:
        """One step. What makes no sense now does nothing."""
        count = len(self.nodes)
        node = self.nodes[x % count]
        other = self.nodes[(x + 1 + (x >> 4) % (count - 1)) % count]
        if what == DELIVER:
            self._deliver(y)
        elif what == REPEAT:
            self._repeat(y)
        elif what == BATCH:
            self._batch(x, 1 if y & 3 else MANY)
        elif what == JOIN:
            self._join()
        elif what == QUIET:
            self._quiet()
        elif what == START:
            if not node.is_up:
                node.is_up = True
                node.come_back()
        elif not node.is_up:
            return
        elif what == WRITE:
            self._write(node, 1 << y % CELLS, True)
        elif what == REMOVE:
            self._write(node, 1 << y % CELLS, False)
        elif what == GROUP:
            cells = (3, 5, 6, ALL_CELLS)[y & 3]
            self._write(node, cells, y >> 2 & 3 != 0)
        elif what == COLLECT:
            self._collect(node, 1 if y & 1 else MANY)
        elif what == CRASH:
            self._crash(node)
        elif what == SAVE:
            self.saved[node.index] = Saved(node)
        elif what == RESTORE:
            self._restore(node)
        elif what == CLONE:
            self._clone(node)
        elif not other.is_up:
            return
        elif what == OPEN:
            self._open(node, other, y & 3 == 0)
        elif what == SYNC:
            if y & 1:
                self._begin(node, other, 1 + (y >> 1 & 3), 1 if y & 8 else 2)
            else:
                self._sync(node, other)
        elif what == TELL:
            self.mail.append(node.news(other))
        elif what == LEAVE and node.standing(other.replica) == MEMBER:
            node.say(other.replica, REMOVED)
            self.seen |= 1 << 0

    # Writes

    def _write(self, node: Node, cells: int, is_set: bool) -> None:
        if node.is_whole() and self.history.count <= WRITES_MAX - CELLS:
            node.write(cells, is_set)
            node.check()

    # Exchanges

    def _link(self, node: Node, other: Node) -> None:
        if not self.links[node.index * NODES_MAX + other.index]:
            self.links[node.index * NODES_MAX + other.index] = True
            self.links[other.index * NODES_MAX + node.index] = True
            node.meet(other)

    def _open(self, node: Node, other: Node, own_only: bool) -> None:
        self._link(node, other)
        at = node.index * NODES_MAX + other.index
        self.sessions[at] = node.open(other, own_only)
        session = self.sessions[at]
        if session is not None and session.is_full:
            self.seen |= 1 << 1
            if session.after >= 0:
                self.seen |= 1 << 2
            if session.replaces:
                self.seen |= 1 << 12

    def _batch(self, x: int, most: int) -> None:
        """One of the exchanges under way goes on."""
        going = [at for at in range(NODES_MAX * NODES_MAX) if self.sessions[at] is not None]
        if not going:
            return
        at = going[x % len(going)]
        session = self.sessions[at]
        assert session is not None
        message = self.nodes[at // NODES_MAX].batch(session, self.nodes[at % NODES_MAX], most)
        if message is None or session.is_over:
            self.sessions[at] = None
        if message is not None:
            self.mail.append(message)

    def _deliver(self, y: int) -> None:
        if self.mail:
            at = y % len(self.mail) if y & 1 else 0  # most in order
            message = self.mail.pop(at)
            if y & 14 == 14:
                return  # lost
            if y & 6 == 6:
                self.old_mail.append(message)
            self._take(message)

    def _repeat(self, y: int) -> None:
        if self.old_mail:
            self._take(self.old_mail[y % len(self.old_mail)])
            self.seen |= 1 << 3

    def _take(self, message: Message) -> bool:
        node = self.nodes[message.to]
        if message.is_full and self._is_sending_full(node) and message.replica > node.replica:
            return False  # a lower id goes first
        had, horizon = node.delivered, node.horizon
        taken = node.receive(message)
        if taken and message.session is not None:
            if not node.is_whole():
                self._hang_up(
                    node, False
                )  # what was being sent began from a vector that no longer says it all
                self.seen |= 1 << 4
            elif horizon != node.horizon:
                self.seen |= 1 << 5
            if message.live & had & ~node.live:
                self.seen |= 1 << 6
            node.check()
        return taken

    def _is_sending_full(self, node: Node) -> bool:
        for at in range(node.index * NODES_MAX, (node.index + 1) * NODES_MAX):
            session = self.sessions[at]
            if session is not None and session.is_full:
                return True
        return False

    def _sync(self, node: Node, other: Node) -> None:
        """A whole exchange at once, and what both then know."""
        is_needed = (
            node.delivered & ~other.delivered or not other.is_whole() or node.horizon & ~other.delivered
        )
        if is_needed:
            self._begin(node, other, MANY, MANY)
        self._link(node, other)
        self.sessions[node.index * NODES_MAX + other.index] = None
        if node.is_whole() and (
            is_needed or other.peers[node.replica] != node.delivered or other.lacks(node)
        ):
            other.receive(node.news(other))

    def _begin(self, node: Node, other: Node, batches: int, most: int) -> None:
        """The first batches of an exchange, which is then under way."""
        self._open(node, other, False)
        at = node.index * NODES_MAX + other.index
        session = self.sessions[at]
        while session is not None and batches and not session.is_over:
            message = node.batch(session, other, most)
            batches -= 1
            if message is None or not self._take(message):
                self.sessions[at] = None
                return
        if session is not None and session.is_over:
            self.sessions[at] = None

    # Faults

    def _hang_up(self, node: Node, both_ways: bool) -> None:
        for index in range(NODES_MAX):
            self.sessions[node.index * NODES_MAX + index] = None
            if both_ways:
                self.sessions[index * NODES_MAX + node.index] = None
                self.links[node.index * NODES_MAX + index] = False
                self.links[index * NODES_MAX + node.index] = False

    def _crash(self, node: Node) -> None:
        self._hang_up(node, True)
        node.is_up = False
        if self.mutants & GOSSIP_BEFORE_COMMIT and node.before_write is not None:
            node.before_write.put_back(node)
            node.epoch += 1

    def _restore(self, node: Node) -> None:
        """An older state of a disk: a backup, or what a power cut left in relaxed durability."""
        saved = self.saved[node.index]
        if saved is None or self.ids == REPLICAS_MAX:
            return
        self._hang_up(node, True)
        lost = node.delivered & ~saved.delivered
        for other in self.nodes:
            if other is not node:
                lost &= ~other.delivered
        self.may_be_lost |= lost
        saved.put_back(node)
        node.epoch += 1
        if lost:
            self.seen |= 1 << 7
        if not self.mutants & REUSE_IDENTITY:
            node.registry[node.replica] = 1 << 24 | OLD
            node.replica = self.ids
            self.ids += 1
            node.say(node.replica, MEMBER)

    def _clone(self, node: Node) -> None:
        """A copy of a disk, started beside its original."""
        saved = self.saved[node.index]
        if len(self.nodes) == NODES_MAX or self.ids == REPLICAS_MAX or saved is None:
            return
        copy = self._add()
        saved.put_back(copy)
        if self.mutants & REUSE_IDENTITY:
            copy.replica = node.replica
        copy.come_back()
        self.seen |= 1 << 8

    def _join(self) -> None:
        if len(self.nodes) < NODES_MAX and self.ids < REPLICAS_MAX:
            joiner = self._add()
            for replica in range(3):  # as configured
                joiner.registry[replica] = 4 | MEMBER
            self.seen |= 1 << 9

    def _collect(self, node: Node, most: int) -> None:
        linked = 0
        for other in self.nodes:
            if self.links[node.index * NODES_MAX + other.index]:
                linked |= 1 << other.replica
        before = node.rows
        node.collect(linked, most)
        if node.rows != before:
            self.seen |= 1 << 10
        node.check()

    def _quiet(self) -> None:
        """Nothing happens for a while: all that can be exchanged is, and what can be collected is."""
        up = [node for node in self.nodes if node.is_up]
        for _ in range(2):
            for node in up:
                for other in up:
                    if other is not node:
                        self._sync(node, other)
        for node in up:
            self._collect(node, MANY)

    # The end

    def finish(self) -> None:
        """Heal, and demand that all are equal, that nothing is lost, and that nothing is kept for nobody."""
        for node in self.nodes:
            if not node.is_up:
                node.is_up = True
                node.come_back()
        for _ in range(6):
            self._quiet()
            if self._is_settled():
                break
        else:
            if self._has_strays():
                self.seen |= 1 << 13
                return
            raise Violation(f"9: not settled: {[(n.delivered, n.debt, n.horizon) for n in self.nodes]}")
        held = self.nodes[0].delivered
        lost = (1 << self.history.count) - 1 & ~held & ~self.may_be_lost
        if lost:
            raise Violation(f"10: acknowledged and lost: {lost:b}")
        for node in self.nodes:
            if node.live != self.nodes[0].live:
                raise Violation(f"9: n{node.index} holds {node.live:b}, n0 {self.nodes[0].live:b}")
        self._quiet()
        for node in self.nodes:
            self._is_collected(node)

    def _has_strays(self) -> bool:
        """Whether a node waits for ever as it has what nobody else has: the engine gives up more than can be told here."""
        for node in self.nodes:
            beside = 0
            for other in self.nodes:
                if other.is_whole():
                    beside |= other.delivered
            if not node.is_whole() and node.delivered & ~beside:
                return True
        return False

    def _is_settled(self) -> bool:
        first = self.nodes[0]
        for node in self.nodes:
            if node.delivered != first.delivered or not node.is_whole() or node.debt:
                return False
        return True

    def _is_collected(self, node: Node) -> None:
        if node.stable(0) == node.delivered:
            self.seen |= 1 << 11
            if node.rows or node.seen != node.closed(node.live):
                raise Violation(f"n{node.index} keeps rows or dead context that nobody needs: {node.rows:b}")


SIGHTS = (
    "member removed",
    "full exchange",
    "full exchange resumed",
    "message repeated",
    "received while not whole",
    "horizon inherited or grown by a message",
    "entry dead on arrival",
    "commits lost",
    "clone started",
    "joined",
    "collected",
    "all is collected",
    "cells replaced, as what is waited for is nowhere",
    "not replaced, as there is what nobody else has",
)


def setbacks_of(rng: random.Random) -> bytes:
    """Backups, writes that are collected, a joiner that is sent a part, all others set back, and then anything."""
    writes = (WRITE, WRITE, REMOVE, GROUP)
    early = [rng.choice(writes) for _ in range(rng.randrange(4))] + [SAVE, SAVE, SAVE]
    rng.shuffle(early)
    late = [rng.choice(writes) for _ in range(rng.randrange(1, 5))]
    steps = bytearray()
    for at, what in enumerate([*early, *late, QUIET, *rng.choices(writes, k=rng.randrange(3)), QUIET, JOIN]):
        steps += bytes((what, at if what == SAVE else rng.getrandbits(8), rng.getrandbits(8)))
    joiner, sender = 3, rng.randrange(3)
    parts = 2 * rng.randrange(2) | 8 * rng.randrange(2) | 1
    steps += bytes((SYNC, sender + 16 * (joiner - 1 - sender), parts))
    for index in rng.sample(range(3), rng.choice((1, 2, 3, 3, 3))):
        steps += bytes((RESTORE, index, 0))
    after = [*ALWAYS, SYNC, SYNC, SYNC, OPEN, TELL, RESTORE, CRASH, START, QUIET]
    for _ in range(rng.randrange(14)):
        steps += bytes((rng.choice(after), rng.getrandbits(8), rng.getrandbits(8)))
    return bytes(steps)


def steps_of(seed: int, count: int = STEPS) -> bytes:
    """The steps of a seed: a mix that leaves some kinds of steps out, and then each step at random."""
    rng = random.Random(seed)
    if seed >= SETBACKS:
        return setbacks_of(rng)
    mix = list(ALWAYS)
    chosen = rng.getrandbits(len(SOMETIMES))
    for at in range(len(SOMETIMES)):
        if chosen >> at & 1:
            what, weight = SOMETIMES[at]
            mix += [what] * weight
            if what in NEEDS:
                mix += [NEEDS[what]] * weight
            if what == CLONE:
                mix.append(SAVE)
    steps = bytearray(rng.randbytes(3 * count))
    for at in range(0, 3 * count, 3):
        steps[at] = mix[steps[at] % len(mix)]
    return bytes(steps)


def fails(steps: bytes, mutants: int = 0) -> str:
    """Why a schedule fails; empty if it does not."""
    try:
        World(mutants).run(steps)
    except Violation as violation:
        return str(violation) or "violated"
    return ""


def sights(steps: bytes, mutants: int = 0) -> int:
    """The rare things that happen in a schedule; a `Violation` if it fails."""
    world = World(mutants)
    world.run(steps)
    return world.seen


def told(steps: bytes) -> list[str]:
    """A schedule in words."""
    return [f"{NAMES[steps[at]]} {steps[at + 1]} {steps[at + 2]}" for at in range(0, len(steps) - 2, 3)]
