"""A node's heap does not grow with its cells, nor with what a peer that is away has not seen."""

from pathlib import Path

from gossamer.backend import make_op
from gossamer.crdt import path

from .group import difference, state_of
from .process import Serve, options
from .waiting import so, until

FEW, MANY = 20_000, 100_000
GROWTH_BYTES_MAX = 30 * 1024**2
IN_TRANSACTION = 1_000


def write(node: Serve, first: int, last: int) -> None:
    """Cells in transactions. Not by ``with transaction()``, which looks at each cell that it writes: a call each."""
    for begin in range(first, last, IN_TRANSACTION):
        numbers = range(begin, begin + IN_TRANSACTION)
        ops = [make_op(path.encode((("register", f"cell {n}"),)), "set", (n,)) for n in numbers]
        node.client.backend.write("default", ops)


def test_the_heap_does_not_grow_with_cells_or_a_lagging_peer(tmp_path: Path) -> None:
    with Serve("a", tmp_path) as node, Serve("b", tmp_path) as peer:
        node.start()
        peer.start(*options(peers=[node.address]))
        so(lambda: state_of(node.client.status(), "b") == "linked", "never linked")
        peer.kill()
        so(lambda: state_of(node.client.status(), "b") == "away", "the peer is not away")
        write(node, 0, FEW)
        few = node.heap_bytes()
        write(node, FEW, MANY)
        many = node.heap_bytes()
        assert many - few < GROWTH_BYTES_MAX
        peer.start(*options(peers=[node.address]))
        young = peer.heap_bytes()
        until(lambda: difference([node, peer]))
        caught_up = node.heap_bytes()
        mib = [n / 1024**2 for n in (few, many, caught_up, young, peer.heap_bytes())]
        print("heap of a node in MiB: {:.1f} with few cells, {:.1f} with many, {:.1f} after a peer caught up; "
              "of the peer {:.1f} before and {:.1f} after".format(*mib))  # fmt: skip
        assert caught_up - few < GROWTH_BYTES_MAX
        assert peer.heap_bytes() - young < GROWTH_BYTES_MAX
        assert peer.client.register(f"cell {MANY - 1}").get() == MANY - 1
