"""A node's HTTP ports when thousands connect and say nothing: files and threads stay bounded, and who asks is answered."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

import gossamer
from gossamer import metrics, web
from gossamer.limits import HTTP_CONNECTIONS_MAX
from gossamer.metrics.server import Handler

from .rpc.test_node import eventually

SILENT = 3 * HTTP_CONNECTIONS_MAX


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def is_open(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it is not time that ends the connections."""
    monkeypatch.setattr(Handler, "timeout", None)


def silent(stack: ExitStack, address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return stack.enter_context(socket.create_connection((host, int(port))))


@pytest.mark.parametrize(("serve", "page"), [(web.serve, "status.json"), (metrics.serve, "/metrics")])
def test_of_silent_connections_the_oldest_go(
    stack: ExitStack, tmp_path: Path, serve: Callable[[gossamer.Node, str], str], page: str
) -> None:
    node = stack.enter_context(gossamer.open(tmp_path / "a", name="a"))
    address = serve(node, "127.0.0.1:0")
    url = address if "://" in address else f"http://{address}"
    at = url.removeprefix("http://").rstrip("/")
    many = [silent(stack, at) for _ in range(SILENT)]
    eventually(lambda: sum(map(is_open, many)) <= HTTP_CONNECTIONS_MAX, "the oldest end")
    assert not is_open(many[0]) and is_open(many[-1])
    with urllib.request.urlopen(url + page) as answer:
        assert answer.status == 200


def test_who_sends_no_request_to_the_metrics_is_not_waited_for(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "timeout", 0.05)
    node = stack.enter_context(gossamer.open(tmp_path / "a", name="a"))
    one = silent(stack, metrics.serve(node, "127.0.0.1:0"))
    with suppress(ConnectionResetError):
        assert one.recv(1) == b""
