"""Bounded counters on real nodes: waiting over gRPC, from a client, from coroutines, and on the command line."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import gossamer
from gossamer.cli.main import main
from gossamer.errors import Closed, InsufficientRights, Unreachable
from gossamer.limits import SPEND_WAIT_S_MAX
from gossamer.proto import data_pb2 as pb
from gossamer.replication import limits

from .standin import DEADLINE_S, FAST, free_port

LONG = 20.0
"""A wait that is over as soon as the rights are there."""


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[gossamer.Node, gossamer.Node]]:
    """Two nodes that have met; nothing is evened out, so that rights stay where they are put."""
    monkeypatch.setattr(limits, "WATCHED_MAX", 0)
    here = f"127.0.0.1:{free_port()}"
    with (
        gossamer.open(tmp_path / "a", name="a", listen=here, timing=FAST) as a,
        gossamer.open(tmp_path / "b", name="b", listen="127.0.0.1:0", peers=[here], timing=FAST) as b,
    ):
        a.bounded_counter("n").mint(10)
        met = threading.Event()
        for _ in range(int(DEADLINE_S / 0.01)):
            members = {m["name"]: m["state"] for m in b.status()["members"]}
            if b.bounded_counter("n").value() == 10 and members.get("a") == "linked":
                break
            met.wait(0.01)
        yield a, b


def test_a_spend_that_waits_gets_rights_over_the_wire(pair: tuple[gossamer.Node, gossamer.Node]) -> None:
    a, b = pair
    b.bounded_counter("n").spend(10, wait=LONG)
    assert b.bounded_counter("n").value() == 0
    with pytest.raises(InsufficientRights) as raised:
        b.bounded_counter("n").spend(1, wait=0.05)
    assert raised.value.available == 0
    assert a.bounded_counter("n").available() == 0


def test_coroutines_wait_side_by_side(pair: tuple[gossamer.Node, gossamer.Node]) -> None:
    _, b = pair

    async def spend_all() -> list[Any]:
        stock = b.bounded_counter("n")
        spends = [stock.aspend(3, wait=1.0) for _ in range(4)]
        return await asyncio.gather(*spends, return_exceptions=True)

    outcomes = asyncio.run(spend_all())
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [InsufficientRights]
    assert b.bounded_counter("n").value() == 1


def test_a_client_has_it_all(pair: tuple[gossamer.Node, gossamer.Node]) -> None:
    _, b = pair
    with gossamer.connect(str(b.address), timeout=DEADLINE_S) as client:
        stock = client.map("m").bounded_counter("seats")
        stock.mint(5)
        stock.transfer("a", 2)
        assert (stock.value(), stock.available()) == (5, 3)
        with pytest.raises(InsufficientRights, match="6 wanted, and the rights here are 3") as raised:
            stock.spend(6)  # more than there is, so that nobody is asked
        assert raised.value.available == 3
        with client.transaction() as tx:
            tx.map("m").bounded_counter("seats").spend(1)
            assert tx.map("m").bounded_counter("seats").available() == 2
        assert asyncio.run(stock.aavailable()) == 2
        with pytest.raises(ValueError, match="none that counts is called so"):
            stock.transfer("nobody", 1)
        with pytest.raises(ValueError, match="cannot be removed"):
            client.map("m").clear()
        client.bounded_counter("n").spend(10, wait=LONG)
        assert client.bounded_counter("n").value() == 0


def test_a_hostile_wait_is_refused(pair: tuple[gossamer.Node, gossamer.Node]) -> None:
    from gossamer.rpc import wire

    for wait in (-1.0, SPEND_WAIT_S_MAX * 2, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="^wait: "):
            wire.checked_wait(wait)
    assert pb.WriteRequest().wait_s == wire.checked_wait(0.0) == 0.0


def test_who_waits_when_the_node_closes_is_told(tmp_path: Path) -> None:
    node = gossamer.open(tmp_path / "a")
    found: list[Exception] = []
    waits = threading.Event()

    def spend() -> None:
        try:
            waits.set()
            node.bounded_counter("n").spend(1, wait=SPEND_WAIT_S_MAX)
        except gossamer.GossamerError as error:
            found.append(error)

    thread = threading.Thread(target=spend)
    thread.start()
    waits.wait(DEADLINE_S)
    node.register("r").set(
        1
    )  # behind the spend, or before it: it is queued, kept or refused when the node closes
    node.close()
    thread.join(DEADLINE_S)
    assert [type(error) for error in found] == [Closed]


def test_a_spend_that_waits_survives_no_crash_and_writes_once(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a") as node:
        stock = node.bounded_counter("n")
        thread = threading.Thread(target=lambda: stock.spend(2, wait=LONG))
        thread.start()
        stock.mint(3)
        thread.join(DEADLINE_S)
        assert stock.value() == 1
    with gossamer.open(tmp_path / "a") as again:
        assert again.bounded_counter("n").value() == again.bounded_counter("n").available() == 1


def run(node: gossamer.Node, *args: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, [*args, "--at", str(node.address)])
    return result.exit_code, result.output.strip()


def test_the_command_line(pair: tuple[gossamer.Node, gossamer.Node]) -> None:
    a, b = pair
    seats = "map:m/bounded_counter:seats"
    assert run(a, "get", seats)[0] == 3
    assert run(a, "mint", seats, "5") == (0, "5")
    assert run(a, "spend", seats) == (0, "4")
    for verb, *rest in (("spend",), ("mint",), ("transfer", "b", "1")):  # noted, so each is done once
        run(a, verb, seats, *rest, "--op-id", verb)
        assert run(a, verb, seats, *rest, "--op-id", verb) == (0, "3" if verb == "spend" else "4")
    assert a.map("m").bounded_counter("seats").available() == 3, "one was transferred"
    b.wait_for(a.token(), 20)
    run(b, "transfer", seats, "a", "1")
    a.wait_for(b.token(), 20)
    assert run(a, "transfer", seats, "b", "1") == (0, "4")
    code, text = run(a, "get", seats, "--json")
    assert json.loads(text) == {"path": seats, "value": 4, "available": 3}
    code, text = run(a, "spend", seats, "4")
    assert (code, "4 wanted, and the rights here are 3" in text) == (1, True)
    assert run(a, "spend", seats, "4", "--wait", "20") == (0, "0")
    for wrong in (
        ("spend", seats, "0"),
        ("spend", seats, "1", "--wait", "-1"),
        ("mint", "counter:c", "1"),
        ("add", seats, "1"),
        ("transfer", seats, "nobody", "1"),
        ("remove", seats),
        ("remove", "map:m"),
    ):
        assert run(a, *wrong)[0] == 2, wrong
    assert run(a, "get", "map:m", "--json")[1] == '{"path": "map:m", "value": {"seats": 0}}'


def test_a_client_of_nobody_has_spent_nothing() -> None:
    with (
        gossamer.connect(f"127.0.0.1:{free_port()}", timeout=1) as client,
        pytest.raises(Unreachable),
    ):
        client.bounded_counter("n").spend(1, wait=1)
