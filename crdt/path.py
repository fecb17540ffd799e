"""Paths: where a cell is, as bytes that sort as the path does, and as text.

A path is ``[(kind, name), …]``. The kind is part of the name, so one name used as two types is two cells.
Each component is the kind's code, then the name so encoded that no name is a prefix of another; hence a
container's cells are the contiguous range of keys that begin with the container's own path::

    map:cart%3A42/counter:items      the text; names percent-encoded
    01 "cart:42" 00  06 "items" 00   the bytes

The last component under a set is the element, typed by its kind: ``set:skus/str:sku-1``, ``set:n/int:1``.
The order-preserving tuples of FoundationDB's tuple layer are the model.
"""

from __future__ import annotations

import math
import re
import struct
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from .errors import MalformedError

PATH_BYTES_MAX = 500
"""Encoded bytes of a path. LMDB takes keys of 511; the rest is room for the index."""

Component = tuple[str, Any]
Path = tuple[Component, ...]

CONTAINERS = {"map": 0x01, "set": 0x02, "set_rw": 0x03}
"""Kinds that have cells under them."""
SETS = ("set", "set_rw")
"""Containers whose cells are elements."""
CELLS = {
    "register": 0x10,
    "mv_register": 0x11,
    "flag": 0x12,
    "flag_dw": 0x13,
    "counter": 0x14,
    "bounded_counter": 0x15,
    "max_register": 0x16,
    "min_register": 0x17,
}
"""Kinds that are one cell. Codes are part of the format: never reuse one."""
ELEMENTS = {"none": 0x30, "bool": 0x31, "int": 0x32, "float": 0x33, "str": 0x34, "bytes": 0x35}
"""Kinds of set elements, named for their Python types."""

OPERATIONS = {"op": 0x20, "op_id": 0x21}
"""Kinds of cells that the node keeps for writes with an ``op_id``: under a counter, and at the top of a keyspace."""

_codes = {**CONTAINERS, **CELLS, **ELEMENTS, **OPERATIONS}
_kinds = {code: kind for kind, code in _codes.items()}
_OPERATIONS = {OPERATIONS["op"]: "counter", OPERATIONS["op_id"]: ""}  # code -> what it is under
_SETS = frozenset((CONTAINERS["set"], CONTAINERS["set_rw"]))
_PLAIN = re.compile(rb"(?:\x01[\x02-\x7f]+\x00)*([\x10-\x17])[\x02-\x7f]+\x00", re.DOTALL)
"""Maps, then a cell. Bytes 0 and 1 end and escape names."""
_UNKNOWN_MIN, _UNKNOWN_MAX = 0x40, 0x7E  # free for cell kinds of later builds, here called kind64 to kind126


def register_kind(kind: str, code: int) -> None:
    """Give a cell kind defined outside this package its code, 0x40 to 0x7e. `ValueError` if either is taken."""
    if not _UNKNOWN_MIN <= code <= _UNKNOWN_MAX:
        raise ValueError(f"code {code:#x}: a kind of your own has a code from 0x40 to 0x7e")
    if not kind.isidentifier() or _unknown_code(kind) is not None:
        raise ValueError(f"kind {kind!r}: not a word, or one that stands for a kind unknown here")
    if _codes.get(kind, code) != code or _kinds.get(code, kind) != kind:
        raise ValueError(f"kind {kind!r} or code {code:#x} is taken")
    _codes[kind], _kinds[code] = code, kind
    kind_of.cache_clear()


def _unknown_code(kind: str) -> int | None:
    """The code of a kind called ``kind96``, as `decode` calls one that is unknown here."""
    return next((c for c in range(_UNKNOWN_MIN, _UNKNOWN_MAX + 1) if kind == f"kind{c}"), None)


def _code_of(kind: str) -> int | None:
    code = _codes.get(kind)
    return _unknown_code(kind) if code is None else code


def component(kind: str, name: Any) -> bytes:
    """One component as bytes. `TypeError` or `ValueError` for a name that this kind cannot have."""
    if kind in ELEMENTS:
        if (encoded := element(name))[0] != ELEMENTS[kind]:
            raise TypeError(f"element {name!r}: {kind} is wanted, not {type(name).__name__}")
        return encoded
    code = _codes.get(kind) or _unknown_code(kind)
    if code is None:
        raise ValueError(f"kind {kind!r}: not one of {', '.join(_codes)}")
    if not isinstance(name, str):
        raise TypeError(f"name {name!r}: a str is wanted, not {type(name).__name__}")
    if not name:
        raise ValueError("name: empty")
    try:
        return bytes((code,)) + _terminated(name.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"name {name!r}: {error.reason}") from None


def element(value: Any) -> bytes:
    """The component of a set element. `TypeError` for anything but None, bool, int, float, str, bytes."""
    kind = "none" if value is None else type(value).__name__
    if kind not in ELEMENTS or type(value).__module__ != "builtins":
        raise TypeError(f"element {value!r}: None, bool, int, float, str or bytes is wanted, not {kind}")
    return bytes((ELEMENTS[kind],)) + _element(kind, value)


def check(path: bytes) -> bytes:
    """The path itself, if it may be stored. `ValueError` names what is wrong with it."""
    if not path:
        raise ValueError("path: empty")
    if len(path) > PATH_BYTES_MAX:
        raise ValueError(f"path: {len(path)} bytes encoded, at most {PATH_BYTES_MAX} are possible")
    return path


@lru_cache(maxsize=4096)
def kind_of(path: bytes) -> str:
    """The kind that says how the cell at ``path`` is read: its last component's, or its set's for an element.

    For paths that were checked when they came in: it looks at kinds only. Asked some four times in a row for each cell that is
    written or arrives, so the last answers are kept: 3 % of an order of the shop, under cProfile.
    """
    at = 0
    while True:
        code = path[at]
        if code in _SETS:
            return _kinds[code]
        end = path.find(b"\x00", at + 1) + 1
        if not 0 < end < len(path):
            return _kinds.get(code) or f"kind{code}"
        at = end


def plain_kind(data: bytes) -> str | None:
    """The kind of a cell whose path has ASCII names alone and no set, if it has such a path, else None.

    It proves as much as `decode` does, and takes a third of its time: one match, and no names are made. Each cell that
    arrives is asked.
    """
    plain = _PLAIN.fullmatch(data) if len(data) <= PATH_BYTES_MAX else None
    return None if plain is None else _kinds[plain[1][0]]


def is_operation(path: bytes) -> bool:
    """Whether the cell at ``path`` is one that the node keeps for a write with an ``op_id``."""
    return path[0] == OPERATIONS["op_id"] or (OPERATIONS["op"] in path and kind_of(path) == "op")


def counter_of(path: bytes) -> bytes:
    """The path of the counter that an ``op`` is under: its own, less the last component. No name contains a 00."""
    return path[: path.rindex(b"\x00", 0, -1) + 1]


def operations_of(counter: bytes) -> bytes:
    """What the paths of a counter's operations begin with."""
    return counter + bytes((OPERATIONS["op"],))


def encode(path: Path) -> bytes:
    """The bytes of a path."""
    return check(b"".join(component(kind, name) for kind, name in path))


def decode(data: bytes) -> Path:
    """The path of ``encode``. `MalformedError` for bytes that no path has."""
    if not data or len(data) > PATH_BYTES_MAX:
        raise MalformedError(f"path: {len(data)} bytes; 1 to {PATH_BYTES_MAX} are possible")
    components: list[Component] = []
    at = 0
    while at < len(data):
        code = data[at]
        outer = components[-1][0] if components else ""
        if code in _OPERATIONS:
            if outer != _OPERATIONS[code]:
                raise MalformedError(f"path: a {_kinds[code]} cannot be here")
        elif outer and outer not in CONTAINERS:
            raise MalformedError(f"path: something under a {outer}")
        kind = _kinds.get(code) or (f"kind{code}" if _UNKNOWN_MIN <= code <= _UNKNOWN_MAX else None)
        if kind is None:
            raise MalformedError(f"path: no kind has the code {code:#04x}")
        in_set = outer in SETS
        if in_set != (kind in ELEMENTS):
            raise MalformedError(f"path: a {kind} cannot be here")
        name, at = _decode_element(kind, data, at + 1) if in_set else _decode_name(data, at + 1)
        components.append((kind, name))
    return tuple(components)


def to_text(data: bytes) -> str:
    """A path for people: ``map:cart%3A42/counter:items``."""
    return "/".join(f"{kind}:{_name_text(kind, name)}" for kind, name in decode(data))


def of_text(text: str) -> bytes:
    """The path that a text names. `ValueError` says what is wrong with it.

    >>> decode(of_text("map:cart%3A42/set:skus/int:1"))
    (('map', 'cart:42'), ('set', 'skus'), ('int', 1))
    """
    if not text:
        raise ValueError("path: empty; a path looks like counter:sold or map:cart%3A42/counter:items")
    parts = []
    for part in text.split("/"):
        kind, colon, name = part.partition(":")
        if not colon or _code_of(kind) is None:
            wanted = ", ".join(kind for kind in _codes if kind not in OPERATIONS)
            raise ValueError(
                f"path {text!r}: {part!r} is not kind:name, like counter:sold, with a kind of {wanted}"
            )
        parts.append((kind, _name_of_text(kind, name)))
    try:
        data = encode(tuple(parts))
        decode(data)
    except MalformedError as error:
        raise ValueError(f"path {text!r}: {error}") from None
    return data


def prefix_end(prefix: bytes) -> bytes:
    """The least key above every key that begins with ``prefix``."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else b"\xff" * (PATH_BYTES_MAX + 1)


def _terminated(raw: bytes) -> bytes:
    if b"\x00" not in raw and b"\x01" not in raw:  # all but a few: every handle has one made
        return raw + b"\x00"
    return raw.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01") + b"\x00"


def _until_terminator(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\x00", at)
    if end < 0:
        raise MalformedError("path: a name has no end")
    raw = data[at:end]
    if b"\x01" in raw:
        plain = raw.replace(b"\x01\x01", b"\x00").replace(b"\x01\x02", b"\x01")
        if _terminated(plain) != data[at : end + 1]:
            raise MalformedError("path: a name is wrongly escaped")
        raw = plain
    return raw, end + 1


def _decode_name(data: bytes, at: int) -> tuple[str, int]:
    raw, at = _until_terminator(data, at)
    if not raw:
        raise MalformedError("path: a name is empty")
    try:
        return raw.decode(), at
    except UnicodeDecodeError:
        raise MalformedError("path: a name is not UTF-8") from None


def _element(kind: str, value: Any) -> bytes:
    if kind == "none":
        return b""
    if kind == "bool":
        return b"\x01" if value else b"\x00"
    if kind == "int":
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"element {value}: an int must fit 64 bits")
        return int(value + 2**63).to_bytes(8, "big")
    if kind == "float":
        return _float_bytes(value)
    if kind == "str":
        try:
            return _terminated(value.encode())
        except UnicodeEncodeError as error:
            raise ValueError(f"element {value!r}: {error.reason}") from None
    return _terminated(value)


def _float_bytes(value: float) -> bytes:
    if not math.isfinite(value):
        raise ValueError(f"element {value}: a float must be finite")
    bits = int.from_bytes(struct.pack(">d", value + 0.0), "big")  # -0.0 is stored as 0.0
    flipped = bits ^ (2**64 - 1) if bits >> 63 else bits | 2**63
    return flipped.to_bytes(8, "big")


def _decode_element(kind: str, data: bytes, at: int) -> tuple[Any, int]:
    if kind == "none":
        return None, at
    if kind in ("str", "bytes"):
        raw, at = _until_terminator(data, at)
        try:
            return (raw.decode() if kind == "str" else raw), at
        except UnicodeDecodeError:
            raise MalformedError("path: an element is not UTF-8") from None
    size = 1 if kind == "bool" else 8
    raw = data[at : at + size]
    if len(raw) != size or (kind == "bool" and raw[0] > 1):
        raise MalformedError(f"path: an element is not a {kind}")
    number = int.from_bytes(raw, "big")
    if kind == "bool":
        return bool(number), at + size
    if kind == "int":
        return number - 2**63, at + size
    bits = number ^ 2**63 if number >> 63 else number ^ (2**64 - 1)
    value: float = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    if not math.isfinite(value) or _float_bytes(value) != raw:
        raise MalformedError("path: an element is not a finite float")
    return value, at + size


def _name_text(kind: str, name: Any) -> str:
    if kind == "none":
        return ""
    if kind in ("bool", "int", "float"):
        return str(name).lower() if kind == "bool" else repr(name)
    return quote(name, safe="")


def _name_of_text(kind: str, text: str) -> Any:
    try:
        if kind == "none":
            return {"": None}[text]
        if kind == "bool":
            return {"true": True, "false": False}[text]
        if kind in ("int", "float"):
            return int(text) if kind == "int" else float(text)
        raw = unquote_to_bytes(text)
        return raw if kind == "bytes" else raw.decode()
    except (KeyError, ValueError):
        raise ValueError(f"path: {text!r} is not a {kind}") from None
