"""Does a resolver decide what is read, everywhere a value is read, and nothing else?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from gossamer import Document, Map, Register, ResolverFailed, VersionMismatch, field
from gossamer.crdt import Cell, Dead, Entry, path, values
from gossamer.handles import Keyspace, Reading
from gossamer.handles.resolvers import Resolvers
from gossamer.memory import MemoryBackend
from gossamer.testing import Cluster


def total(readings: Sequence[Reading]) -> Any:
    return sum(reading.value for reading in readings)


@pytest.fixture
def space() -> Keyspace:
    """Where 1 and then 2 were written at once, at the top and in a map."""
    one, two = MemoryBackend(b"replicaA", lambda: 1_000_000), MemoryBackend(b"replicaB", lambda: 2_000_000)
    for backend, value in ((one, 1), (two, 2)):
        Keyspace(backend).register("price").set(value)
        Keyspace(backend).map("m").register("price").set(value)
    one.merge(two)
    return Keyspace(one)


def test_every_reader_of_values_gets_the_resolved_one(space: Keyspace) -> None:
    space.resolver("", total)
    price = space.register("price")
    assert price.get() == price.read().value == 3
    assert dict(space.items()) == {"register:price": 3, "map:m/register:price": 3}
    assert space.map("m").value() == {"price": 3}
    assert list(space.map("m").items()) == [("register", "price", 3)]
    with space.transaction() as tx:
        assert tx.register("price").get() == 3
        assert tx.map("m").value() == {"price": 3}

    async def run() -> None:
        assert await price.aget() == (await price.aread()).value == 3
        assert dict(await space.aitems()) == {"register:price": 3, "map:m/register:price": 3}
        assert await space.map("m").avalue() == {"price": 3}

    asyncio.run(run())
    seen: list[int] = []
    price.update(lambda value: seen.append(value) or value * 10)  # type: ignore[func-returns-value]
    assert (seen, price.get(), len(price.siblings())) == ([3], 30, 1)


def test_documents_are_read_through_it(space: Keyspace) -> None:
    class Priced(Document):
        price: Register[int] = field(default=0)

    class Outer(Document):
        m: Map

    space.resolver("map:m", total)
    assert space.document(Priced, "m").price.get() == 3
    assert space.document(Priced, "m").value().price == 3


def test_it_is_given_the_siblings_and_changes_nothing(space: Keyspace) -> None:
    given: list[list[Reading]] = []

    def keep(readings: Sequence[Reading]) -> Any:
        given.append(list(readings))
        return "x"

    plain = space.register("price").read()
    space.resolver("register:price", keep)
    price = space.register("price")
    read = price.read()
    (readings,) = given
    assert [(r.value, r.replica, r.updated_at) for r in readings] == [
        (2, b"replicaB", 2.0),
        (1, b"replicaA", 1.0),
    ]
    assert readings[0].context == {b"replicaA": 1, b"replicaB": 1}
    assert [s.value for s in price.siblings()] == [2, 1]
    assert (read.version, read.context, read.updated_at) == (plain.version, plain.context, plain.updated_at)
    assert space.map("m").value() == {"price": 2}  # the prefix is another


def test_dead_context_which_nodes_may_have_collected_is_not_told() -> None:
    given: list[Reading] = []
    resolvers = Resolvers()
    resolvers.set("k", "", lambda readings: given.extend(readings))
    live = tuple(Entry(replica, 1, bytes(8) + values.encode(1)) for replica in (b"replicaA", b"replicaB"))
    resolvers.cell("k", path.of_text("register:r"), Cell(live, (Dead(b"replicaC", 7),)))
    assert [reading.context for reading in given] == [{b"replicaA": 1, b"replicaB": 1}] * 2


def test_the_longest_prefix_counts_and_none_takes_away(space: Keyspace) -> None:
    space.resolver("", lambda readings: "all")
    space.resolver("register:p", lambda readings: "p")
    assert space.register("price").get() == "p"
    assert space.map("m").register("price").get() == "all"
    space.resolver("register:p", None)
    assert space.register("price").get() == "all"
    space.resolver("", None)
    assert space.register("price").get() == 2
    other = Keyspace(space._backend, "other")
    other.resolver("", total)
    assert space.register("price").get() == 2


def test_it_is_not_asked_where_nothing_is_concurrent(space: Keyspace) -> None:
    space.resolver("", lambda readings: 1 // 0)
    space.register("alone").set(5)
    assert space.register("alone").get() == 5
    assert space.register("none").get() is None


@pytest.mark.parametrize("bad", [lambda r: 1 // 0, lambda r: {1, 2}, lambda r: float("nan")])
def test_what_fails_is_told_to_the_reader_and_can_be_written_over(space: Keyspace, bad: Any) -> None:
    space.resolver("register:", bad)
    price = space.register("price")
    for read in (
        price.get,
        price.read,
        lambda: list(space.items()),
        price.settle,
        lambda: price.update(lambda v: v),
    ):
        with pytest.raises(ResolverFailed, match="^register:price: the resolver failed on 2 values: "):
            read()
    assert [s.value for s in price.siblings()] == [2, 1]
    assert list(space.keys())
    price.set(7)
    assert price.get() == 7


def test_settle_writes_what_is_read_over_just_that(space: Keyspace) -> None:
    space.resolver("register:", total)
    price = space.register("price")
    assert price.settle() == 3
    assert [s.value for s in price.siblings()] == [3]
    assert price.settle() == 3  # nothing is concurrent, nothing is written
    assert price.read().version == (b"replicaA", 3)
    inner = space.map("m").register("price")
    assert asyncio.run(inner.asettle()) == 2  # without a resolver: the one that stands
    assert len(inner.siblings()) == 1


def test_a_wrong_argument_is_named(space: Keyspace) -> None:
    with pytest.raises(TypeError, match="prefix 5"):
        space.resolver(5, total)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="resolve: a function is wanted, not int"):
        space.resolver("", 5)  # type: ignore[arg-type]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(3, seed=5) as cluster:
        cluster.settle()
        yield cluster


def test_nodes_with_the_same_resolver_read_the_same_without_a_word(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    cluster.partition([a], [b], [c])
    for value, node in enumerate(cluster.nodes):
        node.register("price").set(value)
        node.resolver("register:price", lambda readings: [r.value for r in readings])
    cluster.heal()
    cluster.settle()
    events = [node.status()["keyspaces"]["default"]["events"] for node in cluster.nodes]
    assert len({str(node.register("price").get()) for node in cluster.nodes}) == 1
    assert sorted(a.register("price").get()) == [0, 1, 2]
    cluster.advance(10)
    assert events == [node.status()["keyspaces"]["default"]["events"] for node in cluster.nodes] == [3, 3, 3]
    a.register("price").settle()
    cluster.settle()
    assert [len(node.register("price").siblings()) for node in cluster.nodes] == [1, 1, 1]


def test_settle_spares_what_came_since(cluster: Cluster) -> None:
    a, b, _ = cluster.nodes
    cluster.partition(*[[node] for node in cluster.nodes])
    a.register("price").set(1)
    b.register("price").set(2)
    cluster.heal()
    cluster.settle()
    cluster.partition(*[[node] for node in cluster.nodes])
    a.register("price").settle()
    b.register("price").set(9)
    cluster.heal()
    cluster.settle()
    assert len(a.register("price").siblings()) == 2
    read = a.register("price").read()
    a.register("price").set(5)
    with pytest.raises(VersionMismatch):
        a.register("price").set(6, seen=read.context)


def test_the_feed_tells_what_is_read(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    c.resolver("register:price", total)
    watch = c.watch("register:price")
    assert list(watch) == []
    cluster.partition([a], [b], [c])
    a.register("price").set(1)
    b.register("price").set(2)
    cluster.heal()
    cluster.settle()
    assert [change.new for change in watch][-1] == 3
    c.resolver("register:price", lambda readings: 1 // 0)
    (change,) = c.watch("register:price", snapshot=True)
    assert isinstance(change.error, ResolverFailed)
