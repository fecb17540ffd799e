"""What we know of a peer on one link. A link is one connection; a new one starts from hello again."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from gossamer.crdt import Dot, Vector

from .bases import Told
from .freshness import Asking
from .messages import NUMBERS, Event, Hello, Message
from .state import State

Early = tuple[Vector, Vector, bytes, bool, bytes, Event | None]
"""A peer's Open: vector, horizon, digest, whole, resume, its newest event of ours."""


Moment = tuple[State | Vector | dict[bytes, Vector], ...]
"""What there may be something to say about at once when it is another, told from what was before by its identity."""


@dataclass
class Exchange:
    """One answer under way: cells of the rows that the peer lacks, then a claim.

    Sound while the sender goes on changing because a row that is superseded meanwhile moves to a higher seq of the
    same replica, ahead of the scan, and because ``vector``, not the one at the end, is what is claimed.
    """

    vector: Vector
    """My delivered vector when the exchange began."""
    scope: list[bytes]
    """The replicas whose rows are scanned; only their events are claimed. Empty for a full exchange."""
    is_full: bool = False
    is_staged: bool = False
    """Whole events would make a batch too large: its parts are kept by the receiver and applied at the end."""
    base: Vector = field(default_factory=Vector)
    """Staged: what the peer had, and the parts sent hold."""
    is_resumed: bool = False
    """Full: it goes on where another exchange ended."""
    is_in_rows: bool = False
    """Full and staged: all cells are sent, and what has changed since follows row by row."""
    sliced: tuple[bytes, Dot | None] | None = None
    """The path of a cell that is being sent in slices, and the row that it is sent for."""
    sliced_upto: bytes = b""
    """The last replica sent of it."""
    sliced_context: dict[bytes, int] = field(default_factory=dict)
    """Its context when the first slice was sent."""
    large: dict[bytes, dict[bytes, int]] = field(default_factory=dict)
    """Cells sent in slices -> their context then: they are not sent again for each replica that has a row for them."""
    at: int = 0
    """Index in ``scope`` of the replica being scanned."""
    next_seq: int = 1
    next_path: bytes = b""
    """Of the rows of ``next_seq``, the first one to send, if some are sent."""
    after: bytes = b""
    """Full exchange: the last path sent."""
    is_first: bool = True
    is_over: bool = False
    """The last batch is sent; its acknowledgement is awaited."""


@dataclass
class Shared:
    """One keyspace that both ends host, as this link knows it."""

    name: str
    number: int
    """Mine, in the messages I send."""
    told: Vector
    """My delivered vector as I last told it on this link."""
    theirs: Vector | None = None
    """The peer's delivered vector as it last told it; exact, since messages arrive in order. None before its Open."""
    their_horizon: Vector = field(default_factory=Vector)
    their_whole: bool = True
    their_digest: bytes = b""
    snapshot: Vector | None = None
    """An earlier ``theirs`` that we do not cover yet; once we do, all the peer had then is here too."""
    exchange: Exchange | None = None
    unacked: deque[int] = field(default_factory=deque)
    """Bytes of each batch sent and not acknowledged."""
    acks_due: int = 0
    staged: int = 0
    staged_upto: bytes | None = b""
    """Of a full exchange that comes in parts: every path up to this one is here; None: all are."""
    is_journal: bool = False
    """The parts are those of a full exchange."""
    is_ack_owed: bool = False
    """Its last part is acknowledged once all are applied."""
    """Parts of a batch that are kept until the last one comes."""
    full_at: float = -math.inf
    """When the peer's last batch of a full exchange came."""
    is_second: bool = False
    """A full exchange of the peer's came while another's was under way: it is dropped, and begins anew on another link."""
    is_deaf: bool = False
    """A batch was dropped, since a cell in it is damaged here: no later one of the exchange may be taken."""
    is_deaf_to_parts: bool = False
    """It was a part of a staged batch: it can only be taken once nothing is damaged."""
    fetches: list[bytes] = field(default_factory=list)
    """Damaged cells that the peer asked for."""
    fetch_at: float = 0.0
    """When ours may be asked for next."""
    blocked_until: float = 0.0
    """Until then nothing is sent: a cell that belongs into the answer is damaged."""
    resume: bytes = b""
    """Where the peer's unfinished bootstrap from us stands."""
    is_asked: bool = False
    """The peer asked for a full exchange."""
    asked_for: tuple[bytes, int] | None = None
    """The digests, the peer's and ours, over which we asked for a full exchange; not twice over the same."""
    has_answered: bool = False
    """A full exchange that the peer asked for has begun on this link."""
    is_adopting: bool = False
    """The peer was asked for a full exchange that replaces ours, and it has not begun."""
    is_repairing: bool = False
    """What is asked for has not ended."""
    wants: dict[bytes, int] = field(default_factory=dict)
    """Rights of bounded counters that the peer asked for: path -> how many."""
    give_at: float = 0.0
    """When its questions may be answered next."""
    tell_at: float | None = None
    digest_at: float = 0.0
    asking: Asking = field(default_factory=Asking)
    """Of what the peer had, and when."""
    quiet_until: float = 0.0
    """Until then, unless a message comes or a commit changes our state, there is nothing to say."""
    quiet_state: State | None = None
    quiet_aged: Vector | None = None
    peers_told: dict[bytes, Vector] = field(default_factory=dict)
    """What the peer has taken over of what others have: it had all of it when it was told."""
    table_of: dict[bytes, Vector] | None = None
    """The table that was told from last, and from which entry on it is told next."""
    table_at: int = 0
    table_next: float = 0.0

    def is_quiet(self, state: State, aged: Vector) -> bool:
        """Whether nothing has happened since there was nothing to say."""
        return self.quiet_state is state and self.quiet_aged is aged and not self.acks_due

    def __str__(self) -> str:
        flow = "idle" if self.exchange is None else ("full" if self.exchange.is_full else "sending")
        return (
            f"{self.name}: theirs {self.theirs}, told {self.told}, {flow}, {len(self.unacked)} unacknowledged"
        )


@dataclass
class Link:
    """One connection to a peer."""

    id: int
    dialed: str | None
    """The address we dialed; None if the peer did."""
    opened_at: float
    vouched: frozenset[str] | None = None
    """The names that the peer's certificate vouches for; None: any, as there is none."""
    hello: Hello | None = None
    said_hello: bool = False
    shared: dict[str, Shared] = field(default_factory=dict)
    """Keyspaces that I opened on this link."""
    their_names: list[str] = field(default_factory=list)
    """Keyspaces that the peer opened, in its numbering."""
    early: dict[str, Early] = field(default_factory=dict)
    """The peer's Open of keyspaces that I do not host."""
    bases: Told = field(default_factory=Told)
    """What vectors on this link may stand on."""
    pending: list[Message] = field(default_factory=list)
    parts: bytearray = field(default_factory=bytearray)
    next_in: int = 0
    next_out: int = 0
    progress_at: float = 0.0
    """When the peer last acknowledged a batch, or we began to wait for it."""
    wall_ahead: int | None = None
    """Microseconds by which the peer's wall clock is ahead of the clock that ``now`` is here; None before its word."""
    closing: str | None = None
    quiet_at: Moment | None = None
    """What all keyspaces here were when there was nothing to say on this link in any of them."""
    quiet_until: float = 0.0

    @property
    def peer(self) -> bytes:
        """The peer's replica id, empty before its hello."""
        return self.hello.replica if self.hello else b""

    def stir(self, shared: Shared) -> None:
        """Something has come, or been decided, that there may be something to say about in a keyspace."""
        shared.quiet_state = self.quiet_at = None

    def is_quiet(self, moment: Moment, now: float) -> bool:
        """Whether nothing has happened since there was nothing to say in any keyspace."""
        return self.quiet_at is moment and now < self.quiet_until and not self.pending and not self.closing

    @property
    def is_busy(self) -> bool:
        """Whether something is on its way to the peer, or it is not whole yet."""
        return any(shared.exchange is not None or not shared.their_whole for shared in self.shared.values())

    @property
    def name(self) -> str:
        """The peer's name, "?" before its hello."""
        return self.hello.name if self.hello else "?"

    def is_repeated(self, number: int) -> bool:
        """Whether a message was handled already; the other messages must be the next one."""
        return 0 < (self.next_in - number) % NUMBERS <= NUMBERS // 2
