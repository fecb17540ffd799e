"""Does ``gossamer watch`` print what changes, and end when nobody wants more?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gossamer
from gossamer import Node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with gossamer.open(tmp_path / "data", name="a", listen="127.0.0.1:0") as node:
        yield node


HEEDING = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("gossamer", run_name="__main__", alter_sys=True)
"""
"""The command. Who runs in the background of a shell, as these tests may, has SIGINT ignored, and so have its children."""


def started(node: Node, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEEDING, *arguments],
        env=os.environ | {"GOSSAMER_AT": str(node.address)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran(node: Node, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output, and what it said on standard error."""
    process = started(node, *arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_lines_for_people(node: Node) -> None:
    node.register("r").set("x")
    process = started(node, "watch", "register:")
    assert process.stdout is not None
    assert process.stdout.readline() == 'register:r "x"\n'
    node.counter("c").add(1)
    node.register("r").set([1])
    node.register("r").remove()
    assert [process.stdout.readline() for _ in range(2)] == [
        'register:r "x" -> [1]\n',
        "register:r [1] -> -\n",
    ]
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def test_lines_for_programs(node: Node) -> None:
    node.counter("c").add(1)
    node.set("s").add(b"\x00")
    code, out, err = ran(node, "watch", "--json", "--idle", "0")
    first, second = (json.loads(line) for line in out.splitlines())
    assert (code, err) == (0, "")
    assert {
        key: first[key] for key in ("path", "kind", "old", "new", "was_there", "is_there", "is_snapshot")
    } == {
        "path": "set:s/bytes:%00",
        "kind": "set",
        "old": False,
        "new": True,
        "was_there": False,
        "is_there": True,
        "is_snapshot": True,
    }
    replica = node.status()["replica"]
    assert second["written_by"] == [{"replica": replica, "seq": 1, "member": "a"}]
    node.counter("c").add(1)
    _, out, _ = ran(node, "watch", "--json", "--idle", "0", "--since", second["cursor"])
    (change,) = (json.loads(line) for line in out.splitlines())
    assert (change["old"], change["new"]) == (1, 2)
    assert ran(node, "watch", "--no-snapshot", "--idle", "0")[:2] == (0, "")
    assert ran(node, "watch", "--limit", "1")[1] == "set:s/bytes:%00 true\n"


def test_a_reader_that_leaves_ends_it(node: Node) -> None:
    node.counter("c").add(1)
    process = started(node, "watch")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "counter:c 1\n"
    process.stdout.close()
    while process.poll() is None:  # the first line after that may fit the pipe still
        node.counter("c").add(1)
    assert (process.returncode, process.stderr.read()) == (0, "")
    process.stderr.close()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("watch", "--since", "x"), 2, "Error: --since: 'x' is not a cursor\n"),
        (("watch", "--since", ""), 2, "Error: --since: '' is not a cursor\n"),
        (
            ("watch", "--since", "lAGnZGVmYXVsdMQIcmVwbGljYVIH", "--keyspace", "$system"),
            2,
            "Error: --since: a cursor of",
        ),
        (
            ("watch", "--since", "lAGnZGVmYXVsdMQIcmVwbGljYVIH"),
            1,
            "before it took a new id; begin again without --since\n",
        ),
        (("watch", "--keyspace", "elsewhere"), 2, "does not host"),
        (("watch", "--at", "127.0.0.1:1"), 4, "no node answers"),
        (("subscriptions", "remove", "none"), 3, "subscription none: not found"),
    ],
)
def test_what_is_wrong(node: Node, arguments: tuple[str, ...], code: int, said: str) -> None:
    found, out, err = ran(node, *arguments)
    assert (found, out) == (code, "")
    assert said in err
    assert "Traceback" not in err


def test_subscriptions(node: Node) -> None:
    with node.subscription("mailer", "counter:", timeout=0) as feed:
        assert list(feed) == []
    node.counter("c").add(1)
    code, out, _ = ran(node, "subscriptions")
    assert code == 0
    assert out.splitlines()[1].split()[:3] == ["mailer", "counter:", "1"]
    (held,) = json.loads(ran(node, "subscriptions", "--json")[1])
    assert (held["name"], held["behind"], held["is_consumed"]) == ("mailer", 1, False)
    assert ran(node, "subscriptions", "remove", "mailer")[0] == 0
    assert ran(node, "subscriptions")[1] == ""
