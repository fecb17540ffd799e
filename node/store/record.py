"""How a cell lies on disk, and what it adds to the keyspace's digest.

The question this answers: *are these the bytes that were written, at this path?* LMDB does not say; 32 of 40
flipped bits came back as silently wrong values. So a stored cell is a CRC-32 over its path and its bytes, then
the bytes. Corrupt is not absent: it is an error until the cell is replaced.
"""

from __future__ import annotations

import zlib

import xxhash

from gossamer.crdt import Cell, MalformedError, codec, path

from ..errors import Damaged

CHECKSUM_BYTES = 4
DIGEST_MOD = 2**128
_CLOSED = b"\0"  # no array of msgpack begins so, and no vector


def pack(cell_path: bytes, encoded: bytes) -> bytes:
    """The stored bytes of an encoded cell."""
    return zlib.crc32(encoded, zlib.crc32(cell_path)).to_bytes(CHECKSUM_BYTES, "big") + encoded


def unpack(cell_path: bytes, stored: bytes) -> Cell:
    """The cell of stored bytes. `Damaged` if they are not what was written at this path."""
    encoded = stored[CHECKSUM_BYTES:]
    if zlib.crc32(encoded, zlib.crc32(cell_path)).to_bytes(CHECKSUM_BYTES, "big") != stored[:CHECKSUM_BYTES]:
        raise Damaged(f"cell {_name(cell_path)}: its checksum is wrong; the value on disk is damaged")
    try:
        return codec.decode(encoded)
    except MalformedError as error:
        raise Damaged(f"cell {_name(cell_path)}: {error}") from None


def closed(raw: bytes) -> bytes:
    """Bytes that are no cell, as they are stored: a mark, a CRC-32, and they themselves."""
    return _CLOSED + zlib.crc32(raw).to_bytes(CHECKSUM_BYTES, "big") + raw


def opened(stored: bytes) -> bytes:
    """The bytes of `closed`, or such as were stored before it was. `MalformedError` if they have changed since."""
    if stored[:1] != _CLOSED:
        return stored
    raw = stored[1 + CHECKSUM_BYTES :]
    if zlib.crc32(raw).to_bytes(CHECKSUM_BYTES, "big") != stored[1 : 1 + CHECKSUM_BYTES]:
        raise MalformedError("a checksum is wrong; the value on disk is damaged")
    return raw


def weight(cell_path: bytes, cell: Cell, encoded: bytes | None = None) -> int:
    """What a cell adds to the digest: a hash of its path, live entries and the floors that apply to them.

    A cell that says nothing weighs 0, so that it weighs the same before and after it is collected. ``encoded``
    spares an encoding where it is at hand: without dead context the stored bytes are the canonical form.
    """
    if cell.says_nothing:
        return 0
    if cell.dead or encoded is None:
        encoded = codec.encode(Cell(cell.live, cell.floors()))
    return xxhash.xxh3_128_intdigest(len(cell_path).to_bytes(2, "big") + cell_path + encoded)


def _name(cell_path: bytes) -> str:
    try:
        return path.to_text(cell_path)
    except MalformedError:
        return cell_path.hex()
