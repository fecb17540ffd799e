"""What comes in of one keyspace: its opening, batches and full exchanges, acknowledgements.

The question this answers: *may this be believed, and what do we hold then?* All of a message is checked before
anything is changed; what is wrong with it ends the link, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from gossamer.crdt import Vector, path, vector

from ..errors import ProtocolError
from . import batch, evidence, limits
from .link import Early, Link, Shared
from .messages import (
    DIGEST_BYTES,
    Ack,
    Ask,
    Batch,
    Event,
    Fetch,
    Message,
    Open,
    Tell,
    Want,
    of_flat,
    replica_ids,
)
from .news import News
from .registry import SYSTEM
from .state import Bootstrap, State
from .view import Draft

if TYPE_CHECKING:
    from .engine import Engine


class Receiver:
    """Applies what peers send, inside the writer's transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._news = News(engine)

    def on_open(self, drafts: Callable[[str], Draft], link: Link, message: Open) -> None:
        name = message.keyspace
        if not name or len(name.encode()) > limits.NAME_BYTES_MAX or not name.isprintable():
            raise ProtocolError("open: a keyspace whose name is empty, too long or not printable")
        if name in link.their_names or len(link.their_names) >= limits.KEYSPACES_MAX:
            raise ProtocolError("open: a keyspace twice, or too many of them")
        if len(message.digest) != DIGEST_BYTES:
            raise ProtocolError("open: a digest of another length")
        theirs = link.bases.unpack(name, message.delivered)
        horizon = link.bases.unpack(name, message.horizon)
        resume = (
            message.resume[1]
            if message.resume and message.resume[0] == self._engine.identity.replica
            else b""
        )
        if len(resume) > path.PATH_BYTES_MAX:
            raise ProtocolError("open: it resumes beyond any path")
        link.their_names.append(name)
        early = (theirs, horizon, message.digest, message.whole, resume, message.yours)
        shared = link.shared.get(name)
        if shared is None:
            link.early[name] = early
        else:
            self._share(drafts(name), link, shared, early)

    def _share(
        self,
        draft: Draft,
        link: Link,
        shared: Shared,
        early: Early,
    ) -> None:
        """Both ends host the keyspace from here on."""
        link.stir(shared)
        shared.theirs, shared.their_horizon, shared.their_digest, shared.their_whole, shared.resume, event = (
            early
        )
        self._prove(draft.state, link, shared.theirs)
        if event is not None:
            self._recognize(draft, link, event)
        if link.peer not in draft.state.peers:
            draft.set_peer(link.peer, Vector())  # a joiner counts as a member from its hello
        shared.fetches = self._engine.doubts.linked(link.peer, shared.name, self._engine.now)

    def _prove(self, state: State, link: Link, theirs: Vector) -> None:
        """A peer that has more of our events than we made proves that we are a copy, or were rolled back."""
        me = self._engine.identity.replica
        if theirs.last(me) > state.delivered.last(me):
            self._engine.is_disowned = (
                f"member {link.hello.name if link.hello else '?'} has event {theirs.last(me)} of this node, "
                f"which has made {state.delivered.last(me)}: its directory was copied or rolled back"
            )
            raise ProtocolError("events of mine that I never made")

    def _recognize(self, draft: Draft, link: Link, event: Event) -> None:
        """A peer that has another event under one of our dots proves it as well."""
        if evidence.contradicts(draft, self._engine.identity.replica, event):
            self._engine.is_disowned = (
                f"member {link.hello.name if link.hello else '?'} has another event {event.seq} of this node than "
                "it has made: its directory was copied or rolled back"
            )
            raise ProtocolError("an event of mine that is another than I made")

    def late_shares(self, drafts: Callable[[str], Draft]) -> None:
        """Keyspaces that the peer opened before we did; called in a transaction, after our own Open went out."""
        for link in self._engine.links.values():
            for name in [n for n in link.early if n in link.shared]:
                try:
                    self._share(drafts(name), link, link.shared[name], link.early.pop(name))
                except ProtocolError as error:
                    self._engine.close(link, str(error))

    @property
    def has_late_shares(self) -> bool:
        """Whether `late_shares` has something to do."""
        return any(name in link.shared for link in self._engine.links.values() for name in link.early)

    def in_keyspace(self, drafts: Callable[[str], Draft], link: Link, message: Message, now: float) -> None:
        if not isinstance(message, Batch | Ack | Tell | Ask | Want | Fetch):
            raise ProtocolError("parts inside parts")
        if not 0 <= message.keyspace < len(link.their_names):
            raise ProtocolError("a keyspace that the peer has not opened")
        shared = link.shared.get(link.their_names[message.keyspace])
        if shared is None or shared.theirs is None:
            raise ProtocolError("a keyspace that is not shared on this link")
        self._engine.heard[link.peer] = now
        link.stir(shared)
        draft = drafts(shared.name)
        if isinstance(message, Ask):
            shared.is_asked = True
            return
        if isinstance(message, Want):
            self._engine.wants.on_want(shared, message)
            return
        if isinstance(message, Fetch):
            self._engine.healer.on_fetch(shared, message)
            self._engine.doubts.asked(link.peer, shared.name, message.paths, now)
            return
        content, ids = (
            batch.Content(),
            replica_ids(link.peer, self._engine.identity.replica, message.replicas),
        )
        if isinstance(message, Batch):
            content = batch.unpack(message, ids)
            gained = batch.gained_of(message, content, ids)
        else:
            gained = of_flat(message.gained, ids)
        _grow(shared.theirs, gained)
        self._prove(draft.state, link, shared.theirs)
        if isinstance(message, Batch):
            claim = batch.claim_of(message, ids, gained)
            if not self._waits(draft.state, link, shared, message, now):
                self._on_batch(draft, link, shared, message, content, claim)
        elif isinstance(message, Ack):
            self._on_ack(link, shared, message, now)
            self._news.on_answer(link, shared, message.answer)
        else:
            self._engine.note_clock(link, message.wall, now)
            self._news.on_tell(draft, link, shared, message, now)
            self._news.on_answer(link, shared, message.answer)
            shared.asking.on_question(message.question)
        self._note_peer(draft, link, shared)

    def _waits(self, state: State, link: Link, shared: Shared, message: Batch, now: float) -> bool:
        """Whether a batch is dropped, as it is of a full exchange that came while another one was under way.

        To a node that joins all members send everything, at once. If the later one took the place of the earlier, none would
        come to its end. It begins anew once the other is over.
        """
        if self._engine.orphans.holds_up(state, link, shared, message, now):
            shared.is_second = True
            return True
        if message.full is not None:
            shared.full_at = now
            shared.is_second = shared.is_second or self.is_taken(state, link.peer, shared.name, now)
        return shared.is_second and not message.asked

    def is_taken(self, state: State, peer: bytes, keyspace: str, now: float) -> bool:
        """Whether another node than ``peer`` is sending us all there is, and does not tarry; or somebody's is being applied."""
        if state.is_applying:
            return True
        if state.bootstrap is None or state.bootstrap.sender == peer:
            return False
        links = self._engine.links.values()
        from_first = (k for k in links if k.peer == state.bootstrap.sender and not k.closing)
        return any(
            keyspace in k.shared and now - k.shared[keyspace].full_at < limits.ACK_TIMEOUT_S
            for k in from_first
        )

    def _on_batch(
        self,
        draft: Draft,
        link: Link,
        shared: Shared,
        message: Batch,
        content: batch.Content,
        claim: Vector | None,
    ) -> None:
        theirs = shared.theirs
        assert theirs is not None
        batch.check(content, theirs)
        self._check_size(draft.state, theirs)
        if claim is not None and not theirs.covers(claim):
            raise ProtocolError("claim: beyond the sender's vector")
        self._check_seals(shared.name, content, claim)
        if message.asked and (message.full is not None or message.staged is not None or claim is not None):
            raise ProtocolError("asked: cells that were asked for are no part of an exchange")
        if self._engine.registry.is_damaged and shared.name != SYSTEM:
            shared.is_deaf = True  # what would be refused, and why, may be in what cannot be read
        if shared.is_deaf and not message.asked:
            return
        self._engine.orphans.on_full(draft.state, link, shared, message)
        if message.staged is not None:
            self._on_part(draft, link, shared, message, content, claim)
            return
        is_repair = message.full is not None and shared.is_repairing and theirs.covers(draft.state.delivered)
        healer = self._engine.healer
        damaged = healer.touched(draft, content, None if is_repair else message.full)
        if damaged and not healer.can_replace(draft, link, shared, message, damaged):
            return
        complete = None if message.full is None else self._begin_full(draft, link, shared, message)
        healer.replace(draft, link.name, shared.name, damaged)
        quarantined = batch.apply(draft, content, complete, is_repair=is_repair, replaced=damaged)
        self.note_quarantined(shared.name, quarantined)
        if complete is not None:
            claim = self._advance_full(draft, message, complete)
            shared.is_repairing = shared.is_repairing and claim is None
        if claim is not None:
            draft.state.delivered.update(claim)
        shared.their_whole = True
        shared.acks_due += not message.asked

    def _on_part(
        self,
        draft: Draft,
        link: Link,
        shared: Shared,
        message: Batch,
        content: batch.Content,
        claim: Vector | None,
    ) -> None:
        """A part of a batch too large for one; with the claim comes the last one."""
        journal, healer = self._engine.journal, self._engine.healer
        if message.staged == 0:
            shared.is_journal = message.full is not None
        if message.full is not None and not shared.is_journal:
            raise ProtocolError("staged: cells in path order among rows")
        if message.sliced and (len(content.cells) != 1 or claim is not None):
            raise ProtocolError("sliced: not a part with one cell that goes on")
        damaged = healer.touched(draft, content, message.full)
        if damaged and not healer.can_replace(draft, link, shared, message, damaged):
            return
        shared.their_whole = True
        if shared.is_journal:
            if message.staged == 0:
                self._begin_full(draft, link, shared, message)
            journal.take(draft, link, shared, message, claim)
            return
        journal.stage(draft, link, shared, message)
        if claim is not None:
            quarantined = journal.apply(draft, link, shared)
            if quarantined is None:
                healer.go_deaf(link, shared, message)
                return
            self.note_quarantined(shared.name, quarantined)
            draft.state.delivered.update(claim)
        shared.acks_due += 1

    def _check_size(self, state: State, theirs: Vector) -> None:
        """Both vectors together must stay one that peers take."""
        mine = state.delivered.replicas()
        others = theirs.replicas()
        most = vector.REPLICAS_MAX
        if len(mine) + len(others) > most and len({*mine, *others}) > most:
            raise ProtocolError(f"gained: more than {most} replicas with those known here")

    def note_quarantined(self, keyspace: str, cell_paths: list[bytes]) -> None:
        for cell_path in cell_paths:
            self._engine.quarantined[keyspace] = self._engine.quarantined.get(keyspace, 0) + 1
            self._engine.alarm(
                f"keyspace {keyspace!r}: two payloads under one dot in {path.to_text(cell_path)}, so a replica id "
                "was used twice; reads of it fail until it is written"
            )

    def _check_seals(self, keyspace: str, content: batch.Content, claim: Vector | None) -> None:
        """What lies beyond the answers about a sealed id is refused whole, or the members would never agree on it.

        The registry's own keyspace is exempt: the answers themselves travel in it.
        """
        if keyspace == SYSTEM:
            return
        dots = [dot for cell in content.cells.values() for dot in cell.dots()]
        dots += content.groups
        replicas = {replica for replica, _ in dots}.union(claim.replicas() if claim else ())
        seals = self._engine.registry.seals
        for replica in replicas & seals.keys():
            if not seals[replica].is_closed and self._engine.identity.name not in seals[replica].answers:
                continue
            bound = seals[replica].bound(keyspace)
            is_beyond = any(dot[0] == replica and dot not in bound for dot in dots)
            if is_beyond or (claim and not bound.covers(claim.only(replica))):
                raise ProtocolError(
                    f"events of {replica.hex()} beyond what the members answered for its seal"
                )

    def _begin_full(self, draft: Draft, link: Link, shared: Shared, message: Batch) -> batch.Complete:
        full, state = message.full, draft.state
        assert full is not None and shared.theirs is not None
        if state.is_applying:
            raise ProtocolError("full: what came of another one is still being applied")
        if full.upto is not None and full.upto <= full.after:
            raise ProtocolError("full: a range that is empty")
        if link.peer > self._engine.identity.replica and self._is_sending_full(shared.name):
            # Else three nodes could each wait, half done, for the next: a chain of such waits only leads to lower ids.
            raise ProtocolError("full: this node is sending one itself, and a lower id goes first")
        if max(len(full.after), len(full.upto or b"")) > path.PATH_BYTES_MAX:
            raise ProtocolError("full: a range beyond any path")
        horizon = link.bases.unpack(shared.name, full.horizon) if full.horizon else Vector()
        if not shared.theirs.covers(horizon):
            raise ProtocolError("full: a horizon beyond the sender's vector")
        under_way = state.bootstrap
        if under_way is None or under_way.sender != link.peer or under_way.reached != full.after:
            if full.after or not full.horizon:
                raise ProtocolError("full: it does not begin at the beginning")
            is_first = not state.delivered.minus(state.delivered.only(self._engine.identity.replica))
            if under_way is not None and not state.is_whole:
                is_first = is_first or under_way.is_first  # what came of that one is not all there is, either
            under_way = Bootstrap(link.peer, vector.encode(shared.theirs), b"", is_first)
            state.bootstrap = under_way
        state.debt.update(horizon)
        for other in (
            self._engine.links.values()
        ):  # what was being sent began from a vector that no longer says it all
            if shared.name in other.shared and not state.is_whole:
                other.shared[shared.name].exchange = None
        within = vector.decode(under_way.vector)
        return batch.Complete(full.after, full.upto, within, state.debt, replaces=under_way.replaces)

    def _is_sending_full(self, keyspace: str) -> bool:
        exchanges = [
            link.shared[keyspace].exchange for link in self._engine.links.values() if keyspace in link.shared
        ]
        return any(exchange is not None and exchange.is_full for exchange in exchanges)

    def _advance_full(self, draft: Draft, message: Batch, complete: batch.Complete) -> Vector | None:
        assert message.full is not None and draft.state.bootstrap is not None
        if message.full.upto is None:
            draft.state.bootstrap = None
            return complete.vector
        reached = message.full.upto
        draft.state.bootstrap = msgspec.structs.replace(draft.state.bootstrap, reached=reached)
        return None

    def _on_ack(self, link: Link, shared: Shared, message: Ack, now: float) -> None:
        if not 0 <= message.batches <= len(shared.unacked):
            raise ProtocolError("ack: of batches that were not sent")
        for _ in range(message.batches):
            shared.unacked.popleft()
        shared.their_whole = message.whole
        link.progress_at = now
        if shared.exchange is not None and shared.exchange.is_over and not shared.unacked:
            shared.exchange = None

    def _note_peer(self, draft: Draft, link: Link, shared: Shared) -> None:
        """Once we have all that the peer had at some moment, remember that moment for stability."""
        theirs, delivered = shared.theirs, draft.state.delivered
        if theirs is None or not shared.their_whole:
            return
        if delivered.covers(theirs):
            found: Vector | None = theirs
            shared.snapshot = None
        elif shared.snapshot is not None and delivered.covers(shared.snapshot):
            found, shared.snapshot = shared.snapshot, theirs.copy()
        else:
            found = None
            shared.snapshot = shared.snapshot or theirs.copy()
        before = draft.state.peers.get(link.peer)
        if found is not None and before != found:
            found = found.copy()
            if before is not None:
                found.update(before)  # a third one may have told of a later moment
            draft.set_peer(link.peer, found)


def _grow(theirs: Vector, gained: Vector) -> None:
    """Add what a peer's vector gained. `ProtocolError` if it then has more in it than a vector may."""
    before = sum(len(theirs.intervals(replica)) for replica in gained.replicas())
    theirs.update(gained)
    if sum(len(theirs.intervals(replica)) for replica in gained.replicas()) <= before:
        return
    replicas = theirs.replicas()
    intervals = sum(len(theirs.intervals(replica)) for replica in replicas) // 2
    if len(replicas) > vector.REPLICAS_MAX or intervals > vector.INTERVALS_MAX:
        raise ProtocolError(f"gained: a vector of {len(replicas)} replicas and {intervals} intervals")
