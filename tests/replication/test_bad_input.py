"""Does anything that a peer can send harm a node? Named after the rows of the table of bad input.

Each message goes to a real replica in one turn with a write of its own user and a message of an honest peer,
and what is stored afterwards is compared with a replica that never got it.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.crdt import Cell, Entry, Vector, path, vector
from gossamer.replication import limits, messages
from gossamer.replication.messages import Ack, Ask, Batch, Full, Hello, Message, Open, Part, Refuse, Tell
from gossamer.turns import Connected, Received, Tick

from .bench import (
    DEFAULT,
    HONEST,
    HONEST_LINK,
    HOSTILE_LINK,
    ME,
    NO_DIGEST,
    PEER,
    THIRD,
    Bench,
    at,
    batch_of,
    bench,
    dead,
    packed,
    register,
    tell,
    upto,
)

EMPTY_VECTOR = vector.encode(Vector())
R, X = at("register:r"), at("register:x")
DEEP = b"\x91" * 100 + b"\x90"
HUGE = b"a" * limits.MESSAGE_BYTES_MAX


def opening(delivered: Any = None, **more: Any) -> Open:
    """An `Open` of a keyspace that the node does not host; ``delivered`` in its plain form."""
    return msgspec.structs.replace(
        Open(0, "other", packed(delivered or []), EMPTY_VECTOR, NO_DIGEST, True), **more
    )


def raw_batch(cells: list[bytes], **more: Any) -> Batch:
    return msgspec.structs.replace(Batch(0, DEFAULT, b"", [], False, cells), **more)


def a_cell(shape: Any, cell_path: bytes = R) -> Batch:
    return raw_batch([cell_path, shape if isinstance(shape, bytes) else packed(shape)])


def value(raw: bytes) -> Batch:
    """A register whose payload is a stamp and these bytes."""
    return batch_of({R: register(None, raw=raw)})


def full(after: bytes, upto_: bytes | None, horizon: bytes = EMPTY_VECTOR, **cells: Any) -> Batch:
    return batch_of({R: register("x")}, full=Full(after, upto_, horizon))


def many_replicas(count: int) -> bytes:
    return b"".join(n.to_bytes(8, "big") for n in range(1, count + 1))


def many_in(count: int) -> list[int]:
    return [number for index in range(count) for number in (2 + index, 2, 1, 0)]


BAD: dict[str, tuple[Message | bytes, str]] = {
    "B1 a message over the limit": (Part(0, HUGE, True), "message: "),
    "B1 a batch in parts over the limit": (b"", "larger than a batch"),
    "B1 a payload over the limit": (
        batch_of({R: Cell((Entry(PEER, 1, bytes(256 * 1024 + 1)),))}),
        "a payload is not bytes, or more than",
    ),
    "B3 a million empty lists for a cell": (a_cell(b"\xdd\x00\x0f\x00\x00" + b"\x90" * 0xF0000), "cell: "),
    "B3 a million empty entries": (a_cell(b"\x91\xdd\x00\x0f\x00\x00" + b"\x90" * 0xF0000), "cell: "),
    "B3 a million empty events": (
        b"\x9a\x02\x07\x01\xc4\x00\x90\xc2\x90\xdd\x00\x0f\x00\x00" + b"\x90" * 0xF0000 + b"\xc0",
        "message: ",
    ),
    "B3 a vector of empty lists": (
        opening(delivered=b"").__class__(0, "other", b"\xdd\x00\x0f\x00\x00" + b"\x90" * 0xF0000, b"\x90", NO_DIGEST, True),
        "vector: ",
    ),
    "B3 a table of too many replicas": (tell([], many_replicas(10_001)), "replicas: "),
    "B3 a replica twice in the table": (tell([], THIRD * 2), "replicas: "),
    "B3 more replicas than a vector may have": (
        tell(many_in(10_000), many_replicas(10_000)),
        "gained: ",
    ),
    "B4 a seq of 0": (opening([PEER, [0, 1]]), "vector: "),
    "B4 a seq of 2^63": (opening([PEER, [2**63, 0]]), "vector: "),
    "B4 inverted intervals": (opening([PEER, [5, -3]]), "vector: "),
    "B4 touching intervals": (opening([PEER, [1, 0, 1, 0]]), "vector: "),
    "B4 half an interval": (opening([PEER, [1, 1, 3]]), "vector: "),
    "B4 replicas out of order": (opening([PEER, [1, 0], ME, [1, 0]]), "vector: "),
    "B4 a replica of seven bytes": (opening([PEER[:7], [1, 0]]), "vector: "),
    "B4 too many replicas": (
        opening([part for n in range(1, 10_002) for part in (n.to_bytes(8, "big"), [1, 0])]),
        "vector: ",
    ),
    "B4 too many intervals": (opening([PEER, [2, 0] * 64_001]), "vector: "),
    "B4 a gain with seq 0": (tell([0, 2, 0, 0]), "vector: "),
    "B4 a gain of no replica": (tell([9, 2, 1, 0]), "vector: "),
    "B4 a gain that ends early": (tell([0, 4, 1, 0]), "vector: "),
    "B4 a gain beyond any seq": (tell([0, 2, 2**63, 0]), "vector: "),
    "B4 a third replica's vector inverted": (
        tell([], peers=[(HONEST, EMPTY_VECTOR), (THIRD, packed([THIRD, [1, -1]]))]),
        "vector: ",
    ),
    "B4 a cell with seq 0": (a_cell([[(0, 0, b"x")]]), "cell: a seq"),
    "B4 a cell with seq 2^63": (a_cell([[(0, 2**63, b"x")]]), "cell: a seq"),
    "B4 a generation above its seq": (a_cell([[(0, 1, b"x", 2)]]), "cell: "),
    "B9 a context beyond the vector": (batch_of({R: register("x", 4)}), "not in the sender's vector"),
    "B9 dead context beyond the vector": (batch_of({R: dead(4)}), "not in the sender's vector"),
    "B9 another replica's event": (batch_of({R: register("x", 1, THIRD)}), "not in the sender's vector"),
    "B9 an event beyond the vector": (
        batch_of({R: register("x"), X: register("x")}, groups={(PEER, 4): [R, X]}),
        "not in the sender's vector",
    ),
    "B9 an event that its cells do not show": (
        batch_of({R: register("x", 1), X: register("x", 2)}, groups={(PEER, 2): [R, X]}),
        "does not show in its cell",
    ),
    "B9 a claim beyond the vector": (raw_batch([], claim=[0, 2, 1, 8]), "claim: "),
    "B9 a horizon beyond the vector": (full(b"", None, vector.encode(upto(4))), "full: a horizon"),
    "B10 a good cell and a bad one": (
        raw_batch([*batch_of({R: register("x")}).cells, X, packed([[(0, 2, b"short")]])]),
        "register: ",
    ),
    "B10 a path without a cell": (raw_batch([R]), "cells: "),
    "B10 a path twice": (raw_batch(batch_of({R: register("x")}).cells * 2), "cells: a path is there twice"),
    "B10 a replica not in the table": (a_cell([[(7, 1, b"x")]]), "not in the message's table"),
    "B10 an event of a cell that is not here": (
        raw_batch(batch_of({R: register("x")}).cells, groups=[[0, 1, 5]]),
        "groups: ",
    ),
    "B10 an event of seq 0": (raw_batch(batch_of({R: register("x")}).cells, groups=[[0, 0, 0]]), "groups: "),
    "B10 entries out of order": (a_cell([[(1, 1, b"x"), (1, 1, b"x")]]), "cell: live is not sorted"),
    "B10 rivals out of order": (a_cell([[(0, 1, b"x", 0, [b"b", b"a"])]]), "cell: "),
    "B10 dead context of a live entry": (a_cell([[(0, 2, b"x")], [(0, 1)]]), "cell: dead context"),
    "B10 a full range that is empty": (full(b"b", b"a"), "full: a range that is empty"),
    "B10 a full range from the middle": (full(b"a", b"b"), "full: it does not begin"),
    "B10 a full range beyond any path": (full(b"\x10" * 501, None), "full: a range beyond"),
    "B10 a full range up to beyond any path": (full(b"", b"\x10" * 501), "full: a range beyond"),
    "B10 a horizon that is no vector": (full(b"", None, b"\xc1"), "vector: "),
    "B10 a full range with a horizon that is no vector": (full(b"", R, b"\x91\x00"), "vector: "),
    "B10 an acknowledgement of nothing": (Ack(0, DEFAULT, b"", [], 5, True), "ack: "),
    "B10 an acknowledgement of less than nothing": (Ack(0, DEFAULT, b"", [], -1, True), "ack: "),
    "B10 a keyspace that was not opened": (Ask(0, 7), "keyspace"),
    "B10 a keyspace of a negative number": (Ask(0, -1), "keyspace"),
    "B10 a keyspace twice": (opening(keyspace="default"), "open: "),
    "B10 a keyspace's name too long": (opening(keyspace="k" * 201), "open: "),
    "B10 a digest of another length": (opening(digest=b"x" * 17), "open: "),
    "B10 a told digest of another length": (tell([], digest=b"x"), "tell: a digest"),
    "B10 resuming beyond any path": (opening(resume=(ME, b"x" * 501)), "open: it resumes"),
    "B10 a refusal nobody knows": (Refuse(0, "whim", "because"), "refuse: "),
    "B10 a second hello": (Hello(0, 1, "test", "x", "x", PEER, b"x"), "second hello"),
    "B10 a part of what is no batch": (Part(0, messages.encode(Ask(0, 1)), True), "only a batch"),
    "B10 a part of a part": (
        Part(0, messages.encode(Part(0, messages.encode(Ask(0, 1)), True)), True),
        "only a batch",
    ),
    "B10 a part of no message": (Part(0, b"\xc1", True), "message: "),
    "B10 no message": (b"\xc1", "message: "),
    "B10 an empty message": (b"", "message: "),
    "B10 a tag nobody knows": (packed([99, 0]), "message: "),
    "B10 a field of another type": (packed([6, 0, "default"]), "message: "),
    "B10 a number out of turn": (packed([6, 40, 1]), "message 40 came and 3 was next"),
    "B11 an empty path": (a_cell([[(0, 1, b"x")]], b""), "path: "),
    "B11 a path of 501 bytes": (a_cell([[(0, 1, b"x")]], b"\x10" + b"a" * 499 + b"\x00"), "path: "),
    "B11 a path with no end": (a_cell([[(0, 1, b"x")]], b"\x10abc"), "path: "),
    "B11 a path of an unknown kind": (a_cell([[(0, 1, b"x")]], b"\x05a\x00"), "path: "),
    "B11 something under a register": (a_cell([[(0, 1, b"x")]], R + R), "path: "),
    "B11 an element in no set": (a_cell([[(0, 1, b"\x01")]], b"\x31\x01"), "path: "),
    "B11 a set without an element": (a_cell([[(0, 1, b"\x01")]], b"\x02s\x00"), "path: "),
    "B11 a name that is not UTF-8": (a_cell([[(0, 1, b"x")]], b"\x10\xff\x00"), "path: "),
    "B12 not a number": (value(packed(float("nan"))), "value: "),
    "B12 infinity": (value(packed(float("-inf"))), "value: "),
    "B12 minus zero": (value(packed(-0.0)), "value: not in canonical form"),
    "B12 an int beyond 64 bits": (value(b"\xcf" + b"\xff" * 7), "value: "),
    "B12 a hundred lists inside each other": (value(DEEP), "value: "),
    "B12 a hundred thousand lists inside each other": (value(b"\x91" * 100_000 + b"\x90"), "value: "),
    "B12 a dict with a key that is no text": (value(b"\x81\x01\x01"), "value: "),
    "B12 a longer form of a number": (value(b"\xcd\x00\x01"), "value: not in canonical form"),
    "B12 no value at all": (batch_of({R: Cell((Entry(PEER, 1, bytes(8)),))}), "register: "),
    "B12 an element neither in nor out": (
        batch_of({at("set:s/int:1"): Cell((Entry(PEER, 1, b"\x07"),))}),
        "set: ",
    ),
    "B12 a counter in a longer form": (
        batch_of({at("counter:c"): Cell((Entry(PEER, 1, b"\x00\x01", 1),))}),
        "counter: ",
    ),
    "B12 a map in a max register": (
        batch_of({at("max_register:m"): Cell((Entry(PEER, 1, packed({})),))}),
        "max_register: ",
    ),
}


def bodies(found: Bench, name: str) -> list[bytes]:
    """The bad message of that name, numbered for the hostile link."""
    if name == "B1 a batch in parts over the limit":
        size = limits.MESSAGE_BYTES_MAX - 64
        count = 2 * limits.BATCH_BYTES_MAX // size + 1
        return [found.body(HOSTILE_LINK, Part(0, bytes(size), False)) for _ in range(count)]
    message = BAD[name][0]
    if name == "B3 more replicas than a vector may have":
        return [found.body(HOSTILE_LINK, message)]  # type: ignore[arg-type]  # it is a Message
    return [message if isinstance(message, bytes) else found.body(HOSTILE_LINK, message)]


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_whole_and_harms_nobody(name: str) -> None:
    reason = BAD[name][1]
    with bench() as struck, bench() as spared:
        results = struck.turn(
            struck.write("counter:c", "add", 1),
            *(Received(HOSTILE_LINK, body) for body in bodies(struck, name)),
            Received(HONEST_LINK, struck.honest_word()),
        )
        spared.turn(spared.write("counter:c", "add", 1), Received(HONEST_LINK, spared.honest_word()))
        assert not any(isinstance(result, Exception) for result in results)
        assert reason in struck.closed.pop(HOSTILE_LINK)
        assert struck.held() == spared.held()
        assert struck.closed == {}
        assert struck.acks(HONEST_LINK) == 1
        struck.mono += 1
        struck.turn(Tick(), Received(HONEST_LINK, struck.honest_word(2)))
        assert struck.acks(HONEST_LINK) == 2, "the honest link goes on"
        assert struck.closed == {}
        assert struck.replica.engine.conflicts == {}


def test_the_good_forms_of_these_messages_are_taken() -> None:
    """Or the table above would prove nothing."""
    with bench() as found:
        found.say(HOSTILE_LINK, batch_of({R: register("x", 1), X: register("y", 3)}, groups=None))
        both = {R: register("x", 2), X: register("x", 2)}
        found.say(HOSTILE_LINK, batch_of(both, groups={(PEER, 2): [R, X]}, claim=True))
        found.say(HOSTILE_LINK, tell([0, 2, 4, 0], digest=NO_DIGEST, peers=[(HONEST, EMPTY_VECTOR)]))
        found.say(HOSTILE_LINK, opening([PEER, [1, 3]]))
        found.say(HOSTILE_LINK, full(b"", None, vector.encode(upto(3))))
        assert found.closed == {}
        assert found.acks(HOSTILE_LINK) == 3
        assert found.replica.state("default").delivered.only(PEER) == upto(4)
