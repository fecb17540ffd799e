"""Is a class that reads old data wrongly told at open, on every node, and nothing written for it?"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

import gossamer
from gossamer import Counter, Document, InvalidValue, Register, SchemaMismatch, UnfitData, field
from gossamer.cli import main
from gossamer.handles import Keyspace
from gossamer.memory import MemoryBackend
from gossamer.proto import data_pb2 as pb
from gossamer.proto import data_pb2_grpc
from gossamer.replication.registry import SYSTEM
from gossamer.testing import Cluster


class Cart(Document):
    note: Register[str] = field(default="")
    items: Counter


class Wider(Document, name="Cart"):
    note: Register[str | int] = field(default="")
    items: Counter


class Other(Document, name="Cart"):
    note: Register[int] = field(default=0)


class Newer(Document, name="Cart", version=2):
    note: Register[int] = field(default=0)


def records(space: Any) -> list[str]:
    backend = space._backend
    return [key for key in Keyspace(backend, SYSTEM).keys("map:documents/")]


def test_open_binds_and_tells_a_mismatch(tmp_path: Path) -> None:
    with gossamer.open(tmp_path, documents=[Cart]) as node:
        node.document(Cart, "cart:42").note.set("x")
    with pytest.raises(SchemaMismatch, match=r"^Cart.note: was register\[str\], is register\[int\]$"):
        gossamer.open(tmp_path, documents=[Cart, Other])
    with gossamer.open(tmp_path, documents=[Wider]) as node:  # the directory was let go of
        assert node.document(Wider, "cart:42").note.get() == "x"
        with pytest.raises(SchemaMismatch, match=r"was register\[int \| str\], is register\[str\]"):
            node.document(Cart, "cart:42")


def test_open_writes_only_what_is_new_and_starts_no_thread(tmp_path: Path) -> None:
    for events in (2, 2):  # registration, and the record with it
        node = gossamer.open(tmp_path, documents=[Cart])
        assert node.backend.writer._thread is None
        assert node.backend.core.state(SYSTEM).delivered.count() == events  # type: ignore[attr-defined]
        node.close()


def test_what_is_no_class_is_refused_at_open(tmp_path: Path) -> None:
    for wrong in (int, "Cart", None):
        with pytest.raises(TypeError, match=r"^cls .*: a subclass of gossamer.Document is wanted"):
            gossamer.open(tmp_path, documents=[wrong])  # type: ignore[list-item]
    with gossamer.open(tmp_path):
        pass


def test_a_class_is_bound_once_and_keyspaces_are_apart(tmp_path: Path) -> None:
    with gossamer.open(tmp_path) as node:
        orders = node.keyspace("orders")
        node.document(Cart, "a")
        written = node.status()["keyspaces"][SYSTEM]["events"]
        node.document(Cart, "b")
        with node.transaction() as tx:
            tx.document(Cart, "c")
        assert node.status()["keyspaces"][SYSTEM]["events"] == written
        orders.document(Other, "a")
        assert records(node) == [
            "map:documents/map:default/register:Cart",
            "map:documents/map:orders/register:Cart",
        ]


def test_a_refused_class_writes_nothing() -> None:
    space = Keyspace(MemoryBackend())
    space.document(Cart, "a")
    before = list(Keyspace(space._backend, SYSTEM).items())
    for _ in range(2):
        with pytest.raises(SchemaMismatch):
            space.document(Other, "a")
    with pytest.raises(SchemaMismatch), space.transaction() as tx:
        tx.document(Other, "a")
    assert list(Keyspace(space._backend, SYSTEM).items()) == before


def test_a_higher_version_takes_over() -> None:
    space = Keyspace(MemoryBackend())
    space.document(Cart, "a").note.set("old")
    newer = space.document(Newer, "a")
    with pytest.raises(UnfitData, match="'old' does not fit Newer.note"):
        newer.note.get()
    newer.note.set(5)
    other = Keyspace(space._backend)
    space._backend.bound.clear()  # as another process of the older build
    with pytest.raises(SchemaMismatch, match="version 1, and version 2 was bound already"):
        other.document(Cart, "a")


def test_a_client_binds_on_its_node(tmp_path: Path) -> None:
    with gossamer.open(tmp_path, listen="127.0.0.1:0") as node:
        assert node.address is not None
        with gossamer.connect(node.address) as client:
            cart = client.document(Cart, "cart:42")
            cart.note.set("x")
            cart.items.add(2)
            assert (cart.value().note, cart.value().items) == ("x", 2)
            with pytest.raises(InvalidValue):
                cart.note.set(5)  # type: ignore[arg-type]
            with client.transaction() as tx:
                tx.document(Cart, "cart:42").items.add(1)
            assert node.document(Cart, "cart:42").items.value() == 3
        with gossamer.connect(node.address) as client:
            with pytest.raises(SchemaMismatch, match=r"^Cart.note: was register\[str\], is register\[int\]$"):
                client.document(Other, "cart:42")
            with pytest.raises(SchemaMismatch):
                asyncio.run(client.adocument(Other, "cart:42"))
            assert asyncio.run(client.adocument(Cart, "cart:42")).note.get() == "x"
            with pytest.raises(ValueError, match="does not host it"):
                client.keyspace("nowhere").document(Cart, "a")
            with pytest.raises(ValueError, match=r"the names with a \$"):
                client.keyspace(SYSTEM).document(Cart, "a")
        assert records(node) == ["map:documents/map:default/register:Cart"]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (b"", "schema"),
        (b"\xff", "schema"),
        (b"[" * 100_000, "schema: 100000 bytes, at most 65536"),
        (b"[" * 60_000, "schema"),
        (b'{"name":"Cart","version":0,"fields":{}}', "version 0"),
        (b'{"name":"","version":1,"fields":{}}', "name"),
        (b'{"name":"C","version":1,"fields":{"a":{"kind":5}}}', "schema"),
    ],
)
def test_a_bad_schema_on_the_wire_is_refused(tmp_path: Path, schema: bytes, said: str) -> None:
    with gossamer.open(tmp_path, listen="127.0.0.1:0") as node:
        with grpc.insecure_channel(str(node.address)) as channel:
            stub = data_pb2_grpc.DataStub(channel)
            with pytest.raises(grpc.RpcError) as raised:
                stub.Bind(pb.BindRequest(keyspace="default", schema=schema), timeout=30)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert said in str(raised.value.details())
        assert records(node) == []


def test_the_command_line_lists_what_is_on_record(tmp_path: Path) -> None:
    with gossamer.open(tmp_path, listen="127.0.0.1:0", documents=[Cart]) as node:
        at = str(node.address)
        shown = CliRunner().invoke(main, ["documents", "--at", at, "--json"])
        assert json.loads(shown.output) == [
            {
                "keyspace": "default",
                "class": "Cart",
                "version": 1,
                "fields": {"items": "counter", "note": "register[str]"},
            }
        ]
        table = CliRunner().invoke(main, ["documents", "--at", at])
        assert table.exit_code == 0
        assert "Cart v1" in table.output


def test_an_async_bind_waits_for_no_thread(tmp_path: Path) -> None:
    async def run() -> str:
        async with gossamer.aopen(tmp_path) as node:
            cart = await node.adocument(Cart, "a")
            await cart.note.aset("x")
            return await cart.note.aget()

    assert asyncio.run(run()) == "x"


def test_a_record_reaches_every_node() -> None:
    with Cluster(3, seed=1) as cluster:
        a, b, c = cluster.nodes
        a.document(Cart, "cart:42").note.set("x")
        cluster.settle()
        assert c.document(Cart, "cart:42").note.get() == "x"
        with pytest.raises(SchemaMismatch):
            b.document(Other, "cart:42")
        cluster.kill(c)
        cluster.restart(c)
        with pytest.raises(SchemaMismatch):
            c.document(Other, "cart:42")


@pytest.mark.parametrize("first", [0, 1])
def test_different_records_made_apart_are_told_at_the_next_bind_on_every_node(first: int) -> None:
    with Cluster(3, seed=2) as cluster:
        a, b, c = cluster.nodes
        cluster.settle()
        cluster.partition([a], [b], [c])
        pair = (a, b) if first else (b, a)
        pair[0].document(Cart, "cart:42").note.set("x")
        cluster.advance(1)
        pair[1].document(Other, "cart:42").note.set(5)
        cluster.heal()
        cluster.settle()
        for node in cluster.nodes:
            cluster.kill(node)
            cluster.restart(node)
        cluster.settle()
        said = []
        for node in cluster.nodes:
            for cls in (Cart, Other):
                with pytest.raises(SchemaMismatch) as raised:
                    node.document(cls, "cart:42")
                said.append((cls, str(raised.value)))
        assert len(set(said)) == 2  # one a class, the same on every node
        assert c.document(Newer, "cart:42") is not None
        cluster.settle()
        assert a.document(Newer, "cart:42") is not None


@pytest.mark.parametrize("first", [0, 1])
def test_a_field_that_a_class_has_not_is_compared_in_no_order(first: int) -> None:
    """Of two records made apart, one reads the other: a class without the field is let through, whoever sorts first."""

    class Narrow(Document, name="Order"):
        gift: Register[int] = field(default=0)

    class Wide(Document, name="Order"):
        gift: Register[int | str] = field(default=0)

    class Without(Document, name="Order"):
        items: Counter

    with Cluster(2, seed=3) as cluster:
        a, b = sorted(cluster.nodes, key=lambda node: node.core.replica, reverse=bool(first))
        cluster.settle()
        cluster.partition([a], [b])
        a.document(Narrow, "order:1")
        b.document(Wide, "order:1")
        cluster.heal()
        cluster.settle()
        assert a.document(Without, "order:1") is not None
        cluster.settle()
        b.bound.clear()
        with pytest.raises(SchemaMismatch, match=r"gift: was register\[int \| str\]"):
            b.document(Narrow, "order:1")


def test_compatible_records_made_apart_are_joined() -> None:
    with Cluster(2, seed=3) as cluster:
        a, b = cluster.nodes
        cluster.settle()
        cluster.partition([a], [b])
        a.document(Cart, "cart:42")
        b.document(Wider, "cart:42")
        cluster.heal()
        cluster.settle()
        a.bound.clear()
        assert a.document(Wider, "cart:42") is not None
        cluster.settle()
        b.bound.clear()
        with pytest.raises(SchemaMismatch):
            b.document(Cart, "cart:42")
