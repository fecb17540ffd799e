"""A step of collection looks at so many rows, however large the events are: it is one turn of the writer."""

from pathlib import Path

from gossamer.crdt import Vector
from gossamer.replica import DEFAULT, Replica
from gossamer.replication import stability

from .helpers import op, replica_in, write

EVENTS, CELLS = 5, 100


def step(replica: Replica, after: bytes, rows: int) -> bytes | None:
    """One step, with everything stable."""
    stable = Vector({replica.replica: (1, EVENTS)})
    with replica.store.transaction() as make:
        return stability.collect(make(DEFAULT), stable, after, rows)[0]


def test_a_step_ends_with_the_event_that_brings_it_to_its_rows(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        for event in range(EVENTS):
            write(replica, *(op(f"register:{event}-{n}", "set", n) for n in range(CELLS)))
        after: bytes | None = b""
        for left in (4, 3, 2, 1, 0):
            assert after is not None
            after = step(replica, after, CELLS // 2)
            assert replica.store.count(DEFAULT) == (EVENTS * CELLS, left * CELLS)
        assert after is not None
        assert step(replica, after, CELLS // 2) is None
