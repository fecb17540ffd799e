"""Every limit that a caller can meet: its name, its unit and why it is what it is."""

TRANSACTION_CELLS_MAX = 1_000
"""Cells that one event may change. Each costs a row in the index until every member has seen the event."""

TRANSACTION_BYTES_MAX = 512 * 1024
"""Bytes of payload that one event may write: half a message, so that paths and context fit beside them."""

TRANSACTION_OPS_MAX = 10_000
"""Writes that one transaction may queue, since many of them may go to one cell: a queue of a few MB."""

KEYSPACE_NAME_BYTES_MAX = 200
"""UTF-8 bytes of a keyspace's name. It is part of a key of the store, and those end at 511."""
