"""Directories that are copied or go back in time: no event is made under an id that has made it before."""

import shutil
import subprocess
from pathlib import Path

from .group import difference, state_of
from .process import Serve, options
from .trio import Trio
from .waiting import until

CONVERGED_S = 15.0  # three times what is promised: a busy machine lets go late


def copied(source: Path, to: Path) -> Path:
    """``cp -a``: owners, times and all."""
    subprocess.run(["cp", "-a", str(source), str(to)], check=True)
    return to


def equal(*nodes: Serve) -> None:
    until(lambda: difference(list(nodes)), CONVERGED_S)


def test_a_copy_that_is_started_beside_its_original_is_another_replica(trio: Trio, tmp_path: Path) -> None:
    original = trio.nodes["c"]
    original.client.counter("copied").add(3)
    original.client.set("of the original").add("x")
    trio.equal(CONVERGED_S)
    assert original.stop() == 0
    with Serve("d", tmp_path, data=copied(original.data, tmp_path / "copy")) as copy:
        trio.start("c")
        copy.start(*options(peers=[node.address for node in trio.all]))
        replica = original.client.status()["replica"]
        assert copy.client.status()["replica"] != replica
        assert copy.client.status()["old_replicas"] == [replica]
        assert "was copied" in copy.log
        original.client.counter("copied").add(10)
        copy.client.counter("copied").add(100)
        equal(*trio.all, copy)
        assert [node.client.counter("copied").value() for node in (*trio.all, copy)] == [113] * 4
        assert set(copy.client.set("of the original")) == {"x"}


def test_a_copy_of_a_running_node_made_by_cp_is_another_replica(trio: Trio, tmp_path: Path) -> None:
    """Not to be done (``cp`` is no snapshot), but done it is. The node was quiet, so that the copy is whole."""
    original = trio.nodes["c"]
    original.client.counter("copied live").add(3)
    trio.equal(CONVERGED_S)
    with Serve("e", tmp_path, data=copied(original.data, tmp_path / "copy")) as copy:
        copy.start(*options(peers=[node.address for node in trio.all]))
        replica = original.client.status()["replica"]
        assert copy.client.status()["replica"] != replica
        original.client.counter("copied live").add(10)
        copy.client.counter("copied live").add(100)
        equal(*trio.all, copy)
        assert [node.client.counter("copied live").value() for node in (*trio.all, copy)] == [113] * 4


def test_an_old_copy_put_back_in_place_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with Trio(tmp_path) as trio:
        node, others = trio.nodes["b"], trio.others("b")
        node.client.counter("n").add(1)
        trio.equal(CONVERGED_S)
        assert node.stop() == 0
        backup = copied(node.data, tmp_path / "backup")
        trio.start("b")
        replica = node.client.status()["replica"]
        node.client.counter("n").add(10)  # after the backup, and known to the others
        node.client.register("since").set("the backup")
        trio.equal(CONVERGED_S)
        node.kill()
        shutil.rmtree(node.data)
        copied(backup, node.data)
        for other in others:
            other.client.counter("n").add(100)
        trio.start("b")
        status = node.client.status()
        assert status["replica"] != replica
        assert status["old_replicas"] == [replica]
        assert f"new identity replica={status['replica']} before={replica}" in node.log
        node.client.counter("n").add(1000)
        trio.equal(CONVERGED_S)
        assert [each.client.counter("n").value() for each in trio.all] == [1211] * 3
        assert [each.client.register("since").get() for each in trio.all] == ["the backup"] * 3
        assert state_of(others[0].client.status(), "b") == "linked"
