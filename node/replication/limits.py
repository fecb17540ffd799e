"""Every limit of the engine: its unit, its reason, and what a larger value costs."""

MESSAGE_BYTES_MAX = 1024 * 1024 - 1024
"""Bytes of one message. Smaller ones let links share the wire; larger ones make a slow peer's buffers grow."""
BATCH_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of a batch that holds whole events, over as many messages as it takes: it is held in memory once, and applied in
one commit of a second or so. Beyond it events are sent in parts, and the receiver says that it is catching up."""
SLICE_BYTES = 1024 * 1024
"""Bytes of a cell above which it is sent in slices of that size: it may have grown without bound by merging."""
LARGE_CELLS_MAX = 1000
"""Cells sent in slices that one exchange remembers: their contexts are held in memory."""
APPLY_BYTES = 256 * 1024
"""Bytes of a staged full exchange that one commit applies: a tenth of a second of the writer."""
PARTS_BYTES_MAX = 32 * 1024 * 1024
"""Bytes of one message that comes in parts. Only one entry of a cell with many rivals comes near it."""
BATCH_BYTES_TARGET = 128 * 1024
"""Bytes at which a batch is sent, whole events permitting. Larger ones hold the writer longer, for less overhead."""
DEFLATE_BYTES_MIN = 256
"""Bytes of a batch from which on it is deflated: about a millisecond for each 100 KiB. Shorter ones gain nothing."""
WINDOW_BYTES = 1024 * 1024
"""Bytes sent and not acknowledged, a keyspace and link. Bounds what a slow peer makes us hold; larger fills a long pipe."""
WINDOW_BATCHES = 32
"""Batches sent and not acknowledged; far below the wrap of message numbers."""
TELL_AFTER_S = 0.5
"""Seconds that a gain in our vector waits to be told: several gains cost one message, and under load there would be more of
these than of any other. Adds to lag as others see it, and to `FORWARD_AFTER_S`. What is sent is acknowledged at once."""
TELL_AFTER_LARGE_S = 0.05
"""The same where not all are linked: each hop on the way waits for it."""
FORWARD_AFTER_S = 1.2
"""Seconds that others' events must have been lacking at a peer before we forward them. Two `TELL_AFTER_S` and more, so that
a full mesh sends nothing twice; larger routes around a broken link more slowly."""
UNREACHABLE_AFTER_S = 30.0
"""Seconds that a host may lack what we have, and not be linked, before it is named as out of reach."""
DIGEST_EVERY_S = 5.0
"""Seconds between digests told to a peer whose vector equals ours. A digest is 16 bytes."""
ACK_TIMEOUT_S = 30.0
"""Seconds without an acknowledgement of what was sent after which the link is given up; a commit of the largest batch fits."""
ORPHAN_S = 30.0
"""Seconds that a node waits for what nobody linked has, before it has another send it everything. Whoever has it may come back."""
HELLO_TIMEOUT_S = 5.0
"""Seconds that a new link may take to say hello; an idle stranger is closed."""
OPEN_TIMEOUT_S = 30.0
"""Seconds that a peer may take to open the registry, which everybody hosts; if that was lost, nothing else would be said."""
COLLECT_EVERY_S = 1.0
"""Seconds between steps of collection, while stability moves."""
COLLECT_ROWS = 500
"""Rows looked at in one step of collection: a few milliseconds of the writer."""
SWEEP_EVERY_S = 1.0
"""Seconds between looks at what has expired. It is hidden meanwhile; a smaller value only frees space sooner."""
SWEEP_ROWS = 200
"""Entries looked at in one step of sweeping: a few milliseconds of the writer, as each is an event."""
SWEEP_GRACE_S = 600.0
"""Seconds that the replica which wrote an entry has to sweep it, before others do: a restart, or a short partition."""
SWEEP_SPREAD_S = 600.0
"""Seconds over which the grace of different nodes is spread, so that one sweeps and the others see it."""
SILENCE_S = 600.0
"""Seconds that an old replica id must have been silent before a member agrees to seal it."""
EVEN_EVERY_S = 1.0
"""Seconds between two looks at whether a peer runs low of a bounded counter. Larger: fewer events, and more spends that
must ask first."""
EVEN_COUNTERS = 500
"""Counters looked at each time: a few milliseconds of the writer."""
WATCHED_MAX = 10_000
"""Counters waiting to be looked at; those beyond are looked at when they change next. A path each."""
ASK_EVERY_S = 0.1
"""Seconds between two questions for rights of one counter: some round trips, so that an answer is not asked for twice."""
GIVE_EVERY_S = 0.02
"""Seconds between two rounds of answers on one link and keyspace: bounds the events that a peer can make us write."""
WANTS_MAX = 64
"""Counters for which one peer's questions are kept until they are answered; it asks again for the others."""
NAME_BYTES_MAX = 200
"""Bytes of a member's or keyspace's name; it is part of a path."""
LAST_TOLD_MAX = 4096
"""Vectors remembered of peers that are not linked any more, one a peer and keyspace: they say what is lost with it."""
MESH_MAX = 16
"""Members up to which everybody is linked with everybody: some hundred links in all. Beyond, n nodes would keep n * n / 2."""
RINGS_MIN = 4
"""Rings that the members of a larger cluster are on, at least; two links each. Fewer part sooner when several nodes fail at
once: with 8 links the odds that all neighbours of a node are among a tenth that failed are 1 to 10**8."""
RING_TURN_S = 600.0
"""Seconds after which one ring takes another order, and each node two other neighbours. Less has more links come and go."""
PATIENCE_S = 4.0
"""Seconds that a neighbour is looked for before the next one along the ring is: a dialer's wait and a little."""
PASSED_OVER_MAX = 8
"""Neighbours in a row that are passed over, on one side of one ring: what a node alone dials in vain is bounded."""
LINGER_S = 5.0
"""Seconds that a link which is wanted no more stays after those that are wanted instead are there."""
SURPLUS_MAX = 8
"""Links that only the other end wants, beside those of the rings: views of the members differ for a while, and newcomers
begin somewhere. Beyond, the oldest that is idle is ended."""
GUESTS_MAX = 4
"""Members that are no neighbours and are asked at a time for what one counter lacks."""
GUEST_S = 30.0
"""Seconds that a link lives for the sake of one question to a member that is no neighbour."""
FORWARD_AFTER_LARGE_S = 0.1
"""`FORWARD_AFTER_S` where not all are linked: two `TELL_AFTER_LARGE_S`, as each hop on the way waits for it."""
TABLE_EVERY_S = 0.5
"""Seconds between two tellings of what others have, for each `TABLE_MEMBERS` members, where not all are linked; who waits
for copies on all of them waits for this once a hop."""
TABLE_MEMBERS = 64
TABLE_BYTES = 64 * 1024
"""Bytes of others' vectors in one message; the rest comes in the next one. A message holds some 16 times that."""
TABLE_LOOKED = 256
"""Others' vectors looked at for one message: some milliseconds."""
AWAY_AFTER_S = 60.0
"""Seconds without a sign of life, however it came, after which a member that is no neighbour is taken for away. A sign takes
up to `DIGEST_EVERY_S` a hop, over five hops in a cluster of 1,024."""
LINKS_MAX = 2048
"""Links at once. Each costs a few kilobytes and a stream."""
KEYSPACES_MAX = 255
"""Keyspaces of one node; nine LMDB databases each."""
FINGERPRINTS_MAX = 8
"""Fingerprints remembered a replica id, to tell a clone from a restart."""
DAMAGED_RETRY_S = 10.0
"""Seconds before an exchange that met a damaged cell is tried again; each time it is logged."""
FETCH_PATHS_MAX = 64
"""Damaged cells asked for at a time; the others are asked for once these are here."""
FETCH_EVERY_S = 1.0
"""Seconds between two questions for damaged cells on one link and keyspace."""
DOUBT_S = 3.0
"""Seconds without a question for damaged cells after which what a host tells says that it has all of them: it repeats them
every `FETCH_EVERY_S`, or `IDLE_S` later."""
HEAL_ROWS_MAX = 100_000
"""Rows looked at to see whether a peer knows all of one damaged cell: a tenth of a second. Of a peer that lacks more
nothing is taken until it has caught up."""
ALARMS_MAX = 100
"""Alarms kept between two turns of the writer, which logs them."""
TOKEN_CHARS_MAX = 2048
"""Characters of a token, which travels in a header; servers take some 8 KiB of all headers together."""
IDLE_S = 1.0
"""Seconds after which a link with nothing to say is looked at again all the same."""
