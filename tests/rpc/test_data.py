"""Does a client see what the node holds, and the node's errors as they were raised?"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # has no types

import gossamer
from gossamer import Closed, LimitExceeded, NotReady, OutcomeUnknown, Refused, StoreFull, Unreachable
from gossamer.backend import make_op
from gossamer.crdt import Cell, Entry, path, values
from gossamer.limits import PAGE_BYTES
from gossamer.proto import data_pb2 as pb
from gossamer.proto import data_pb2_grpc
from gossamer.rpc import Client
from gossamer.rpc.wire import pack_args, unpack_args
from gossamer.turns import Input, Write

from .proxy import Proxy
from .standin import DEADLINE_S, StandIn, free_port, make_node

SOLD = path.of_text("counter:sold")


@pytest.fixture
def core() -> StandIn:
    return StandIn()


@pytest.fixture
def node(core: StandIn) -> Iterator[gossamer.Node]:
    with make_node(core, listen="127.0.0.1:0") as node:
        yield node


@pytest.fixture
def client(node: gossamer.Node) -> Iterator[Client]:
    with gossamer.connect(str(node.address), timeout=DEADLINE_S) as client:
        yield client


@pytest.fixture
def stub(node: gossamer.Node) -> Iterator[data_pb2_grpc.DataStub]:
    with grpc.insecure_channel(str(node.address)) as channel:
        yield data_pb2_grpc.DataStub(channel)


def test_handles_of_a_client_read_and_write_the_node(node: gossamer.Node, client: Client) -> None:
    cart = client.map("cart:42")
    cart.register("note").set("gift wrap")
    cart.counter("items").add(3)
    cart.set("skus").add("sku-1")
    assert node.map("cart:42").value() == {"note": "gift wrap", "items": 3, "skus": frozenset({"sku-1"})}
    assert cart.value() == node.map("cart:42").value()
    assert list(client.keys()) == list(node.keys())
    client.keyspace("other").flag("on").enable()
    assert node.keyspace("other").flag("on").value()
    assert client.status() == node.status() == {"links": 0}


async def test_the_async_twins_do_the_same(node: gossamer.Node, client: Client) -> None:
    await client.counter("sold").aadd(2)
    assert await client.counter("sold").avalue() == 2
    assert await client.akeys() == ["counter:sold"]
    assert await client.astatus() == {"links": 0}
    assert node.counter("sold").value() == 2


def test_async_twins_work_in_one_loop_after_another(client: Client) -> None:
    for _ in range(3):
        asyncio.run(client.counter("sold").aadd(1))
    assert client.counter("sold").value() == 3


def test_a_transaction_is_one_event(core: StandIn, client: Client) -> None:
    with client.transaction() as tx:
        tx.counter("a").add(1)
        tx.register("b").set("x")
    assert [len(given.ops) for given in core.log if isinstance(given, Write)] == [2]


def test_a_scan_of_many_pages_is_whole_and_in_order(
    client: Client, node: gossamer.Node, stub: data_pb2_grpc.DataStub
) -> None:
    names = [f"{i:04}" for i in range(1200)]
    for start in range(0, len(names), 300):
        with node.transaction() as tx:
            for name in names[start : start + 300]:
                tx.register(name).set("x" * 1000)
    assert list(client.keys()) == [f"register:{name}" for name in names]
    pages = list(stub.Scan(pb.ScanRequest(keyspace="default"), timeout=DEADLINE_S))
    assert max(page.ByteSize() for page in pages) < 2 * PAGE_BYTES < 1_000_000


def test_a_cell_larger_than_a_message_is_read(core: StandIn, client: Client) -> None:
    payloads = [values.encode([values.encode(f"{i}" * 250_000)]) for i in range(8)]
    live = tuple(Entry(b"replica%d" % i, 1, payload) for i, payload in enumerate(payloads))
    core.memory._table("default").put(path.of_text("mv_register:big"), Cell(live))
    assert len(client.mv_register("big").values()) == 8
    assert list(client.keys()) == ["mv_register:big"]


@pytest.mark.parametrize(
    "args",
    [(1,), (2**64,), (-(2**200),), (), (None, True, 1.5, "s", b"b", [1, {"k": []}]), ("v", {b"replica1": 7})],
)
def test_arguments_arrive_as_they_were_given(args: tuple[Any, ...]) -> None:
    assert tuple(unpack_args(pack_args(args))) == args


def test_a_counter_counts_beyond_64_bits(client: Client) -> None:
    client.counter("stars").add(10**30)
    client.counter("stars").add(-(2**64))
    assert client.counter("stars").value() == 10**30 - 2**64


def test_concurrent_values_are_resolved_with_what_was_read(client: Client) -> None:
    register = client.mv_register("choice")
    register.set("a")
    register.resolve("b")
    assert register.values() == ["b"]


@pytest.mark.parametrize(
    "error",
    [
        StoreFull("no space in /data"),
        NotReady("first bootstrap"),
        Closed("closed"),
        LimitExceeded("1001 cells"),
        TypeError("n: an int is wanted"),
        ValueError("n: too large"),
    ],
)
def test_the_nodes_error_is_raised_at_the_client(core: StandIn, client: Client, error: Exception) -> None:
    def fail(inputs: Sequence[Input]) -> None:
        raise error

    core.hook = fail
    with pytest.raises(type(error)) as caught:
        client.counter("sold").add(1)
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)


def test_an_error_without_a_class_here_is_refused(core: StandIn, client: Client) -> None:
    def fail(inputs: Sequence[Input]) -> None:
        raise ZeroDivisionError("a mistake in the node")

    core.hook = fail
    with pytest.raises(Refused, match="its log says how"):
        client.counter("sold").add(1)


def test_a_comparison_that_the_node_refuses_is_a_type_error(client: Client) -> None:
    client.max_register("m").set(1)
    with pytest.raises(TypeError, match="compared"):
        client.max_register("m").set("text")


def write_of(op_path: bytes = SOLD, method: str = "add", args: bytes = pack_args((1,))) -> pb.WriteRequest:
    return pb.WriteRequest(keyspace="default", ops=[pb.Op(path=op_path, method=method, args=args)])


@pytest.mark.parametrize(
    "request_",
    [
        write_of(b""),
        write_of(b"\xff"),
        write_of(b"\x14sold"),
        write_of(SOLD * 100),
        write_of(method="explode"),
        write_of(args=b""),
        write_of(args=b"\xc1"),
        write_of(args=b"\x01"),
        write_of(args=pack_args(("one",))),
        write_of(args=b"\x91" * 5000),
        write_of(args=b"\xdd\xff\xff\xff\xff"),
        write_of(args=b"\x91\xd4\x05\x00"),
        write_of(path.of_text("register:r"), "set", b"\x91\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"),
        write_of(b"\x01half", "clear", b"\x90"),
        pb.WriteRequest(keyspace="default", ops=[pb.Op()] * 10_001),
        pb.ReadRequest(keyspace="default", paths=[b""]),
        pb.ReadRequest(keyspace="default", paths=[SOLD] * 1001),
        pb.ScanRequest(keyspace="default", prefix=bytes(501)),
        pb.AdminRequest(verb="explode"),
        pb.AdminRequest(verb="explode", arguments=b"{"),
    ],
)
def test_bad_input_is_an_invalid_argument_and_nothing_is_done(
    core: StandIn, stub: data_pb2_grpc.DataStub, request_: Any
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        match request_:
            case pb.WriteRequest():
                stub.Write(request_, timeout=DEADLINE_S)
            case pb.ReadRequest():
                stub.Read(request_, timeout=DEADLINE_S)
            case pb.ScanRequest():
                list(stub.Scan(request_, timeout=DEADLINE_S))
            case _:
                stub.Admin(request_, timeout=DEADLINE_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, caught.value.details()
    assert not any(isinstance(given, Write) for given in core.log)


def test_a_transaction_too_large_for_a_message_is_refused_before_it_is_sent(
    core: StandIn, client: Client
) -> None:
    op = make_op(path.of_text("register:big"), "set", ("x" * 200_000,))
    with pytest.raises(LimitExceeded, match="on the wire"):
        client.backend.write("default", [op] * 6)


def test_a_node_that_is_not_there_is_unreachable() -> None:
    with gossamer.connect(f"127.0.0.1:{free_port()}", timeout=DEADLINE_S) as client:
        with pytest.raises(Unreachable):
            client.counter("sold").add(1)
        with pytest.raises(Unreachable):
            client.counter("sold").value()
        with pytest.raises(Unreachable):
            list(client.keys())


async def test_a_node_that_is_not_there_is_unreachable_to_coroutines_too() -> None:
    async with gossamer.connect(f"127.0.0.1:{free_port()}", timeout=DEADLINE_S) as client:
        with pytest.raises(Unreachable):
            await client.counter("sold").aadd(1)


@contextmanager
def answers_lost(core: StandIn, proxy: Proxy, times: int = 1) -> Iterator[list[Write]]:
    """The first so many writes are made, and the connection ends before their answers; all writes that come."""
    came: list[Write] = []

    def cut(inputs: Sequence[Input]) -> None:
        writes = [given for given in inputs if isinstance(given, Write)]
        came.extend(writes)
        if writes and len(came) <= times:
            proxy.cut()

    core.hook = cut
    yield came


@pytest.mark.parametrize("op_id", [None, "order-123"])
def test_a_write_whose_answer_was_lost_is_sent_again_and_counts_once(
    core: StandIn, node: gossamer.Node, op_id: str | None
) -> None:
    with Proxy(str(node.address)) as proxy, gossamer.connect(proxy.address, timeout=DEADLINE_S) as client:
        with answers_lost(core, proxy, times=2) as came:
            client.counter("sold").add(1, op_id=op_id)
        assert len(came) == 3
        assert node.counter("sold").value() == client.counter("sold").value() == 1


async def test_a_coroutines_write_whose_answer_was_lost_counts_once(
    core: StandIn, node: gossamer.Node
) -> None:
    with Proxy(str(node.address)) as proxy:
        async with gossamer.connect(proxy.address, timeout=DEADLINE_S) as client:
            with answers_lost(core, proxy) as came:
                await client.counter("sold").aadd(1)
            assert len(came) == 2
            assert await client.counter("sold").avalue() == 1


def test_a_node_that_is_another_replica_by_then_does_not_count_it_again(
    core: StandIn, node: gossamer.Node
) -> None:
    with Proxy(str(node.address)) as proxy, gossamer.connect(proxy.address, timeout=DEADLINE_S) as client:
        client.counter("sold").add(1)

        def cut(inputs: Sequence[Input]) -> None:
            if any(isinstance(given, Write) for given in inputs) and core.replica != b"standin2":
                proxy.cut()
                core.replica = b"standin2"

        core.hook = cut
        with pytest.raises(OutcomeUnknown, match="goes on as replica"):
            client.counter("sold").add(1)


def test_a_node_that_became_another_replica_between_two_writes_is_no_trouble(
    core: StandIn, client: Client
) -> None:
    client.counter("sold").add(1)
    core.replica = b"standin2"
    client.counter("sold").add(1)
    assert client.counter("sold").value() == 2


def test_a_write_without_an_answer_in_time_has_an_unknown_outcome_and_a_read_is_unreachable(
    node: gossamer.Node,
) -> None:
    with Proxy(str(node.address)) as proxy, gossamer.connect(proxy.address, timeout=0.2) as client:
        client.counter("sold").value()
        proxy.swallow()
        with pytest.raises(OutcomeUnknown, match="DEADLINE"):
            client.counter("sold").add(1)
        with pytest.raises(Unreachable, match="DEADLINE"):
            client.counter("sold").value()


def test_a_client_comes_back_to_a_node_that_was_away(core: StandIn) -> None:
    address = f"127.0.0.1:{free_port()}"
    with gossamer.connect(address, timeout=DEADLINE_S) as client:
        with pytest.raises(Unreachable):
            client.counter("sold").add(1)
        with make_node(core, listen=address):
            until = time.monotonic() + DEADLINE_S
            while time.monotonic() < until:
                try:
                    client.counter("sold").add(1)
                    break
                except Unreachable:
                    continue
        assert core.memory.cell("default", SOLD).live


async def test_a_cancelled_remote_write_leaves_the_client_usable(core: StandIn, client: Client) -> None:
    arrived, done = threading.Event(), threading.Event()

    def hold(inputs: Sequence[Input]) -> None:
        arrived.set()
        assert done.wait(DEADLINE_S)

    core.hook = hold
    write = asyncio.create_task(client.counter("sold").aadd(1))
    assert await asyncio.to_thread(arrived.wait, DEADLINE_S)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    done.set()
    await client.counter("sold").aadd(1)
    assert await client.counter("sold").avalue() == 2


def test_a_closed_client_and_a_closed_node_say_so(node: gossamer.Node, client: Client) -> None:
    client.close()
    with pytest.raises(Closed):
        client.counter("sold").add(1)
    with pytest.raises(Closed):
        list(client.keys())
    client.close()
    node.close()
    for use in (
        node.counter("sold").value,
        lambda: node.counter("sold").add(1),
        lambda: list(node.keys()),
        node.start,
    ):
        with pytest.raises(Closed):
            use()


def test_the_health_service_says_serving(node: gossamer.Node) -> None:
    with grpc.insecure_channel(str(node.address)) as channel:
        for service in ("", "gossamer.v1.Data", "gossamer.v1.Replication"):
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE_S
            )
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_client_leaves_no_threads(node: gossamer.Node) -> None:
    before = threading.active_count()
    with gossamer.connect(str(node.address)) as client:
        client.counter("sold").add(1)
    until = time.monotonic() + DEADLINE_S
    while threading.active_count() > before and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "target", ["", "host", ":7400", "host:", "host:port", "host:0", "host:70000", "host:²"]
)
def test_a_wrong_target_is_named(target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        gossamer.connect(target)


@pytest.mark.parametrize(
    ("timeout", "error"),
    [(0, ValueError), (-1.0, ValueError), ("5", TypeError), (True, TypeError), (10**400, ValueError)],
)
def test_a_wrong_timeout_is_named(timeout: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="timeout"):
        gossamer.connect("127.0.0.1:7400", timeout)


def test_calls_of_a_silent_server_end_at_their_deadline() -> None:
    """Something listens, and it is no node: nothing may hang."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        gossamer.connect(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.2) as client,
        pytest.raises(Unreachable),
    ):
        client.counter("sold").value()
