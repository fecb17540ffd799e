"""Values: what a register holds. None, bool, int, float, str, bytes, and lists and dicts of them.

They are opaque to merging, and equal values are equal bytes: dict keys are sorted and -0.0 is 0.0, so that
replicas that hold the same value hold the same cell.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from .errors import MalformedError

PAYLOAD_BYTES_MAX = 256 * 1024
"""Bytes of one encoded payload; several concurrent ones still fit a message of 1 MiB."""
VALUE_BYTES_MAX = PAYLOAD_BYTES_MAX - 16
"""Bytes of one encoded value; the rest is for what a type puts beside it."""
DEPTH_MAX = 64
"""Lists and dicts inside each other; far below what the decoder's own recursion limit is."""

_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
_DECODER = msgspec.msgpack.Decoder()
_PLAIN = frozenset({type(None), bool, str, bytes})


def encode(value: Any, what: str = "value", most: int = VALUE_BYTES_MAX) -> bytes:
    """The canonical bytes of a value.

    Raises `TypeError` for a type that is not listed above, and `ValueError` for a float that is not finite, an
    int outside 64 bits, or a value too deep or of more than ``most`` bytes. ``what`` names the argument in the
    message.
    """
    try:
        data = _ENCODER.encode(_checked(value, what, 0))
    except UnicodeEncodeError as error:
        raise ValueError(f"{what}: a str that is not Unicode text ({error.reason})") from None
    if len(data) > most:
        raise ValueError(f"{what}: {len(data)} bytes encoded, at most {most} are possible")
    return data


def decode(data: bytes) -> Any:
    """The value of ``encode``. `MalformedError` for anything that ``encode`` does not give."""
    if len(data) > PAYLOAD_BYTES_MAX:
        raise MalformedError(f"value: {len(data)} bytes, at most {PAYLOAD_BYTES_MAX} are possible")
    try:
        value = _DECODER.decode(data)
        canonical = _ENCODER.encode(_checked(value, "value", 0))
    except (msgspec.DecodeError, TypeError, ValueError, RecursionError) as error:
        raise MalformedError(f"value: {error}") from None
    if canonical != data:
        raise MalformedError("value: not in canonical form, so equal values would not be equal bytes")
    return value


def read(data: bytes) -> Any:
    """``decode`` without the checks, for bytes that were checked when they came in."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedError(f"value: {error}") from None


def _checked(value: Any, what: str, depth: int) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is int:
        if not -(2**63) <= value < 2**64:
            raise ValueError(f"{what}: int {value} does not fit 64 bits")
        return value
    if kind is float:
        if not math.isfinite(value):
            raise ValueError(f"{what}: float {value} is not finite")
        return value + 0.0
    if depth >= DEPTH_MAX:
        raise ValueError(f"{what}: more than {DEPTH_MAX} lists and dicts inside each other")
    if kind is list:
        return [_checked(item, what, depth + 1) for item in value]
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise TypeError(f"{what}: dict key {key!r} is not a str")
        return {key: _checked(item, what, depth + 1) for key, item in value.items()}
    raise TypeError(
        f"{what}: {kind.__name__} is not a type that can be stored "
        "(None, bool, int, float, str, bytes, and lists and dicts of them)"
    )
