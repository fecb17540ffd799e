"""Does a client follow a remote node as it would one of its own, across cuts too, and at its own pace?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import gossamer
from gossamer import Closed, CursorExpired, Node, SubscriptionInUse, Unreachable
from gossamer.crdt import path
from gossamer.limits import FEED_PAGE_BYTES
from gossamer.proto import data_pb2 as pb
from gossamer.proto import data_pb2_grpc
from gossamer.rpc import Client

from ..rpc.proxy import Proxy
from ..rpc.standin import free_port
from .test_watch import told


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with gossamer.open(tmp_path / "data", name="a", listen="127.0.0.1:0") as node:
        yield node


@pytest.fixture
def client(node: Node) -> Iterator[Client]:
    with gossamer.connect(str(node.address), timeout=20) as client:
        yield client


def test_as_of_a_node_of_one_s_own(node: Node, client: Client) -> None:
    node.counter("c").add(1)
    node.map("m").register("r").set(None)
    here, there = node.watch(timeout=0), client.watch(timeout=0)
    assert list(here) == list(there)
    client.map("m").register("r").remove()
    with client.transaction() as tx:
        tx.counter("c").add(1)
        tx.flag("f").enable()
    changes = list(there)
    assert changes == list(here)
    assert [change.members for change in changes] == [("a",)] * 3
    assert there.cursor == here.cursor
    assert list(client.watch(since=changes[0].cursor, timeout=0)) == changes[1:]
    assert told(client.map("m").watch(timeout=0)) == []
    assert told(client.watch("flag:", timeout=0)) == [("flag:f", False, True)]


def test_it_waits_and_is_closed_from_another_thread(node: Node, client: Client) -> None:
    watch, came = client.watch(), threading.Event()

    def consume() -> None:
        for _ in watch:
            came.set()

    thread = threading.Thread(target=consume)
    thread.start()
    node.counter("c").add(1)
    assert came.wait(20)
    watch.close()
    thread.join(20)
    assert not thread.is_alive()
    assert list(watch) == []


def test_errors_are_those_of_the_node(node: Node, client: Client) -> None:
    with pytest.raises(ValueError, match="since"):
        client.watch(since="x")
    with pytest.raises(CursorExpired, match="another node"):
        client.watch(since="lAGnZGVmYXVsdMQIcmVwbGljYVIH")
    node.counter("c").add(1)
    again = client.watch(since="lAGnZGVmYXVsdMQIcmVwbGljYVIH", expired="snapshot", timeout=0)
    assert told(again) == [("counter:c", 0, 1)]
    with pytest.raises(ValueError, match="does not host"):
        client.keyspace("elsewhere").watch()
    with pytest.raises(ValueError, match="does not host"):
        client.keyspace("elsewhere").subscriptions()
    client.close()
    with pytest.raises(Closed):
        client.watch()


def test_nobody_there_is_said_at_once() -> None:
    with gossamer.connect(f"127.0.0.1:{free_port()}") as client, pytest.raises(Unreachable):
        client.watch()


@pytest.fixture
def far(node: Node) -> Iterator[tuple[Proxy, Client]]:
    """A client behind a wire that can be cut."""
    with Proxy(str(node.address)) as proxy, gossamer.connect(proxy.address, timeout=20) as client:
        yield proxy, client


def test_after_a_cut_it_goes_on_where_it_was(node: Node, far: tuple[Proxy, Client]) -> None:
    proxy, client = far
    watch = client.watch()
    node.counter("c").add(1)
    assert next(watch).new == 1
    for n in range(2, 5):
        proxy.cut()
        node.counter("c").add(1)
        change = next(watch)
        assert (change.old, change.new) == (n - 1, n)


def test_without_resume_a_cut_is_said(node: Node, far: tuple[Proxy, Client]) -> None:
    proxy, client = far
    watch = client.watch(resume=False)
    node.counter("c").add(1)
    change = next(watch)
    proxy.cut()
    with pytest.raises(Unreachable):
        next(watch)
    node.counter("c").add(1)
    assert next(client.watch(since=change.cursor)).new == 2


def test_a_node_that_closes_is_a_cut(tmp_path: Path) -> None:
    where = f"127.0.0.1:{free_port()}"
    with gossamer.open(tmp_path, listen=where) as node, gossamer.connect(where) as client:
        watch, strict = client.watch(), client.watch(resume=False)
        node.counter("c").add(1)
        assert next(watch).new == next(strict).new == 1
        node.close()
        with pytest.raises(Unreachable):
            next(strict)
        with gossamer.open(tmp_path, listen=where) as again:
            again.counter("c").add(1)
            assert told([next(watch)]) == [("counter:c", 1, 2)]
            watch.close()


def test_a_subscription_is_the_node_s(node: Node, client: Client) -> None:
    node.counter("c").add(1)
    with client.subscription("s") as feed:
        change = next(feed)
        with pytest.raises(SubscriptionInUse), node.subscription("s"):
            pass
        with pytest.raises(SubscriptionInUse), client.subscription("s"):
            pass
        change.ack()
        node.counter("c").add(1)
        node.counter("c").add(1)
        next(feed).ack()
    with node.subscription("s", timeout=0, auto_ack=True) as feed:
        assert [change.new for change in feed] == [3]
    node.counter("c").add(1)
    with client.subscription("s", timeout=0, auto_ack=True) as feed:
        assert [change.new for change in feed] == [4]
        (held,) = client.subscriptions()
        assert (held.name, held.behind) == ("s", 0)
        feed.begin_again()
        assert [change.new for change in feed] == [4]
    assert client.unsubscribe("s")
    assert not client.unsubscribe("s")
    assert node.subscriptions() == []


def test_a_subscription_goes_on_after_a_cut_that_the_node_has_not_noticed(
    node: Node, far: tuple[Proxy, Client]
) -> None:
    proxy, client = far
    with client.subscription("s") as feed:
        node.counter("c").add(1)
        assert next(feed).new == 1
        proxy.cut()
        node.counter("c").add(1)
        change = next(feed)
        assert change.new == 2, "what was received is not sent again"
        change.ack()
    assert node.subscriptions()[0].behind == 0


def test_a_client_that_does_not_read_is_not_read_for(node: Node, client: Client) -> None:
    """What waits for it is a page and what the connection holds, however much there is."""
    core: Any = node.backend.core
    read = 0
    original = core.feed_page

    def counting(*args: Any) -> Any:
        nonlocal read
        page = original(*args)
        read += sum(item.size for item in page.items)
        return page

    core.feed_page = counting
    watch = client.watch()
    for n in range(400):
        node.register("r").set(bytes([n % 256]) * 100_000)
    assert next(watch).new is not None
    node.register("r").set(b"last")
    assert read < 20 * FEED_PAGE_BYTES, "of 80 MB"
    assert next(n for n, change in enumerate(watch, 2) if change.new == b"last") == 401


async def test_async(node: Node, client: Client) -> None:
    await node.counter("c").aadd(1)
    async with client.awatch() as watch:
        assert (await anext(watch)).new == 1
        await node.counter("c").aadd(1)
        change = await anext(watch)
        assert (change.old, change.new) == (1, 2)
        waiting = asyncio.ensure_future(anext(watch, None))
        await asyncio.sleep(0)
        await watch.aclose()
        assert await asyncio.wait_for(waiting, 20) is None
    assert [change.new async for change in client.awatch(timeout=0)] == [2]
    with pytest.raises(ValueError, match="since"):
        await anext(client.awatch(since="x"))
    async with client.subscription("s", timeout=0, auto_ack=True) as feed:
        assert [change.new async for change in feed] == [2]
    (held,) = await client.asubscriptions()
    assert held.behind == 0
    assert await client.aunsubscribe("s")


async def test_async_it_ends_with_its_client(node: Node, client: Client) -> None:
    watch = client.awatch()
    waiting = asyncio.create_task(anext(watch))
    node.counter("c").add(1)
    assert (await waiting).new == 1
    waiting = asyncio.create_task(anext(watch))
    await asyncio.sleep(0.2)
    client.close()
    with pytest.raises(Closed):
        await asyncio.wait_for(waiting, 10)


async def test_async_after_a_cut_it_goes_on(node: Node, far: tuple[Proxy, Client]) -> None:
    proxy, client = far
    async with client.awatch() as watch:
        await node.counter("c").aadd(1)
        assert (await anext(watch)).new == 1
        proxy.cut()
        await node.counter("c").aadd(1)
        assert (await anext(watch)).new == 2


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (pb.WatchRequest(keyspace="default", idle_s=-1), "timeout"),
        (pb.WatchRequest(keyspace="default", inside=b"\xff\xff"), "path"),
        (pb.WatchRequest(keyspace="default", inside=path.of_text("map:m"), prefix="x", since="y"), "since"),
        (pb.WatchRequest(keyspace="default", subscription="\n"), "subscription"),
        (pb.WatchRequest(keyspace="default", consumer=bytes(1000)), "consumer"),
        (pb.WatchRequest(keyspace="$system\n"), "host"),
    ],
)
def test_a_wrong_request_is_refused(node: Node, request_: pb.WatchRequest, said: str) -> None:
    with grpc.insecure_channel(str(node.address)) as channel, pytest.raises(grpc.RpcError) as refused:
        next(data_pb2_grpc.DataStub(channel).Watch(request_))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in (refused.value.details() or "")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (pb.Place(position=-1), "place"),
        (pb.Place(position=1, reached=bytes(1000)), "place"),
        (pb.Place(position=2**62), "ahead"),
        (pb.Place(position=1), "there is none"),
    ],
)
def test_a_wrong_acknowledgement_is_refused(node: Node, place: pb.Place, said: str) -> None:
    with node.subscription("s"):
        pass
    name = "none" if said == "there is none" else "s"
    request = pb.AcknowledgeRequest(keyspace="default", subscription=name, place=place)
    with grpc.insecure_channel(str(node.address)) as channel, pytest.raises(grpc.RpcError) as refused:
        data_pb2_grpc.DataStub(channel).Acknowledge(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert said in (refused.value.details() or "")
