"""SIGTERM: whatever a node was doing, it ends with exit code 0 and has lost nothing."""

import subprocess
import sys
from pathlib import Path

from .load import Load
from .process import Serve
from .trio import Trio
from .waiting import DEADLINE_S, so

CONVERGED_S = 15.0  # three times what is promised: a busy machine lets go late


def test_a_node_told_to_stop_under_load_loses_nothing_and_stays_itself(trio: Trio) -> None:
    with Load(trio.all) as load:
        for name in ("a", "b", "c"):
            load.reach(name, 20)
            node = trio.nodes[name]
            replica = node.client.status()["replica"]
            assert node.stop() == 0
            trio.start(name)
            assert node.client.status()["replica"] == replica
            assert "reason=SIGTERM" in node.log
            load.reach(name, load.acknowledged(name) + 10)
    trio.equal(CONVERGED_S)
    for node in trio.all:
        load.check(node)
    assert all("Traceback" not in node.log for node in trio.all)


def test_a_lone_node_keeps_what_it_acknowledged_over_stops(node: Serve) -> None:
    for life in range(3):
        node.start()
        assert node.client.counter("lives").value() == life
        node.client.counter("lives").add(1)
        assert node.stop() == 0
    assert len(set(node.identities)) == 1


def test_a_node_that_leaves_hands_over_and_ends_and_its_directory_is_refused(tmp_path: Path) -> None:
    with Serve("a", tmp_path) as a, Serve("b", tmp_path) as b:
        a.start()
        b.start("--peer", a.address)
        b.client.counter("sold").add(7)
        so(lambda: len(b.client.status()["members"]) == 2, "b does not know a")
        done = subprocess.run(
            [sys.executable, "-P", "-m", "gossamer", "leave", "--at", b.address, "--yes"],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=True,
        )
        assert done.stdout == "b has left; all that it had is with the others\n"
        assert b.wait() == 0 and "it has left the cluster" in b.log
        assert a.client.counter("sold").value() == 7
        code, said = b.refuses()
        assert code == 1 and "has left the cluster for good" in said
