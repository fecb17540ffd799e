"""The replication engine: one question, one answer, on every link.

    "This is what I have delivered." -> "Here are the cells of every change I hold that you lack,
                                         and after them you have delivered all that I have."

Push, pull, catch-up and anti-entropy are this one exchange; there is no second mechanism. The engine is a state
machine without sockets, clock or threads. `receive` takes a message inside the writer's transaction; `outbox`,
called after the commit, says what to send. So what is sent or acknowledged is always durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from gossamer.crdt import MalformedError, Vector, path, vector

from ..backend import Op
from ..errors import Damaged, ProtocolError
from ..turns import Close, Send
from . import batch, limits, registry, stability
from .link import Link, Shared
from .messages import (
    NUMBERS,
    REFUSALS,
    VERSION,
    Ack,
    Ask,
    Batch,
    Hello,
    Message,
    Numbering,
    Open,
    Part,
    Refuse,
    Tell,
    decode,
    encode,
    of_flat,
    replica_ids,
)
from .registry import SYSTEM, Registry
from .sending import Sender
from .state import Bootstrap, State
from .view import Draft, View

DIGEST_BYTES = 16


class Identity(NamedTuple):
    """Who this node is."""

    replica: bytes
    fingerprint: bytes
    name: str
    address: str
    cluster: str


class Engine:
    """Links to peers, and what goes over them. One thread calls it."""

    def __init__(self, identity: Identity, registry_: Registry, peers: Sequence[str] = ()) -> None:
        self.identity = identity
        self.peers = tuple(peers)
        self.registry = registry_
        self.links: dict[int, Link] = {}
        self.is_disowned: str | None = None
        """Why this node's replica id must not be used any more, once a peer has proved it."""
        self.has_registered = False
        self.old_ids: list[bytes] = []
        """Replica ids that this node had before."""
        self.is_forgotten = False
        """A peer said that this member was forgotten."""
        self.mismatches: dict[str, int] = {}
        """Keyspace -> how often equal vectors had unequal digests."""
        self.damaged: set[str] = set()
        """What was found damaged in our own store while sending or collecting."""
        self.conflicts: dict[str, int] = {}
        """Keyspace -> in how many cells two payloads were found under one dot."""
        self.alarms: list[str] = []
        """What an operator should be told, since it was last taken; the engine does not log."""
        self.heard: dict[bytes, float] = {}
        """Replica id -> when its last link was alive."""
        self._found: dict[str, bytes] = {}
        self._fingerprints: dict[bytes, list[bytes]] = {}
        self._aged: dict[str, tuple[float, Vector, Vector]] = {}
        self._sender = Sender(self)
        self.wake_at = 0.0

    # Links

    def connect(self, link_id: int, dialed: str | None, now: float) -> None:
        """A connection is there; it begins with a hello each way."""
        link = Link(link_id, dialed, now)
        self.links[link_id] = link
        if len(self.links) > limits.LINKS_MAX:
            self.close(link, f"more than {limits.LINKS_MAX} links")

    def disconnect(self, link_id: int) -> None:
        """A connection has ended, whoever ended it."""
        self.links.pop(link_id, None)

    def close(self, link: Link, reason: str) -> None:
        """End a link after what is pending on it has been sent."""
        link.closing = link.closing or reason

    def close_all(self, reason: str) -> None:
        """End every link: what was being received or acknowledged did not happen."""
        for link in self.links.values():
            self.close(link, reason)

    def become(self, identity: Identity) -> None:
        """Go on under another replica id; the events so far are simply another replica's."""
        self.old_ids.append(self.identity.replica)
        self.identity, self.is_disowned, self.has_registered = identity, None, False
        self.close_all("this node has taken a new replica id")

    def unmet(self) -> list[str]:
        """Configured peers that were never met. What they may have written is not known, so nothing is stable yet."""
        members = self.registry.members.values()
        addresses = {m.address for m in members}
        ids = {self.identity.replica}.union(
            *(m.ids for m in members)
        )  # a hello alone leaves no trace of its sender
        return [a for a in self.peers if a not in addresses and self._found.get(a) not in ids]

    def leads_to(self, address: str) -> bytes | None:
        """The replica id that was found at an address, if it was dialed before."""
        return self._found.get(address)

    def alarm(self, text: str) -> None:
        """Have an operator told. What comes too fast is dropped; the counts in status have it all the same."""
        if len(self.alarms) < limits.ALARMS_MAX:
            self.alarms.append(text)

    def take_alarms(self) -> list[str]:
        """What an operator should be told since the last time."""
        taken, self.alarms = self.alarms, []
        return taken

    def refuse(self, link: Link, code: str, reason: str) -> None:
        """Tell the peer why, and end the link."""
        link.pending.append(Refuse(0, code, reason))
        self.close(link, f"refused: {reason}")

    def linked(self, keyspace: str) -> set[bytes]:
        """Replica ids of the peers that we share a keyspace with now."""
        return {
            link.peer
            for link in self.links.values()
            if link.peer and keyspace in link.their_names and not link.closing
        }

    # What comes in

    def receive(self, drafts: Callable[[str], Draft], link_id: int, body: bytes, now: float) -> None:
        """Take one message, inside the writer's transaction. What is wrong with it ends the link, and nothing else."""
        link = self.links.get(link_id)
        if link is None or link.closing:
            return
        try:
            if len(body) > limits.MESSAGE_BYTES_MAX:
                raise ProtocolError(
                    f"message: {len(body)} bytes, at most {limits.MESSAGE_BYTES_MAX} are possible"
                )
            self._take(drafts, link, decode(body), now)
        except (MalformedError, ProtocolError, Damaged) as error:
            self.close(link, str(error))

    def _take(self, drafts: Callable[[str], Draft], link: Link, message: Message, now: float) -> None:
        if link.is_repeated(message.number):
            return
        if message.number != link.next_in:
            raise ProtocolError(f"message {message.number} came and {link.next_in} was next: some are lost")
        link.next_in = (link.next_in + 1) % NUMBERS
        if isinstance(message, Hello):
            self._on_hello(link, message, now)
            return
        if link.hello is None:  # not even a refusal: a stranger could make us give up our replica id with it
            raise ProtocolError("a message came before hello")
        if isinstance(message, Part):
            whole = self._assemble(link, message)
            if whole is None:
                return
            message = whole
        if isinstance(message, Refuse):
            self._on_refuse(link, message)
        elif isinstance(message, Open):
            self._on_open(drafts, link, message)
        else:
            self._in_keyspace(drafts, link, message, now)

    def _assemble(self, link: Link, part: Part) -> Message | None:
        link.parts += part.data
        if not link.shared:
            raise ProtocolError("parts before a keyspace is shared")
        if len(link.parts) > limits.PARTS_BYTES_MAX:
            raise ProtocolError("a message in parts is larger than a batch may be")
        if not part.is_last:
            return None
        message = decode(bytes(link.parts))
        link.parts.clear()
        if not isinstance(message, Batch):
            raise ProtocolError("only a batch may come in parts")
        return message

    def _on_hello(self, link: Link, hello: Hello, now: float) -> None:
        me = self.identity
        if link.hello is not None:
            raise ProtocolError("a second hello")
        if len(hello.replica) != vector.REPLICA_BYTES or len(hello.fingerprint) > 64:
            raise ProtocolError("hello: a replica id of another length")
        if any(
            len(text.encode()) > limits.NAME_BYTES_MAX for text in (hello.name, hello.cluster, hello.address)
        ):
            raise ProtocolError("hello: a name is too long")
        link.hello = hello
        if link.dialed is not None:
            self._found[link.dialed] = hello.replica
        if hello.version != VERSION:
            return self.refuse(
                link, "version", f"protocol version {VERSION} is spoken here, not {hello.version}"
            )
        if hello.cluster != me.cluster:
            return self.refuse(link, "cluster", f"this is cluster {me.cluster!r}, not {hello.cluster!r}")
        if hello.replica == me.replica:
            return self._on_self(link, hello)
        if hello.replica in self.registry.ending:
            return self.refuse(link, "forgotten", f"replica {hello.replica.hex()} was forgotten here")
        if self._is_clone(hello):
            return self.refuse(link, "clone", f"another node uses replica {hello.replica.hex()}")
        self.heard[hello.replica] = now
        self._keep_one(link)

    def _on_self(self, link: Link, hello: Hello) -> None:
        if hello.fingerprint != self.identity.fingerprint:
            self.is_disowned = "another node uses this node's replica id: its directory was copied"
        self.close(link, "this is the node itself")

    def _is_clone(self, hello: Hello) -> bool:
        """A fingerprint that comes back after another one was seen: two nodes take turns under one id."""
        seen = self._fingerprints.setdefault(hello.replica, [])
        if seen and seen[-1] == hello.fingerprint:
            return False
        if hello.fingerprint in seen:
            return True
        seen.append(hello.fingerprint)
        del seen[: -limits.FINGERPRINTS_MAX]
        return False

    def _keep_one(self, link: Link) -> None:
        """Two nodes that dialed each other keep the link that the lower replica id dialed."""
        for other in self.links.values():
            if other is link or other.peer != link.peer or other.closing:
                continue
            if _dialer(other, self.identity.replica) < _dialer(link, self.identity.replica):
                self.close(link, "there is another link to this peer")
            else:
                self.close(other, "there is another link to this peer")

    def _on_refuse(self, link: Link, message: Refuse) -> None:
        if message.code not in REFUSALS:
            raise ProtocolError("refuse: a code that is not known")
        if message.code in ("clone", "rollback"):
            self.is_disowned = f"a peer has proved it: {message.reason[:200]}"
        if message.code == "forgotten":
            self.is_forgotten = True
        self.close(link, f"the peer refused: {message.reason[:200]}")

    def _on_open(self, drafts: Callable[[str], Draft], link: Link, message: Open) -> None:
        name = message.keyspace
        if not name or len(name.encode()) > limits.NAME_BYTES_MAX or not name.isprintable():
            raise ProtocolError("open: a keyspace whose name is empty, too long or not printable")
        if name in link.their_names or len(link.their_names) >= limits.KEYSPACES_MAX:
            raise ProtocolError("open: a keyspace twice, or too many of them")
        if len(message.digest) != DIGEST_BYTES:
            raise ProtocolError("open: a digest of another length")
        theirs, horizon = vector.decode(message.delivered), vector.decode(message.horizon)
        resume = message.resume[1] if message.resume and message.resume[0] == self.identity.replica else b""
        if len(resume) > path.PATH_BYTES_MAX:
            raise ProtocolError("open: it resumes beyond any path")
        link.their_names.append(name)
        early = (theirs, horizon, message.digest, message.whole, resume)
        shared = link.shared.get(name)
        if shared is None:
            link.early[name] = early
        else:
            self._share(drafts(name), link, shared, early)

    def _share(
        self, draft: Draft, link: Link, shared: Shared, early: tuple[Vector, Vector, bytes, bool, bytes]
    ) -> None:
        """Both ends host the keyspace from here on."""
        shared.quiet_state = None
        shared.theirs, shared.their_horizon, shared.their_digest, shared.their_whole, shared.resume = early
        self._prove(draft.state, link, shared.theirs)
        if link.peer not in draft.state.peers:
            draft.set_peer(link.peer, Vector())  # a joiner counts as a member from its hello

    def _prove(self, state: State, link: Link, theirs: Vector) -> None:
        """A peer that has more of our events than we made proves that we are a copy, or were rolled back."""
        me = self.identity.replica
        if theirs.last(me) > state.delivered.last(me):
            self.is_disowned = (
                f"member {link.hello.name if link.hello else '?'} has event {theirs.last(me)} of this node, "
                f"which has made {state.delivered.last(me)}: its directory was copied or rolled back"
            )
            raise ProtocolError("events of mine that I never made")

    def _in_keyspace(self, drafts: Callable[[str], Draft], link: Link, message: Message, now: float) -> None:
        if not isinstance(message, Batch | Ack | Tell | Ask):
            raise ProtocolError("parts inside parts")
        if not 0 <= message.keyspace < len(link.their_names):
            raise ProtocolError("a keyspace that the peer has not opened")
        shared = link.shared.get(link.their_names[message.keyspace])
        if shared is None or shared.theirs is None:
            raise ProtocolError("a keyspace that is not shared on this link")
        self.heard[link.peer] = now
        shared.quiet_state = None
        draft = drafts(shared.name)
        if isinstance(message, Ask):
            shared.is_asked = True
            return
        ids = replica_ids(link.peer, self.identity.replica, message.replicas)
        gained = of_flat(message.gained, ids)
        _grow(shared.theirs, gained)
        self._prove(draft.state, link, shared.theirs)
        if isinstance(message, Batch):
            self._on_batch(draft, link, shared, message, gained)
        elif isinstance(message, Ack):
            self._on_ack(link, shared, message, now)
        else:
            self._on_tell(draft, link, shared, message)
        self._note_peer(draft, link, shared)

    def _on_batch(self, draft: Draft, link: Link, shared: Shared, message: Batch, gained: Vector) -> None:
        theirs = shared.theirs
        assert theirs is not None
        content, ids = batch.unpack(message, link.peer, self.identity.replica)
        claim = batch.claim_of(message, ids, gained)
        batch.check(content, theirs)
        self._check_size(draft.state, theirs)
        if claim is not None and not theirs.covers(claim):
            raise ProtocolError("claim: beyond the sender's vector")
        self._check_seals(shared.name, content, claim)
        for cell_path in content.cells:
            draft.cell(cell_path)  # a damaged cell is found here, before anything is changed
        if message.staged is not None:
            self._stage(draft, link, shared, message, is_last=claim is not None)
        kept = draft.state.bootstrap, draft.state.debt.copy()
        complete = None if message.full is None else self._begin_full(draft, link, shared, message)
        is_repair = complete is not None and shared.is_repairing and theirs.covers(draft.state.delivered)
        if message.staged is None or claim is not None:
            is_part = message.staged is not None
            try:
                conflicted = batch.apply(draft, content, complete, is_repair=is_repair, is_part=is_part)
            except Damaged:  # a cell that the sender does not have; nothing was put yet
                draft.state.bootstrap, draft.state.debt = kept
                raise
            self._note_conflicts(shared.name, conflicted)
        if complete is not None:
            claim = self._advance_full(draft, message, complete)
            shared.is_repairing = shared.is_repairing and claim is None
        if claim is not None:
            draft.state.delivered.update(claim)
        shared.their_whole = True
        shared.acks_due += 1

    def _stage(self, draft: Draft, link: Link, shared: Shared, message: Batch, *, is_last: bool) -> None:
        """Keep a part of a large batch on disk; with the last one, apply the others, which were checked as they came."""
        if message.full is not None or (message.staged != 0 and not shared.staged):
            raise ProtocolError("staged: a part without those before it")
        key = link.id.to_bytes(8, "big")
        if message.staged == 0:
            draft.unstage(key)
            shared.staged = 0
        if not is_last:
            draft.stage(key + shared.staged.to_bytes(8, "big"), encode(message))
            shared.staged += 1
            return
        for raw in draft.staged(key):
            part = decode(raw)
            assert isinstance(part, Batch), "what is staged was checked"
            held, _ = batch.unpack(part, link.peer, self.identity.replica)
            self._note_conflicts(shared.name, batch.apply(draft, held, is_part=True))
            draft.spill()
        draft.unstage(key)
        shared.staged = 0

    def _check_size(self, state: State, theirs: Vector) -> None:
        """Both vectors together must stay one that peers take."""
        mine = state.delivered.replicas()
        others = theirs.replicas()
        most = vector.REPLICAS_MAX
        if len(mine) + len(others) > most and len({*mine, *others}) > most:
            raise ProtocolError(f"gained: more than {most} replicas with those known here")

    def _note_conflicts(self, keyspace: str, cell_paths: list[bytes]) -> None:
        for cell_path in cell_paths:
            self.conflicts[keyspace] = self.conflicts.get(keyspace, 0) + 1
            self.alarm(
                f"keyspace {keyspace!r}: two payloads under one dot in {path.to_text(cell_path)}, so a replica id "
                "was used twice; reads of it fail until it is written"
            )

    def _check_seals(self, keyspace: str, content: batch.Content, claim: Vector | None) -> None:
        """What lies beyond the answers about a sealed id is refused whole, or the members would never agree on it.

        The registry's own keyspace is exempt: the answers themselves travel in it.
        """
        if keyspace == SYSTEM:
            return
        for replica, seal in self.registry.seals.items():
            if self.identity.name not in seal.answers:
                continue
            bound = seal.bound(keyspace)
            dots = [d for c in content.cells.values() for d in c.dots() if d[0] == replica]
            dots += [d for d in content.groups if d[0] == replica]
            if any(d not in bound for d in dots) or (claim and not bound.covers(claim.only(replica))):
                raise ProtocolError(
                    f"events of {replica.hex()} beyond what the members answered for its seal"
                )

    def _begin_full(self, draft: Draft, link: Link, shared: Shared, message: Batch) -> batch.Complete:
        full, state = message.full, draft.state
        assert full is not None and shared.theirs is not None
        if full.upto is not None and full.upto <= full.after:
            raise ProtocolError("full: a range that is empty")
        if link.peer > self.identity.replica and self._is_sending_full(shared.name):
            # Else three nodes could each wait, half done, for the next: a chain of such waits only leads to lower ids.
            raise ProtocolError("full: this node is sending one itself, and a lower id goes first")
        if max(len(full.after), len(full.upto or b"")) > path.PATH_BYTES_MAX:
            raise ProtocolError("full: a range beyond any path")
        horizon = vector.decode(full.horizon) if full.horizon else Vector()
        if not shared.theirs.covers(horizon):
            raise ProtocolError("full: a horizon beyond the sender's vector")
        under_way = state.bootstrap
        if under_way is None or under_way.sender != link.peer or under_way.reached != full.after:
            if full.after or not full.horizon:
                raise ProtocolError("full: it does not begin at the beginning")
            is_first = not state.delivered.minus(state.delivered.only(self.identity.replica))
            under_way = Bootstrap(link.peer, vector.encode(shared.theirs), b"", is_first)
            state.bootstrap = under_way
        state.debt.update(horizon)
        for (
            other
        ) in self.links.values():  # what was being sent began from a vector that no longer says it all
            if shared.name in other.shared and not state.is_whole:
                other.shared[shared.name].exchange = None
        return batch.Complete(full.after, full.upto, vector.decode(under_way.vector), state.debt)

    def _is_sending_full(self, keyspace: str) -> bool:
        exchanges = [
            link.shared[keyspace].exchange for link in self.links.values() if keyspace in link.shared
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

    def _on_tell(self, draft: Draft, link: Link, shared: Shared, message: Tell) -> None:
        if len(message.digest) not in (0, DIGEST_BYTES):
            raise ProtocolError("tell: a digest of another length")
        third = [(replica, vector.decode(raw)) for replica, raw in message.peers]
        shared.their_whole = True
        shared.their_digest = message.digest
        theirs, state = shared.theirs, draft.state
        assert theirs is not None
        if message.digest and theirs == state.delivered and state.is_whole:
            self._compare(link, shared, state)
        for replica, had in third:
            self._union_peer(draft, replica, had)

    def _compare(self, link: Link, shared: Shared, state: State) -> None:
        if shared.their_digest == state.digest.to_bytes(16, "big"):
            return
        self.mismatches[shared.name] = self.mismatches.get(shared.name, 0) + 1
        over = (shared.their_digest, state.digest)
        if shared.is_repairing or shared.asked_for == over or shared.exchange is not None:
            return
        # Both ask, since neither knows which of the two has lost something; the lower id once it has answered.
        if self.identity.replica < link.peer and not shared.has_answered:
            return
        shared.asked_for, shared.is_repairing = over, True
        link.pending.append(Ask(0, shared.number))
        self.alarm(
            f"keyspace {shared.name!r}: equal vectors and unequal digests, ours and member "
            f"{link.name!r}'s; a full exchange is asked for"
        )

    def _union_peer(self, draft: Draft, replica: bytes, had: Vector) -> None:
        """What a third replica had once: so a broken link, or a partial view, does not stop collection."""
        if len(replica) != vector.REPLICA_BYTES or replica == self.identity.replica:
            return
        mine = draft.state.peers.get(replica, Vector())
        if draft.state.delivered.covers(had) and not mine.covers(had):
            both = mine.copy()
            both.update(had)
            draft.set_peer(replica, both)

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
        if found is not None and draft.state.peers.get(link.peer) != found:
            draft.set_peer(link.peer, found.copy())

    # What goes out

    def outbox(self, views: Callable[[str], View], hosted: Iterable[str], now: float) -> list[Send | Close]:
        """What to send now, from the snapshot of the last commit. A bounded amount: call again until it is empty."""
        out: list[Send | Close] = []
        self.wake_at = now + 1.0
        names = sorted(hosted, key=lambda name: (name != SYSTEM, name))
        lagging = {name: self._age(name, views(name).state, now) for name in names}
        for link in list(self.links.values()):
            for message in self._messages(link, views, names, lagging, now):
                out += self._frames(link, message)
            if link.closing:
                out.append(Close(link.id, link.closing))
                del self.links[link.id]
        return out

    def _messages(
        self,
        link: Link,
        views: Callable[[str], View],
        names: list[str],
        aged: dict[str, Vector],
        now: float,
    ) -> Iterable[Message]:
        if not link.said_hello:
            link.said_hello = True
            me = self.identity
            yield Hello(0, VERSION, me.cluster, me.name, me.address, me.replica, me.fingerprint)
        yield from link.pending
        link.pending.clear()
        if link.closing:
            return
        if link.hello is None:
            if now - link.opened_at >= limits.HELLO_TIMEOUT_S:
                self.close(link, f"no hello within {limits.HELLO_TIMEOUT_S:g} s")
            return
        for name in names:
            if name not in link.shared:
                yield self._open(link, name, views(name))
            if link.shared[name].theirs is not None:
                is_held = name != SYSTEM and self._waits_for_registry(link, views(SYSTEM).state)
                view = views(name)
                yield from self._sender.messages(
                    link, link.shared[name], view, aged[name], now, is_held=is_held
                )

    def _waits_for_registry(self, link: Link, state: State) -> bool:
        """Whether the peer knows more of the members than we do: what it would refuse, and why, may be in there."""
        shared = link.shared[SYSTEM]
        return shared.theirs is None or (shared.their_whole and not state.delivered.covers(shared.theirs))

    def _open(self, link: Link, name: str, view: View) -> Open:
        state = view.state
        link.shared[name] = Shared(name, len(link.shared), state.delivered)
        boot = state.bootstrap
        resume = (boot.sender, boot.reached) if boot and not state.is_whole and boot.reached else None
        return Open(
            0,
            name,
            vector.encode(state.delivered),
            vector.encode(state.horizon),
            state.digest.to_bytes(16, "big"),
            state.is_whole,
            resume,
        )

    def late_shares(self, drafts: Callable[[str], Draft]) -> None:
        """Keyspaces that the peer opened before we did; called in a transaction, after our own Open went out."""
        for link in self.links.values():
            for name in [n for n in link.early if n in link.shared]:
                try:
                    self._share(drafts(name), link, link.shared[name], link.early.pop(name))
                except ProtocolError as error:
                    self.close(link, str(error))

    @property
    def has_late_shares(self) -> bool:
        """Whether `late_shares` has something to do."""
        return any(name in link.shared for link in self.links.values() for name in link.early)

    def _frames(self, link: Link, message: Message) -> Iterable[Send]:
        body = self._numbered(link, message)
        if len(body) <= limits.MESSAGE_BYTES_MAX:
            yield Send(link.id, body)
            return
        link.next_out = (link.next_out - 1) % NUMBERS
        size = limits.MESSAGE_BYTES_MAX - 64
        for at in range(0, len(body), size):
            part = Part(0, body[at : at + size], at + size >= len(body))
            yield Send(link.id, self._numbered(link, part))

    def _numbered(self, link: Link, message: Message) -> bytes:
        message = msgspec.structs.replace(message, number=link.next_out)
        link.next_out = (link.next_out + 1) % NUMBERS
        return encode(message)

    def numbering(self, link: Link) -> Numbering:
        """The replica numbers of a message to the peer of ``link``."""
        return Numbering(self.identity.replica, link.peer)

    def wake(self, at: float) -> None:
        """Ask to be called at that time, at the latest."""
        self.wake_at = min(self.wake_at, at)

    def _age(self, name: str, state: State, now: float) -> Vector:
        """What was delivered here at least `FORWARD_AFTER_S` ago: only that is forwarded for others."""
        since, young, aged = self._aged.get(name, (now, state.delivered, Vector()))
        if now - since >= limits.FORWARD_AFTER_S:
            since, young, aged = now, state.delivered, young
        self._aged[name] = (since, young, aged)
        if not aged.covers(state.delivered):
            self.wake(since + limits.FORWARD_AFTER_S)
        return aged

    # Collection and duties

    def collect(self, draft: Draft, keyspace: str, after: bytes) -> tuple[bytes | None, list[bytes]]:
        """One step of collection from row key ``after`` on; where to go on, None at the end, and what to remove."""
        stable = self.collectable(draft.state, keyspace)
        if not stable:
            return None, []
        where, silent = stability.collect(draft, stable, after, limits.COLLECT_ROWS)
        if self.may_return():
            return where, []  # who comes back may have written *on* not knowing of the *off*
        me, members = self.identity.replica, self.registry.current | {self.identity.replica}
        return where, [at for at in silent if stability.sweeper(draft.cell(at), members) == me]

    def collectable(self, state: State, keyspace: str) -> Vector:
        """The events that may be collected now; none while what others hold is not known."""
        if not state.is_whole or self.unmet():
            return Vector()
        ids = stability.counted(state, self.identity.replica, self.registry, keyspace, self.linked(keyspace))
        return stability.stable(state, ids)

    def may_return(self) -> frozenset[bytes]:
        """Replicas that do not count for stability and may yet come back with writes that nobody has seen."""
        return frozenset((self.registry.removed | self.registry.old) - self.registry.sealed)

    def duties(self, states: dict[str, State], now: float) -> list[Op]:
        """What this node must write into ``$system`` now: its registration, silence votes, answers for seals."""
        me, reg = self.identity, self.registry
        ops = registry.join_ops(
            reg, me.name, me.replica, me.address, states, self.old_ids, is_again=self.has_registered
        )
        self.has_registered = True
        if not states[SYSTEM].is_whole:
            return ops  # half a registry would make old ids of current ones
        for replica in sorted(reg.old - reg.sealed):
            seal = reg.seals.get(replica, registry.Seal(replica))
            heard = self.heard.setdefault(replica, now)
            if me.name not in seal.silent and now - heard >= limits.SILENCE_S:
                ops += registry.silent_ops(me.name, replica)
        for replica, seal in sorted(reg.seals.items()):
            if reg.is_agreed(seal) and me.name not in seal.answers and replica != me.replica:
                has = {ks: state.delivered.intervals(replica) for ks, state in states.items()}
                ops += registry.answer_ops(me.name, replica, has)
        return ops


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


def _dialer(link: Link, me: bytes) -> bytes:
    return me if link.dialed is not None else link.peer
