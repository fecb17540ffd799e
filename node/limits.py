"""Every limit of a node, in one place: what it bounds, in which unit, and why it is that much.

Which number is it, and what does a larger one cost? Names end in their unit (``_bytes_max``, ``_s``).
"""

from __future__ import annotations

import msgspec

TRANSACTION_CELLS_MAX = 1_000
"""Cells that one event may change. Each costs a row in the index until every member has seen the event."""

TRANSACTION_BYTES_MAX = 512 * 1024
"""Bytes of payload that one event may write: half a message, so that paths and context fit beside them."""

TRANSACTION_OPS_MAX = 10_000
"""Writes that one transaction may queue, since many of them may go to one cell: a queue of a few MB."""

OP_ID_BYTES_MAX = 128
"""UTF-8 bytes of an ``op_id``. It is part of a path, beside the counter's own."""
OP_WINDOW_S = 24 * 3600.0
"""Seconds for which a write with an ``op_id`` is remembered, unless configured. Each costs about 250 bytes on every node."""
OP_WINDOW_S_MAX = 366 * 24 * 3600.0
"""Longest window that may be configured, in seconds: a longer one is a mistake of units."""
OP_CLOCKS_S = 600
"""Seconds by which nodes' clocks may differ without a retry counting twice: so much longer than it is refused elsewhere
is a note kept that carries its time."""
OP_SWEEP_MAX = 500
"""Notes looked at in one step of the sweep, and removed in one event: some 50 KB of a batch, a few ms of the writer."""
OP_SWEEP_RETRY_S = 60.0
"""Seconds before a note that could not go yet is looked at again."""
OP_FOLD_MAX = 250
"""Operations of one counter folded in one event. Such an event travels whole."""
OP_FOLD_LOOK = 500
"""Pending operations looked at in one step of folding: a few milliseconds of the writer."""
ATTEMPT_TURN_S = 120.0
"""Seconds that a node has run after which its notes of remote attempts turn; one is kept for one to two turns, at
some 50 bytes each."""
ATTEMPT_SPAN_S = 60.0
"""Seconds for which a remote client repeats a write by itself: half a turn, so that its note is there for sure."""
ATTEMPT_DROP_MAX = 5_000
"""Notes of attempts dropped in one step: as fast as they can come in, and some 10 ms."""

KEYSPACE_NAME_BYTES_MAX = 200
"""UTF-8 bytes of a keyspace's name. It is part of a key of the store, and those end at 511."""

DOCUMENT_NAME_BYTES_MAX = 200
"""UTF-8 bytes of a document class's name. With a keyspace's it is part of a path, and those end at 500."""
SCHEMA_BYTES_MAX = 64 * 1024
"""Bytes of a document class's schema: some thousand fields. Every node keeps those of all classes."""

LEDGER_RECORDS = 10_000
"""Beaten values that a node keeps a note of, a keyspace, unless told otherwise: weeks of them for most services."""
LEDGER_AGE_S = 30 * 24 * 3600.0
"""Seconds that such a note is kept unless told otherwise: long enough for somebody to complain."""
LEDGER_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of these notes, a keyspace: a note has both values, and a value may be 256 KiB."""
LEDGER_STEP = 500
"""Notes dropped for their age in one tick, so that no write waits long for it."""
EXPLAIN_CELLS_MAX = 100
"""Cells of a map or set that one explanation holds; each is a kilobyte or so, made on the writer's thread."""
CONFLICTS_AT_ONCE = 16
"""Notes read at once: 8 MiB, if all their values are as large as they may be."""
CONFLICTS_PAGE = 100
"""Notes in a page for those who are called with each, and the number listed unless told otherwise."""

MESSAGE_BYTES_MAX = 1024 * 1024
"""Bytes of one message of the engine; larger ones hold a connection and the interpreter for too long."""
ENVELOPE_BYTES = 64 * 1024
"""Bytes that the envelope may add to a message: for a client's transaction, its paths and method names."""
PART_BYTES = 128 * 1024
"""Longer messages are cut into pieces of this size: a second each on a line of 1 Mbit/s, so that a slow line
is not taken for a dead one, and large enough that pieces cost no throughput."""

READ_PATHS_MAX = 1000
"""Paths in one Read."""
REPLY_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of one reply to a client. A cell that has grown by merging may exceed a message."""
PAGE_CELLS = 500
"""Cells in a page of a scan: a page is read in one short read transaction, well under a millisecond a hundred."""

HTTP_CONNECTIONS_MAX = 96
"""Connections at once to a node's status page, and to its metrics: browsers and scrapers. Twice as many for a moment, while the oldest
end. Each takes one of the files that the process may open, of which others use half, and one to the metrics a thread."""
HTTP_READ_S = 10.0
"""Seconds for a scraper to send its request."""
PAGE_BYTES = 256 * 1024
"""Bytes after which a page of a scan is full, read or on the wire, however few its cells: a value may be 256 KiB, and somebody may
read slowly."""

FEED_CHANGES_MAX = 1_000_000
"""Changes that a keyspace's feed keeps unless told otherwise. Each is some hundred bytes on disk; more let a consumer
be away for longer."""
FEED_AGE_S = 7 * 24 * 3600.0
"""Seconds that a feed keeps a change unless told otherwise, and that it goes on with nobody following it: a week, so
that a consumer may be away over a holiday."""
FEED_BYTES_MAX = 256 * 1024 * 1024
"""Bytes of records that a keyspace's feed keeps, so that few large values do not fill the disk."""
FEED_TRIM_CHANGES = 1_000
"""Changes that one tick removes from the beginning of a feed: some milliseconds of the writer."""
FEED_PAGE_CHANGES = 200
"""Changes read for a consumer at once: it costs no more memory than that, however far behind it is."""
FEED_PAGE_LOOKS = 2_000
"""Changes or cells looked at for one page, wanted or not: a read transaction of a few milliseconds."""
FEED_PAGE_BYTES = 256 * 1024
"""Bytes after which a page of a feed is full."""
FEED_USED_EVERY_S = 600.0
"""Seconds between notes that a feed is followed, which cost a few bytes of a commit."""
SUBSCRIPTIONS_MAX = 1_000
"""Subscriptions of a keyspace; each costs a key, and the status shows all."""
SUBSCRIPTION_NAME_BYTES_MAX = 200
"""UTF-8 bytes of a subscription's name. It is part of a key of the store, and those end at 511."""
ACK_CHANGES = 100
"""Changes after which a subscription that acknowledges by itself does so: one commit for all of them."""
ACK_EVERY_S = 0.25
"""Seconds after which it does so with fewer."""
SKIP_CHANGES = 1_000
"""Changes that a subscription does not want, after which it moves past them, so that it does not expire of them."""
SCRUB_CELLS = 500
"""Cells read anew in one step of the scrub, at most: a few milliseconds of the writer, which then has little else to do."""
SCRUB_STEP_S = 0.1
"""Seconds between two steps, at least: under load each is of `SCRUB_CELLS` times this, less than a millisecond."""
SCRUB_BYTES = 1024 * 1024
"""Bytes after which such a step ends, however few its cells."""
SCRUB_EVERY_S = 4.0
"""Seconds in which `SCRUB_CELLS` are read: a million take two hours, at some 20 µs each. Less finds damage
earlier, and reads more."""
SCRUB_PRESSING_S = 0.01
"""Seconds between two steps while the digest is not known, or an index is known to be wrong."""

ROOM_KEPT = 1 / 16
"""Share of the store's map that only removals, clean-up and members' messages may use: 4 GiB of 64. Much more than comes in
between two looks at the room, or a removal of everything takes."""
ROOM_CHECK_S = 1.0
"""Seconds between two looks: far below a microsecond each, until the file is nearly as large as it may be."""
READERS_CHECK_S = 10.0
"""Seconds between two looks for readers of the store that died: some microseconds each; until one, the file grows by what is
written."""

QUEUED_MAX = 8192
"""Writes accepted and not yet taken by the writer thread; beyond, writers wait. A tenth of a second's work."""
GROUP_MAX = 1024
"""Inputs committed together. Beyond a thousand, a larger group gains nothing and its first writer waits longer."""

SPEND_WAIT_S_MAX = 300.0
"""Seconds that a spend waits for rights at most: somebody waits for its outcome, and each costs a look a second."""
SPENDS_WAITING_MAX = 1024
"""Spends that wait for rights at a time; beyond, a spend without rights fails at once. Bounds a turn's work."""
WAITS_MAX = 4096
"""Callers that wait for something at a time; each is looked at after every turn, some microseconds long."""
WAIT_S = 5.0
"""Seconds that a caller waits for something unless told otherwise."""
WAIT_S_MAX = 24 * 3600.0
"""Longest such wait; a longer one is rather a mistake in the unit."""

CANARY_EVERY_S = 10.0
"""Seconds between two canaries unless told otherwise: a commit of its own every ten seconds is not felt."""
CANARY_EVERY_S_MIN = 0.1
"""Seconds between two canaries, at least: each is a commit."""

LINK_PIPELINE = 8
"""Received messages of one link that the engine has not taken yet; beyond, the link stops reading and the
peer feels it through flow control."""
LINK_QUEUE_BYTES_MAX = 32 * 1024 * 1024
"""Bytes waiting to be sent on one link. The engine's windows keep far below (a batch is at most 16 MiB); a link
that reaches this is ended, so that no peer can grow a node's memory by reading slowly."""
LINKS_MAX = 512
"""Links that a node accepts; beyond, a dialer is refused."""
STREAMS_MAX = 1024
"""Calls at a time on one connection to a node's server."""
CALLS_MAX = 4096
"""Calls and links at a time on all of them; beyond, a call is refused."""
CONNECTIONS_MAX = 2048
"""Connections at a time to a node's server, or half of the files that its process may have open, if that is less; beyond, a new one is
closed. Each costs some tens of KB."""
HANDSHAKE_S = 10.0
"""Seconds that a new connection has to become one of HTTP/2, and of TLS where there is."""
IDLE_S = 300.0
"""Seconds after which a connection without a call is closed."""
CLIENT_IDLE_S = 120.0
"""Seconds after which a client closes such a connection itself, without a word; its next call opens one. Well below `IDLE_S`, since gRPC
writes a line on the standard error of a client that is closed."""
LARGE_BYTES = 64 * 1024
"""Bytes from which an answer is large: of smaller ones, `CALLS_MAX` are bearable."""
LARGE_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of large answers that clients have not taken yet; beyond, what would be one is refused. Bounds what
clients that read nothing cost: up to three times as much, as cells, as a message, and as its bytes."""

SETTLE_S_MAX = 60.0
"""Seconds that a caller waits for the writer, which answers in milliseconds: a disk that hangs, or an update's function that does
not return, must not hold every thread, or task, for ever."""
OVERDUE_LOOK_S = 2.0
"""Seconds between two looks whether the writer is stuck; an awaited call waits so much longer, twice at most. Few enough that what passes
unseen, a queue full of turns that are each a little shorter than two looks, is within `SETTLE_S_MAX`."""
END_S_MAX = 60.0
"""Seconds that closing waits for a thread, and a caller for the thread of the network, to do what takes a moment."""

CLIENT_TIMEOUT_S = 5.0
"""Seconds a remote client waits for an answer unless told otherwise."""
SERVER_GRACE_S = 1.0
"""Seconds that calls under way get to finish when a node closes."""


class LinkTiming(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a link is taken for dead, and when it is dialed again. All in seconds."""

    beat_s: float = 0.5
    """Between two pings. A frozen peer is noticed after ``beats_missed_max`` to one more of these."""
    beats_missed_max: int = 4
    """Own beats without a word from the peer, after which the link is dead: 2 to 2.5 s. Counted in beats and not
    by the clock, so that a node that was itself stopped for a while does not blame its peers."""
    hello_s: float = 5.0
    """From the opening of a link to the peer's first message."""
    connect_s: float = 3.0
    """For a dialed address to accept; after that it is dialed again."""
    backoff_base_s: float = 0.1
    """Before the first attempt to dial again; doubles with each failure, times a random 0.5 to 1."""
    backoff_max_s: float = 3.0
    """Longest wait between attempts: a healed partition is noticed within this and ``connect_s``."""
    healthy_s: float = 5.0
    """A link that lived this long was a good one: the next attempt starts from the base again."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            number = getattr(self, name)
            if not number > 0:
                raise ValueError(f"{name}: {number!r} is not above 0")


LEAVE_TIMEOUT_S = 60.0
"""Seconds that leaving the cluster waits for others to have all that the node has, unless told otherwise: a few seconds where they
are linked, more where somebody catches up."""
LEAVE_CELLS = 500
"""Paths looked at for bounded counters in one step of leaving: about a millisecond of the writer."""
LEAVE_STEP_S = 0.05
"""Seconds between two looks whether a leaving node may go, where nothing else happens."""
DROP_TIMEOUT_S = 10.0
"""Seconds that dropping a keyspace waits for other hosts to confirm that they have all of it; they tell it within a few."""
