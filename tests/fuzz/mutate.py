"""Inputs that are nearly valid: a valid one, changed where a decoder looks.

Which changes? Bits and bytes; pieces cut out, doubled, exchanged with those of another input; lengths and integers of msgpack,
varints and protobuf at the edges of their ranges; nesting. A text gets the same and the words of its grammar.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

BYTES_MAX = 64 * 1024
INTEGERS = (
    0,
    1,
    127,
    128,
    255,
    256,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**53,
    2**62,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
HEADS = (
    *(
        b"\xdc\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\xdd\x7f\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
    ),
    *(
        b"\xde\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\xd4\x01\x00",
        b"\xc1",
        b"\x9f",
        b"\x8f",
        b"\xc0",
    ),
    *(
        b"\xca\x7f\xc0\x00\x00",
        b"\xcb\x7f\xf0" + bytes(6),
        b"\xcb\xff\xf0" + bytes(6),
        b"\xcb\x80" + bytes(7),
        b"\xd6\xff" + bytes(4),
    ),
    *(b"\xff" * 9 + b"\x01", b"\x80" * 20, b"\x00\x01\x01\x01\x02", b"\xed\xa0\x80", b"\xc0\x80"),
)
"""Beginnings of msgpack values that promise much, numbers that are none, varints that do not end, broken UTF-8."""
WORDS = (
    *(
        '{"$bytes": "',
        '{"$dict": {',
        "[[[[",
        "]]]]",
        "{{",
        "}",
        '"',
        "\\u0000",
        "\\ud800",
        "1e999",
        "-0.0",
        "NaN",
        "null",
        "true",
    ),
    *(
        "9" * 400,
        "map:",
        "counter:",
        "set:s/str:",
        "%00",
        "%zz",
        "%",
        "/",
        ":",
        "\x00",
        "\n",
        " = ",
        "[timing]",
        "keys.",
        "''",
        "==",
    ),
    *("2030-01-01T00:00:00+00:00", "0001-01-01T00:00:00-24:00", "99999-01-01", "\u202e", "\U0001f600"),
)


def mutated(rng: random.Random, corpus: Sequence[bytes], *, is_text: bool = False) -> bytes:
    """One of the inputs, changed once to eight times; sometimes only noise."""
    if rng.random() < 0.02:
        return rng.randbytes(rng.choice((0, 1, 2, 8, 64, 512)))
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        _change(rng, data, corpus, is_text)
        if len(data) > BYTES_MAX:
            del data[BYTES_MAX:]
    return bytes(data)


def _change(rng: random.Random, data: bytearray, corpus: Sequence[bytes], is_text: bool) -> None:
    at = rng.randrange(len(data) + 1)
    size = min(rng.choice((1, 1, 2, 4, 8, 16, 64, 1024)), len(data) - at)
    match rng.randrange(11):
        case 0 if data:
            where = rng.randrange(len(data))
            data[where] ^= 1 << rng.randrange(8)
        case 1 if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
        case 2:
            del data[at:]
        case 3:
            del data[at : at + size]
        case 4:
            data[at:at] = data[at : at + size] * rng.choice((1, 1, 2, 16, 200))
        case 5:
            other = rng.choice(corpus)
            begin = rng.randrange(len(other) + 1)
            data[at : at + size] = other[begin : begin + rng.choice((1, 4, 16, 64, 1024))]
        case 6:
            data[at : at + size] = _integer(rng)
        case 7:
            data[at : at + rng.choice((0, 1, size))] = rng.choice(HEADS)
        case 8:
            data[at:at] = rng.choice((b"\x91", b"\x92", b"\x81\xa1x", b"\xc4\x02")) * rng.choice(
                (1, 3, 40, 2000)
            )
        case 9 if is_text:
            data[at : at + rng.choice((0, size))] = rng.choice(WORDS).encode("utf-8", "surrogatepass")
        case _:
            data[at:at] = rng.randbytes(rng.choice((1, 2, 8)))


def _integer(rng: random.Random) -> bytes:
    """At the edge of a range, as msgpack, as bytes of a fixed length, or as a varint has it."""
    number = max(0, rng.choice(INTEGERS) + rng.choice((-1, 0, 0, 1)))
    number = min(number, 2**64 - 1)
    form = rng.randrange(4)
    if form == 0:
        return b"\xcf" + number.to_bytes(8, "big")
    if form == 1:
        return b"\xd3" + (number & (2**64 - 1)).to_bytes(8, "big")
    if form == 2:
        return number.to_bytes(8, rng.choice(("big", "little")))
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes((number,)))
