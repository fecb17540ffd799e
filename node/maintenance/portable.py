"""Export and import: what a keyspace holds, as lines of JSON for people and other programs.

What is in a line? One cell: its keyspace, its path, and what a reader sees there. It is not a backup: who wrote a
value, beaten values and what was removed are not in it. Importing writes it anew, as events of the node that does.

::

    {"keyspace": "default", "path": "counter:sold", "value": 3}
    {"keyspace": "default", "path": "set:skus/str:sku-1", "value": true}
    {"keyspace": "default", "path": "register:session", "value": "ann", "expires_at": "2030-01-01T00:00:00+00:00"}

Bytes are ``{"$bytes": "base64"}``; a dict that has a key with a ``$`` in front is wrapped, ``{"$dict": {…}}``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from gossamer.crdt import counter_bounded, path

from ..backend import Op, make_op
from ..handles import Keyspace, expiring
from ..handles.space import shown_under
from ..limits import TRANSACTION_BYTES_MAX, TRANSACTION_CELLS_MAX

CELLS_A_CHUNK, BYTES_A_CHUNK = TRANSACTION_CELLS_MAX // 2, TRANSACTION_BYTES_MAX // 2
"""Of one transaction of an import: well below its limits, as one line may be several writes."""

_SET = ("register", "max_register", "min_register")
_ON = {"flag": "enable", "flag_dw": "enable", "set": "add", "set_rw": "add"}
MINTS_MAX = 1_000
"""Of one bounded counter: a write mints 2^63 - 1 at most, and a total of many mints may be above it."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a line holds."""

    keyspace: str
    path: str
    value: Any
    expires_at: datetime | None = None


def lines(keyspace: Keyspace, prefix: str = "") -> Iterator[str]:
    """A line for each cell that is there and whose path begins with ``prefix``, in path order."""
    for text, value, until in shown_under(keyspace, prefix):
        line = Line(keyspace.name, text, _plain(value), expiring.moment(until))
        yield msgspec.json.encode(line).decode()


class Chunk(NamedTuple):
    """One transaction of an import."""

    keyspace: str
    ops: list[Op]
    lines: list[int]
    """The numbers of its lines."""


def chunks(numbered: Iterable[tuple[int, str]]) -> Iterator[Chunk]:
    """``numbered`` are lines with their numbers. `ValueError` names the line that is wrong."""
    chunk, size = Chunk("", [], []), 0
    for number, line in numbered:
        if not line.strip():
            continue
        name, written = _read(number, line)
        is_full = len(chunk.lines) >= CELLS_A_CHUNK or size + len(line) > BYTES_A_CHUNK
        if name != chunk.keyspace or is_full:
            if chunk.lines:
                yield chunk
            chunk, size = Chunk(name, [], []), 0
        size += len(line)
        chunk.ops.extend(written)
        chunk.lines.append(number)
    if chunk.lines:
        yield chunk


def _read(number: int, line: str) -> tuple[str, list[Op]]:
    try:
        found = msgspec.json.decode(line, type=Line)
        ops = _ops(path.of_text(found.path), _value(found.value))
        return found.keyspace, [*ops, *_until(ops, found.expires_at)]
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"line {number}: {error}") from None


def _until(ops: list[Op], expires_at: datetime | None) -> list[Op]:
    """The write that lets what ``ops`` leave go again."""
    return [make_op(op.path, "expire", expiring.given(None, expires_at)) for op in ops[:1] if expires_at]


def _ops(cell_path: bytes, value: Any) -> list[Op]:
    """The writes that leave ``value`` in an empty cell."""
    kind = path.kind_of(cell_path)
    if kind in _SET:
        return [make_op(cell_path, "set", (value,))]
    if kind == "counter":
        return [make_op(cell_path, "add", (value,))]  # of 0 too: then it is there
    if kind == "bounded_counter":
        return _mints(cell_path, value)
    if kind == "map" and value == {}:
        return [make_op(cell_path, "create")]
    if path.decode(cell_path)[-1][0] in path.SETS:
        raise ValueError(f"{path.to_text(cell_path)}: a line is wanted for each element, not one for the set")
    if kind in _ON:
        if value is not True:
            raise ValueError(f"{path.to_text(cell_path)}: true is wanted, not {value!r}")
        return [make_op(cell_path, _ON[kind])]
    if kind == "mv_register" and isinstance(value, list) and value:
        first, *others = value
        # Having seen nothing, each keeps those before it.
        return [
            make_op(cell_path, "set", (first,)),
            *(make_op(cell_path, "resolve", (v, {})) for v in others),
        ]
    raise ValueError(f"{path.to_text(cell_path)}: a {kind} cannot be imported from {value!r}")


def _mints(cell_path: bytes, value: Any) -> list[Op]:
    """Mints of ``value`` in all. One that was spent to 0 is minted and spent."""
    if value == 0 and type(value) is int:
        return [make_op(cell_path, method, (1,)) for method in ("mint", "spend")]
    ops: list[Op] = []
    while type(value) is int and value > counter_bounded.AMOUNT_MAX:
        if len(ops) == MINTS_MAX - 1:
            raise ValueError(f"{path.to_text(cell_path)}: a stock above {MINTS_MAX} times 2^63 - 1")
        ops.append(make_op(cell_path, "mint", (counter_bounded.AMOUNT_MAX,)))
        value -= counter_bounded.AMOUNT_MAX
    return [*ops, make_op(cell_path, "mint", (value,))]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        inner = {key: _plain(item) for key, item in value.items()}
        return {"$dict": inner} if any(key.startswith("$") for key in inner) else inner
    return value


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_value(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    match plain:
        case {"$bytes": str(text), **rest} if not rest:
            return _bytes(text)
        case {"$dict": dict(inner), **rest} if not rest:
            return {key: _value(item) for key, item in inner.items()}
    if any(key.startswith("$") for key in plain):
        raise ValueError(f"{next(key for key in plain if key.startswith('$'))!r} is not known here")
    return {key: _value(item) for key, item in plain.items()}


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"$bytes: {error}") from None
