"""What goes into a node's one single-threaded core, and what comes out: the contract of `Replica`.

Who may do what, when? The writer thread alone calls `Core.turn` and `Core.outbox`. A turn is one durable
transaction for all its inputs; what it leaves to be sent is asked for after it, so nothing is ever sent or
acknowledged that is not committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gossamer.crdt import Cell, Dot

from .backend import Change, Op


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


class Kept:
    """The result of a write whose outcome comes with a later turn, from `Core.take_settled`."""


KEPT = Kept()


class Update(NamedTuple):
    """A transaction of this node's own that depends on what a cell is at its commit."""

    keyspace: str
    path: bytes
    change: Change
    """Called on the writer thread; an exception in it is the input's outcome."""


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


Input = Write | Update | Connected | Received | Disconnected | Tick
Result = Dot | None | Exception | Kept


class Send(NamedTuple):
    """Send a message on a link. Order on one link is kept."""

    link: int
    body: bytes


class Close(NamedTuple):
    """End a link and tell the peer why, after what was sent on it before."""

    link: int
    reason: str


Effect = Send | Close


class Core(Protocol):
    """The store and the engine of one node."""

    wake_at: float
    """``mono`` at which a turn of `Tick` is wanted next."""

    def turn(self, inputs: Sequence[Input], now: Instant) -> Sequence[Result]:
        """Commit all inputs in one durable transaction. An exception in a result is that input's alone."""

    def take_settled(self) -> list[tuple[Write, Result]]:
        """The writes that were kept and are no longer, the very same objects, with their outcome. Writer thread."""

    def outbox(self, now: Instant) -> Sequence[Effect]:
        """What to send now; asked for after each turn, and again until it is empty."""

    def addresses(self) -> list[str]:
        """Members' addresses to dial, beside the configured ones. Writer thread."""

    def name_at(self, address: str) -> str | None:
        """The name of the member there, as far as it is known. Writer thread."""

    def wants(self, address: str) -> bool:
        """Whether dialing an address would help: not if it is this node, or a peer linked already. Writer thread."""

    def host(self, keyspace: str) -> None:
        """Make a keyspace here, if it is not yet, and share it with peers. Writer thread."""

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        """The cell at a path. Any thread."""

    def page(self, keyspace: str, prefix: bytes, after: bytes | None, limit: int) -> list[tuple[bytes, Cell]]:
        """Up to ``limit`` cells under a prefix, past ``after``, in path order. Any thread."""

    def estate(self, keyspace: str, member: str) -> tuple[bytes, ...]:
        """As `Backend.estate`. Any thread."""

    def status(self) -> dict[str, Any]:
        """A plain, JSON-ready snapshot. Writer thread."""

    def copy_to(self, folder: Path) -> None:
        """Copy the store, as of the last commit, into an empty folder. Any thread."""

    def close(self) -> None:
        """Let go of the directory. Nothing is called afterwards."""
