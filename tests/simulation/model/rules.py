"""One node of the set model: what it holds, and the rules by which that changes.

The question this answers: *are the rules right?* Not whether the engine follows them: that is for the simulation of the
engine. Each rule that a model needed can be left out (`mutants`), and the schedules must then fail. A cell is its live
entries and all that it has seen; a node is the cells of all of them side by side, one bit a write.
"""

from __future__ import annotations

from .history import CELLS, REPLICAS_MAX, History, popcount
from .violation import Violation

MEMBER, REMOVED, OLD = 1, 2, 3
"""What the registry says of a replica id."""
START = -1
"""Before the first cell."""
ALL_CELLS = (1 << CELLS) - 1

# Rules that may be left out, each a bit.
CLAIM_GAPS = 1 << 0
CLAIM_THE_END = 1 << 1
STRIP_BY_AGE = 1 << 2
LATE_ENTRIES_LIVE = 1 << 3
SPLIT_EVENTS = 1 << 4
NO_INHERITED_HORIZON = 1 << 5
GOSSIP_BEFORE_COMMIT = 1 << 6
REUSE_IDENTITY = 1 << 7
REPLACE_GROUPED_ROWS = 1 << 8
ROWS_STAY_BEHIND = 1 << 9
DOTS_LATER = 1 << 10
FULL_KEEPS_THE_DEAD = 1 << 11
FULL_KILLS_THE_UNSENT = 1 << 12
HORIZON_AT_ONCE = 1 << 13
HALF_DONE_FORWARDS = 1 << 14
COLLECTED_GROUPS_TRAVEL = 1 << 15
RESUME_ANYWHERE = 1 << 16
CLAIM_OUT_OF_ORDER = 1 << 17
HOLES_ARE_STABLE = 1 << 18
ROWS_BELOW_THE_HORIZON = 1 << 19
HORIZON_OF_WHOLE_EVENTS = 1 << 20
RECREATED_STAYS = 1 << 21
GROUPS_UNNAMED = 1 << 22
PASSED_CELLS_FORGET = 1 << 23
DEBT_IS_COLLECTED = 1 << 24
ORPHANS_JOIN = 1 << 25
ORPHANS_HEAR_OTHERS = 1 << 26
ORPHANS_WAIT = 1 << 27
ORPHANS = ORPHANS_JOIN | ORPHANS_HEAR_OTHERS | ORPHANS_WAIT


class Message:
    """A batch, or with no cells the news of a vector."""

    def __init__(self, sender: int, to: int, epoch: int, replica: int, vector: int) -> None:
        self.sender, self.to, self.epoch, self.replica = sender, to, epoch, replica
        self.vector = vector
        """What the sender had delivered in this snapshot."""
        self.cells = 0
        self.live = 0
        self.seen = 0
        self.groups = 0
        self.claim = 0
        self.session: Session | None = None
        self.number = 0
        self.is_full = False
        self.after = START
        self.upto = START
        self.horizon = 0
        self.peers: list[int] = []
        self.registry: list[int] = []


class Session:
    """An exchange as its sender has it."""

    def __init__(
        self, vector: int, theirs: int, only: int, is_full: bool, after: int, replaces: bool = False
    ) -> None:
        self.replaces = replaces
        """What the receiver waits for exists nowhere any more: its cells become the sender's."""
        self.vector, self.theirs, self.only = vector, theirs, only
        """What the sender had when it began, and the receiver; of one replica id, or with -1 of all."""
        self.is_full, self.after = is_full, after
        self.replica = 0
        self.at = 0
        """The scan has passed the writes below this bit, of ``replica``."""
        self.sent = 0
        self.got = 0
        """How many came in the order in which they were sent."""
        self.is_over = False


class Node:
    """What is on its disk, and its sessions."""

    def __init__(self, history: History, index: int, replica: int, mutants: int) -> None:
        self.history, self.index, self.replica, self.mutants = history, index, replica, mutants
        self.is_up = True
        self.epoch = 0
        """Counts what cannot be gone on with: identities, and states gone back to."""
        self.delivered = 0
        self.live = 0
        self.seen = 0
        self.rows = 0
        self.horizon = 0
        self.debt = 0
        self.boot_sender = -1
        self.boot_vector = 0
        self.boot_reached = START
        self.is_replacing = False
        self.replaced_by: Session | None = None
        """The exchange that may go on replacing cells: no other was heard since."""
        self.peers: list[int] = [-1] * REPLICAS_MAX
        """What each replica id had when all of that was here too; -1: never met."""
        self.registry: list[int] = [0] * REPLICAS_MAX
        self.before_write: Saved | None = None
        self.at_most = 0
        """The most it ever had delivered under this identity."""

    # Facts

    def is_whole(self) -> bool:
        return not self.is_replacing and not self.debt & ~self.delivered

    def is_orphan(self, peer: Node) -> bool:
        """Whether what this node waits for is not to be had from a peer, which has all that is delivered here."""
        paid = self.debt & self.delivered
        return (
            not self.is_whole()
            and not self.mutants & ORPHANS_WAIT
            and not self.debt & ~self.delivered & peer.delivered
            and not self.delivered & ~peer.delivered
            and paid == self.history.prefix(self.delivered) & paid
        )

    def standing(self, replica: int) -> int:
        return self.registry[replica] & 3

    def tops(self, seen: int) -> int:
        """The last write of each replica and cell."""
        upto = self.history.upto
        found = 0
        while seen:
            at = seen.bit_length() - 1
            found |= 1 << at
            seen &= ~upto[at]
        return found

    def closed(self, live: int) -> int:
        """What the context of these entries includes."""
        upto = self.history.upto
        found = 0
        while live:
            at = live.bit_length() - 1
            live ^= 1 << at
            found |= upto[at]
        return found

    # Writing

    def write(self, cells: int, is_set: bool) -> int:
        """One event over these cells."""
        history = self.history
        own = popcount(self.delivered & history.firsts & history.of_replica[self.replica])
        if own != history.made[self.replica]:
            raise Violation(
                f"3, 7: n{self.index} has {own} events of its own, and {history.made[self.replica]} were made"
            )
        if self.mutants & GOSSIP_BEFORE_COMMIT:
            self.before_write = Saved(self)
        shown = history.shown(self.delivered)
        event = 0
        for cell in range(CELLS):
            if not cells >> cell & 1:
                continue
            mine = history.of_cell[cell]
            bit = history.add(self.replica, cell, shown & mine, is_set or not self.live & mine)
            event |= bit
            at = bit.bit_length() - 1
            last = self.seen & history.of_both[history.place[at]]
            self.live &= ~mine
            if history.sets & bit:
                self.live |= bit
            self.seen |= history.upto[at]
            self._replace_row(last, bit)
        history.close(self.replica, event)
        self.delivered |= event
        return event

    def _replace_row(self, earlier: int, bit: int) -> None:
        """A newer event of a replica on a cell: its row stands for the older one's."""
        if earlier:
            if self.mutants & ROWS_STAY_BEHIND and self.rows & earlier & ~self.history.grouped:
                return
            last = 1 << (earlier.bit_length() - 1)
            if not last & self.history.grouped or self.mutants & REPLACE_GROUPED_ROWS:
                self.rows &= ~last
        self.rows |= bit

    # Sending

    def has_collected(self, theirs: int, replica: int) -> bool:
        """Whether a peer has all that was collected here; else rows that it needs are gone."""
        if self.mutants & ROWS_BELOW_THE_HORIZON:
            return True
        known = self.peers[replica]
        return not self.horizon & ~(theirs | (max(0, known)))

    def news(self, to: Node) -> Message:
        """My vector, and what I know of others'."""
        message = Message(self.index, to.index, to.epoch, self.replica, self.delivered)
        message.peers, message.registry = self.peers[:], self.registry[:]
        return message

    def open(self, peer: Node, own_only: bool) -> Session | None:
        """Begin an exchange; both have just said what they have."""
        if not (self.is_whole() or self.mutants & HALF_DONE_FORWARDS):
            return None
        theirs = peer.delivered
        if self.is_whole() and peer.is_orphan(self):
            return Session(self.delivered, theirs, -1, True, START, True)
        if self.has_collected(theirs, peer.replica):
            return Session(self.delivered, theirs, self.replica if own_only else -1, False, START)
        is_mutual = peer.is_whole() and peer.horizon & ~self.delivered != 0
        if is_mutual and self.replica > peer.replica:
            return None  # each needs all cells of the other: the lower id sends first
        after = START
        may_resume = peer.boot_sender == self.replica or self.mutants & RESUME_ANYWHERE != 0
        if may_resume and not peer.is_whole() and peer.boot_reached != START:
            after = peer.boot_reached
        return Session(self.delivered, theirs, -1, True, after)

    def batch(self, session: Session, to: Node, most: int) -> Message | None:
        """The next cells of an exchange, in one snapshot; None if it cannot go on."""
        if session.is_over or not (self.is_whole() or self.mutants & HALF_DONE_FORWARDS):
            return None
        if not session.is_full and not self.has_collected(session.theirs, to.replica):
            return None  # rows that the peer needs were collected meanwhile
        message = Message(self.index, to.index, to.epoch, self.replica, self.delivered)
        message.session, message.number = session, session.sent
        session.sent += 1
        if session.is_full:
            self._some_cells(session, message, most)
        else:
            self._some_rows(session, message, most)
        mask = self._of_cells(message.cells)
        message.live, message.seen = self.live & mask, self.seen & mask
        if session.is_over and not session.is_full:
            vector = self.delivered if self.mutants & CLAIM_THE_END else session.vector
            message.claim = vector & self._scope(session)
        return message

    def _scope(self, session: Session) -> int:
        return -1 if session.only < 0 else self.history.of_replica[session.only]

    def _some_cells(self, session: Session, message: Message, most: int) -> None:
        message.is_full, message.after = True, session.after
        message.horizon = self.horizon
        while session.after < CELLS - 1 and most > 0:
            session.after += 1
            most -= 1
            self._gather(message, session.after, session.theirs)
        message.upto = session.after
        session.is_over = session.after == CELLS - 1

    def _some_rows(self, session: Session, message: Message, most: int) -> None:
        history = self.history
        wanted = self.rows & ~session.theirs & self._scope(session)
        while session.replica < REPLICAS_MAX:
            left = wanted & history.of_replica[session.replica] & -(1 << session.at)
            if not left:
                session.replica += 1
                session.at = 0
                continue
            if most <= 0:
                return
            bit = left & -left
            at = bit.bit_length() - 1
            session.at = at + 1
            if bit & message.groups:
                continue
            newest = self.seen & history.of_both[history.place[at]]
            is_stale = not bit & history.grouped and newest >= 2 * bit
            if is_stale and not self.mutants & ROWS_STAY_BEHIND:
                continue  # a later one stands for it
            most -= 1
            self._gather(message, history.place[at] % CELLS, session.theirs)
        session.is_over = True

    def _gather(self, message: Message, cell: int, theirs: int) -> None:
        """Add a cell, and every event over several cells that it shows and the peer lacks, whole."""
        history = self.history
        waiting = 1 << cell
        while waiting:
            at = waiting.bit_length() - 1
            waiting ^= 1 << at
            if message.cells >> at & 1:
                continue
            message.cells |= 1 << at
            if self.mutants & SPLIT_EVENTS:
                continue
            there = self.rows & history.grouped & history.of_cell[at] & ~theirs
            if not self.mutants & COLLECTED_GROUPS_TRAVEL:
                there &= ~self.horizon
            while there:
                bit = there & -there
                there ^= bit
                event = history.event[bit.bit_length() - 1]
                if self.mutants & GROUPS_UNNAMED == 0:
                    message.groups |= event
                if self.mutants & COLLECTED_GROUPS_TRAVEL:
                    event &= self.rows
                while event:
                    one = event & -event
                    event ^= one
                    waiting |= 1 << (history.place[one.bit_length() - 1] % CELLS)
                waiting &= ~message.cells

    def _of_cells(self, cells: int) -> int:
        mask = 0
        for cell in range(CELLS):
            if cells >> cell & 1:
                mask |= self.history.of_cell[cell]
        return mask

    # Receiving

    def receive(self, message: Message) -> bool:
        """Apply a message in one transaction; whether anything was taken from it."""
        if not self.is_up or message.epoch != self.epoch:
            return False
        session = message.session
        if self.tops(message.seen) & ~message.vector:
            raise Violation(f"8: n{message.sender} sent a context that lies outside its own vector")
        if session is None:
            self._note(message)
            self._learn(message)
            return True
        is_next = message.number == session.got
        if is_next:
            session.got += 1
        if message.is_full and (not is_next or not self._begin_full(message)):
            return False
        if not message.is_full and not self.mutants & ORPHANS_HEAR_OTHERS:
            self.replaced_by = None  # the cells that it has not reached would lose what this brings
        self._join(message)
        if message.is_full:
            self._advance_full(message)
        elif message.claim and (is_next or self.mutants & CLAIM_OUT_OF_ORDER):
            self.delivered |= message.claim
        if self.debt and self.is_whole():
            if not self.mutants & NO_INHERITED_HORIZON:
                self.horizon |= self.debt
            self.debt = 0
        self._note(message)
        return True

    def _note(self, message: Message) -> None:
        """What the peer had, once all of that is here too."""
        if not message.vector & ~self.delivered:
            known = self.peers[message.replica]
            self.peers[message.replica] = message.vector | (max(0, known))

    def _learn(self, message: Message) -> None:
        """What the peer knows of others, as far as all that they had is here too; and the newer word on each id."""
        for replica in range(REPLICAS_MAX):
            had, known = message.peers[replica], self.peers[replica]
            if had > 0 and replica != self.replica and not had & ~self.delivered:
                self.peers[replica] = had | (max(0, known))
            self.registry[replica] = max(self.registry[replica], message.registry[replica])
        self.come_back()

    def _begin_full(self, message: Message) -> bool:
        session = message.session
        if session is not None and (session.replaces or self.is_replacing):
            goes_on = self.boot_sender == message.replica and self.boot_reached == message.after
            if self.replaced_by is not None and self.is_replacing and message.after != START and goes_on:
                self.replaced_by = session
            elif message.after != START or self.is_whole() or self.delivered & ~message.vector:
                return False
            else:
                self.is_replacing, self.replaced_by = True, session
                self.debt &= self.delivered
                self.boot_sender, self.boot_reached, self.boot_vector = message.replica, START, message.vector
        if self.boot_sender != message.replica or self.boot_reached != message.after:
            if message.after != START and not self.mutants & RESUME_ANYWHERE:
                return False
            if message.after == START:
                self.boot_vector = message.vector
            self.boot_sender, self.boot_reached = message.replica, message.after
        if self.mutants & HORIZON_AT_ONCE:
            self.horizon |= message.horizon
            self.delivered |= message.horizon
        else:
            self.debt |= message.horizon
        return True

    def _advance_full(self, message: Message) -> None:
        self.boot_reached = message.upto
        if message.upto == CELLS - 1:
            self.delivered |= self.boot_vector
            self.boot_sender, self.boot_vector, self.boot_reached = -1, 0, START
            self.is_replacing, self.replaced_by = False, None

    def _join(self, message: Message) -> None:
        history = self.history
        mask = self._of_cells(message.cells)
        replaced = self._clear(message) if self.is_replacing and message.is_full else 0
        mine_live, mine_seen = self.live & mask, self.seen & mask
        live, seen = message.live, message.seen
        groups = message.groups & ~self.delivered
        if not self.mutants & LATE_ENTRIES_LIVE:
            # it was superseded here, and that has been collected
            live &= mine_seen | ~(self.delivered | self._passed()) | replaced
        if message.is_full and not self.mutants & FULL_KEEPS_THE_DEAD:
            within = 0
            for cell in range(message.after + 1, message.upto + 1):
                within |= history.of_cell[cell]
            if not self.mutants & FULL_KILLS_THE_UNSENT:
                within &= self.boot_vector
            mine_live &= seen | ~within
        joined = (mine_live & live) | (mine_live & ~seen) | (live & ~mine_seen)
        self.live = self.live & ~mask | joined
        self.seen |= seen
        self._index(seen & ~mine_seen, mine_seen, groups)
        self._deliver(message, seen, groups)
        self._settle(message.cells)

    def _clear(self, message: Message) -> int:
        """Forget what the cells of a batch show, but for what the sender lacks and is delivered; all writes to these cells."""
        if self.mutants & ORPHANS_JOIN:
            return 0
        cells = 0
        for cell in range(message.after + 1, message.upto + 1):
            cells |= self.history.of_cell[cell]
        kept = self.delivered & ~self.boot_vector
        self.live &= kept | ~cells
        self.seen &= kept | ~cells
        self.rows &= self.delivered | self.boot_vector | ~cells
        return cells

    def _passed(self) -> int:
        """What the cells that an unfinished full exchange has passed include: all of its vector."""
        if self.mutants & PASSED_CELLS_FORGET:
            return 0
        return self.boot_vector & self._of_cells((1 << (self.boot_reached + 1)) - 1)

    def _index(self, new: int, before: int, groups: int) -> None:
        history, gone = self.history, self.horizon | self.debt
        while new:
            at = new.bit_length() - 1
            new &= ~history.upto[at]
            bit = 1 << at
            if bit & (groups | gone):
                earlier = before & history.of_both[history.place[at]]
                if earlier:
                    self.rows &= ~(1 << (earlier.bit_length() - 1) & ~history.grouped)
            else:
                self._replace_row(before & history.of_both[history.place[at]], bit)
        self.rows |= groups & ~gone

    def _deliver(self, message: Message, seen: int, groups: int) -> None:
        """A cell's state includes all that each replica did to it up to its context."""
        history = self.history
        proven = groups
        tops = self.tops(seen) & ~groups
        if message.is_full:
            tops &= ~self.debt
        if self.mutants & CLAIM_GAPS:
            tops |= history.below(tops)
        while tops:
            at = tops.bit_length() - 1
            tops ^= 1 << at
            proven |= history.event[at]
        if not self.mutants & DOTS_LATER:
            self.delivered |= proven

    def _settle(self, cells: int) -> None:
        """What a late message brought back, and is collected already, loses its dead context again.

        What is owed counts as collected only if all below it is delivered. The rest has rows, by which it is found later.
        """
        if self.mutants & RECREATED_STAYS:
            return
        is_strict = not self.mutants & DEBT_IS_COLLECTED
        gone = self.horizon | (self.debt & self.history.prefix(self.delivered) if is_strict else self.debt)
        for cell in range(CELLS):
            mine = self.history.of_cell[cell]
            if not cells >> cell & 1:
                continue
            if not self.seen & mine & ~gone:
                self.seen = self.seen & ~mine | self.closed(self.live & mine)
            elif self.debt and self.seen & mine & ~self.closed(self.live & mine):
                self.rows |= self.tops(self.seen & mine) & self.debt & ~self.horizon

    # Collecting

    def counted(self, linked: int) -> int:
        """The replica ids, other than our own, that must have an event before it is stable."""
        found = 0
        for replica in range(REPLICAS_MAX):
            standing = self.registry[replica] & 3
            if standing == MEMBER or standing == 0 and self._has_met(replica):
                found |= 1 << replica
        return (found | linked) & ~(1 << self.replica)

    def _has_met(self, replica: int) -> bool:
        return self.peers[replica] >= 0 or self.delivered & self.history.of_replica[replica] != 0

    def stable(self, linked: int) -> int:
        """What all of them have delivered: of each replica a prefix."""
        if not self.is_whole():
            return 0
        events, counted = self.delivered, self.counted(linked)
        for replica in range(REPLICAS_MAX):
            if counted >> replica & 1:
                had = self.peers[replica]
                events &= max(0, had)
        return self.history.below(events) if self.mutants & HOLES_ARE_STABLE else self.history.prefix(events)

    def collect(self, linked: int, most: int) -> None:
        """Drop dead context that no replica can need any more, and its rows: up to ``most`` rows."""
        history, stable = self.history, self.stable(linked)
        if not self.mutants & HORIZON_OF_WHOLE_EVENTS:
            self.horizon |= stable
        left = self.rows & stable
        while left and most > 0:
            bit = left & -left
            left ^= bit
            most -= 1
            at = bit.bit_length() - 1
            mine = history.of_cell[history.place[at] % CELLS]
            newest = self.seen & history.of_both[history.place[at]]
            if not bit & history.grouped and newest >= 2 * bit:
                self.rows &= ~bit
            elif self._may_strip(mine, stable):
                self.seen = self.seen & ~mine | self.closed(self.live & mine)
                self.rows &= ~bit
        if self.mutants & HORIZON_OF_WHOLE_EVENTS:
            self.horizon |= self.history.prefix(stable & ~self._with_rows())

    def _may_strip(self, mine: int, stable: int) -> bool:
        """Whether all of a cell's context is stable. That the dead part of it is old says nothing."""
        context = self.seen & mine
        if self.mutants & STRIP_BY_AGE:
            context = self.tops(context) & ~self.live
        return not context & ~stable

    def _with_rows(self) -> int:
        found, left = 0, self.rows
        while left:
            at = left.bit_length() - 1
            left ^= 1 << at
            found |= self.history.event[at]
        return found

    # The registry: of each replica id the latest word

    def meet(self, peer: Node) -> None:
        """Two nodes say hello: a newcomer counts from now on."""
        self.peers[peer.replica] = max(self.peers[peer.replica], 0)
        peer.peers[self.replica] = max(peer.peers[self.replica], 0)

    def lacks(self, peer: Node) -> bool:
        """Whether a peer has something to say of others."""
        for replica in range(REPLICAS_MAX):
            if self.registry[replica] < peer.registry[replica]:
                return True
            if replica != self.replica and max(0, peer.peers[replica]) & ~max(0, self.peers[replica]):
                return True
        return False

    def say(self, replica: int, standing: int) -> None:
        self.registry[replica] = (self.registry[replica] | 3) + 1 | standing

    def come_back(self) -> None:
        """Who was removed and is here again says so."""
        if self.standing(self.replica) != MEMBER:
            self.say(self.replica, MEMBER)

    # Invariants

    def check(self) -> None:
        """What must hold after every step."""
        history, delivered = self.history, self.delivered
        known, gone = delivered | self.debt, self.horizon | self.debt
        if self.is_replacing:
            known = gone = -1  # what is forgotten shows in the cells that are not replaced yet
        if self.at_most & ~delivered:
            raise Violation(f"6: the vector of n{self.index} shrank")
        self.at_most = delivered
        tops = self.tops(self.seen)
        if tops & ~known:
            raise Violation(f"2: n{self.index} shows writes {tops & ~known:b} that are not delivered")
        if tops & ~(self.rows | gone):
            raise Violation(f"4: n{self.index} has no rows for {tops & ~(self.rows | gone):b}")
        if not self.is_whole():
            return
        half = (self.seen | history.shown(delivered)) & history.grouped & ~delivered
        if half:
            raise Violation(f"10: n{self.index} shows half of an event: {half:b}")
        if self.live & history.sets != history.value(delivered):
            raise Violation(
                f"1, 5: n{self.index} reads {self.live:b}, its events say {history.value(delivered):b}"
            )


class Saved:
    """A node's disk at some moment."""

    def __init__(self, node: Node) -> None:
        self.delivered, self.live, self.seen, self.rows = node.delivered, node.live, node.seen, node.rows
        self.horizon, self.debt, self.is_replacing = node.horizon, node.debt, node.is_replacing
        self.boot_sender, self.boot_vector, self.boot_reached = (
            node.boot_sender,
            node.boot_vector,
            node.boot_reached,
        )
        self.peers, self.registry = node.peers[:], node.registry[:]

    def put_back(self, node: Node) -> None:
        node.delivered, node.live, node.seen, node.rows = self.delivered, self.live, self.seen, self.rows
        node.horizon, node.debt, node.is_replacing = self.horizon, self.debt, self.is_replacing
        node.replaced_by = None
        node.boot_sender, node.boot_vector, node.boot_reached = (
            self.boot_sender,
            self.boot_vector,
            self.boot_reached,
        )
        node.peers, node.registry = self.peers[:], self.registry[:]
        node.at_most = 0
