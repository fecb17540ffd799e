"""etcd beside us, where it is installed: one member of our own on loopback, which syncs its log before it answers.

Which client? The calls of its gRPC API as grpcio makes them, with the few fields that a put needs encoded here:
nothing of a client library is in between. Of the clients on PyPI the one that stands on etcd's Rust client puts one
at a time (1,400 a second where this one puts 5,000 with 64 in flight), and the others do what is done here, and more.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

import loopback
import watcher

_PUT = "/etcdserverpb.KV/Put"
_WATCH = "/etcdserverpb.Watch/Watch"
_EVENTS, _KV, _VALUE = 11, 2, 5
"""Fields of a WatchResponse, of an Event, of a KeyValue."""


def words() -> str:
    """Its version and fsync setting, or what is missing."""
    server = shutil.which("etcd")
    if server is None:
        return "etcd: skipped, etcd is not installed"
    said = subprocess.run([server, "--version"], check=True, capture_output=True, text=True).stdout.split()
    return f"etcd {said[2]}, one member, log synced before each answer, client grpcio {version('grpcio')}"


def is_there() -> bool:
    """Whether it can be measured."""
    return shutil.which("etcd") is not None


@contextmanager
def running(directory: Path) -> Iterator[int]:
    """A member with its files in ``directory``; the port for clients."""
    port, among = loopback.free_port(), loopback.free_port()
    clients, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{among}"
    command = ["etcd", "--data-dir", str(directory / "data"), "--log-level", "error", "--logger", "zap"]
    command += ["--listen-client-urls", clients, "--advertise-client-urls", clients]
    command += ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
    with loopback.server([*command, "--initial-cluster", f"default={peers}"], directory, port):
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:  # it listens before it can answer
            putter(channel)(b"warm", b"")
        yield port


def putter(channel: grpc.Channel) -> Callable[[bytes, bytes], object]:
    """A put that blocks its thread."""
    call: Any = channel.unary_unary(_PUT)
    return lambda key, value: call(_field(1, key) + _field(2, value), wait_for_ready=True)


def aputter(channel: grpc.aio.Channel) -> Callable[[bytes, bytes], Any]:
    """A put to await."""
    call: Any = channel.unary_unary(_PUT)
    return lambda key, value: call(_field(1, key) + _field(2, value))


def watch(channel: grpc.Channel, key: bytes) -> Iterator[bytes]:
    """The values put under a key from now on."""
    call: Any = channel.stream_stream(_WATCH)
    stopped = iter([_field(1, _field(1, key))])  # a WatchCreateRequest
    for response in call(_and_then_wait(stopped)):
        yield from values_of(response)


def values_of(response: bytes) -> Iterator[bytes]:
    """The values in a WatchResponse."""
    for event in _of(response, _EVENTS):
        for pair in _of(event, _KV):
            yield from _of(pair, _VALUE)


def _and_then_wait(first: Iterator[bytes]) -> Iterator[bytes]:
    """The watch ends with its requests, so there is never an end."""
    yield from first
    while True:
        time.sleep(3600)  # in a daemon thread of gRPC's, until the call is cancelled


def _field(number: int, data: bytes) -> bytes:
    """One field of a protobuf message, of bytes."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _of(message: bytes, wanted: int) -> Iterator[bytes]:
    """The fields of one number in a message whose fields are bytes and varints."""
    at = 0
    while at < len(message):
        tag, at = _read(message, at)
        size, at = _read(message, at)
        if tag & 7 == 2:
            if tag >> 3 == wanted:
                yield message[at : at + size]
            at += size


def _read(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def main(port: int) -> None:
    """In the other process: say of each number put when it was seen."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for value in watch(channel, b"n"):
            watcher.say(value, time.monotonic())


if __name__ == "__main__":
    watcher.end_with_input()
    main(int(sys.argv[1]))
