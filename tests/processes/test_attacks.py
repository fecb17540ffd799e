"""A real ``serve`` under attack: its memory stays where it was, and who behaves is answered.

Each attack is what a stranger who reaches the port can do. The heap is measured before the first and after each of them, when all
connections of the attacker are gone or still open, as the attack has it. The bounds are wide: what they would notice is memory that
grows with what the attacker sends.
"""

from __future__ import annotations

import resource
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from gossamer.backend import make_op
from gossamer.crdt import path
from gossamer.limits import CONNECTIONS_MAX, LARGE_BYTES_MAX, LINKS_MAX, MESSAGE_BYTES_MAX
from gossamer.proto import data_pb2 as pb
from gossamer.proto.replication_pb2 import Frame
from gossamer.replication import messages

from . import deaf
from .process import Serve
from .waiting import DEADLINE_S, so

GROWTH_BYTES_MAX = 128 * 1024**2
COPIES_MAX = 3
"""Of an answer that is not taken: its cells, the message of them, the bytes of that."""
EXCHANGE = "/gossamer.v1.Replication/Exchange"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """One node for all attacks, one after the other: what one leaves behind, the next would show."""
    with Serve("victim", tmp_path_factory.mktemp("victim")) as node:
        node.start()
        for n in range(64):
            ops = [make_op(path.of_text(f"register:big{n}"), "set", ("x" * 200_000,))]
            node.client.backend.write("default", ops)
        node.client.counter("legitimate").add(7)
        yield node


@contextmanager
def unharmed(node: Serve) -> Iterator[Callable[[], None]]:
    """What is done inside costs little memory, and the node answers during it (call what is given) and afterwards."""
    before = node.heap_bytes()

    def look() -> None:
        assert node.client.counter("legitimate").value() == 7
        # What is on its way when a call ends is let go of a moment later.
        so(lambda: node.heap_bytes() - before < GROWTH_BYTES_MAX, "it grew by more than it may")

    yield look
    look()


def channel(node: Serve, **options: int) -> grpc.Channel:
    """A connection of its own, which sends anything."""
    settings = {"grpc.use_local_subchannel_pool": 1, "grpc.max_send_message_length": -1, **options}
    return grpc.insecure_channel(node.address, options=list(settings.items()))


def ended(call: Any) -> grpc.StatusCode:
    """How a call or stream ends that must end by itself."""
    try:
        for _ in call if hasattr(call, "__iter__") else ():
            pass
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def raw(of: grpc.Channel) -> Any:
    """Its stubs know no methods without messages."""
    return of


def hello() -> bytes:
    body = messages.Hello(0, messages.VERSION, "default", "stranger", "s:1", b"stranger", b"f" * 8)
    return Frame(message=messages.encode(body)).SerializeToString()


def test_b1_a_message_over_the_limit_is_not_even_read(victim: Serve) -> None:
    with unharmed(victim) as look, channel(victim) as to:
        for method in ("Write", "Read", "Admin"):
            for _ in range(20):
                with pytest.raises(grpc.RpcError) as caught:
                    raw(to).unary_unary(f"/gossamer.v1.Data/{method}")(bytes(8 * MIB), timeout=DEADLINE_S)
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            look()
        frames = iter([hello(), Frame(message=bytes(16 * MIB)).SerializeToString()])
        assert ended(raw(to).stream_stream(EXCHANGE)(frames, timeout=DEADLINE_S)) is not grpc.StatusCode.OK


def test_b2_a_compressed_bomb_stays_compressed(victim: Serve) -> None:
    with unharmed(victim), channel(victim) as to:
        for _ in range(5):
            call = raw(to).unary_unary("/gossamer.v1.Data/Write")
            with pytest.raises(grpc.RpcError) as caught:
                call(bytes(64 * MIB), timeout=DEADLINE_S, compression=grpc.Compression.Gzip)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        deflated = zlib.compress(bytes(30 * MIB), 9)
        body = msgspec.msgpack.encode([8, 1, 30 * MIB, deflated])
        for _ in range(5):
            frames = iter([hello(), Frame(message=body).SerializeToString()])
            assert (
                ended(raw(to).stream_stream(EXCHANGE)(frames, timeout=DEADLINE_S)) is grpc.StatusCode.ABORTED
            )


def test_b3_a_message_of_empty_submessages_costs_little(victim: Serve) -> None:
    """As many as fit: ops of a write, paths of a read, and msgpack lists in a message of a peer. What is refused is let go
    at once: once it stayed until the collector came to look at what is old, some 17 MiB a call."""
    asks = (("Write", b"\x12\x00"), ("Read", b"\x12\x00"), ("Acknowledge", b"\x1a\x00"))
    with unharmed(victim) as look, channel(victim) as to:
        for method, data in asks * 5:
            with pytest.raises(grpc.RpcError) as caught:
                raw(to).unary_unary(f"/gossamer.v1.Data/{method}")(data * (MIB // 2), timeout=DEADLINE_S)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            look()
        body = b"\x95\x02\x01\x01\xdd\x00\x0f\x00\x00" + b"\x90" * 0xF0000
        frames = iter([hello(), Frame(message=body).SerializeToString()])
        assert ended(raw(to).stream_stream(EXCHANGE)(frames, timeout=DEADLINE_S)) is grpc.StatusCode.ABORTED


def test_b4_vectors_of_too_many_replicas_are_refused(victim: Serve) -> None:
    many: list[Any] = [x for n in range(60_000) for x in (n.to_bytes(8, "big"), [0])]
    vector = msgspec.msgpack.encode(many)[: MESSAGE_BYTES_MAX - 1000]
    with unharmed(victim), channel(victim) as to:
        for _ in range(5):
            word = messages.encode(messages.Open(1, "default", vector, b"\x90", bytes(16), True))
            frames = iter([hello(), Frame(message=word).SerializeToString()])
            assert (
                ended(raw(to).stream_stream(EXCHANGE)(frames, timeout=DEADLINE_S)) is grpc.StatusCode.ABORTED
            )


def test_b13_idle_streams_before_hello_are_bounded_and_end(victim: Serve) -> None:
    """More than a node accepts, from several connections: those beyond are refused, the others end without a hello."""
    done = threading.Event()

    def silence() -> Iterator[bytes]:
        done.wait(DEADLINE_S)
        yield from ()

    with unharmed(victim) as look, ExitStack() as stack:
        calls: list[Any] = []
        for _ in range(3):
            to = stack.enter_context(channel(victim))
            calls += [
                raw(to).stream_stream(EXCHANGE)(silence(), timeout=DEADLINE_S) for _ in range(LINKS_MAX // 2)
            ]
        look()
        codes = [ended(call) for call in calls]
        done.set()
        assert set(codes) <= {grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_b13_a_sender_of_one_byte_at_a_time_holds_nobody_up(victim: Serve) -> None:
    """Connections that begin a request of HTTP/2 and go no further."""
    host, _, port = victim.address.rpartition(":")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\x04\x00" + bytes(4)
    with unharmed(victim) as look, ExitStack() as stack:
        open_ones = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(400)]
        for byte in (preface[n : n + 1] for n in range(len(preface))):
            for one in open_ones[:100]:
                one.sendall(byte)
        look()


def test_f17_a_reader_that_does_not_read_gets_no_more_than_a_window(victim: Serve) -> None:
    """12.8 MB asked for 24 times over, on connections that never take an answer: each costs a page or two."""
    request = pb.ScanRequest(keyspace="default").SerializeToString()
    with unharmed(victim) as look, ExitStack() as stack:
        calls = []
        for _ in range(24):
            to = stack.enter_context(channel(victim, **{"grpc.http2.lookahead_bytes": 1024}))
            calls.append(raw(to).unary_stream("/gossamer.v1.Data/Scan")(request, timeout=DEADLINE_S))
        firsts = [len(next(call)) for call in calls]
        assert all(firsts)
        look()
        for call in calls:
            call.cancel()
        assert len(list(victim.client.keys("register:big"))) == 64


def is_refused(to: grpc.Channel, request: bytes) -> bool:
    """Whether a Read is, for what others have not read."""
    try:
        raw(to).unary_unary("/gossamer.v1.Data/Read")(request, timeout=DEADLINE_S)
    except grpc.RpcError as error:
        assert isinstance(error, grpc.Call)
        return "wait to be read" in (error.details() or "")
    return False


def test_large_answers_that_nobody_reads_are_bounded(victim: Serve) -> None:
    """Of 12.8 MB, asked for 60 times. Those beyond the bound are refused, whoever asks; small ones are given."""
    paths = [path.of_text(f"register:big{n}") for n in range(64)]
    request = pb.ReadRequest(keyspace="default", paths=paths).SerializeToString()
    before = victim.heap_bytes()
    with channel(victim, **{"grpc.max_receive_message_length": -1}) as to, ExitStack() as stack:
        for _ in range(6):
            on = deaf.connection(victim.address)
            stack.callback(deaf.close, on)
            for number in range(10):
                deaf.ask(on, "/gossamer.v1.Data/Read", request, number)
        so(lambda: is_refused(to, request), "as much as one likes is kept for those who do not read")
        assert victim.client.counter("legitimate").value() == 7
        assert victim.heap_bytes() - before < COPIES_MAX * LARGE_BYTES_MAX + GROWTH_BYTES_MAX
    with channel(victim, **{"grpc.max_receive_message_length": -1}) as to:
        so(lambda: not is_refused(to, request), "what nobody waits for any more still counts")


@contextmanager
def many_files(count: int) -> Iterator[None]:
    """This process may have so many open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_open(connection: socket.socket) -> bool:
    """The other side has not closed it."""
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def test_of_thousands_of_connections_a_bounded_number_is_kept_and_idle_ones_are_closed(victim: Serve) -> None:
    """Half of them of HTTP/2, half not even that, none with a call. Who was there before is served all the while."""
    host, _, port = victim.address.rpartition(":")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04" + bytes(5)
    with many_files(3 * CONNECTIONS_MAX), unharmed(victim) as look, ExitStack() as stack:
        attackers = []
        for n in range(2 * CONNECTIONS_MAX):
            attackers.append(stack.enter_context(socket.create_connection((host, int(port)))))
            if n % 2:
                with suppress(OSError):  # it is closed already
                    attackers[-1].sendall(preface)
        so(lambda: sum(map(is_open, attackers)) <= CONNECTIONS_MAX, "all are kept")
        look()
        so(lambda: _answers(victim), "nobody new is served, once those that did not even begin are closed")


def _answers(node: Serve) -> bool:
    with channel(node) as to:
        request = pb.ReadRequest(keyspace="default", paths=[path.of_text("counter:legitimate")])
        try:
            raw(to).unary_unary("/gossamer.v1.Data/Read")(request.SerializeToString(), timeout=2)
        except grpc.RpcError:
            return False
    return True


def test_connections_are_closed_again(victim: Serve) -> None:
    host, _, port = victim.address.rpartition(":")

    def descriptors() -> int:
        return len(list(Path(f"/proc/{victim.pid}/fd").iterdir()))

    before = descriptors()
    with unharmed(victim):
        for _ in range(5):
            for one in [socket.create_connection((host, int(port))) for _ in range(100)]:
                one.close()
    so(lambda: descriptors() < before + 50, "connections that are over are kept open")
