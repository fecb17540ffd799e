"""The replication engine: one question, one answer, on every link.

    "This is what I have delivered." -> "Here are the cells of every change I hold that you lack,
                                         and after them you have delivered all that I have."

Push, pull, catch-up and anti-entropy are this one exchange; there is no second mechanism. The engine is a state
machine without sockets, clock or threads. `receive` takes a message inside the writer's transaction; `outbox`,
called after the commit, says what to send. So what is sent or acknowledged is always durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import is_not
from typing import NamedTuple

import msgspec

from gossamer.crdt import MalformedError, Vector

from ..errors import Damaged, ProtocolError
from ..turns import Close, Send
from . import evidence, limits
from .doubts import Doubts
from .duties import Duties
from .freshness import Proof
from .handshake import Handshake
from .healing import Healer
from .journal import Journal
from .link import Link, Moment, Shared
from .messages import (
    NUMBERS,
    VERSION,
    Batch,
    Deflated,
    Event,
    Hello,
    Message,
    Numbering,
    Open,
    Part,
    Refuse,
    decode,
    deflate,
    encode,
    plain,
)
from .neighbours import Neighbours, is_mesh
from .orphans import Orphans
from .receiving import Receiver
from .registry import SYSTEM, Registry
from .sending import Sender
from .signs import Signs
from .state import State
from .view import Draft, View
from .wants import Wants

WALL_MAX = 2**62
"""Microseconds since 1970; whoever says more has no clock."""


class Identity(NamedTuple):
    """Who this node is."""

    replica: bytes
    fingerprint: bytes
    name: str
    address: str
    cluster: str
    durability: str = "commit"


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
        self.read_only: frozenset[str] = frozenset()
        """Keyspaces in which this node makes no event."""
        self.leaving: set[str] = set()
        """Keyspaces that this node drops once others have all of them."""
        self.is_departing = False
        """This node leaves the cluster: it lets go of everything, and makes no event but those that this takes."""
        self.dropped: set[str] = set()
        """``<id> <keyspace>``: what this node has dropped, and as whom."""
        self.quarantined: dict[str, int] = {}
        """Keyspace -> in how many cells two payloads were found under one dot."""
        self.alarms: list[str] = []
        """What an operator should be told, since it was last taken; the engine does not log."""
        self.heard: dict[bytes, float] = {}
        """Replica id -> when its last link was alive."""
        self.proofs: dict[str, dict[bytes, Proof]] = {}
        """Keyspace -> replica id -> since when we hold all that it had."""
        self.last_told: dict[tuple[bytes, str], Vector] = {}
        """Replica id and keyspace -> the vector that it told last on a link that has ended."""
        self.found: dict[str, bytes] = {}
        """Address that was dialed -> the replica id that was found there."""
        self.claimed: dict[str, str] = {}
        """Address that was dialed -> the name that the node there called itself by."""
        self.neighbours = Neighbours()
        self.signs = Signs()
        self.doubts = Doubts()
        self.now = 0.0
        """Of the last outbox."""
        self.wall_ahead = 0
        """Microseconds by which this node's wall clock is ahead of the clock that ``now`` is."""
        self._told_before: dict[str, Aging] = {}
        self._aged: dict[str, Aging] = {}
        self.duties = Duties(self)
        self.receiver = Receiver(self)
        self.wants = Wants(self)
        self.healer = Healer(self)
        self.journal = Journal(self)
        self.orphans = Orphans(self)
        self._handshake = Handshake(self)
        self._sender = Sender(self)
        self._moment: Moment = ()
        self._seen: dict[str, State] = {}
        """Keyspace -> its state in the last outbox."""
        self._stirred: dict[str, State] = {}
        """Keyspace -> the last state that was a reason to look at all links."""
        self.wake_at = 0.0

    # Links

    def connect(
        self, link_id: int, dialed: str | None, now: float, vouched: frozenset[str] | None = None
    ) -> None:
        """A connection is there; it begins with a hello each way. ``vouched``: names that its certificate is for."""
        link = Link(link_id, dialed, now, vouched)
        self.links[link_id] = link
        if len(self.links) > limits.LINKS_MAX:
            self.close(link, f"more than {limits.LINKS_MAX} links")

    def disconnect(self, link_id: int) -> None:
        """A connection has ended, whoever ended it."""
        link = self.links.pop(link_id, None)
        if link is not None:
            self._remember(link)
        for proofs in self.proofs.values():
            for replica in proofs.keys() - self.registry.current:
                del proofs[replica]  # nobody waits for it, and there may be ever more of them
        self.doubts.keep(self.registry.current)

    def close(self, link: Link, reason: str) -> None:
        """End a link after what is pending on it has been sent."""
        link.closing = link.closing or reason

    def _remember(self, link: Link) -> None:
        """What a peer had when it was last heard: what is lost with it, should it never come back."""
        for shared in link.shared.values():
            if shared.theirs is not None and shared.their_whole:
                self.last_told[link.peer, shared.name] = shared.theirs
        while len(self.last_told) > limits.LAST_TOLD_MAX:
            del self.last_told[next(iter(self.last_told))]

    def close_all(self, reason: str) -> None:
        """End every link: what was being received or acknowledged did not happen."""
        for link in self.links.values():
            self.close(link, reason)

    def become(self, identity: Identity) -> None:
        """Go on under another replica id; the events so far are simply another replica's."""
        self.old_ids.append(self.identity.replica)
        self.identity, self.is_disowned, self.has_registered = identity, None, False
        self.close_all("this node has taken a new replica id")

    def forget_keyspace(self, keyspace: str) -> None:
        """It is not hosted here any more. Every link begins anew, without it."""
        self._aged.pop(keyspace, None)
        self._told_before.pop(keyspace, None)
        self._seen.pop(keyspace, None)
        self._stirred.pop(keyspace, None)
        self.close_all(f"keyspace {keyspace!r} was dropped")

    def may_write(self, keyspace: str) -> bool:
        """Whether this node may make events in a keyspace: writes, and all that it does unasked."""
        if self.has_left or (self.is_departing and keyspace != SYSTEM):
            return False
        return keyspace not in self.read_only

    @property
    def has_left(self) -> bool:
        """Whether this node has written that it left for good, or somebody has with its id."""
        seal = self.registry.seals.get(self.identity.replica)
        return seal is not None and seal.has_left

    def unmet(self) -> list[str]:
        """Configured peers that were never met. What they may have written is not known, so nothing is stable yet."""
        members = self.registry.members.values()
        addresses = {m.address for m in members}
        ids = {self.identity.replica}.union(
            *(m.ids for m in members)
        )  # a hello alone leaves no trace of its sender
        return [a for a in self.peers if a not in addresses and self.found.get(a) not in ids]

    def leads_to(self, address: str) -> bytes | None:
        """The replica id that was found at an address, if it was dialed before."""
        return self.found.get(address)

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

    def doubt(self, replica: bytes, keyspace: str) -> str | None:
        """Why a host's copy of a keyspace is not to be relied on, whatever its vector says; None: nothing is known against it."""
        for link in self.links.values():
            shared = link.shared.get(keyspace) if link.peer == replica and not link.closing else None
            if shared is not None and not shared.their_whole:
                return "is itself catching up"
        return self.doubts.about(replica, keyspace)

    # Beyond a full mesh

    @property
    def is_partial(self) -> bool:
        """Whether so many members can be dialed that not everybody dials everybody."""
        return not is_mesh(len(self.registry.dialable))

    @property
    def tell_after_s(self) -> float:
        """Seconds that a gain waits to be told."""
        return limits.TELL_AFTER_LARGE_S if self.is_partial else limits.TELL_AFTER_S

    @property
    def table_every_s(self) -> float:
        """Seconds between two tellings of what others have, where not all are linked."""
        many = max(1.0, len(self.registry.remaining) / limits.TABLE_MEMBERS)
        return min(limits.TABLE_EVERY_S * many, limits.DIGEST_EVERY_S)

    def signs_for(self, peer: bytes) -> list[tuple[bytes, int]]:
        """The signs of life to tell a peer; in a full mesh everybody sees for themselves."""
        return self.signs.told(peer, self.registry.current) if self.is_partial else []

    def heard_of(self, replica: bytes) -> float | None:
        """When the last sign of life of a replica came, from itself or through others."""
        found = [at for at in (self.heard.get(replica), self.signs.at(replica)) if at is not None]
        return max(found, default=None)

    def invite(self, replica: bytes, now: float) -> None:
        """Have a member linked for a while, to ask it something."""
        name = next((m.name for m in self.registry.remaining if m.replica == replica), None)
        if name is not None:
            self.neighbours.invite(name, now)

    def wanted(self) -> frozenset[str] | None:
        """The names of the members to be linked with; None: everybody that is known.

        So it is while the members are few, and while this node is not among those that it knows. Beyond, links that
        only the other end wants, and more of them than are kept, are ended; not those of members that nobody can dial.
        """
        dialable, me = self.registry.dialable, self.identity.name
        of = {m.replica: m.name for m in self.registry.remaining}
        if is_mesh(len(dialable)) or me not in of.values():
            return None
        links = [link for link in self.links.values() if link.peer in of and not link.closing]
        linked = {of[link.peer] for link in links}
        found = self.neighbours.wanted(me, dialable | {me}, linked, self.now, self.wall(self.now) / 1e6)
        surplus = [k for k in links if k.dialed is None and of[k.peer] in dialable - found and not k.is_busy]
        for link in sorted(surplus, key=lambda link: link.opened_at)[: -limits.SURPLUS_MAX]:
            self.close(link, "this node has as many links as it keeps")
        self.signs.keep(self.registry.current)
        return frozenset(found)

    def wall(self, now: float) -> int:
        """This node's wall clock."""
        return int(now * 1e6) + self.wall_ahead

    def note_clock(self, link: Link, wall: int, now: float) -> None:
        """The peer said what time it is there."""
        if 0 < wall < WALL_MAX:
            link.wall_ahead = wall - int(now * 1e6)
            self.signs.note(link.peer, wall // 1_000_000, now)

    def skews(self) -> dict[bytes, int]:
        """Replica id -> microseconds by which a linked peer's wall clock is ahead of ours, as far as it has said.

        The time that its word was on the way is missing from it.
        """
        return {
            link.peer: link.wall_ahead - self.wall_ahead
            for link in self.links.values()
            if link.wall_ahead is not None and link.peer and not link.closing
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
            self.note_clock(link, message.wall, now)
            self._handshake.on_hello(link, message, now)
            return
        if link.hello is None:  # not even a refusal: a stranger could make us give up our replica id with it
            raise ProtocolError("a message came before hello")
        if isinstance(message, Part):
            whole = self._assemble(link, message)
            if whole is None:
                return
            message = whole
        message = plain(message)
        if isinstance(message, Refuse):
            self._handshake.on_refuse(link, message)
        elif isinstance(message, Open):
            self.receiver.on_open(drafts, link, message)
        else:
            self.receiver.in_keyspace(drafts, link, message, now)

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
        if not isinstance(message, Batch | Deflated):
            raise ProtocolError("only a batch may come in parts")
        return message

    # What goes out

    def outbox(self, views: Callable[[str], View], hosted: Iterable[str], now: float) -> list[Send | Close]:
        """What to send now, from the snapshot of the last commit. A bounded amount: call again until it is empty."""
        out: list[Send | Close] = []
        self.now = now
        names = sorted(hosted, key=lambda name: (name != SYSTEM, name))
        self.wake_at = now + limits.IDLE_S
        states = {name: views(name).state for name in names}
        aged = {name: self._age(name, state, now) for name, state in states.items()}
        moment = self._moment_of(*self._urgent(states, now), *aged.values())
        wake_at = self.wake_at
        for link in list(self.links.values()):
            if not link.is_quiet(moment, now):
                self.wake_at = now + limits.IDLE_S
                for message in self._messages(link, views, names, aged, now):
                    out += self._frames(link, message)
                is_open = link.hello is not None and self.wake_at > now
                link.quiet_at, link.quiet_until = (moment if is_open else None), self.wake_at
            wake_at = min(wake_at, link.quiet_until)
            if link.closing:
                out.append(Close(link.id, link.closing))
                del self.links[link.id]
                self._remember(link)
        self.wake_at = wake_at
        return out

    def _urgent(self, states: dict[str, State], now: float) -> Iterable[State | dict[bytes, Vector]]:
        """What all links are looked at for at once. Where all are linked with all, that is an event of our own.

        What another node did is news to none of the others but one who is cut off from it. So that changes nothing here until
        it is old enough to be forwarded, and each link is looked at when it is time to tell what was gained.
        """
        for name, state in states.items():
            if self._seen.get(name) is not state:
                self._seen[name] = state
                if self._is_urgent(name, state):
                    self._stirred[name] = state
                else:
                    self._tell_later(name, now + self.tell_after_s)
            yield self._stirred[name]
            if self.is_partial:
                yield state.peers

    def _is_urgent(self, name: str, state: State) -> bool:
        before = self._stirred.get(name)
        if before is None or self.is_partial or name == SYSTEM:
            return True
        is_booting = state.bootstrap is not None or before.bootstrap is not None
        me = self.identity.replica
        return is_booting or state.delivered.last(me) != before.delivered.last(me)

    def _tell_later(self, name: str, at: float) -> None:
        for link in self.links.values():
            if shared := link.shared.get(name):
                shared.tell_at = at if shared.tell_at is None else shared.tell_at
                link.quiet_until = min(link.quiet_until, shared.tell_at)

    def _moment_of(self, *parts: State | Vector | dict[bytes, Vector]) -> Moment:
        """What matters of the keyspaces now: the same tuple as before, unless something is another."""
        if len(parts) != len(self._moment) or any(map(is_not, parts, self._moment)):
            self._moment = parts
        return self._moment

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
            closed = link.bases.tell(self.registry.base)
            yield Hello(
                0,
                VERSION,
                me.cluster,
                me.name,
                me.address,
                me.replica,
                me.fingerprint,
                self.wall(now),
                closed,
            )
        yield from link.pending
        link.pending.clear()
        if link.closing:
            return
        if link.hello is None:
            if now - link.opened_at >= limits.HELLO_TIMEOUT_S:
                self.close(link, f"no hello within {limits.HELLO_TIMEOUT_S:g} s")
            return
        for name in names:
            shared = link.shared.get(name)
            if shared is None:
                yield self._open(link, name, views(name))
                shared = link.shared[name]
            if shared.theirs is None:
                if name == SYSTEM and now - link.opened_at >= limits.OPEN_TIMEOUT_S:
                    self.close(link, f"the registry was not opened within {limits.OPEN_TIMEOUT_S:g} s")
                continue
            view = views(name)
            if shared.is_quiet(view.state, aged[name]) and now < (until := self._quiet_until(shared, view)):
                self.wake(until)
                continue
            is_held = name != SYSTEM and self._waits_for_registry(link, views(SYSTEM).state)
            yield from self._sender.messages(link, shared, view, aged[name], now, is_held=is_held)

    def _quiet_until(self, shared: Shared, view: View) -> float:
        """Until when there is nothing to say: what third nodes have is told now and then where others learn it from us."""
        if self.is_partial and shared.table_of is not view.state.peers:
            return min(shared.quiet_until, shared.table_next)
        return shared.quiet_until

    def _waits_for_registry(self, link: Link, state: State) -> bool:
        """Whether the peer knows more of the members than we do: what it would refuse, and why, may be in there.

        Or whether it is being sent the registry in parts: what it refuses for want of the last one ends the link, and
        with it go the others.
        """
        shared = link.shared[SYSTEM]
        is_in_parts = shared.exchange is not None and shared.exchange.is_staged
        return (
            shared.theirs is None
            or (shared.their_whole and not state.delivered.covers(shared.theirs))
            or is_in_parts
        )

    def _open(self, link: Link, name: str, view: View) -> Open:
        state = view.state
        link.shared[name] = Shared(name, len(link.shared), state.delivered)
        boot = state.bootstrap
        may_resume = boot is not None and not state.is_whole and not state.is_applying
        resume = (boot.sender, boot.reached) if boot and may_resume and boot.reached else None
        return Open(
            0,
            name,
            link.bases.pack(name, state.delivered),
            link.bases.pack(name, state.horizon),
            state.digest.to_bytes(16, "big"),
            state.is_whole,
            resume,
            self._newest_of(link.peer, view),
        )

    def _newest_of(self, replica: bytes, view: View) -> Event | None:
        try:
            return evidence.of(view, replica)
        except Damaged:
            return None

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
        encoded = encode(message)
        shorter = deflate(message, encoded) if isinstance(message, Batch) else None
        return encoded if shorter is None else encode(shorter)

    def numbering(self, link: Link) -> Numbering:
        """The replica numbers of a message to the peer of ``link``."""
        return Numbering(self.identity.replica, link.peer)

    def wake(self, at: float) -> None:
        """Ask to be called at that time, at the latest."""
        self.wake_at = min(self.wake_at, at)

    def _age(self, name: str, state: State, now: float) -> Vector:
        """What was delivered here at least `FORWARD_AFTER_S` ago: only that is forwarded for others."""
        after_s = limits.FORWARD_AFTER_LARGE_S if self.is_partial else limits.FORWARD_AFTER_S
        since, _, aged = _aging(self._aged, name, state.delivered, now, after_s)
        _aging(self._told_before, name, state.delivered, now, limits.UNREACHABLE_AFTER_S)
        if aged is not state.delivered and not aged.covers(state.delivered):
            self.wake(since + after_s)
        return aged

    def unreachable(self, keyspace: str, hosts: Iterable[bytes], state: State) -> list[bytes]:
        """Hosts that no path of hosts leads to: not linked, and not known to have what we have had for long."""
        before = self._told_before.get(keyspace, (0.0, Vector(), Vector()))[2]
        away = set(hosts) - self.linked(keyspace) - {self.identity.replica}
        return sorted(r for r in away if not state.peers.get(r, Vector()).covers(before))


Aging = tuple[float, Vector, Vector]
"""Since when; what was there then; what was there at least so long before that."""


def _aging(kept: dict[str, Aging], name: str, now_has: Vector, now: float, after_s: float) -> Aging:
    """The last of it was there at least ``after_s`` ago."""
    found = kept.get(name)
    if found is None:
        found = kept[name] = (now, now_has, Vector())
    elif now - found[0] >= after_s:
        found = kept[name] = (now, now_has, found[1])
    return found
