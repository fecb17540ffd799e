"""The names of operations: what an ``op_id`` may be, how one is made, and the time that it may carry.

When was an operation first tried? An ``op_id`` of one's own does not say. One from `new_op_id` begins with the time it
was made, so a node can tell that it is older than the window. (It is a UUID of version 7 behind ``op-``, since a plain
one may be the name of something much older than the operation.)
"""

from __future__ import annotations

import os
import re
import time
import uuid

from .limits import OP_ID_BYTES_MAX

_TIMED = re.compile(r"op-([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_op_id() -> str:
    """A fresh ``op_id``, which sorts by the time it was made."""
    random = int.from_bytes(os.urandom(10), "big")
    stamp = (time.time_ns() // 1_000_000) & (2**48 - 1)
    high, low = random >> 68, random & (2**62 - 1)
    return "op-" + str(uuid.UUID(int=stamp << 80 | 7 << 76 | (high & 0xFFF) << 64 | 2 << 62 | low))


def check_op_id(op_id: object) -> str:
    """The ``op_id`` itself. `TypeError` or `ValueError` says why it cannot be one."""
    if not isinstance(op_id, str):
        raise TypeError(f"op_id: a str is wanted, not {type(op_id).__name__}")
    if not op_id.isprintable() or not 1 <= len(op_id.encode(errors="replace")) <= OP_ID_BYTES_MAX:
        raise ValueError(f"op_id: {op_id[:140]!r} is not 1 to {OP_ID_BYTES_MAX} bytes of printable text")
    return op_id


def time_of(op_id: str) -> int | None:
    """Microseconds since 1970 at which it was made, if it says so."""
    found = _TIMED.fullmatch(op_id)
    return int(found[1] + found[2], 16) * 1000 if found else None
