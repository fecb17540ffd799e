"""A store that is full to the end of its map: room is kept for removals, and they bring it back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gossamer.config import of as make_config
from gossamer.errors import StoreFull
from gossamer.limits import ROOM_CHECK_S
from gossamer.opening import open_replica
from gossamer.replica import DEFAULT, Replica
from gossamer.turns import Instant, Tick, Write

from .helpers import at, op

MAP_BYTES = 8 * 1024**2
VALUE = "x" * 4_000
IN_ONE = 4
"""Values in one write."""


class Clocked:
    """A replica on which time passes with each write."""

    def __init__(self, replica: Replica) -> None:
        self.replica, self._mono = replica, 0.0

    def write(self, *what: tuple[object, ...], op_id: str | None = None) -> object:
        """One transaction; its result, an exception included."""
        self._mono += ROOM_CHECK_S
        now = Instant(1_700_000_000_000_000 + int(self._mono * 1e6), self._mono)
        ops = [op(*one) for one in what]  # type: ignore[arg-type]
        result: object = self.replica.turn([Write(DEFAULT, ops, op_id=op_id), Tick()], now)[0]
        self.replica.outbox(now)
        return result

    def fill(self) -> int:
        """Write until it is refused; how many writes stood."""
        for done in range(10_000):
            result = self.write(*values(done))
            if isinstance(result, StoreFull):
                assert "removals go on" in str(result)
                return done
        raise AssertionError("it is never full")


def values(n: int) -> list[tuple[object, ...]]:
    return [(f"register:r{n} {i}", "set", VALUE) for i in range(IN_ONE)]


def removals(n: int) -> list[tuple[object, ...]]:
    return [(f"register:r{n} {i}", "remove") for i in range(IN_ONE)]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Clocked]:
    replica = open_replica(make_config(tmp_path), map_bytes=MAP_BYTES)
    try:
        yield Clocked(replica)
    finally:
        replica.close()


def test_a_full_store_takes_removals_only_until_they_have_made_room(small: Clocked) -> None:
    small.write(("counter:c", "add", 1), op_id="once")
    done = small.fill()
    for _ in range(3):
        assert isinstance(small.write(*values(done)), StoreFull)
    assert small.replica.cell(DEFAULT, at("register:r0 0")).live, "reads go on"
    assert isinstance(small.write(*removals(0), ("register:new", "set", 1)), StoreFull), "it adds as well"
    assert small.replica.cell(DEFAULT, at("register:r0 0")).live
    assert not isinstance(small.write(("counter:c", "add", 1), op_id="once"), Exception), "it is known"
    assert isinstance(small.write(("counter:c", "add", 1), op_id="another"), StoreFull)
    for n in range(done):
        assert not isinstance(small.write(*removals(n)), Exception)
    assert small.fill() > done // 2
