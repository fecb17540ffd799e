"""Do links carry messages whole and in order, notice a dead peer, come back, and end what misbehaves?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Self

import grpc
import pytest

from gossamer import ListenError, Node
from gossamer.limits import LINK_QUEUE_BYTES_MAX, MESSAGE_BYTES_MAX, LinkTiming
from gossamer.proto import replication_pb2_grpc
from gossamer.proto.replication_pb2 import Frame
from gossamer.rpc.dialer import Dialers, backoff
from gossamer.rpc.links import Links
from gossamer.turns import Connected, Received

from .proxy import Proxy
from .standin import DEADLINE_S, FAST, HELLO, StandIn, free_port, make_node, pair


def test_a_write_reaches_the_peer_and_back() -> None:
    with pair() as (node_a, a, node_b, b):
        node_a.counter("sold").add(2)
        b.wait(lambda: node_b.counter("sold").value() == 2, "the write of a at b")
        node_b.counter("sold").add(3)
        a.wait(lambda: node_a.counter("sold").value() == 5, "the write of b at a")


def test_messages_arrive_whole_and_in_order_whatever_their_size() -> None:
    bodies = [
        bytes([i]) * size for i, size in enumerate((1, MESSAGE_BYTES_MAX, 0, 131072, 131073, 400_000, 2))
    ]
    with pair() as (node_a, a, _, b):
        b.hook = lambda inputs: None
        b._merge = lambda body: None  # type: ignore[method-assign]  # they are no batches
        send_all(node_a, a, bodies)
        b.wait(lambda: len(b.received()) == 1 + len(bodies), "all messages")
        assert b.received() == [HELLO, *bodies]


def test_a_black_holed_peer_is_noticed_on_both_sides_and_found_again() -> None:
    a, b = StandIn(b"standinA"), StandIn(b"standinB")
    with (
        make_node(a, listen="127.0.0.1:0") as node_a,
        Proxy(str(node_a.address)) as proxy,
        make_node(b, peers=[proxy.address]) as node_b,
    ):
        b.wait(lambda: bool(b.greeted), "the link")
        a.wait(lambda: bool(a.greeted), "the link")
        proxy.swallow()
        b.wait(lambda: not b.open_links, "the dialer's end")
        a.wait(lambda: not a.open_links, "the acceptor's end")
        node_a.counter("sold").add(1)
        proxy.cut()
        proxy.forward()
        b.wait(lambda: bool(b.greeted), "a new link")
        a.wait(lambda: bool(a.greeted), "a new link")
        node_b.counter("sold").add(1)
        a.wait(lambda: node_a.counter("sold").value() == 2, "the write after it")


def test_a_peer_that_is_started_late_is_found() -> None:
    a, b = StandIn(), StandIn()
    port = free_port()
    with make_node(b, peers=[f"127.0.0.1:{port}"]), make_node(a, listen=f"127.0.0.1:{port}"):
        b.wait(lambda: bool(b.greeted), "the link")


def test_members_that_the_core_names_are_dialed_too_but_never_itself() -> None:
    a, b = StandIn(), StandIn()
    with make_node(a, listen="127.0.0.1:0") as node_a:
        b.to_dial = [str(node_a.address)]
        a.to_dial = [str(node_a.address)]
        with make_node(b):
            b.wait(lambda: bool(b.greeted), "the link")
        assert b.dialed == [node_a.address]
        assert a.dialed == []


def test_a_link_is_told_to_the_core_once_and_ends_once() -> None:
    with pair() as (_, a, node_b, b):
        node_b.close()
        a.wait(lambda: not a.open_links, "the end")
        assert [type(given).__name__ for given in b.log] == ["Connected", "Received", "Disconnected"]
        assert [type(given).__name__ for given in a.log] == ["Connected", "Received", "Disconnected"]


def threads() -> set[threading.Thread]:
    """All but gRPC's own, which begins with its first object in the process and ends some time after its last."""
    return {one for one in threading.enumerate() if "_poll_wrapper" not in one.name}


def test_a_taken_port_is_an_error_that_names_it_and_leaves_nothing_behind() -> None:
    before = threads()
    core = StandIn()
    with (
        make_node(StandIn(), listen="127.0.0.1:0") as node,
        pytest.raises(ListenError, match=str(node.address)),
        make_node(core, listen=node.address),
    ):
        raise AssertionError("it listens")
    assert core.is_closed
    assert threads() == before


def test_shutdown_leaves_no_threads_and_is_idempotent() -> None:
    before = threads()
    with pair() as (node_a, a, node_b, b):
        node_a.counter("sold").add(1)
    node_a.close()
    node_b.close()
    assert threads() - before == set()
    assert a.is_closed and b.is_closed


def test_a_batch_before_hello_ends_the_link_with_the_reason() -> None:
    with accepting() as (_, core, call):
        call.send(Frame(message=b"batch"))
        assert "a batch before hello" in call.ended()
        core.wait(lambda: not core.open_links, "the end")


def test_a_node_that_closes_tells_its_peers() -> None:
    with accepting() as (node, core, call):
        call.send(Frame(message=HELLO))
        core.wait(lambda: bool(core.greeted), "the link")
        node.close()
        assert "closing" in call.ended()


def test_garbage_after_hello_ends_the_link_and_names_the_part() -> None:
    with accepting() as (_, core, call):
        call.send(Frame(message=HELLO))
        call.send(Frame(message=b"\xc1garbage"))
        assert "batch:" in call.ended()
        core.wait(lambda: not core.open_links, "the end")


def test_a_frame_without_a_body_ends_the_link() -> None:
    with accepting() as (_, _, call):
        call.send(Frame())
        assert "without a body" in call.ended()


def test_bytes_that_are_no_frame_end_the_link_and_only_the_link() -> None:
    with accepting(raw=True) as (node, core, call):
        call.send(b"\xff\xff\xff\xff")
        call.ended()
        core.wait(lambda: not core.open_links, "the end")
        node.counter("sold").add(1)


def test_silence_instead_of_hello_ends_the_link_though_pings_come() -> None:
    with accepting() as (_, _, call):
        call.answer_pings()
        assert "no hello" in call.ended()


def test_an_oversized_message_ends_the_link() -> None:
    with accepting() as (_, core, call):
        call.send(Frame(message=HELLO))
        call.send(Frame(message=bytes(2 * MESSAGE_BYTES_MAX)))
        call.ended()
        core.wait(lambda: not core.open_links, "the end")
        assert core.received() in ([HELLO], [])


def test_a_message_that_grows_too_large_in_parts_ends_the_link() -> None:
    with accepting() as (_, core, call):
        call.send(Frame(message=HELLO))
        for _ in range(9):
            call.send(Frame(part=bytes(128 * 1024)))
        assert "parts" in call.ended()
        assert core.received() == [HELLO]


def test_empty_parts_are_refused() -> None:
    with accepting() as (_, _, call):
        call.send(Frame(part=b""))
        assert "parts" in call.ended()


def test_a_core_that_sends_more_than_a_link_may_hold_loses_the_link() -> None:
    with pair() as (node_a, a, _, b):
        b._merge = lambda body: None  # type: ignore[method-assign]  # they are no batches
        send_all(node_a, a, [bytes(MESSAGE_BYTES_MAX)] * (LINK_QUEUE_BYTES_MAX // MESSAGE_BYTES_MAX + 1))
        a.wait(lambda: len([g for g in a.log if isinstance(g, Connected)]) > 1, "another link")


def test_a_stalled_core_makes_links_stop_reading_and_kills_none() -> None:
    """Far longer than the heartbeat's deadline: what is not read is not counted as silence."""
    with pair() as (node_a, a, _node_b, b):
        b._merge = lambda body: None  # type: ignore[method-assign]  # they are no batches
        entered, opened = threading.Event(), threading.Event()

        def stall(inputs: Any) -> None:
            entered.set()
            assert opened.wait(DEADLINE_S)

        b.hook = stall
        send_all(node_a, a, [b"%d" % i for i in range(100)])
        assert entered.wait(DEADLINE_S)
        beats = beats_of(node_a)
        while beats_of(node_a) < beats + 3 * FAST.beats_missed_max:
            threading.Event().wait(FAST.beat_s)
        opened.set()
        b.wait(lambda: len(b.received()) == 101, "all messages")
        assert len([given for given in b.log if isinstance(given, Connected)]) == 1
        assert max(sum(isinstance(g, Received) for g in b.log[i : i + n]) for i, n in spans(b)) <= 8


def test_waiting_doubles_up_to_its_maximum_with_jitter() -> None:
    timing, rng = LinkTiming(backoff_base_s=0.1, backoff_max_s=3.0), Random(1)
    for failures, longest in enumerate((0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 3.0)):
        waits = [backoff(timing, failures, rng) for _ in range(100)]
        assert longest / 2 <= min(waits) < max(waits) <= longest
    assert backoff(timing, 10_000, rng) <= 3.0
    assert Random(5).random() == Random(5).random()


def beats_of(node: Node) -> int:
    """How many heartbeats the only link of a node has seen pass."""
    assert node._shell is not None
    (link,) = node._shell._links._links.values()
    return link.beats


def spans(core: StandIn) -> Iterator[tuple[int, int]]:
    """The start and size of each turn."""
    start = 0
    for size in core.groups:
        yield start, size
        start += size


def send_all(node: Node, core: StandIn, bodies: list[bytes]) -> None:
    """Have the node's core send messages on its only link."""

    def queue() -> None:
        (link,) = core.greeted
        for body in bodies:
            core.send(link, body)

    node.backend.writer.submit(queue).result(DEADLINE_S)


class Call:
    """A peer made by hand: one Exchange whose frames a test writes."""

    def __init__(self, channel: grpc.Channel, raw: bool) -> None:
        self._frames: list[Any] = []
        self._more = threading.Condition()
        exchange = replication_pb2_grpc.ReplicationStub(channel).Exchange
        if raw:
            exchange = channel.stream_stream(
                "/gossamer.v1.Replication/Exchange", request_serializer=None, response_deserializer=None
            )
        self._answers = exchange(self._sent(), timeout=DEADLINE_S)
        self._answering = False

    def send(self, frame: Any) -> None:
        with self._more:
            self._frames.append(frame)
            self._more.notify_all()

    def answer_pings(self) -> None:
        self._answering = True

    def ended(self) -> str:
        """Read until the other side ends it; its words."""
        try:
            for frame in self._answers:
                if self._answering and frame.WhichOneof("body") == "ping":
                    self.send(Frame(ping=1))
        except grpc.RpcError as error:
            assert error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED, "never ended"
            return str(error.details())
        return ""

    def _sent(self) -> Iterator[Any]:
        while True:
            with self._more:
                while not self._frames:
                    if not self._more.wait(DEADLINE_S):
                        return
                frame = self._frames.pop(0)
            if frame is None:
                return
            yield frame


@contextmanager
def accepting(raw: bool = False) -> Iterator[tuple[Node, StandIn, Call]]:
    """A node, and a peer made by hand."""
    core = StandIn()
    with make_node(core, listen="127.0.0.1:0") as node, grpc.insecure_channel(str(node.address)) as channel:
        call = Call(channel, raw)
        yield node, core, call
        call.send(None)


class Instant:
    """A channel, and a call on it, that connect when they are told to."""

    def __init__(self) -> None:
        self.connected = asyncio.get_running_loop().create_future()
        self.is_waited_for = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def stream_stream(self, *_: object, **__: object) -> Callable[[], Instant]:
        return lambda: self

    async def wait_for_connection(self) -> None:
        self.is_waited_for.set()
        await self.connected

    def cancel(self) -> None:
        pass


async def test_dialing_ends_with_the_node_also_in_the_very_moment_of_connecting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    channel = Instant()
    monkeypatch.setattr("gossamer.rpc.dialer.grpc.aio.insecure_channel", lambda *_, **__: channel)
    writer: Any = None  # nothing is written

    async def is_wanted(_: str) -> bool:
        return True

    async def nobody(_: str) -> None:
        return None

    links = Links(writer, FAST)
    dialers = Dialers(links, is_wanted, nobody, FAST, Random(1), None)
    dialers.want(["127.0.0.1:1"])
    await channel.is_waited_for.wait()
    links.end_all("closing")
    channel.connected.set_result(None)
    async with asyncio.timeout(DEADLINE_S):
        await dialers.close()
