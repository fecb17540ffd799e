"""What the benches of large and of restarted clusters count alike: replica ids, and the news of an event as a message."""

from __future__ import annotations

from gossamer.crdt import Vector
from gossamer.replication import messages


def ids(count: int) -> list[bytes]:
    """So many replica ids, the same ones each time. They look random, as real ones are: no two share a beginning."""
    return [(i * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") for i in range(1, count + 1)]


def news_bytes(sender: bytes, receiver: bytes, gained: Vector, *more: object) -> int:
    """Bytes of the message that tells of ``gained``; ``more``: its fields after that."""
    numbering = messages.Numbering(sender, receiver)
    flat = numbering.flat(gained)  # before the table, which it fills
    return len(messages.encode(messages.Tell(0, 1, numbering.table(), flat, *more)))  # type: ignore[arg-type]  # fields of many types
