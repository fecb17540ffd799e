"""Partitions of real nodes: both sides go on, a dead link is noticed, and what was healed converges.

The seconds in these tests are promises to users, not waits: 3 to notice, 5 to converge.
"""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from .group import NOTICED_S, state_of
from .load import Load
from .process import Serve, options
from .trio import Trio
from .waiting import so
from .wires import Wires

FROZEN_S = 5.0


@pytest.mark.parametrize("cut", [Wires.cut, Wires.swallow, Wires.silence, Wires.deafen])
def test_both_sides_of_a_partition_go_on_and_converge(trio: Trio, cut: Callable[[Wires, str], None]) -> None:
    with Load(trio.all, writers=1) as load:
        load.write_everywhere(10)
        cut(trio.wires, "c")
        noticed = trio.away("c")
        assert noticed < NOTICED_S
        so(lambda: state_of(trio.nodes["c"].client.status(), "a") == "away", "c does not notice")
        assert state_of(trio.nodes["a"].client.status(), "b") == "linked"
        load.write_everywhere(10)
        trio.wires.heal()
        print(f"{cut.__name__}: noticed in {noticed:.2f} s, equal {trio.converge(load):.2f} s after the heal")


def test_a_link_that_flaps_loses_nothing(trio: Trio) -> None:
    """Cut and healed over and over, and connections that end after some kilobytes."""
    with Load(trio.all, writers=1) as load:
        for _ in range(5):
            trio.wires.cut("b")
            load.write_everywhere(3)
            trio.wires.heal()
            load.write_everywhere(3)
        trio.wires.wear_out("b", 4000)
        accepted = trio.wires.accepted("b")
        so(lambda: trio.wires.accepted("b") > accepted + 6, "no connection wears out")
        load.write_everywhere(10)
        trio.wires.heal()
        print(f"flapping: equal {trio.converge(load):.2f} s after the heal")


def test_a_partition_in_which_one_side_is_restarted(trio: Trio) -> None:
    """What it wrote alone is still its own afterwards."""
    with Load(trio.all, writers=1) as load:
        trio.wires.cut("c")
        load.write_everywhere(10)
        trio.nodes["c"].kill()
        trio.start("c")
        load.write_everywhere(10)
        trio.wires.heal()
        print(f"restarted alone: equal {trio.converge(load):.2f} s after the heal")


def test_a_frozen_node_is_noticed_and_catches_up(trio: Trio) -> None:
    with Load(trio.others("b"), writers=1) as load:
        trio.nodes["b"].freeze()
        try:
            thaw_at = time.monotonic() + FROZEN_S
            noticed = trio.away("b")
            assert noticed < NOTICED_S
            load.write_everywhere(10)
            Event().wait(max(0.0, thaw_at - time.monotonic()))
        finally:
            trio.nodes["b"].thaw()
        took = trio.converge(load)
        print(f"frozen: noticed in {noticed:.2f} s, equal {took:.2f} s after it went on")
    trio.linked()


def test_a_node_is_found_by_what_it_advertises(tmp_path: Path) -> None:
    """A node that was told of one other learns of the third."""
    with Trio(tmp_path) as trio, Serve("d", tmp_path) as late:
        late.start(*options(peers=[trio.nodes["a"].address]))
        so(lambda: state_of(late.client.status(), "c") == "linked", "d does not find c")
