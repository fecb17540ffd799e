"""Is a transaction all or nothing, and does it see its own writes and nothing that it should not?"""

import asyncio
from typing import Any

import pytest

from gossamer.backend import CLEAR, make_op
from gossamer.crdt import path
from gossamer.errors import Closed, LimitExceeded
from gossamer.handles import Keyspace, Transaction
from gossamer.limits import TRANSACTION_BYTES_MAX, TRANSACTION_CELLS_MAX, TRANSACTION_OPS_MAX
from gossamer.memory import MemoryBackend


class Stop(Exception):
    """Raised by a test inside a transaction."""


def everything(space: Keyspace) -> dict[str, Any]:
    return dict(space.items())


def test_it_is_one_event(space: Keyspace) -> None:
    with space.transaction() as tx:
        tx.register("a").set(1)
        tx.map("m").register("b").set(2)
        assert tx.dot is None
        assert everything(space) == {}
    versions = [space.register("a").read().version, space.map("m").register("b").read().version]
    assert versions == [tx.dot, tx.dot]
    assert tx.dot is not None


def test_it_says_where_it_is_and_how_many_cells_it_has_written(space: Keyspace) -> None:
    with space.transaction() as tx:
        assert (tx.name, tx.cells) == (space.name, 0)
        tx.register("a").set(1)
        tx.register("a").set(2)
        tx.set("s").update(["x", "y"])
        assert tx.cells == 3
        tx.set("s").clear()
        assert tx.cells == 3
    assert tx.cells == 3


async def test_it_may_be_awaited(space: Keyspace) -> None:
    async with space.transaction() as tx:
        await tx.register("a").aset(1)
        assert await tx.register("a").aget() == 1
        assert await space.register("a").aget() is None
    assert (await space.register("a").aread()).version == tx.dot


def test_an_error_inside_writes_nothing(space: Keyspace) -> None:
    with pytest.raises(Stop), space.transaction() as tx:
        tx.register("a").set(1)
        raise Stop
    assert everything(space) == {}
    assert tx.dot is None


async def test_an_error_or_a_cancellation_inside_an_async_one_writes_nothing(space: Keyspace) -> None:
    for error in (Stop, asyncio.CancelledError):
        with pytest.raises(error):
            async with space.transaction() as tx:
                await tx.register("a").aset(1)
                raise error
    assert everything(space) == {}


def test_an_empty_one_makes_no_event(space: Keyspace) -> None:
    with space.transaction() as tx:
        tx.register("a").get()
    with space.transaction() as other:
        other.set("s").discard("absent")
    assert (tx.dot, other.dot) == (None, None)
    space.register("a").set(1)
    version = space.register("a").read().version
    assert version is not None and version[1] == 1


def test_a_bad_write_is_refused_at_once_and_the_rest_stands(space: Keyspace) -> None:
    space.max_register("m").set(1)
    with space.transaction() as tx:
        tx.register("a").set(1)
        with pytest.raises(TypeError, match="object"):
            tx.register("b").set(object())
        with pytest.raises(TypeError, match="n: an int"):
            tx.counter("c").add(1.5)  # type: ignore[arg-type]  # that is the test
        with pytest.raises(TypeError, match="cannot be compared"):
            tx.max_register("m").set("x")
    assert everything(space) == {"register:a": 1, "max_register:m": 1}


def test_it_does_not_nest(space: Keyspace) -> None:
    with space.transaction() as tx, pytest.raises(ValueError, match="inside another"):
        tx.transaction()


def use(tx: Transaction) -> list[Any]:
    handle, members = tx.register("a"), tx.set("s")
    return [
        handle.get,
        lambda: handle.set(1),
        members.clear,
        members.value,
        lambda: "x" in members,
        tx.map("m").value,
        lambda: list(tx.keys()),
        lambda: asyncio.run(handle.aget()),
        lambda: asyncio.run(handle.aset(1)),
        lambda: asyncio.run(members.avalue()),
        lambda: asyncio.run(tx.akeys()),
    ]


def test_before_and_after_it_is_closed(space: Keyspace) -> None:
    tx = space.transaction()
    calls = use(tx)
    for call in calls:
        with pytest.raises(Closed):
            call()
    with tx:
        for call in calls:
            call()
    for call in calls:
        with pytest.raises(Closed):
            call()
    with pytest.raises(Closed), tx:
        pass


def test_it_reads_its_own_writes_over_what_is_there(space: Keyspace) -> None:
    space.register("a").set("old")
    space.counter("c").add(10)
    space.set("s").update(["x", "y"])
    space.map("m").register("r").set(1)
    with space.transaction() as tx:
        tx.counter("c").add(5)
        tx.set("s").remove("x")
        tx.set("s").add("z")
        tx.map("m").register("q").set(2)
        assert tx.register("a").get() == "old"
        assert tx.counter("c").value() == 15
        assert tx.set("s").value() == {"y", "z"}
        assert tx.map("m").value() == {"r": 1, "q": 2}
        assert list(tx.keys("set:s")) == ["set:s/str:y", "set:s/str:z"]
        inside = everything_of(tx)
    assert everything(space) == inside


def everything_of(tx: Transaction) -> dict[str, Any]:
    return dict(tx.items())


def test_what_is_cleared_inside_is_hidden_and_what_is_written_then_is_not(space: Keyspace) -> None:
    space.map("m").register("old").set(1)
    space.map("m").counter("c").add(4)
    with space.transaction() as tx:
        tx.map("m").register("lost").set(1)
        tx.map("m").clear()
        assert tx.map("m").value() == {}
        space.map("m").register("late").set(1)  # arrives meanwhile, and the node clears it too
        assert tx.map("m").value() == {}
        tx.map("m").counter("c").add(1)
        tx.map("m").register("new").set(2)
        assert tx.map("m").value() == {"c": 1, "new": 2}
    assert space.map("m").value() == {"c": 1, "new": 2}


def test_its_own_writes_have_no_version_yet(space: Keyspace) -> None:
    with space.transaction() as tx:
        tx.register("a").set(1)
        reading = tx.register("a").read()
        assert (reading.value, reading.version, reading.replica, reading.updated_at) == (1, None, None, None)
        assert reading.context == {}


def test_a_sum_begun_and_reset_inside_counts_from_nothing(space: Keyspace) -> None:
    with space.transaction() as tx:
        counter = tx.counter("c")
        counter.add(5)
        counter.reset()
        counter.add(2)
        assert counter.value() == 2
    assert space.counter("c").value() == 2
    with space.transaction() as tx:
        tx.counter("c").add(5)
        tx.counter("c").reset()
        tx.counter("c").add(3)
    assert space.counter("c").value() == 3


@pytest.mark.parametrize("reads_between", [True, False])
@pytest.mark.parametrize("first", ["set", "resolve", "remove", "clear"])
def test_a_resolve_takes_the_place_of_its_own_transaction_s_write(
    space: Keyspace, first: str, reads_between: bool
) -> None:
    register = space.map("m").mv_register("r")
    register.set("old")
    with space.transaction() as tx:
        inside = tx.map("m").mv_register("r")
        if first == "clear":
            tx.map("m").clear()
        else:
            getattr(inside, first)(*(["first"] if first != "remove" else []))
        if reads_between:
            inside.values()
        inside.resolve("second")
        assert inside.values() == ["second"]
    assert register.values() == ["second"]


def test_a_resolve_keeps_what_its_handle_has_not_read(space: Keyspace) -> None:
    register = space.mv_register("r")
    register.set("read")
    with space.transaction() as tx:
        inside = tx.mv_register("r")
        inside.resolve("first")
        register.set("unread")
        inside.resolve("second")
    assert sorted(register.values()) == ["second", "unread"]


def test_two_handles_resolve_what_both_have_read(space: Keyspace) -> None:
    space.mv_register("r").set("one")
    with space.transaction() as tx:
        early, late = tx.mv_register("r"), tx.mv_register("r")
        early.values()
        space.mv_register("r").set("two")
        late.values()
        early.resolve("first")
        late.resolve("second")
    assert space.mv_register("r").values() == ["second"]


def test_as_many_cells_as_the_limit_and_no_more(space: Keyspace) -> None:
    with space.transaction() as tx:
        for number in range(TRANSACTION_CELLS_MAX):
            tx.set("s").add(number)
        tx.set("s").add(0)
        with pytest.raises(LimitExceeded, match="cells"):
            tx.set("s").add(TRANSACTION_CELLS_MAX)
    assert space.set("s") == set(range(TRANSACTION_CELLS_MAX))


def test_as_many_bytes_as_the_limit_and_no_more(space: Keyspace) -> None:
    quarter = "x" * (TRANSACTION_BYTES_MAX // 4)
    with space.transaction() as tx:
        for _ in range(10):  # the same cell: what was replaced is not written
            tx.register("a").set(quarter)
        tx.register("b").set(quarter)
        tx.register("c").set(quarter)
        with pytest.raises(LimitExceeded, match="bytes"):
            tx.register("d").set(quarter)
    assert sorted(everything(space)) == ["register:a", "register:b", "register:c"]


def test_as_many_writes_as_the_limit_and_no_more(backend: MemoryBackend) -> None:
    op = make_op(path.encode((("counter", "c"),)), "add", (1,))
    assert backend.write("default", [op] * TRANSACTION_OPS_MAX)
    with pytest.raises(LimitExceeded, match="writes"):
        backend.write("default", [op] * (TRANSACTION_OPS_MAX + 1))
    assert Keyspace(backend).counter("c").value() == TRANSACTION_OPS_MAX


def test_the_node_holds_a_transaction_to_its_limits_too(backend: MemoryBackend) -> None:
    space = Keyspace(backend)
    with pytest.raises(LimitExceeded, match="cells"), space.transaction() as tx:
        tx.set("s").clear()
        tx.set("t").update(range(500))
        space.set("s").update(range(501))
    assert len(space.set("s")) == 501
    assert len(space.set("t")) == 0
    quarter = "x" * (TRANSACTION_BYTES_MAX // 4)
    with pytest.raises(LimitExceeded, match="bytes"):
        names = [path.encode((("register", str(number)),)) for number in range(4)]
        backend.write("default", [make_op(name, "set", (quarter,)) for name in names])
    with pytest.raises(LimitExceeded):
        backend.write("default", [make_op(path.encode((("set", "s"),)), CLEAR)] * (TRANSACTION_OPS_MAX + 1))
