"""Operations on real nodes: from clients, on the command line, and after a node was stopped in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import gossamer
from gossamer import OperationExpired
from gossamer.cli.main import main
from gossamer.rpc import Client

from .standin import DEADLINE_S, free_port

OLD = "op-017e12ef-9c00-7000-8000-000000000000"
"""Made in 2022."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[gossamer.Node]:
    with gossamer.open(tmp_path / "a", listen="127.0.0.1:0") as node:
        yield node


@pytest.fixture
def client(node: gossamer.Node) -> Iterator[Client]:
    with gossamer.connect(str(node.address), timeout=DEADLINE_S) as client:
        yield client


def run(node: gossamer.Node, *args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, [*args, "--at", str(node.address)])
    return result.exit_code, result.output.strip()


def test_a_client_and_the_node_know_each_others(node: gossamer.Node, client: Client) -> None:
    for one in (client, node, client):
        one.counter("sold").add(5, op_id="order-1")
        with one.transaction(op_id="order-2") as tx:
            tx.counter("sold").add(2)
            tx.set("skus").add("x")
    assert client.counter("sold").value() == node.counter("sold").value() == 7


async def test_so_it_is_awaited(node: gossamer.Node, client: Client) -> None:
    for one in (client, node, client):
        await one.counter("sold").aadd(5, op_id="order-1")
        async with one.transaction(op_id="order-2") as tx:
            await tx.counter("sold").aadd(2)
            await tx.set("skus").aadd("x")
    assert await client.counter("sold").avalue() == 7


def test_an_operation_that_has_expired_is_told_to_the_client(client: Client) -> None:
    with pytest.raises(OperationExpired, match="window of 86400 s"):
        client.counter("sold").add(5, op_id=OLD)
    with pytest.raises(OperationExpired):
        client.register("r").set(5, op_id=OLD)


def test_an_update_of_a_client_is_not_made_twice(client: Client) -> None:
    made = [client.register("n").update(lambda n: (n or 0) + 1, op_id="x") for _ in range(2)]
    assert made == [1, 1]


def test_a_node_knows_them_after_it_was_stopped(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    for _ in range(2):
        with gossamer.open(tmp_path / "a", listen=address), gossamer.connect(address, DEADLINE_S) as client:
            client.counter("sold").add(5, op_id="order-1")
            client.register("r").set("x", op_id="order-2")
            assert client.counter("sold").value() == 5


def test_a_client_that_is_left_while_a_node_restarts_writes_once(tmp_path: Path) -> None:
    """The identity that it knows is that of the directory, not of the process."""
    address = f"127.0.0.1:{free_port()}"
    with gossamer.connect(address, timeout=DEADLINE_S) as client:
        for count in (1, 2):
            with gossamer.open(tmp_path / "a", listen=address):
                while True:
                    try:
                        client.counter("sold").add(1)
                        break
                    except gossamer.Unreachable:  # the channel has not noticed that it is back
                        continue
                assert client.counter("sold").value() == count


def test_on_the_command_line_too(node: gossamer.Node) -> None:
    for _ in range(2):
        assert run(node, "add", "counter:sold", "5", "--op-id", "order-1") == (0, "5")
    assert run(node, "set", "register:r", "a", "--op-id", "order-2") == (0, "a")
    assert run(node, "set", "register:r", "b") == (0, "b")
    assert run(node, "set", "register:r", "a", "--op-id", "order-2") == (0, "b")
    assert run(node, "remove", "register:r", "--op-id", "order-3")[0] == 0
    run(node, "set", "register:r", "c")
    assert run(node, "remove", "register:r", "--op-id", "order-3")[0] == 0
    assert run(node, "get", "register:r") == (0, "c")
    code, said = run(node, "add", "counter:sold", "5", "--op-id", OLD)
    assert code == 1 and "window" in said
    assert run(node, "add", "counter:sold", "5", "--op-id", "")[0] == 2
    operations = json.loads(run(node, "status", "--json")[1])["keyspaces"]["default"]["operations"]
    assert sum(operations.values()) == 3


@pytest.mark.parametrize("path", ["map:m", "counter:c", "set:s", "set_rw:w", "register:r", "mv_register:v"])
def test_a_removal_that_is_tried_again_says_that_it_was_done(node: gossamer.Node, path: str) -> None:
    node.map("m").register("x").set(1)
    node.counter("c").add(1)
    node.set("s").add("a")
    node.set("w", policy="remove-wins").add("a")
    node.register("r").set(1)
    node.mv_register("v").set(1)
    for _ in range(2):
        assert run(node, "remove", path, "--op-id", "order-4") == (0, "")
    assert run(node, "get", path)[0] == 3
    assert run(node, "remove", path)[0] == 3
    for _ in range(2):  # there was nothing to remove, and there was not then
        code, said = run(node, "remove", path, "--op-id", "order-5")
        assert code == 3 and "not found" in said


@pytest.mark.parametrize(
    ("window", "error", "text"),
    [
        (0, ValueError, "op_window_s: 0 is not 1 to"),
        (10**9, ValueError, "op_window_s"),
        ("1", TypeError, "op_window_s: a number"),
        (True, TypeError, "op_window_s: a number"),
    ],
)
def test_a_wrong_window_is_told(window: Any, error: type[Exception], text: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=text):
        gossamer.open(tmp_path / "a", op_window_s=window)


def test_the_window_is_a_setting(tmp_path: Path) -> None:
    node = gossamer.open(tmp_path / "a", op_window_s=7)
    with pytest.raises(OperationExpired, match="window of 7 s"):
        node.counter("sold").add(1, op_id=OLD)
    node.close()
    given = CliRunner().invoke(main, ["config", "--json", "--op-window-s", "7"])
    assert json.loads(given.output)["op_window_s"] == 7
