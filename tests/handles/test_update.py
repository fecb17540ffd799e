"""Read-modify-write: is there a moment between the read and the write at which another write can be lost?"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import gossamer
from gossamer import VersionMismatch
from gossamer.handles import Keyspace
from gossamer.memory import MemoryBackend
from gossamer.testing import Cluster

from .conftest import World

THREADS, TIMES = 8, 25


@pytest.fixture
def node(tmp_path: Path) -> Iterator[gossamer.Node]:
    with gossamer.open(tmp_path, listen="127.0.0.1:0") as node:
        yield node


@pytest.fixture(params=["node", "client", "other keyspace"])
def place(request: pytest.FixtureRequest, node: gossamer.Node) -> Iterator[Keyspace]:
    if request.param == "client":
        with gossamer.connect(str(node.address), timeout=20) as client:
            yield client
    else:
        yield node if request.param == "node" else node.keyspace("other")


def test_update_gives_what_it_made_of_the_value(world: World) -> None:
    register = world.place.register("n")
    assert world.do(register, "update", lambda n: (n or 0) + 1) == 1
    assert world.do(register, "update", lambda n: n + 1) == 2
    assert world.do(register, "get") == 2
    world.do(register, "remove")
    assert world.do(register, "update", lambda n: n + 1, 40) == 41  # the default


def test_update_of_a_multi_value_register_sees_all_values(world: World) -> None:
    register = world.place.mv_register("v")
    assert world.do(register, "update", lambda found: [*found, "x"]) == ["x"]
    assert world.do(register, "update", len) == 1
    assert world.do(register, "values") == [1]


class Mistake(Exception):
    pass


@pytest.mark.parametrize("error", [Mistake(), KeyError("x"), ValueError("no"), SystemExit(3)], ids=repr)
def test_an_exception_in_the_function_writes_nothing_and_reaches_the_caller(
    place: Keyspace, error: BaseException
) -> None:
    place.register("n").set(1)

    def change(_: Any) -> Any:
        raise error

    with pytest.raises(type(error)) as caught:
        place.register("n").update(change)
    assert caught.value is error
    assert place.register("n").get() == 1
    assert place.register("n").update(lambda n: n + 1) == 2  # the writer goes on


async def test_an_exception_in_an_awaited_update_reaches_the_caller(place: Keyspace) -> None:
    error = KeyError("x")

    def change(_: Any) -> Any:
        raise error

    with pytest.raises(KeyError) as caught:
        await place.register("n").aupdate(change)
    assert caught.value is error
    assert await place.register("n").aupdate(lambda n: 5) == 5


def test_what_is_no_value_or_no_function_is_refused(world: World) -> None:
    with pytest.raises(TypeError, match="value"):
        world.do(world.place.register("n"), "update", lambda _: object())
    for handle in (world.place.register("n"), world.place.mv_register("n")):
        with pytest.raises(TypeError, match="change: a function is wanted, not int"):
            world.do(handle, "update", 5)
    assert world.do(world.place.register("n"), "get") is None


def test_no_update_of_many_threads_is_lost(place: Keyspace) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(TIMES):
                place.register("n").update(lambda n: n + 1, 0)
        except BaseException as error:  # noqa: BLE001  # raised below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert place.register("n").get() == THREADS * TIMES


def test_a_remote_update_that_never_comes_first_gives_up(node: gossamer.Node) -> None:
    def change(n: int) -> int:
        node.register("n").set(n + 100)  # somebody else, between the read and the write, every time
        return n + 1

    node.register("n").set(0)
    with gossamer.connect(str(node.address), timeout=0.2) as client, pytest.raises(VersionMismatch):
        client.register("n").update(change)
    assert node.register("n").get() % 100 == 0


@pytest.mark.parametrize("do", [lambda n: n.register("x").set(1), lambda n: n.register("x").update(str)])
def test_a_write_inside_the_function_is_refused_and_not_waited_for(
    node: gossamer.Node, do: Callable[[Any], Any]
) -> None:
    with Cluster(1) as cluster:
        places: list[Any] = [node, Keyspace(MemoryBackend()), cluster.nodes[0]]
        for it in places:

            def change(_: Any, it: Any = it) -> Any:
                return do(it)

            def look(_: Any, it: Any = it) -> Any:
                return it.register("x").get("absent")

            with pytest.raises(ValueError, match="update: its function must not write"):
                it.register("n").update(change)
            assert it.register("n").update(look) == "absent"


def test_a_node_is_not_closed_by_the_function_and_goes_on(node: gossamer.Node) -> None:
    with pytest.raises(ValueError, match="update: its function must not"):
        node.register("n").update(lambda _: node.close())
    node.register("n").set(1)
    assert node.register("n").get() == 1


def test_a_version_that_stands_is_written_over_and_another_is_not(world: World) -> None:
    register = world.place.register("r")
    if isinstance(world.place, gossamer.Transaction):
        pytest.skip("a transaction's own writes have no version; see the tests below")
    call: Callable[..., Any] = lambda method, *args, **named: world.do(_Named(register, named), method, *args)
    call("set", "a", expect=None)
    first = world.do(register, "read").version
    with pytest.raises(VersionMismatch, match="register:r: something is there already"):
        call("set", "b", expect=None)
    call("set", "b", expect=first)
    for method, args in (("set", ("c",)), ("remove", ())):
        with pytest.raises(VersionMismatch, match="register:r: it was written since it was read"):
            call(method, *args, expect=first)
    assert world.do(register, "get") == "b"
    call("remove", expect=world.do(register, "read").version)
    call("set", "again", expect=None)
    assert world.do(register, "get") == "again"


class _Named:
    """A handle whose methods are called with some named arguments."""

    def __init__(self, handle: Any, named: dict[str, Any]) -> None:
        self._handle, self._named = handle, named

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *args: getattr(self._handle, method)(*args, **self._named)


@pytest.mark.parametrize(
    "wrong", [5, "x", (1, 2), (b"replica1", True), (b"replica1",), [b"replica1"]], ids=repr
)
def test_what_is_no_version_is_named(place: Keyspace, wrong: Any) -> None:
    with pytest.raises(TypeError, match="expect: the version of a read is wanted"):
        place.register("r").set(1, expect=wrong)
    with pytest.raises(TypeError, match="seen: the context of a read is wanted"):
        place.register("r").set(1, seen=5)  # type: ignore[arg-type]  # that is the test
    assert place.register("r").get() is None


def test_a_transaction_that_expects_writes_all_or_nothing(place: Keyspace) -> None:
    place.register("a").set(1)
    version = place.register("a").read().version
    with place.transaction() as tx:
        tx.counter("done").add(1)
        tx.register("a").set(2, expect=version)
    assert (place.register("a").get(), place.counter("done").value()) == (2, 1)
    with pytest.raises(VersionMismatch), place.transaction() as tx:
        tx.counter("done").add(1)
        tx.register("a").set(3, expect=version)  # it is told at once
    with pytest.raises(VersionMismatch), place.transaction() as tx:
        tx.counter("done").add(1)
        tx.register("a").set(3, expect=tx.register("a").read().version)
        place.register("a").set("between")  # or at the end
    assert (place.register("a").get(), place.counter("done").value()) == ("between", 1)


def test_an_update_in_a_transaction_is_lost_to_nobody(place: Keyspace) -> None:
    place.register("a").set(1)
    with place.transaction() as tx:
        assert tx.register("a").update(lambda n: n + 1) == 2
        assert tx.register("a").update(lambda n: n + 1) == 3
        tx.register("a").set(tx.register("a").get() + 1, expect=tx.register("a").read().version)
    assert place.register("a").get() == 4
    with pytest.raises(VersionMismatch), place.transaction() as tx:
        tx.register("a").update(lambda n: n + 1)
        place.register("a").set(10)
    assert place.register("a").get() == 10


def test_a_transaction_expects_of_its_own_writes_what_it_reads_of_them(place: Keyspace) -> None:
    place.register("a").set(1)
    version = place.register("a").read().version
    with place.transaction() as tx:
        tx.register("a").set(2)
        with pytest.raises(VersionMismatch):
            tx.register("a").set(3, expect=version)
        tx.register("a").remove(expect=tx.register("a").read().version)
        tx.register("a").set(4, expect=None)
    assert place.register("a").get() == 4


def test_what_came_from_another_node_since_the_read_stays_beside_a_set_over_it() -> None:
    with Cluster(2, seed=3) as cluster:
        a, b = cluster.nodes
        a.register("r").set("old")
        cluster.settle()
        read = a.register("r").read()
        b.register("r").set("since")
        cluster.settle()
        a.register("r").set("new", seen=read.context)
        cluster.settle()
        assert sorted(r.value for r in b.register("r").siblings()) == ["new", "since"]
        a.register("r").set("all", seen=a.register("r").read().context)
        cluster.settle()
        assert [r.value for r in b.register("r").siblings()] == ["all"]


def test_what_this_node_wrote_since_the_read_cannot_stay_beside_it_and_is_not_lost(place: Keyspace) -> None:
    place.register("r").set("old")
    read = place.register("r").read()
    place.register("r").set("since")
    with pytest.raises(VersionMismatch, match="this node has written it since it was read"):
        place.register("r").set("new", seen=read.context)
    assert place.register("r").get() == "since"
    place.register("r").set("new", seen=place.register("r").read().context)
    assert place.register("r").get() == "new"


def test_a_transaction_may_set_twice_over_one_read(place: Keyspace) -> None:
    place.register("r").set("old")
    seen = place.register("r").read().context
    with place.transaction() as tx:
        tx.register("r").set("first", seen=seen)
        tx.register("r").set("second", seen=seen)
        assert tx.register("r").get() == "second"
    assert place.register("r").get() == "second"
