"""Partitions as a broken switch makes them, in network namespaces: packets vanish, and nobody is told.

The proxies of `test_partition` end connections; here they stay, and only silence tells. The seconds are promises to users.
"""

from collections.abc import Callable, Iterator

import pytest

from . import net
from .fleet import Fleet
from .group import NOTICED_S, state_of
from .load import Load
from .net import Net
from .waiting import so

pytestmark = pytest.mark.skipif(bool(net.lacking()), reason=net.lacking() or "it is here")

SPOILED_S = 30.0
"""To equality over a line that loses a fifth of all frames, where TCP itself waits for a second and more."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
def fleet(running: Fleet) -> Iterator[Fleet]:
    yield running
    running.net.heal()
    running.linked()


@pytest.mark.parametrize("fault", [Net.cut, Net.silence, Net.deafen])
def test_a_black_hole_is_noticed_and_healed(fleet: Fleet, fault: Callable[[Net, str], None]) -> None:
    with Load(fleet.all, writers=1) as load:
        load.write_everywhere(5)
        fault(fleet.net, "b")
        noticed = fleet.away("b")
        assert noticed < NOTICED_S
        so(lambda: state_of(fleet.nodes["b"].client.status(), "a") == "away", "b does not notice")
        assert state_of(fleet.nodes["a"].client.status(), "c") == "linked"
        load.write_everywhere(5)
        fleet.net.heal()
        print(
            f"{fault.__name__}: noticed in {noticed:.2f} s, equal {fleet.converge(load):.2f} s after the heal"
        )


def test_a_line_that_flaps_loses_nothing(fleet: Fleet) -> None:
    with Load(fleet.all, writers=1) as load:
        for _ in range(4):
            fleet.net.cut("c")
            load.write_everywhere(3)
            fleet.net.heal()
            load.write_everywhere(3)
        print(f"flapping: equal {fleet.converge(load):.2f} s after the heal")


def test_a_slow_line_is_no_dead_one(fleet: Fleet) -> None:
    """1 Mbit/s, over which a value as large as there may be takes two seconds."""
    fleet.net.slow("b")
    fleet.nodes["a"].client.register("large").set("x" * 250_000)
    with Load(fleet.all, writers=1) as load:
        load.write_everywhere(5)
        so(lambda: fleet.nodes["b"].client.register("large").get() is not None, "it never arrives")
        print(f"1 Mbit/s: equal after {fleet.converge(load):.2f} s")
    fleet.linked()


def test_loss_delay_duplication_and_reordering_change_nothing(fleet: Fleet) -> None:
    with Load(fleet.all, writers=1) as load:
        fleet.net.spoil("b", delay=0.02, loss=0.2, double=0.1, seed=1)
        load.write_everywhere(5)
        print(f"20 % loss: equal after {fleet.converge(load, SPOILED_S):.2f} s")


def test_a_frozen_node_is_noticed(fleet: Fleet) -> None:
    with Load(fleet.others("b"), writers=1) as load:
        fleet.nodes["b"].freeze()
        try:
            noticed = fleet.away("b")
            load.write_everywhere(5)
        finally:
            fleet.nodes["b"].thaw()
        assert noticed < NOTICED_S
        print(f"frozen: noticed in {noticed:.2f} s, equal after {fleet.converge(load):.2f} s")
