"""What to send on one link, of one keyspace: acknowledgements, the next batch of an exchange, news of our vector.

The question this answers: *what does this peer lack, and may I say so now?* Own events go at once. Those of others
only when the peer still lacks them after a short delay, so that a full mesh does not send everything n times and
a broken link is routed around. Nothing queues in memory: what is not acknowledged is bounded by a window, and a
slow peer is a lagging vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gossamer.crdt import Cell, Dot, Vector, vector

from ..errors import Damaged
from . import batch, limits
from .link import Exchange, Link, Shared
from .messages import Ack, Batch, Full, Message, Tell
from .registry import SYSTEM
from .state import State
from .view import View

if TYPE_CHECKING:
    from .engine import Engine


class Sender:
    """Decides what goes out; the engine numbers and frames it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def messages(
        self, link: Link, shared: Shared, view: View, aged: Vector, now: float, *, is_held: bool = False
    ) -> Iterator[Message]:
        """What to send now of one keyspace; at most one batch, so that links take turns.

        ``is_held``: acknowledgements and news only, since the registry comes first.
        """
        shared.quiet_until = now + limits.IDLE_S
        found = list(self._due(link, shared, view, aged, now, is_held))
        yield from found
        is_over = shared.exchange is None or shared.exchange.is_over
        if not found or (is_over and all(isinstance(message, Ack | Tell | Batch) for message in found)):
            shared.quiet_state, shared.quiet_aged = view.state, aged  # that was all
            self._engine.wake(shared.quiet_until)
        else:
            shared.quiet_state = None
            self._engine.wake(0.0)

    def _wake(self, shared: Shared, at: float) -> None:
        shared.quiet_until = min(shared.quiet_until, at)

    def _due(
        self, link: Link, shared: Shared, view: View, aged: Vector, now: float, is_held: bool
    ) -> Iterator[Message]:
        is_whole = view.state.is_whole
        if shared.is_second and not self._engine.receiver.is_taken(view.state, link.peer, shared.name, now):
            self._engine.close(link, "another full exchange is over: this one begins anew")
            return
        is_owed = not is_whole and (now >= shared.digest_at or shared.asking.is_owed_now)
        if shared.acks_due or is_owed:
            shared.digest_at = now + limits.DIGEST_EVERY_S
            yield self._ack(link, shared, view)
        yield from self._engine.healer.ask(link, shared, view, now)
        if not is_whole:
            yield from self._engine.orphans.ask(link, shared, view.state, now)
            self._wake(shared, shared.digest_at)
            return  # the vector does not say all that the cells show: nothing may be claimed or forwarded
        if not is_held:
            yield from self._answer(link, shared, view)
        if is_held or now < shared.blocked_until:
            self._wake(shared, now + self._engine.tell_after_s if is_held else shared.blocked_until)
        else:
            yield from self._exchange(link, shared, view, aged, now)
        yield from self._tell(link, shared, view, now)

    def _exchange(
        self, link: Link, shared: Shared, view: View, aged: Vector, now: float
    ) -> Iterator[Message]:
        if shared.exchange is None:
            shared.exchange = self._begin(link, shared, view, aged)
        if shared.exchange is None or not self._has_room(link, shared, now):
            return
        try:
            message = self._next_batch(link, shared, view)
        except Damaged as error:  # to go on without the cell would be to claim that the peer has it
            shared.exchange, shared.blocked_until = None, now + limits.DAMAGED_RETRY_S
            self._wake(shared, shared.blocked_until)
            if not view.damaged():
                self._engine.healer.suspects.add(shared.name)  # not a cell, then: the index
            self._engine.alarm(f"keyspace {shared.name!r}: nothing can be sent to {link.name!r}: {error}")
            return
        if message is not None:
            yield message

    def _answer(self, link: Link, shared: Shared, view: View) -> Iterator[Batch]:
        """The cells that are damaged at the peer, unless it lacks what we have collected: it needs all of them then."""
        if shared.fetches and has_collected(link, shared, view.state):
            content = self._engine.healer.answer(link, shared, view)
            if content is not None:
                numbering = self._engine.numbering(link)
                gained = numbering.flat(self._gain(shared, view))
                cells, groups = batch.pack(content, numbering)
                yield Batch(
                    0, shared.number, gained, False, cells, numbering.table(), groups, None, None, asked=True
                )
        shared.fetches = []

    def _gain(self, shared: Shared, view: View) -> Vector:
        gain: Vector = view.state.delivered.minus(shared.told)
        shared.told = view.state.delivered
        shared.tell_at = None
        return gain

    def _ack(self, link: Link, shared: Shared, view: View) -> Ack:
        numbering = self._engine.numbering(link)
        gained = numbering.flat(self._gain(shared, view))
        ack = Ack(
            0,
            shared.number,
            numbering.table(),
            gained,
            shared.acks_due,
            view.state.is_whole,
            shared.asking.answer(),
        )
        shared.acks_due = 0
        return ack

    def _begin(self, link: Link, shared: Shared, view: View, aged: Vector) -> Exchange | None:
        theirs, state = shared.theirs, view.state
        assert theirs is not None
        if theirs == state.delivered and not shared.is_asked:
            return None  # as it mostly is
        me = self._engine.identity.replica
        if shared.is_asked or not has_collected(link, shared, state):
            is_mutual = shared.their_whole and not state.delivered.covers(shared.their_horizon)
            if is_mutual and me > link.peer and not shared.is_asked:
                return None  # each needs a full exchange from the other: the lower id sends first
            after = b"" if shared.is_asked else shared.resume
            shared.has_answered = shared.has_answered or shared.is_asked
            shared.is_asked, shared.resume = False, b""
            return Exchange(state.delivered, [], is_full=True, after=after, is_resumed=bool(after))
        scope = [r for r in aged.minus(theirs).replicas() if r != me]
        if state.delivered.last(me) > theirs.last(me) or not theirs.covers(state.delivered.only(me)):
            scope.insert(0, me)
        return Exchange(state.delivered, scope) if scope else None

    def _has_room(self, link: Link, shared: Shared, now: float) -> bool:
        exchange = shared.exchange
        assert exchange is not None
        if shared.unacked:
            waited_until = link.progress_at + limits.ACK_TIMEOUT_S
            if now >= waited_until:
                self._engine.close(link, f"no acknowledgement for {limits.ACK_TIMEOUT_S:g} s")
            self._wake(shared, waited_until)
        else:
            link.progress_at = now
        full = len(shared.unacked) >= limits.WINDOW_BATCHES or sum(shared.unacked) >= limits.WINDOW_BYTES
        return not exchange.is_over and not full

    def _next_batch(self, link: Link, shared: Shared, view: View) -> Batch | None:
        exchange, theirs = shared.exchange, shared.theirs
        assert exchange is not None and theirs is not None
        if not exchange.is_full and not has_collected(link, shared, view.state):
            shared.exchange = None  # rows that the peer needs were collected meanwhile
            self._wake(shared, 0.0)
            return None
        if exchange.is_full and not exchange.is_staged:
            found = self._next_of_full(link, shared, view)
            if found is not None:
                return found
        if exchange.is_full and not exchange.is_in_rows:
            return self._next_cells(link, shared, view)
        if not exchange.is_staged:
            gathering = batch.Gathering(view, theirs, size_max=limits.BATCH_BYTES_MAX)
            try:
                self._scan_rows(exchange, gathering, view, theirs)
                return self._message(link, shared, view, gathering, None)
            except batch.TooLargeError:
                self._next_pass(exchange, view, theirs)
                exchange.is_staged, exchange.is_first = True, True
        gathering = batch.Gathering(view, exchange.base, size_max=None, is_part=True)
        self._scan_staged(exchange, gathering, view)
        return self._message(link, shared, view, gathering, None)

    def _next_of_full(self, link: Link, shared: Shared, view: View) -> Batch | None:
        """Whole events, in path order; None where they are too large for a batch: the rest is staged then."""
        exchange, theirs = shared.exchange, shared.theirs
        assert exchange is not None and theirs is not None
        start = exchange.after
        gathering = batch.Gathering(view, theirs, size_max=limits.BATCH_BYTES_MAX)
        try:
            full = self._scan_cells(link, shared, gathering, view)
        except batch.TooLargeError:
            fits, exchange.after = exchange.after, start
            if fits == start:
                self._stage_cells(exchange, view)
                return None
            gathering = batch.Gathering(view, theirs, size_max=None)
            full = self._scan_cells(link, shared, gathering, view, upto=fits)
        return self._message(link, shared, view, gathering, full)

    def _stage_cells(self, exchange: Exchange, view: View) -> None:
        """Send the rest in parts; all of it, if what came before was sent from an earlier vector, which only the peer knows.

        For what has changed since is sent as the rows beyond the vector, and all that there is is claimed.
        """
        exchange.is_staged, exchange.is_first = True, True
        if exchange.is_resumed:
            exchange.after, exchange.vector = b"", view.state.delivered

    def _next_cells(self, link: Link, shared: Shared, view: View) -> Batch:
        """A staged part of the cells in path order; after the last one follows what has changed, row by row."""
        exchange, theirs = shared.exchange, shared.theirs
        assert exchange is not None and theirs is not None
        gathering = batch.Gathering(view, theirs, size_max=None, is_part=True)
        full = self._scan_cells(link, shared, gathering, view)
        message = self._message(link, shared, view, gathering, full)
        if exchange.is_over:
            exchange.is_in_rows = True
            self._next_pass(exchange, view, exchange.vector)
        return message

    def _next_pass(self, exchange: Exchange, view: View, base: Vector) -> None:
        """Scan from the beginning what there is beyond ``base``, of all replicas."""
        exchange.base, exchange.vector = base.copy(), view.state.delivered
        exchange.scope = view.state.delivered.minus(base).replicas()
        exchange.at, exchange.next_seq, exchange.is_over = 0, 1, False
        exchange.next_path, exchange.sliced = b"", None

    def _scan_staged(self, exchange: Exchange, gathering: batch.Gathering, view: View) -> None:
        """Pass after pass over what the one before left, until one snapshot holds all that is left.

        So the last part brings the receiver to what we hold in that very snapshot, and no event is half there.
        """
        self._scan_rows(exchange, gathering, view, exchange.base)
        while exchange.is_over and exchange.vector != view.state.delivered:
            exchange.base.update(exchange.vector)
            self._next_pass(exchange, view, exchange.base)
            self._scan_rows(exchange, gathering, view, exchange.base)

    def _message(
        self, link: Link, shared: Shared, view: View, gathering: batch.Gathering, full: Full | None
    ) -> Batch:
        exchange, theirs = shared.exchange, shared.theirs
        assert exchange is not None and theirs is not None
        numbering = self._engine.numbering(link)
        gain = self._gain(shared, view)
        claim: list[int] | bool = False
        if exchange.is_over and full is None:
            claimed = claimable(exchange).minus(theirs)
            claim = True if claimed == gain else numbering.flat(claimed)
        cells, groups = batch.pack(gathering.content, numbering)
        staged = int(not exchange.is_first) if exchange.is_staged else None
        exchange.is_first = False
        is_plain = gain == batch.only_own_event(gathering.content, self._engine.identity.replica)
        gained = True if is_plain else numbering.flat(gain)
        message = Batch(
            0,
            shared.number,
            gained,
            claim,
            cells,
            numbering.table(),
            groups,
            full,
            staged,
            sliced=gathering.is_sliced,
        )
        shared.unacked.append(gathering.content.size)
        return message

    def _scan_rows(self, exchange: Exchange, gathering: batch.Gathering, view: View, theirs: Vector) -> None:
        """Add cells of rows that the peer lacks, on from where the scan stands, to each replica's last row."""
        while exchange.at < len(exchange.scope):
            replica = exchange.scope[exchange.at]
            lacking = vector.minus(view.state.delivered.intervals(replica), theirs.intervals(replica))
            for start, end in vector.pairs(lacking):
                if end < exchange.next_seq:
                    continue
                for seq, grouped, cell_path in view.rows(replica, max(start, exchange.next_seq)):
                    if seq > end:
                        break
                    if not gathering.is_part and (replica, seq) in gathering.content.groups:
                        continue  # it came with a row before this one
                    is_new = seq != exchange.next_seq
                    if not is_new and cell_path < exchange.next_path:
                        continue
                    if is_new and gathering.content.size >= limits.BATCH_BYTES_TARGET:
                        exchange.next_seq, exchange.next_path = seq, b""
                        return
                    if is_new:
                        exchange.next_seq, exchange.next_path = seq, b""
                    # The rows of one event are not parted, but for a cell in slices.
                    if not self._add_row(exchange, gathering, view, replica, seq, cell_path, grouped):
                        exchange.next_path = cell_path
                        return
            exchange.at, exchange.next_seq, exchange.next_path = exchange.at + 1, 1, b""
        exchange.is_over = True

    def _add_row(
        self,
        exchange: Exchange,
        gathering: batch.Gathering,
        view: View,
        replica: bytes,
        seq: int,
        cell_path: bytes,
        grouped: bool,
    ) -> bool:
        """Add the cell of a row; whether the scan may go on to the next one."""
        if exchange.large and exchange.large.get(cell_path, {}).get(replica, 0) >= seq:
            return True  # each of those who wrote it has a row for it
        cell = view.cell(cell_path)
        last = cell.context().get(replica, 0)
        if grouped and last < seq and (replica, seq) not in view.state.horizon:
            raise Damaged(
                f"event {replica.hex()}/{seq}: the index of changes names a cell that does not show it"
            )
        if not grouped and last != seq:
            return True  # the row is stale, and a later one stands for it
        return self._add(exchange, gathering, cell_path, cell, (replica, seq))

    def _add(
        self, exchange: Exchange, gathering: batch.Gathering, cell_path: bytes, cell: Cell, why: Dot | None
    ) -> bool:
        """Add a cell, or the next slice of it to a part of its own; whether all of it is there.

        ``why``: the row that it is sent for. For another row it is sent anew: it may have changed behind the slices.
        """
        if not gathering.is_part or batch.size_of(cell_path, cell) <= limits.SLICE_BYTES:
            gathering.add(cell_path, cell)
            return True
        if cell_path in gathering.content.cells:
            return not gathering.is_torn
        if gathering.content.cells:
            return False
        if exchange.sliced != (cell_path, why):
            exchange.sliced_upto, exchange.sliced_context = b"", cell.context()
        after = exchange.sliced_upto
        slice_, upto = batch.slice_of(cell, after, limits.SLICE_BYTES)
        gathering.add(cell_path, slice_)
        exchange.sliced, exchange.sliced_upto = ((cell_path, why), upto) if upto else (None, b"")
        gathering.is_sliced = bool(upto)
        gathering.is_torn = cell.context() != exchange.sliced_context
        if not upto and not gathering.is_torn and len(exchange.large) < limits.LARGE_CELLS_MAX:
            exchange.large[cell_path] = exchange.sliced_context
        return not upto

    def _scan_cells(
        self,
        link: Link,
        shared: Shared,
        gathering: batch.Gathering,
        view: View,
        upto: bytes | None = None,
    ) -> Full:
        """Add all cells in path order, on from where the scan stands, to ``upto`` if it is given."""
        exchange = shared.exchange
        assert exchange is not None
        after = exchange.after
        begin = after + b"\x00" if after else b""
        if exchange.sliced is not None:
            # What has come before it meanwhile has nothing of the vector, and between two slices it would part them.
            begin, _ = exchange.sliced
        horizon = link.bases.pack(shared.name, view.state.horizon) if exchange.is_first else b""
        for cell_path, cell in view.cells(begin):
            if not self._add(exchange, gathering, cell_path, cell, None):
                return Full(after, cell_path if gathering.is_sliced else exchange.after, horizon)
            exchange.after = cell_path
            if gathering.content.size >= limits.BATCH_BYTES_TARGET or cell_path == upto:
                return Full(after, cell_path, horizon)
        exchange.is_over = True
        return Full(after, None, horizon)

    def _tell(self, link: Link, shared: Shared, view: View, now: float) -> Iterator[Tell]:
        state = view.state
        if shared.asking.is_wanted or shared.asking.is_owed_now:
            yield self._news(link, shared, view, now)
            return
        if state.delivered != shared.told:
            if shared.tell_at is None:
                shared.tell_at = now + self._engine.tell_after_s
            if now < shared.tell_at:
                self._wake(shared, shared.tell_at)
                return
            yield self._news(link, shared, view, now)
            return
        shared.tell_at = None
        if now >= self._news_at(shared, state):
            shared.digest_at = now + limits.DIGEST_EVERY_S
            yield self._news(link, shared, view, now, wall=self._engine.wall(now))
        else:
            self._wake(shared, self._news_at(shared, state))

    def _news_at(self, shared: Shared, state: State) -> float:
        """When to say what is said now and then: sooner where others learn from us what third ones have."""
        if not self._engine.is_partial or shared.table_of is state.peers:
            return shared.digest_at
        return min(shared.digest_at, shared.table_next)

    def _news(self, link: Link, shared: Shared, view: View, now: float, *, wall: int = 0) -> Tell:
        """What was gained; with ``wall``, what is told now and then as well."""
        numbering = self._engine.numbering(link)
        gained = numbering.flat(self._gain(shared, view))
        answer = shared.asking.answer()
        question = shared.asking.ask(now) if wall or shared.asking.is_wanted else 0
        if not wall:
            return Tell(0, shared.number, numbering.table(), gained, answer=answer, question=question)
        state = view.state
        peers = self._table(link, shared, state, now)
        alive = self._engine.signs_for(link.peer) if shared.name == SYSTEM else []
        is_comparable = state.is_counted and shared.theirs == state.delivered
        digest = state.digest.to_bytes(16, "big") if is_comparable else b""
        closed = link.bases.tell(self._engine.registry.base) if shared.name == SYSTEM else b""
        return Tell(
            0, shared.number, numbering.table(), gained, digest, peers, wall, closed, answer, question, alive
        )

    def _table(self, link: Link, shared: Shared, state: State, now: float) -> list[tuple[bytes, bytes]]:
        """What others have gained since the peer was told, a message's share of it.

        Only of what the peer has itself, since it takes over nothing else. So what it was told before it has taken over, and
        the difference is enough.
        """
        assert shared.theirs is not None
        entries = list(state.peers.items())
        entries = entries[shared.table_at :] + entries[: shared.table_at]
        out: list[tuple[bytes, bytes]] = []
        size = looked = 0
        for looked, (replica, had) in enumerate(entries):
            if size >= limits.TABLE_BYTES or looked >= limits.TABLE_LOOKED:
                break
            before = shared.peers_told.get(replica)
            if before is had or not had or replica == link.peer or not shared.theirs.covers(had):
                continue
            shared.peers_told[replica] = had
            gained = had if before is None else had.minus(before)
            if gained:
                out.append((replica, link.bases.pack(shared.name, gained)))
                size += len(out[-1][1])
        else:
            looked = len(entries)
        shared.table_of = state.peers if looked == len(entries) else None
        shared.table_at = (shared.table_at + looked) % len(entries) if entries else 0
        shared.table_next = now + self._engine.table_every_s
        return out


def has_collected(link: Link, shared: Shared, state: State) -> bool:
    """Whether the peer has all that we have collected; else rows that it needs are gone.

    What third nodes say that it has counts as well: collection may have gone by that before the peer itself told.
    """
    theirs = shared.theirs
    assert theirs is not None
    if theirs.covers(state.horizon):
        return True
    both = theirs.copy()
    both.update(state.peers.get(link.peer, Vector()))
    return both.covers(state.horizon)


def claimable(exchange: Exchange) -> Vector:
    """What the end of an exchange claims: the vector when it began, of the replicas whose rows were scanned."""
    if exchange.is_staged:
        return exchange.vector  # pass upon pass, all of it was scanned
    return Vector({replica: exchange.vector.intervals(replica) for replica in exchange.scope})
