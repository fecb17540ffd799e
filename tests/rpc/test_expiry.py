"""Expiry on real nodes: by the node's clock and not the client's, across a restart, and on the command line."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

import gossamer
from gossamer.cli.main import main
from gossamer.rpc import Client, remote

from .standin import DEADLINE_S


def eventually(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, f"never: {what}"
        threading.Event().wait(0.005)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[gossamer.Node]:
    with gossamer.open(tmp_path / "a", listen="127.0.0.1:0") as node:
        yield node


@pytest.fixture
def client(node: gossamer.Node) -> Iterator[Client]:
    with gossamer.connect(str(node.address), timeout=DEADLINE_S) as client:
        yield client


def test_a_client_writes_what_expires(node: gossamer.Node, client: Client) -> None:
    moment = datetime(2100, 1, 1, tzinfo=UTC)
    client.register("r").set("v", expires_at=moment)
    assert node.register("r").read().expires_at == client.register("r").read().expires_at == moment
    client.map("m").set("s").add("x", ttl=0.02)
    asyncio.run(client.map("m").set("s").aadd("y"))
    eventually(lambda: list(client.map("m").set("s")) == ["y"], "the element expires")
    asyncio.run(client.map("m").aexpire(ttl=0.02))
    eventually(lambda: client.map("m").value() == {} == node.map("m").value(), "the map expires")
    client.register("r").persist()
    assert client.register("r").read().expires_at is None


def test_a_transaction_of_a_client(node: gossamer.Node, client: Client) -> None:
    with client.transaction() as tx:
        tx.register("r").set("v", ttl=1000)
        assert tx.register("r").get() == "v"
        tx.map("m").flag("f").enable()
        tx.map("m").expire(ttl=1000)
        expires_at = tx.register("r").read().expires_at
        assert expires_at is not None and abs(expires_at - datetime.now(UTC)) < timedelta(seconds=1100)
    assert node.map("m").value() == {"f": True}
    assert node.register("r").read().expires_at is not None


@pytest.mark.parametrize("ahead_s", [-5000, 5000])
def test_a_wrong_clock_of_a_client_does_not_matter(
    node: gossamer.Node, ahead_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        time_ns = staticmethod(lambda: time.time_ns() + ahead_s * 10**9)
        monotonic, monotonic_ns = time.monotonic, time.monotonic_ns

    monkeypatch.setattr(remote, "time", Clock)
    with gossamer.connect(str(node.address), timeout=DEADLINE_S) as client:
        with client.transaction() as tx:
            tx.register("r").set("v", ttl=1000)
            tx.set("s").add("x", ttl=1000)
            assert (tx.register("r").get(), list(tx.set("s"))) == ("v", ["x"])
        assert (client.register("r").get(), list(client.set("s"))) == ("v", ["x"])
        written = client.register("r").read()
        assert written.expires_at is not None and written.updated_at is not None
        assert written.expires_at.timestamp() - written.updated_at == pytest.approx(1000)
        client.register("r").update(lambda value: value + "!")
        assert node.register("r").get() == "v!"


def test_an_update_and_a_condition_find_nothing_where_it_has_expired(
    node: gossamer.Node, client: Client
) -> None:
    for name, place in (("a", node), ("b", client)):
        register = place.register(name)
        version = None
        while version is None:  # on a busy machine it may expire before it is read
            register.set("old", ttl=0.05)
            version = register.read().version
        eventually(lambda register=register: register.get() is None, "it expires")  # type: ignore[misc]  # bound
        with pytest.raises(gossamer.VersionMismatch):
            register.set("new", expect=version)
        register.set("new", expect=None)
        register.set("old", ttl=0.02)
        eventually(lambda register=register: register.get() is None, "it expires")  # type: ignore[misc]  # bound
        assert register.update(lambda value: f"{value} updated", "nothing") == "nothing updated"


def test_what_falls_due_while_the_node_is_closed_is_swept_when_it_is_open_again(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a") as node:
        node.set("s").update(range(20), expires_at=datetime.now(UTC) + timedelta(seconds=1))
    with gossamer.open(tmp_path / "a") as node:
        eventually(lambda: node.status()["keyspaces"]["default"]["cells"] == 0, "all is swept and collected")
        assert node.status()["keyspaces"]["default"]["events"] == 21  # one to write, one each to sweep


def run(node: gossamer.Node, *args: str) -> str:
    result = CliRunner().invoke(main, [*args, "--at", str(node.address)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_on_the_command_line(node: gossamer.Node) -> None:
    found = json.loads(run(node, "set", "register:r", "v", "--ttl", "1000", "--json"))
    moment = node.register("r").read().expires_at
    assert moment is not None and found["expires_at"] == moment.isoformat()
    run(node, "set", "flag:f", "true", "--ttl", "1000")
    run(node, "set", "mv_register:m", "1", "--ttl", "1000")
    run(node, "add", "set:s", "x", "--ttl", "1000")
    run(node, "add", "set:s/str:y", "--ttl", "1000")
    assert (node.flag("f").value(), node.set("s").value()) == (True, frozenset("xy"))
    assert node.mv_register("m").read().expires_at is not None
    node.register("r").set("v", ttl=0.001)
    eventually(lambda: node.register("r").get() is None, "it expires")
    result = CliRunner().invoke(main, ["get", "register:r", "--at", str(node.address)])
    assert result.exit_code == 3


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("set", "register:r", "v", "--ttl", "0"), "ttl: 0.0 s is not above 0"),
        (("set", "max_register:r", "1", "--ttl", "5"), "max_register cannot expire"),
        (("add", "counter:c", "1", "--ttl", "5"), "counter cannot expire"),
        (("set", "flag:f", "false", "--ttl", "5"), "what is off does not expire"),
    ],
)
def test_wrong_usage(node: gossamer.Node, args: tuple[str, ...], says: str) -> None:
    result = CliRunner().invoke(main, [*args, "--at", str(node.address)])
    assert result.exit_code == 2 and says in result.output
