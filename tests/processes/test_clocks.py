"""Wall clocks that are hours off, and jump: no write that saw a value ever loses to it, and everyone can see the skew."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .clocks import WallClock
from .group import difference, state_of
from .process import Serve, options
from .waiting import so, until

CONVERGED_S = 15.0  # three times what is promised: a busy machine lets go late
HOUR_S = 3_600


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path / "clock")


@pytest.fixture
def pair(tmp_path: Path, clock: WallClock) -> Iterator[tuple[Serve, Serve]]:
    """Two linked nodes; the second has the clock."""
    with Serve("a", tmp_path) as steady, Serve("b", tmp_path) as jumping:
        jumping.program = clock.program
        steady.start()
        jumping.start(*options([steady.address]))
        so(lambda: state_of(steady.client.status(), "b") == "linked", "never linked")
        yield steady, jumping


def skew(node: Serve) -> float:
    """By how much a node finds the other's clock to be ahead; 0 if it does not know."""
    return next(
        float(m["clock_skew_s"] or 0) for m in node.client.status()["members"] if m["state"] == "linked"
    )


def test_a_write_that_saw_a_value_wins_whatever_the_clocks_say(
    pair: tuple[Serve, Serve], clock: WallClock
) -> None:
    steady, jumping = pair
    for n, seconds in enumerate((HOUR_S, -24 * HOUR_S, 0)):
        clock.jump(seconds)
        so(lambda s=seconds: abs(skew(steady) - s) < 60, f"the skew of {seconds} s is not shown", 10)  # type: ignore[misc]
        for writer, reader in ((jumping, steady), (steady, jumping)):
            value = f"{n} {writer.name}"
            writer.client.register("r").set(value)
            writer.client.counter("c").add(1)
            until(lambda: difference([steady, jumping]), CONVERGED_S)
            assert reader.client.register("r").get() == value
    assert state_of(steady.client.status(), "b") == "linked"
    assert steady.client.counter("c").value() == 6
    assert len(jumping.identities) == 1


def test_a_clock_that_jumps_between_two_lives_costs_nothing(
    pair: tuple[Serve, Serve], clock: WallClock
) -> None:
    steady, jumping = pair
    clock.jump(24 * HOUR_S)
    jumping.client.register("r").set("from tomorrow")
    clock.jump(-24 * HOUR_S)
    jumping.kill()
    jumping.start(*options([steady.address]))
    assert len(set(jumping.identities)) == 1
    jumping.client.register("r").set("from yesterday, and later")
    until(lambda: difference([steady, jumping]), CONVERGED_S)
    assert steady.client.register("r").get() == "from yesterday, and later"
