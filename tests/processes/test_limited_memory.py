"""A node that may use little memory: what it holds for others is bounded, and what cannot be is said."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .group import difference, state_of
from .process import Serve, options
from .waiting import so, until

HEADROOM_BYTES = 200 * 1024**2
"""Above what a node that has nothing to do takes."""
WRITERS, WRITES, LARGE = 8, 40, "x" * 200_000
"""64 MB of values, all of which a peer lacks."""


def address_space(node: Serve) -> int:
    found = re.search(r"^VmSize:\s+(\d+) kB", Path(f"/proc/{node.pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def limited(size: int) -> list[str]:
    """A command under which a process gets no more address space: ``ulimit -v``."""
    return ["prlimit", f"--as={size}"]


def write(node: Serve, writer: int) -> None:
    for n in range(WRITES):
        node.client.register(f"{writer} {n % 4}").set(LARGE)


def test_a_flood_of_large_values_and_a_frozen_peer_fit_into_little_memory(tmp_path: Path) -> None:
    with Serve("a", tmp_path) as node, Serve("b", tmp_path) as peer:
        node.start()
        peer.start(*options([node.address]))
        so(lambda: state_of(node.client.status(), "b") == "linked", "never linked")
        write(node, 0)
        size = address_space(node) + HEADROOM_BYTES
        assert node.stop() == 0
        node.under = limited(size)
        node.start(listen=node.address)
        so(lambda: state_of(node.client.status(), "b") == "linked", "never linked")
        peer.freeze()
        try:
            with ThreadPoolExecutor(WRITERS) as pool:
                list(pool.map(lambda writer: write(node, writer), range(WRITERS)))
        finally:
            peer.thaw()
        until(lambda: difference([node, peer]))
        assert address_space(node) <= size
        assert not node.has_ended and "MemoryError" not in node.log
        assert len(set(node.identities)) == 1


def test_less_than_the_map_needs_is_said_in_a_sentence(tmp_path: Path) -> None:
    with Serve("a", tmp_path) as node:
        node.under = limited(8 * 1024**3)
        code, said = node.refuses()
        assert code == 1 and "Cannot allocate memory" in said and "Traceback" not in said, said
        assert "64 GiB" in said and "ulimit -v" in said, said
