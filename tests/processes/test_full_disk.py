"""A full disk under a running node: writes are refused with a typed error, reads go on, and space is used again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import gossamer

from ..small_disk import small_disk
from .group import difference
from .process import Serve, options
from .waiting import so, until

CONVERGED_S = 15.0  # three times what is promised: a busy machine lets go late
LARGE = "x" * 60_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "4m") as place:
        yield place


def fill(node: Serve) -> int:
    """Write until it is refused; how many stood."""
    for done in range(1000):
        try:
            node.client.register(f"fill {done}").set(LARGE)
        except gossamer.StoreFull:
            return done
    raise AssertionError("it is never full")


def is_full(node: Serve) -> bool:
    try:
        node.client.register("one more").set(LARGE)
    except gossamer.StoreFull:
        return True
    return False


def test_a_full_disk_refuses_writes_only_and_recovers(tmp_path: Path, disk: Path) -> None:
    """Also what peers send is taken once there is space; and the peer was never held up."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(2 * 1024**2))
    with Serve("a", tmp_path) as peer, Serve("b", tmp_path, data=disk / "data") as node:
        peer.start()
        node.start(*options(peers=[peer.address]))
        node.client.counter("kept").add(7)
        done = fill(node)
        assert done > 3
        for n in range(20):
            peer.client.register(f"from the peer {n}").set(LARGE)
        peer.client.counter("kept").add(1)
        for _ in range(3):
            so(lambda: is_full(node), "it takes all that comes")  # clean-up may have made room for one more
            assert node.client.register(f"fill {done - 1}").get() == LARGE
            assert node.client.register(f"fill {done}").get() is None
            assert node.client.counter("kept").value() in (7, 8)
        ballast.unlink()
        so(lambda: not is_full(node), "the node does not use the space", CONVERGED_S)
        until(lambda: difference([peer, node]), CONVERGED_S)
        assert node.client.counter("kept").value() == peer.client.counter("kept").value() == 8
        assert peer.client.register(f"fill {done - 1}").get() == LARGE
        assert node.stop() == 0
        node.start(*options(peers=[peer.address]))
        assert len(set(node.identities)) == 1
        assert node.client.register("one more").get() == LARGE


def test_a_node_that_finds_its_disk_full_can_be_read(tmp_path: Path, disk: Path) -> None:
    with Serve("b", tmp_path, data=disk / "data") as node:
        node.start()
        node.client.counter("kept").add(7)
        (disk / "ballast").write_bytes(bytes(2 * 1024**2))
        fill(node)
        node.kill()
        node.start()
        assert node.client.counter("kept").value() == 7
        assert is_full(node)
        (disk / "ballast").unlink()
        so(lambda: not is_full(node), "the node does not use the space", CONVERGED_S)
