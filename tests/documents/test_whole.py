"""Is a document, and a map of one kind, emptied, made to expire and followed as the map that it is, wherever it is?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import gossamer
from gossamer import Counter, Document, FieldUnset, MapOf, Node, Register, Set, field
from gossamer.testing import Cluster


class Visit(Document):
    page: Register[str] = field(default="/")
    seen: Set[str]


class Session(Document):
    user: Register[str]
    visits: MapOf[Visit]


class Basket(Document):
    note: Register[str] = field(default="")
    items: Counter


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with gossamer.open(tmp_path / "data", listen="127.0.0.1:0") as opened:
        yield opened


def started(space: Any) -> Session:
    session: Session = space.document(Session, "session:1")
    session.user.set("ann")
    session.visits["a"].page.set("/start")
    session.visits["b"].seen.add("x")
    return session


def test_what_is_there_expires_and_what_comes_later_does_not() -> None:
    with Cluster(2, seed=1) as cluster:
        a, b = cluster.nodes
        session = started(a)
        session.expire(ttl=60)
        session.visits["a"].page.set("/later")
        cluster.settle()
        cluster.advance(61)
        for node in (a, b):
            found = node.document(Session, "session:1")
            assert found.visits.keys() == ["a"]
            with pytest.raises(FieldUnset):
                found.user.get()


def test_a_map_of_one_kind_expires_alone() -> None:
    with Cluster(1) as cluster:
        (node,) = cluster.nodes
        session = started(node)
        session.visits.expire(ttl=60)
        session.visits["b"].persist()
        cluster.advance(61)
        assert session.user.get() == "ann"
        assert session.visits.value()["b"].seen == frozenset({"x"})
        assert session.visits.keys() == ["b"]


def test_what_cannot_expire_is_named_and_nothing_is_written() -> None:
    with Cluster(1) as cluster:
        (node,) = cluster.nodes
        basket = node.document(Basket, "basket")
        basket.note.set("x")
        basket.items.add(1)
        with pytest.raises(ValueError, match="counter:items: a counter cannot expire"):
            basket.expire(ttl=1)
        cluster.advance(2)
        assert basket.note.get() == "x"


def test_in_a_transaction_it_is_part_of_it() -> None:
    with Cluster(1) as cluster:
        (node,) = cluster.nodes
        started(node)
        with node.transaction() as tx:
            tx.document(Session, "session:1").expire(ttl=60)
            with pytest.raises(ValueError, match="no feed inside a transaction"):
                tx.document(Session, "session:1").watch()
        cluster.advance(61)
        assert not node.document(Session, "session:1").exists()


def test_a_document_is_followed_alone(node: Node) -> None:
    session = node.document(Session, "session:1")
    watch = session.watch(timeout=0)
    inside = session.visits.watch(timeout=0)
    started(node)
    node.document(Session, "session:2").user.set("bob")
    paths = ["register:user", "map:visits/map:a/register:page", "map:visits/map:b/set:seen/str:x"]
    assert [change.path for change in watch] == [f"map:session%3A1/{path}" for path in paths]
    assert [(change.names[-1], change.new) for change in inside] == [("page", "/start"), ("x", True)]


def test_a_subscription_goes_on_where_it_was(node: Node) -> None:
    session = started(node)
    with session.subscription("s", timeout=0) as first:
        for change in first:
            change.ack()
    session.user.set("bob")
    with session.subscription("s", timeout=0) as again:
        assert [(change.old, change.new) for change in again] == [("ann", "bob")]


def test_the_same_from_elsewhere(node: Node) -> None:
    with gossamer.connect(node.address or "") as client:
        session = started(client)
        session.visits.expire(expires_at=datetime(2100, 1, 1, tzinfo=UTC))
        (until,) = {
            reading.expires_at for reading in node.document(Session, "session:1").visits["a"].page.siblings()
        }
        assert until == datetime(2100, 1, 1, tzinfo=UTC)
        assert [change.new for change in session.watch(timeout=0)] == ["/start", True, "ann"]
        session.visits.remove("a", op_id="o-1")
        session.visits["a"].page.set("/again")
        session.visits.remove("a", op_id="o-1")
        assert session.visits.keys() == ["a", "b"]
        session.clear(op_id="o-2")
        assert not session.exists()


def test_awaited(node: Node) -> None:
    async def follow(space: Any) -> None:
        session = await space.adocument(Session, "session:1")
        await session.user.aset("ann")
        await session.aexpire(ttl=3600)
        assert (await session.user.aread()).expires_at is not None
        await session.apersist()
        assert (await session.user.aread()).expires_at is None
        found = [change.new async for change in session.awatch(timeout=0)]
        assert found == ["ann"]
        await session.visits.aclear()
        await session.aclear()

    async def remote() -> None:
        async with gossamer.connect(node.address or "") as client:
            await follow(client)

    asyncio.run(follow(node))
    asyncio.run(remote())


def test_a_field_may_not_be_called_as_they_are() -> None:
    with pytest.raises(TypeError, match="Wrong.watch: every document has a method of that name"):

        class Wrong(Document):
            watch: Register[str] = field(default="")  # type: ignore[assignment]  # that is what is refused
