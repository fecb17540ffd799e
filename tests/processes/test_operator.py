"""What an operator says to real nodes from the command line: who the members are, and which keyspaces are where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gossamer.cli import main

from .process import Serve
from .waiting import so

BOTH = ("--keyspace", "default", "--keyspace", "orders")


def said(node: Serve, *args: str, answer: str | None = None) -> tuple[int, str]:
    """Exit code, and what was printed."""
    result = CliRunner().invoke(main, [*args], input=answer, env={"GOSSAMER_AT": node.address})
    return result.exit_code, result.output


def told(node: Serve, command: str) -> Any:
    """What is told to a program."""
    code, output = said(node, command, "--json")
    assert code == 0, output
    return json.loads(output)


def states(node: Serve) -> dict[str, str]:
    return {member["name"]: member["state"] for member in told(node, "members")}


def hosts(node: Serve) -> dict[str, list[str]]:
    return {one["keyspace"]: one["hosts"] for one in told(node, "keyspaces")}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Serve, Serve]]:
    with Serve("a", tmp_path) as a, Serve("b", tmp_path) as b:
        a.start(*BOTH)
        b.start(*BOTH, "--peer", a.address)
        so(lambda: states(a).get("b") == states(b).get("a") == "linked", "a and b are not linked")
        yield a, b


def test_members_are_listed_removed_and_forgotten(pair: tuple[Serve, Serve]) -> None:
    a, b = pair
    code, table = said(a, "members")
    assert code == 0
    rows = [line.split() for line in table.splitlines()]
    assert rows[0][:3] == ["name", "state", "address"]
    assert [row[0] for row in rows[1:]] == ["a", "b"] and "default, orders" in table
    assert said(a, "members", "remove", "nobody", "--yes") == (3, "Error: member nobody: not found\n")
    b.kill()
    so(lambda: states(a)["b"] != "linked", "a does not notice")
    assert said(a, "members", "remove", "b", answer="n\n")[0] == 1
    assert states(a)["b"] not in ("removed", "linked")
    assert said(a, "members", "remove", "b", "--yes")[0] == 0
    assert states(a)["b"] == "removed"
    b.start(*BOTH, "--peer", a.address)
    so(lambda: states(a)["b"] == "linked", "b is not taken back")
    b.kill()
    so(lambda: states(a)["b"] != "linked", "a does not notice")
    code, output = said(a, "members", "forget", "b", answer="y\n")
    assert code == 0 and "it alone holds" in output, output
    assert states(a)["b"] == "forgotten"


def test_a_keyspace_is_dropped_on_one_node(pair: tuple[Serve, Serve]) -> None:
    a, b = pair
    b.client.keyspace("orders").counter("sold").add(3)
    so(lambda: a.client.keyspace("orders").counter("sold").value() == 3, "a lacks what b wrote")
    assert hosts(a) == {"default": ["a", "b"], "orders": ["a", "b"]}
    assert said(b, "keyspaces", "drop", "nothing", "--yes") == (3, "Error: keyspace nothing: not found\n")
    assert said(b, "keyspaces", "drop", "orders", answer="n\n")[0] == 1
    assert hosts(b)["orders"] == ["a", "b"]
    code, output = said(b, "keyspaces", "--json", "drop", "orders", "--yes")
    assert (code, json.loads(output)) == (0, {"keyspace": "orders", "state": "dropped"})
    so(lambda: hosts(a) == hosts(b) == {"default": ["a", "b"], "orders": ["a"]}, "b is a host still")
    code, output = said(b, "get", "counter:sold", "--keyspace", "orders")
    assert code == 2 and "does not host" in output
    assert said(a, "get", "counter:sold", "--keyspace", "orders") == (0, "3\n")
    code, table = said(b, "keyspaces")
    assert code == 0 and table.splitlines()[2].split()[:4] == ["orders", "no", "-", "a"], table
    code, output = said(a, "keyspaces", "drop", "orders", "--force", answer="y\n")
    assert code == 0 and "What no other host has is lost, for good." in output
    assert "orders" not in hosts(a)
