"""What reads bytes of others: each with valid inputs, and the errors that it may answer bad ones with.

A target is called with bytes. Whatever else it raises, what it takes too long for, or too much memory, is a finding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gossamer import access
from gossamer.cli import settings
from gossamer.crdt import Vector, check_cell, codec, path, values, vector
from gossamer.documents import schema, types
from gossamer.errors import DirectoryUnusable, GossamerError, ProtocolError
from gossamer.feed import cursor
from gossamer.feed.scope import Scope
from gossamer.maintenance import portable, read_manifest
from gossamer.proto import data_pb2 as pb
from gossamer.replication import messages, token
from gossamer.rpc import wire
from gossamer.store import directory, record, witness
from gossamer.store.feed import Place
from gossamer.turns import Connected, Received
from tests.crdt import golden
from tests.replication.bench import HONEST, PEER, Bench, at, batch_of, bench, dead, register, tell, upto

PLACE = ("cluster", "default")


class Target(NamedTuple):
    """One decoder."""

    name: str
    read: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]
    corpus: Sequence[bytes]
    is_text: bool = False
    share: float = 1.0
    """Of the inputs, beside the others: what is slower gets less."""


def _cells() -> list[bytes]:
    return list(golden.stored("cell").values())


def _paths() -> list[bytes]:
    return list(golden.stored("path").values())


def sent() -> list[bytes]:
    """A message of every kind, as bytes."""
    cell = {at("register:r"): register("x"), at("set:s/str:e"): dead(2), at("counter:c"): register(1, 3)}
    nothing = vector.encode(Vector())
    batch = batch_of(cell, upto(3), claim=True, groups={(PEER, 3): [at("counter:c"), at("register:r")]})
    batch = batch._replace(number=0) if hasattr(batch, "_replace") else batch
    many = batch_of({at(f"register:r{n}"): register("x" * 20, n) for n in range(1, 60)}, upto(60), claim=True)
    deflated = messages.deflate(many, messages.encode(many))
    assert deflated is not None
    kinds: list[messages.Message] = [
        messages.Hello(0, messages.VERSION, "test", "peer", "peer:1", PEER, b"x" * 8),
        messages.Open(0, "default", vector.encode(upto(3)), nothing, bytes(16), True),
        batch,
        many,
        deflated,
        batch_of(cell, upto(3), full=messages.Full(b"", at("register:z"), vector.encode(upto(1)))),
        messages.Ack(0, 1, b"", [0, 0, 2], 1, True),
        tell([0, 0, 2], digest=bytes(16), wall=1_700_000_000_000_000),
        messages.Part(0, messages.encode(batch)[:40], False),
        messages.Ask(0, 1),
        messages.Refuse(0, "cluster", "another cluster"),
        messages.Want(0, 1, at("bounded_counter:n"), 3),
        messages.Fetch(0, 1, [at("register:r")]),
    ]
    return [messages.encode(kind) for kind in kinds]


def _message(data: bytes) -> None:
    messages.plain(messages.decode(data))


def _cell(data: bytes) -> None:
    """As it is stored, where a checksum has vouched for it: it must not fail in another way."""
    codec.encode(codec.decode(data))


def _peers_cell(data: bytes) -> None:
    """As a peer sends it: what is taken is what will be stored."""
    try:
        plain = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("no msgpack") from error
    found = codec.of_shape(plain, codec.by_eight_bytes)
    assert codec.decode(codec.encode(found)) == found
    for kind in ("register:r", "counter:c", "bounded_counter:n", "mv_register:v", "set:s/int:1"):
        try:
            check_cell(at(kind), found)
        except ValueError:
            continue


def _path(data: bytes) -> None:
    decoded = path.decode(data)
    assert path.encode(decoded) == data
    path.check(data)
    path.to_text(data)


def _vector(data: bytes) -> None:
    found = vector.decode(data)
    assert vector.decode(vector.encode(found)) == found


def _value(data: bytes) -> None:
    found = values.decode(data)
    assert values.encode(found) == data


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _import(data: bytes) -> None:
    for _ in portable.chunks(enumerate(_text(data).split("\n"), 1)):
        pass


class Files:
    """Targets that read a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "backup").mkdir()
        (folder / "marked").mkdir()

    def manifest(self, data: bytes) -> None:
        (self._folder / "backup" / "manifest.json").write_bytes(data)
        read_manifest(self._folder / "backup")

    def sentinel(self, data: bytes) -> None:
        (self._folder / "marked" / "gossamer").write_bytes(data)
        directory.inspect(self._folder / "marked")

    def witness(self, data: bytes) -> None:
        (self._folder / "witness").write_bytes(data)
        witness.read(self._folder / "witness")

    def config(self, data: bytes) -> None:
        (self._folder / "config.toml").write_bytes(data)
        settings.gather({}, {}, self._folder / "config.toml")

    def access(self, data: bytes) -> None:
        (self._folder / "access.toml").write_bytes(data)
        access.Access(self._folder / "access.toml")


class Peer:
    """A real replica, and a peer that says what it likes: nothing that comes in may ever fail a turn."""

    def __init__(self, on: Bench) -> None:
        self._bench, self._link = on, 100

    def say(self, data: bytes) -> None:
        """The bytes as a message after a proper beginning, or as the first one. They may make us another replica."""
        self._link += 1
        on = self._bench
        on.turn(Connected(self._link, None))
        if data[-1:] > b"\x20":
            hello = messages.Hello(0, messages.VERSION, "test", "peer", "peer:1", PEER, b"x" * 8)
            on.turn(Received(self._link, on.body(self._link, hello)))
            nothing = vector.encode(Vector())
            for name in ("$system", "default"):
                word = messages.Open(0, name, nothing, nothing, bytes(16), True)
                on.turn(Received(self._link, on.body(self._link, word)))
        (result,) = on.turn(Received(self._link, data[:1] + b"\x03" + data[2:]))
        assert result is None, result
        on.replica.engine.disconnect(self._link)
        on.closed.clear()
        on.sent.clear()
        on.mono += 0.01


def _args(data: bytes) -> None:
    wire.unpack_args(data)


def _ops(data: bytes) -> None:
    request = pb.WriteRequest.FromString(data)
    wire.unpack_ops(request.ops)
    wire.checked_wait(request.wait_s)
    if request.HasField("attempt"):
        wire.unpack_attempt(request.attempt)


def _json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def targets(folder: Path, stack: ExitStack) -> Iterator[Target]:
    """All of them; ``stack`` ends what they keep."""
    files = Files(folder)
    malformed = (ValueError,)  # `MalformedError` among them
    yield Target("cell", _cell, malformed, _cells())
    yield Target("peer's cell", _peers_cell, malformed, _cells())
    yield Target("path", _path, malformed, _paths())
    yield Target("vector", _vector, malformed, list(golden.stored("vector").values()))
    yield Target("value", _value, malformed, list(golden.stored("value").values()))
    yield Target("message", _message, (*malformed, ProtocolError), sent(), share=2.0)
    stored = [record.pack(at("register:r"), cell) for cell in _cells()]
    yield Target(
        "stored cell", lambda data: record.unpack(at("register:r"), data), (GossamerError, ValueError), stored
    )
    texts = [path.to_text(one).encode() for one in _paths()]
    yield Target("path as text", lambda data: path.of_text(_text(data)), malformed, texts, is_text=True)
    ids = {PEER, HONEST}
    tokens = [token.encode(upto(n), *PLACE, ids) or "" for n in (1, 5, 10**9)]
    yield Target(
        "token",
        lambda data: token.decode(_text(data), *PLACE),
        malformed,
        [t.encode() for t in tokens],
        is_text=True,
    )
    scope = Scope()
    places = (Place(3), Place(3, at("register:r")))
    cursors = [cursor.encode("default", PEER, place, scope).encode() for place in places]
    yield Target(
        "cursor",
        lambda data: cursor.decode(_text(data), "default", PEER, scope),
        (ValueError, GossamerError),
        cursors,
        is_text=True,
    )
    lines = [
        _json(keyspace="default", path="counter:sold", value=3),
        _json(keyspace="default", path="set:skus/str:sku-1", value=True),
        _json(keyspace="default", path="register:s", value="ann", expires_at="2030-01-01T00:00:00+00:00"),
        _json(keyspace="default", path="register:b", value={"$bytes": "AAEC"}),
        _json(keyspace="default", path="mv_register:m", value=[1, {"$dict": {"$x": 1}}]),
    ]
    yield Target("import", _import, malformed, [*lines, b"\n".join(lines)], is_text=True)
    plain = b'data = "d"\nlisten = "127.0.0.1:7400"\npeers = ["a:1"]\nop_window_s = 60.0\n[timing]\nbeat_s = 0.5\n'
    yield Target("config", files.config, malformed, [plain], is_text=True, share=0.3)
    keys = f'[keys.web]\nhash = "{access.hash_of("k")}"\nread = ["default"]\n'.encode()
    yield Target("access keys", files.access, malformed, [keys], is_text=True, share=0.3)
    held = {"default": {"events": 1, "cells": 1, "digest": "00"}}
    manifest = _json(
        gossamer="backup of one node",
        format=1,
        made_at="2030",
        name="a",
        cluster="c",
        replica="00" * 8,
        keyspaces=held,
        data_bytes=4096,
        data_blake2b="00",
    )
    yield Target("manifest", files.manifest, (DirectoryUnusable,), [manifest], is_text=True, share=0.3)
    mark = _json(gossamer="data directory of one node", format=1)
    yield Target("sentinel", files.sentinel, (DirectoryUnusable,), [mark], is_text=True, share=0.3)
    note = _json(txn=3, is_clean=True, boot="b", is_relaxed=False, changed_at=1)
    yield Target("witness", files.witness, (), [note], is_text=True, share=0.3)
    one = schema.FieldSchema("register", (types.describe(int), types.describe(list[str])))
    fields = {
        "a": one,
        "b": schema.FieldSchema("map", fields={"c": one}),
        "d": schema.FieldSchema("map", each=one),
    }
    classes = [msgspec.json.encode(schema.Schema("Cart", 1, fields))]
    yield Target("schema", schema.of_message, (ValueError, TypeError, GossamerError), classes, is_text=True)
    arguments = [
        wire.pack_args(given) for given in ((), (1,), ("x", None), (2**70, [1, {"a": b"b"}]), (1.5,))
    ]
    yield Target("arguments", _args, (ValueError, TypeError), arguments)
    ops = [
        pb.Op(path=at("register:r"), method="set", args=arguments[1]),
        pb.Op(path=at("counter:c"), method="add", args=arguments[1]),
    ]
    request = pb.WriteRequest(keyspace="default", ops=ops, attempt=pb.Attempt(node=PEER, id=bytes(16)))
    yield Target(
        "write request",
        _ops,
        (ValueError, TypeError, _DECODE_ERROR),
        [request.SerializeToString(deterministic=True)],
    )
    peer = Peer(stack.enter_context(bench()))
    yield Target("a peer's words", peer.say, (), sent(), share=0.05)


from google.protobuf.message import DecodeError as _DECODE_ERROR  # beside what uses it
