"""The byte format as it is on disks and on the wire: one value of each shape, and its bytes in `golden.txt`.

The file changes only if the format does, which makes every stored directory unreadable. Then, and to add a
vector: ``.venv/bin/python tests/crdt/golden.py --write``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gossamer.crdt import EMPTY, TYPES, Cell, Dead, Entry, Event, Vector, codec, join, path, values, vector

FILE = Path(__file__).with_name("golden.txt")
A, B, C = (bytes([n]) * 8 for n in (0x0A, 0x0B, 0x0C))


def _after(kind: str, *writes: tuple[bytes, str, tuple[Any, ...]]) -> Cell:
    """The cell after each write has seen the ones before it, as events 1, 2, … at stamps 1000, 1001, …"""
    cell = EMPTY
    for seq, (replica, method, args) in enumerate(writes, 1):
        event = Event(replica, seq, 999 + seq)
        cell = TYPES[kind].write(cell, method, TYPES[kind].prepare(method, args), event)
    return cell


def _together(kind: str, method: str, *arguments: Any) -> Cell:
    """The cell after A, B, … wrote concurrently, each as its event 1 at stamp 1000."""
    cell = EMPTY
    for replica, argument in zip((A, B, C), arguments, strict=False):
        cell = join(cell, _after(kind, (replica, method, (argument,))))
    return cell


CELLS = {
    "empty": EMPTY,
    "register": _after("register", (A, "set", ("x",))),
    "register-overwritten": _after("register", (A, "set", ("x",)), (B, "set", ("y",))),
    "register-concurrent": _together("register", "set", "x", "y"),
    "register-removed": _after("register", (A, "set", ("x",)), (B, "remove", ())),
    "mv_register": _together("mv_register", "set", "x", 1, None),
    "mv_register-resolved-unseen": _after("mv_register", (A, "set", ("x",)), (A, "resolve", ("y", {}))),
    "flag-enabled": _after("flag", (A, "enable", ())),
    "flag-disabled": _after("flag", (A, "enable", ()), (B, "disable", ())),
    "flag_dw-disabled": _after("flag_dw", (A, "disable", ())),
    "counter": _together("counter", "add", 1, -1, 2**70),
    "counter-zero": _after("counter", (A, "add", (128,)), (A, "add", (-128,))),
    "counter-reset": _after("counter", (A, "add", (4,)), (B, "reset", ())),
    "counter-beyond-floor": join(
        _after("counter", (A, "add", (4,)), (A, "add", (2,))),
        _after("counter", (A, "add", (4,)), (B, "reset", ())),
    ),
    "counter-reset-own": _after("counter", (A, "add", (4,)), (A, "reset", ()), (A, "add", (1,))),
    "bounded_counter-minted": _after("bounded_counter", (A, "mint", (200,))),
    "bounded_counter": _after(
        "bounded_counter",
        (A, "mint", (2**63 - 1,)),
        (A, "mint", (1,)),
        (A, "transfer", (C, 300)),
        (A, "transfer", (B, 7)),
        (B, "spend", (7,)),
    ),
    "set-added": _after("set", (A, "add", ())),
    "set-removed": _after("set", (A, "add", ()), (A, "discard", ())),
    "set_rw-removed": _after("set_rw", (A, "add", ()), (B, "discard", ())),
    "max_register": _together("max_register", "set", 3, 2.5, [1, b"a"]),
    "min_register": _after("min_register", (A, "set", (-1,)), (A, "set", (5,))),
    "map-created": _after("map", (A, "create", ())),
    "op-pending": _after("op", (A, "add", (300,))),
    "op-done": _after("op", (A, "add", (-1,)), (B, "fold", (2,))),
    "op-cancelled": _after("op", (A, "add", (0,)), (A, "cancel", ())),
    "op-done-and-cancelled": join(
        _after("op", (A, "add", (7,)), (A, "fold", (1,))), _after("op", (A, "add", (7,)), (B, "cancel", ()))
    ),
    "op_id-wrote": _after("op_id", (A, "wrote", ())),
    "op_id-silent": _after("op_id", (A, "silent", ())),
    "conflicted": Cell((Entry(A, 7, b"\x01", 0, (b"\x02", b"\x03")),), (Dead(B, 9),)),
    "conflicted-generation": Cell((Entry(A, 7, b"\x01", 5, (b"\x02",)),), (Dead(A, 6, 5, b"\x01"),)),
    "register-expires": _after("register", (A, "set", ("x", None, ("at", 1_700_000_000_000_000)))),
    "register-expires-later": _after(
        "register", (A, "set", ("x", None, ("ttl", 5))), (B, "expire", (("ttl", 9),))
    ),
    "mv_register-expires": _after("mv_register", (A, "set", ("x", ("ttl", 5)))),
    "flag_dw-expires": _after("flag_dw", (A, "enable", (("at", 2**60 - 1),))),
    "set-expires": _after("set", (A, "add", (("ttl", 5_000_000),))),
    "map-expires": _after("map", (A, "create", (("at", 1),))),
    "seqs": Cell((Entry(A, 127, b"\x01"), Entry(B, 2**32, b"\x01")), (Dead(C, vector.SEQ_MAX),)),
}

ELEMENTS: list[Any] = [
    None,
    False,
    True,
    -(2**63),
    -1,
    0,
    2**63 - 1,
    -1.5,
    0.0,
    1.0,
    "",
    "sku-1",
    "\0",
    b"",
    b"\0\1\2\xff",
]

PATHS: dict[str, path.Path] = {
    **{kind: ((kind, "n"),) for kind in path.CELLS},
    "map": (("map", "cart:42"),),
    "nested": (("map", "cart:42"), ("map", "é/%"), ("counter", "items")),
    "escapes": (("register", "\0\1\2"),),
    **{
        f"element-{number}": (("set", "s"), path.decode(b"\x02s\0" + path.element(value))[1])
        for number, value in enumerate(ELEMENTS)
    },
    "op": (("map", "m"), ("counter", "sold"), ("op", "order-123")),
    "op_id": (("op_id", "order-123"),),
    "element-set_rw": (("map", "m"), ("set_rw", "s"), ("str", "e")),
}

VECTORS = {
    "empty": Vector(),
    "prefix": Vector({A: (1, 5)}),
    "holes": Vector({A: (1, 3, 5, 5, 1000, 70000)}),
    "replicas": Vector({B: (1, 1), A: (2, vector.SEQ_MAX)}),
}

VALUES: dict[str, Any] = {
    "none": None,
    "bools": [False, True],
    "ints": [
        0,
        127,
        128,
        256,
        2**16,
        2**32,
        2**64 - 1,
        -1,
        -32,
        -33,
        -129,
        -(2**15) - 1,
        -(2**31) - 1,
        -(2**63),
    ],
    "floats": [0.0, -0.0, 1.5, -1e300],
    "str": "é\0",
    "str-long": "a" * 32,
    "bytes": b"\x00\xff",
    "dict": {"b": [], "a": {}, "é": None, "": 1},
    "list-long": [0] * 16,
}


def text() -> str:
    """Lines of ``what name hex``."""
    encoded = {
        "cell": {name: codec.encode(cell) for name, cell in CELLS.items()},
        "path": {name: path.encode(components) for name, components in PATHS.items()},
        "vector": {name: vector.encode(each) for name, each in VECTORS.items()},
        "value": {name: values.encode(value) for name, value in VALUES.items()},
    }
    return "".join(
        f"{what} {name} {data.hex()}\n" for what, of in encoded.items() for name, data in of.items()
    )


def stored(what: str) -> dict[str, bytes]:
    """Name -> bytes of the vectors of one sort in the file."""
    lines = [line.split(" ") for line in FILE.read_text().splitlines()]
    return {name: bytes.fromhex(data) for sort, name, data in lines if sort == what}


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(f"usage: {sys.argv[0]} --write")
    FILE.write_text(text())
