"""Do whole nodes, each with a store and an engine, find each other and agree?"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # has no types

import gossamer
from gossamer import Closed

from .standin import DEADLINE_S, FAST, StandIn, free_port, make_node


def eventually(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, f"never: {what}"
        threading.Event().wait(0.005)


def test_two_nodes_agree_and_remember(tmp_path: Path) -> None:
    here = f"127.0.0.1:{free_port()}"
    with (
        gossamer.open(tmp_path / "a", listen=here, timing=FAST) as a,
        gossamer.open(tmp_path / "b", peers=[here], timing=FAST) as b,
    ):
        a.counter("sold").add(2)
        b.counter("sold").add(3)
        b.map("cart:42").set("skus").add("sku-1")
        eventually(lambda: a.counter("sold").value() == 5 == b.counter("sold").value(), "the sum")
        eventually(lambda: a.map("cart:42").value() == {"skus": frozenset({"sku-1"})}, "the map")
    with gossamer.open(tmp_path / "a") as again:
        assert again.counter("sold").value() == 5


def test_two_nodes_that_dial_each_other_keep_one_link(tmp_path: Path) -> None:
    one, two = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    with (
        gossamer.open(tmp_path / "a", listen=one, peers=[two, one], timing=FAST) as a,
        gossamer.open(tmp_path / "b", listen=two, peers=[one, two], timing=FAST) as b,
    ):
        a.counter("sold").add(1)
        b.counter("sold").add(1)
        eventually(lambda: a.counter("sold").value() == 2 == b.counter("sold").value(), "the sum")
        eventually(lambda: open_links(a) == 1 == open_links(b), "one link")
        # What was being dialed already may still come, once. Then nobody dials any more.
        eventually(lambda: is_quiet(a, b), "a rest")
        assert open_links(a) == 1 == open_links(b)


def test_a_third_node_is_learned_from_the_second(tmp_path: Path) -> None:
    places = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    with (
        gossamer.open(tmp_path / "a", listen=places[0], timing=FAST) as a,
        gossamer.open(tmp_path / "b", listen=places[1], peers=[places[0]], timing=FAST),
        gossamer.open(tmp_path / "c", listen=places[2], peers=[places[1]], timing=FAST) as c,
    ):
        a.counter("sold").add(1)
        eventually(lambda: c.counter("sold").value() == 1, "the write")
        eventually(lambda: open_links(a) == 2 == open_links(c), "links between all")


def test_writes_before_start_are_there_and_are_gossiped(tmp_path: Path) -> None:
    here = f"127.0.0.1:{free_port()}"
    node = gossamer.open(tmp_path / "a", listen=here, timing=FAST)
    before = threading.active_count()
    assert node.counter("sold").value() == 0
    assert threading.active_count() == before  # a read starts nothing
    node.counter("sold").add(1)
    with node, gossamer.open(tmp_path / "b", peers=[here], timing=FAST) as peer:
        eventually(lambda: peer.counter("sold").value() == 1, "the write")


def test_keyspaces_are_made_when_named_and_not_from_afar(tmp_path: Path) -> None:
    with gossamer.open(tmp_path, listen="127.0.0.1:0", keyspaces=["stock"]) as node:
        node.keyspace("orders").counter("sold").add(1)
        assert node.keyspace("orders").counter("sold").value() == 1
        with gossamer.connect(str(node.address)) as client:
            assert client.keyspace("orders").counter("sold").value() == 1
            client.keyspace("stock").counter("sold").add(1)
            elsewhere = client.keyspace("elsewhere").counter("sold")
            for use in (elsewhere.value, elsewhere.add):
                with pytest.raises(ValueError, match="'elsewhere': this node does not host"):
                    use()
            with pytest.raises(ValueError, match="node's own"):
                client.keyspace("$system").counter("sold").add(1)
            assert client.status()["keyspaces"].keys() >= {"default", "orders", "stock"}


async def test_aopen_is_the_async_twin(tmp_path: Path) -> None:
    async with gossamer.aopen(tmp_path, listen="127.0.0.1:0") as node:
        await node.counter("sold").aadd(2)
        assert await node.counter("sold").avalue() == 2
    with pytest.raises(Closed):
        await node.counter("sold").aadd(1)


async def test_aopen_that_is_cancelled_leaves_nothing_open(tmp_path: Path) -> None:
    async def use() -> None:
        async with gossamer.aopen(tmp_path):
            raise AssertionError("cancelled before")

    opening = asyncio.create_task(use())
    await asyncio.wait([opening], timeout=0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with gossamer.aopen(tmp_path):  # which it could not be, were it open still
        pass


async def test_aopen_that_is_cancelled_again_leaves_nothing_open(tmp_path: Path) -> None:
    async def use() -> None:
        async with gossamer.aopen(tmp_path):
            raise AssertionError("cancelled before")

    opening = asyncio.create_task(use())
    for _ in range(3):
        await asyncio.wait([opening], timeout=0)
        opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with gossamer.aopen(tmp_path):
        pass


def test_aopen_in_a_loop_that_ends_leaves_nothing_open(tmp_path: Path) -> None:
    async def use() -> None:
        async with gossamer.aopen(tmp_path):
            raise AssertionError("cancelled before")

    async def main() -> asyncio.Task[None]:
        opening = asyncio.create_task(use())
        await asyncio.wait([opening], timeout=0)
        return opening  # for the end of the loop to cancel

    assert asyncio.run(main()).cancelled()
    with gossamer.open(tmp_path):
        pass


def test_a_closed_node_gives_no_tokens(tmp_path: Path) -> None:
    with gossamer.open(tmp_path) as node:
        node.counter("sold").add(1)
        assert node.token()
    with pytest.raises(Closed):
        node.token()


def test_listening_beyond_this_machine_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "gossamer"):
        with make_node(StandIn(), listen="127.0.0.1:0"):
            assert caplog.text == ""
        with make_node(StandIn(), listen="0.0.0.0:0"):
            assert "nothing is encrypted" in caplog.text


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"listen": "7400"}, ValueError, "listen: '7400'"),
        ({"listen": 7400}, TypeError, "listen"),
        ({"peers": "127.0.0.1:7400"}, TypeError, "peers: a list"),
        ({"peers": ["127.0.0.1:0"]}, ValueError, "peers: '127.0.0.1:0'"),
        ({"durability": "none"}, ValueError, "durability: 'none'"),
        ({"name": ""}, ValueError, "name: ''"),
        ({"cluster": None}, TypeError, "cluster"),
        ({"keyspaces": "orders"}, TypeError, "keyspaces: a list"),
        ({"peers": None}, TypeError, "peers: a list"),
        ({"advertise": "here"}, ValueError, "advertise: 'here'"),
        ({"timing": 1}, TypeError, "timing"),
        ({"colour": "red"}, TypeError, "colour"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(
    tmp_path: Path, given: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        gossamer.open(tmp_path / "never", **given)
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize("data", ["a\0b", "\ud800"])
def test_what_is_no_path_is_named(data: str) -> None:
    with pytest.raises(ValueError, match="data: "):
        gossamer.open(data)


def is_quiet(*nodes: gossamer.Node) -> bool:
    """No link is made in five times the longest wait between two attempts."""
    made = sum(map(links_made, nodes))
    for _ in range(10):
        threading.Event().wait(FAST.beat_s)
    return sum(map(links_made, nodes)) == made + len(nodes)


def links_made(node: gossamer.Node) -> int:
    """The next link's number, which is used up."""
    assert node._shell is not None
    return next(node._shell._links._numbers)


def open_links(node: gossamer.Node) -> int:
    assert node._shell is not None
    return len(node._shell._links._links)


async def test_calls_beyond_what_a_node_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossamer.rpc.shell.CALLS_MAX", 3)
    with make_node(StandIn(), listen="127.0.0.1:0") as node:
        async with grpc.aio.insecure_channel(str(node.address)) as channel:
            stub, request = health_pb2_grpc.HealthStub(channel), health_pb2.HealthCheckRequest()
            calls = [stub.Watch(request) for _ in range(3)]
            for call in calls:
                await call.read()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Check(request)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            for call in calls:
                call.cancel()
            while calls:  # what ends them is on its way
                with suppress(grpc.aio.AioRpcError):
                    await stub.Check(request)
                    calls.clear()


@pytest.mark.parametrize(("host", "is_warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_port_beyond_loopback_without_certificates_is_warned_of(
    host: str, is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with make_node(StandIn(), listen=f"{host}:0"):
        assert ("nothing is encrypted or authenticated" in caplog.text) == is_warned
