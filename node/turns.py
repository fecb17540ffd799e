"""What goes into a node's one single-threaded core, and what comes out: the contract of `Replica`.

Who may do what, when? The writer thread alone calls `Core.turn` and `Core.outbox`. A turn is one durable
transaction for all its inputs; what it leaves to be sent is asked for after it, so nothing is ever sent or
acknowledged that is not committed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from gossamer.crdt import Cell, Dot

from .backend import Change, Op
from .beaten import Record

if TYPE_CHECKING:  # at run time the engine, which imports this, must not meet LMDB
    from .counts import Counts
    from .feed.hub import Hub
    from .store.feed import Place, Subscribed
    from .store.feedpage import Page, Scope
    from .waiting import Wait


class Instant(NamedTuple):
    """One moment, by the wall (for stamps) and by a clock that only goes forward (for deadlines)."""

    wall: int
    """Microseconds since 1970."""
    mono: float
    """Seconds since some moment."""


class Write(NamedTuple):
    """A transaction of this node's own."""

    keyspace: str
    ops: Sequence[Op]
    wait: float = 0.0
    """Seconds that a spend without rights is kept until it has some; its result is then `KEPT`."""
    op_id: str | None = None
    attempt: Attempt | None = None


class Attempt(NamedTuple):
    """A remote client's try of a write: a later one with the same ``id`` finds out what came of it, and writes nothing."""

    node: bytes
    """The replica id of the node that the first try went to; no other may take it for the first."""
    id: bytes


class Kept:
    """The result of a write whose outcome comes with a later turn, from `Core.take_settled`."""


KEPT = Kept()


class Update(NamedTuple):
    """A transaction of this node's own that depends on what a cell is at its commit."""

    keyspace: str
    path: bytes
    change: Change
    """Called on the writer thread; an exception in it is the input's outcome."""
    op_id: str | None = None


class Settle(NamedTuple):
    """Write a beaten value again, or note that it was looked at."""

    keyspace: str
    number: int
    """Of the note in the ledger."""
    dot: Dot
    """The event of the beaten value, so that a number of another node's ledger is not taken for one of ours."""
    verb: Literal["reinstate", "dismiss"]
    force: bool = False


class Connected(NamedTuple):
    """A link opened: ``dialed`` is the address this node dialed, None if the peer did."""

    link: int
    dialed: str | None
    vouched: frozenset[str] | None = None
    """The member names that the peer's certificate vouches for; None: there is no TLS, and any name is taken."""


class Received(NamedTuple):
    """A message came in on a link."""

    link: int
    body: bytes


class Disconnected(NamedTuple):
    """A link is gone, for whatever reason, `Close` included. Comes once for each `Connected`."""

    link: int


class Tick(NamedTuple):
    """``wake_at`` has come."""


class UseFeed(NamedTuple):
    """Somebody follows a keyspace's feed: it is on from now on."""

    keyspace: str


class Subscribe(NamedTuple):
    """Find or make a subscription; gives a `Subscribed`. With ``anew`` it begins again."""

    keyspace: str
    name: str
    prefix: str
    inside: bytes
    snapshot: bool
    anew: bool


class Acknowledge(NamedTuple):
    """A subscription has come so far; gives its `Place`, which never goes back."""

    keyspace: str
    name: str
    place: Place


class Unsubscribe(NamedTuple):
    """Forget a subscription; gives whether there was one."""

    keyspace: str
    name: str


FeedInput = UseFeed | Subscribe | Acknowledge | Unsubscribe
Input = Write | Update | Settle | Connected | Received | Disconnected | Tick | FeedInput
Result = Any
"""Of a `Write` its dot, or None if there was nothing to write; of what is asked of a feed as it says; else None."""


class Send(NamedTuple):
    """Send a message on a link. Order on one link is kept."""

    link: int
    body: bytes


class Close(NamedTuple):
    """End a link and tell the peer why, after what was sent on it before."""

    link: int
    reason: str


Effect = Send | Close


class FeedCore(Protocol):
    """The feeds of one node, to read. Any thread."""

    hub: Hub
    """Rung after each commit that changed a feed."""

    @property
    def replica(self) -> bytes:
        """The node's replica id now."""

    @property
    def names(self) -> Mapping[bytes, str]:
        """Replica id -> the member that has, or had, it."""

    def feed_page(self, keyspace: str, place: Place, scope: Scope) -> Page | None:
        """What there is of a feed from a place on. `CursorExpired` if that is gone; None while there is nothing to
        read yet, and then the hub rings when there is."""

    def subscriptions(self, keyspace: str) -> dict[str, Subscribed]:
        """The subscriptions of a keyspace, by name."""

    def feed_status(self, keyspace: str) -> dict[str, Any]:
        """A feed and its subscriptions, JSON-ready."""


class Core(FeedCore, Protocol):
    """The store and the engine of one node."""

    wake_at: float
    """``mono`` at which a turn of `Tick` is wanted next."""

    counts: Counts
    """What happened since it was opened. Any thread may look."""

    @property
    def replica(self) -> bytes:
        """The node's replica id now. Any thread."""

    def turn(self, inputs: Sequence[Input], now: Instant) -> Sequence[Result]:
        """Commit all inputs in one durable transaction. An exception in a result is that input's alone."""

    def take_settled(self) -> list[tuple[Write, Result]]:
        """The writes that were kept and are no longer, the very same objects, with their outcome. Writer thread."""

    def outbox(self, now: Instant) -> Sequence[Effect]:
        """What to send now; asked for after each turn, and again until it is empty."""

    def addresses(self) -> list[str]:
        """Whom to dial, the configured peers among them. Writer thread."""

    def name_at(self, address: str) -> str | None:
        """The name of the member there, as far as it is known. Writer thread."""

    def wants(self, address: str) -> bool:
        """Whether dialing an address would help: not if it is this node, or a peer linked already. Writer thread."""

    def host(self, keyspace: str) -> None:
        """Make a keyspace here, if it is not yet, and share it with peers. Writer thread."""

    def hosts(self, keyspace: str) -> bool:
        """Whether a keyspace is here. Any thread."""

    def leave(self, keyspace: str, force: bool = False) -> None:
        """Drop a keyspace as soon as other hosts have all of it. `OnlyCopy` if there is none. Writer thread."""

    def stay(self, keyspace: str) -> str:
        """Give up dropping it; why it could not go, empty if it has gone. Writer thread."""

    def depart(self) -> None:
        """Take no more writes, and leave the cluster as soon as others have everything. `OnlyCopy`. Writer thread."""

    def remain(self) -> str | None:
        """Give up leaving; why it could not go, None if it has left. Writer thread."""

    def lacks_to_go(self) -> str | None:
        """What is missing until it has left, in words; None: nothing. Writer thread, between turns."""

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        """The cell at a path. Any thread."""

    def page(
        self, keyspace: str, prefix: bytes, after: bytes | None, limit: int, bytes_max: int | None = None
    ) -> list[tuple[bytes, Cell]]:
        """Up to ``limit`` cells under a prefix, past ``after``, in path order; the last one is that which fills
        ``bytes_max`` of payload. Any thread."""

    def estate(self, keyspace: str, member: str) -> tuple[bytes, ...]:
        """As `Backend.estate`. Any thread."""

    def token(self, keyspace: str, dot: Dot | None) -> str | None:
        """The token of all that is delivered, or of one event; None if it is too long. Any thread."""

    def short_token(self, keyspace: str) -> str:
        """A shorter one, that says less to other nodes. Writer thread."""

    def has(self, keyspace: str, token: str) -> bool:
        """Whether a token is surely covered. Any thread."""

    def lacks(self, keyspace: str, wait: Wait, now: Instant) -> str | None:
        """What is missing for a wait to be over, in words; None: nothing. Writer thread, between turns."""

    on_beaten: Callable[[], None] | None
    """Called after a turn that has noted beaten values. It must not block. Writer thread."""

    def keyspaces(self) -> list[str]:
        """The keyspaces here. Any thread."""

    def notes(self, keyspace: str, below: int | None, limit: int) -> list[tuple[int, Record]]:
        """Notes of beaten values and their numbers, the newest first. Any thread."""

    def notes_above(self, keyspace: str, number: int, limit: int) -> list[tuple[int, Record]]:
        """Notes of beaten values above a number, the oldest first. Any thread."""

    def explain(self, keyspace: str, cell_path: bytes, now: Instant) -> dict[str, Any]:
        """Why a reader sees what is at a path: plain, JSON-ready data. Writer thread."""

    def status(self, now: Instant) -> dict[str, Any]:
        """A plain, JSON-ready snapshot. Writer thread."""

    def copy_to(self, folder: Path) -> None:
        """Copy the store, as of the last commit, into an empty folder. Any thread."""

    def close(self) -> None:
        """Let go of the directory. Nothing is called afterwards."""
