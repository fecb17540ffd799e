"""Why a node shows what it shows: what is said, and that it is the same from afar and on the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import gossamer
from gossamer.cli.main import main
from gossamer.crdt import Cell, Entry, path
from gossamer.explaining import Known, explain
from gossamer.limits import EXPLAIN_CELLS_MAX
from gossamer.memory import MemoryBackend
from gossamer.testing import Cluster

from ..rpc.standin import DEADLINE_S


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Three nodes that have met."""
    with Cluster(3, seed=1) as cluster:
        cluster.advance(7)
        yield cluster


def marks(entries: list[dict[str, Any]]) -> list[tuple[Any, str, bool]]:
    return [(entry["value"], entry["member"], entry["stands"]) for entry in entries]


def test_two_concurrent_writes(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    cluster.partition([a], [b], [c])
    a.register("r").set("old")
    cluster.advance(1)
    b.register("r").set("new")
    cluster.heal()
    cluster.settle()
    found = a.explain("register:r")
    assert (found["value"], found["is_there"]) == ("new", True)
    assert found["rule"] == "the highest stamp of 2 concurrent writes"
    assert marks(found["entries"]) == [("new", "n1", True), ("old", "n0", False)]
    assert found["superseded"] == []
    later, earlier = (entry["stamp"] for entry in found["entries"])
    assert later > earlier and later.endswith("+00:00")
    assert found["entries"][0]["seq"] == 1 and found["entries"][0]["replica"] == b.core.replica.hex()


def test_who_has_it_is_known_bit_by_bit(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    cluster.partition([a, b], [c])
    cluster.advance(3)
    a.register("r").set("v")
    (entry,) = a.explain("register:r")["entries"]
    assert (entry["acknowledged"], entry["not_acknowledged"]) == (["n0"], ["n1", "n2"])
    cluster.advance(1)
    (entry,) = a.explain("register:r")["entries"]
    assert (entry["acknowledged"], entry["not_acknowledged"], entry["stable"]) == (
        ["n0", "n1"],
        ["n2"],
        False,
    )
    cluster.heal()
    cluster.settle()
    cluster.advance(7)
    (entry,) = a.explain("register:r")["entries"]
    assert (entry["acknowledged"], entry["not_acknowledged"], entry["stable"]) == (
        ["n0", "n1", "n2"],
        [],
        True,
    )


def test_a_third_node_tells_who_has_it(cluster: Cluster) -> None:
    a, _, c = cluster.nodes
    cluster.cut(a, c)
    cluster.advance(3)
    a.register("r").set("v")
    cluster.advance(12)
    (entry,) = a.explain("register:r")["entries"]
    assert entry["acknowledged"] == ["n0", "n1", "n2"], "n1 says what n2 has"


def test_what_was_removed_and_cleaned_up(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    cluster.kill(c)
    a.set("s").add("x")
    cluster.advance(1)
    b.set("s").remove("x")
    cluster.advance(1)
    found = a.explain("set:s/str:x")
    assert (found["value"], found["is_there"], found["rule"]) == (
        False,
        False,
        "every write was seen by a removal",
    )
    assert [(dead["member"], dead["seq"]) for dead in found["superseded"]] != []
    assert {name for dead in found["superseded"] for name in dead["not_acknowledged"]} == {"n2"}
    cluster.restart(c)
    cluster.settle()
    cluster.advance(7)
    found = a.explain("set:s/str:x")
    assert (found["entries"], found["superseded"]) == ([], [])
    assert found["rule"] == "it was never written here, or its removal has been cleaned up"


def test_a_floor_is_what_a_reset_has_seen(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    a.counter("c").add(4)
    cluster.settle()
    cluster.partition([a], [b], [c])
    a.counter("c").add(2)
    b.counter("c").reset()
    cluster.heal()
    cluster.settle()
    found = b.explain("counter:c")
    assert found["value"] == 2
    assert [(e["value"], e["member"]) for e in found["entries"]] == [(2, "n0")]
    assert [(d["floor"], d["member"]) for d in found["superseded"] if d["floor"] is not None] == [(4, "n0")]


def test_what_has_expired(cluster: Cluster) -> None:
    a, b, c = cluster.nodes
    cluster.partition([a], [b], [c])
    a.register("r").set("old")
    cluster.advance(1)
    b.register("r").set("new", ttl=100)
    cluster.heal()
    cluster.settle()
    assert a.explain("register:r")["entries"][0]["expires_at"].startswith("2023-11-14T22:1")
    cluster.kill(b)
    cluster.advance(100)
    found = a.explain("register:r")
    assert (found["value"], found["is_there"]) == (None, False)
    assert found["rule"] == "what stood has expired; what it beat does not come back"
    assert [(e["value"], e["stands"], e["expired"]) for e in found["entries"]] == [
        ("new", False, True),
        ("old", False, False),
    ]


def test_a_map_and_a_set_cell_by_cell(cluster: Cluster) -> None:
    a = cluster.nodes[0]
    a.map("m").create()
    a.map("m").register("r").set(b"\x00")
    a.map("m").set("s").add(1)
    a.register("other").set(1)
    found = a.explain("map:m")
    assert [(cell["path"], cell["value"], cell["is_there"]) for cell in found["cells"]] == [
        ("map:m", {}, True),
        ("map:m/set:s/int:1", True, True),
        ("map:m/register:r", {"base64": "AA=="}, True),
    ]
    assert found["more"] is False
    assert json.loads(json.dumps(found)) == found
    a.set("many").update(range(EXPLAIN_CELLS_MAX + 1))
    found = a.explain("set:many")
    assert (len(found["cells"]), found["more"]) == (EXPLAIN_CELLS_MAX, True)


def known() -> Known:
    return Known("default", 0, {}, {}, gossamer.crdt.Vector())


def test_two_payloads_under_one_dot() -> None:
    at, replica = path.of_text("register:r"), b"r" * 8
    one, two = (bytes(7) + b"\x05" + text for text in (b"\xa1a", b"\xa1b"))
    found = explain(at, [(at, Cell((Entry(replica, 1, one, 0, (two,)),)))], known())
    assert found["rule"].startswith("quarantine: two payloads under one event")
    assert (found["value"], found["entries"][0]["value"], found["entries"][0]["stands"]) == (
        None,
        ["a", "b"],
        False,
    )


def test_a_kind_of_a_later_build() -> None:
    at = b"\x45n\x00"
    found = explain(at, [(at, Cell((Entry(b"r" * 8, 1, b"?"),)))], known())
    assert found["rule"].startswith("this build does not know the kind")
    assert found["entries"][0]["value"] is None and found["entries"][0]["member"] is None


@pytest.mark.parametrize(
    ("at", "error"), [(5, TypeError), ("", ValueError), ("foo", ValueError), (None, TypeError)]
)
def test_what_is_no_path(cluster: Cluster, at: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="path"):
        cluster.nodes[0].explain(at)


def test_a_backend_in_memory_explains_nothing() -> None:
    with pytest.raises(ValueError, match="in memory"):
        gossamer.Keyspace(MemoryBackend()).explain("register:r")


def test_from_afar_and_on_the_command_line(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", name="a", listen="127.0.0.1:0") as node:
        node.register("r").set("v", ttl=1000)
        node.counter("c").add(10**30)
        node.keyspace("more").set("s").add("x")
        here = node.explain("register:r")
        with gossamer.connect(str(node.address), timeout=DEADLINE_S) as client:
            for there in (
                client.explain("register:r"),
                asyncio.run(client.aexplain("register:r")),
                asyncio.run(node.aexplain("register:r")),
            ):
                assert {**there, "now": here["now"]} == here
            assert client.explain("counter:c")["value"] == 10**30
            assert client.keyspace("more").explain("set:s")["cells"][0]["path"] == "set:s/str:x"
            with pytest.raises(ValueError, match="does not host"):
                client.keyspace("none").explain("register:r")

        def run(*args: str) -> tuple[int, str]:
            result = CliRunner().invoke(main, ["explain", *args, "--at", str(node.address)])
            return result.exit_code, result.output

        code, text = run("register:r")
        assert code == 0
        assert text.startswith(
            'register:r: "v"; causality: it is the only write that no later one has seen\n'
        )
        assert "stands" in text and "all, for good" in text
        code, text = run("register:r", "--json")
        assert {**json.loads(text), "now": here["now"]} == here
        assert run("set:s", "--keyspace", "more")[1].startswith("set:s/str:x: true; causality")
        assert run("register:none")[0] == 3
        assert run("nonsense")[0] == 2
