"""What the store keeps of cells: checksums, digest, rows; and what of a transaction that fails."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gossamer.backend import Op
from gossamer.crdt import EMPTY, Cell, Entry, Event, codec, join, path, type_at
from gossamer.errors import Closed, Damaged
from gossamer.replica import DEFAULT, Replica
from gossamer.store import Draft, Store, View, record
from gossamer.turns import Write

from .helpers import NOW, at, op, raw, replica_in, value, write

GOOD, BAD = "register:good", "map:m/register:bad"


@pytest.fixture
def flipped(tmp_path: Path) -> Path:
    """A directory in which one bit of one cell's value is another."""
    with replica_in(tmp_path) as replica:
        write(replica, op(GOOD, "set", "good"))
        write(replica, op(BAD, "set", "bad"))
    with raw(tmp_path, "default/cells") as (txn, _):
        stored = bytearray(txn.get(at(BAD), b""))
        stored[-2] ^= 0x04
        txn.put(at(BAD), bytes(stored))
    return tmp_path


def test_every_flipped_bit_is_noticed() -> None:
    cell_path, cell = at(BAD), Cell((Entry(b"replica1", 3, b"payload"),))
    stored = record.pack(cell_path, codec.encode(cell))
    assert record.unpack(cell_path, stored) == cell
    for bit in range(len(stored) * 8):
        changed = bytearray(stored)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Damaged):
            record.unpack(cell_path, bytes(changed))


@pytest.mark.parametrize("size", [0, 1, 4, 5])
def test_a_record_cut_short_is_damaged(size: int) -> None:
    stored = record.pack(at(BAD), codec.encode(Cell((Entry(b"replica1", 3, b"payload"),))))
    with pytest.raises(Damaged):
        record.unpack(at(BAD), stored[:size])


def test_a_damaged_cell_is_named_and_is_not_absent(flipped: Path) -> None:
    with replica_in(flipped) as replica, pytest.raises(Damaged, match=BAD):
        replica.cell(DEFAULT, at(BAD))


def test_a_record_at_another_path_is_damaged(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        write(replica, op("register:a", "set", 1))
        write(replica, op("register:b", "set", 2))
    with raw(tmp_path, "default/cells") as (txn, _):
        txn.put(at("register:a"), txn.get(at("register:b"), b""))
    with replica_in(tmp_path) as replica:
        with pytest.raises(Damaged, match="register:a"):
            replica.cell(DEFAULT, at("register:a"))
        assert replica.cell(DEFAULT, at("register:b")).live


def test_a_damaged_cell_fails_its_own_reads_and_writes_only(flipped: Path) -> None:
    with replica_in(flipped) as replica:
        turns = [
            op(GOOD, "set", "better"),
            op(BAD, "set", "anything"),
            op("map:m/register:new", "set", 1),
        ]
        first, damaged, third = replica.turn([Write(DEFAULT, [one]) for one in turns], NOW)
        assert isinstance(damaged, Damaged)
        assert (first, third) == ((replica.replica, 1), (replica.replica, 2))  # a new id, and no gap
        assert value(replica, GOOD) == "better"
        with pytest.raises(Damaged):
            replica.cell(DEFAULT, at(BAD))


def test_a_transaction_over_a_damaged_cell_writes_nothing(flipped: Path) -> None:
    with replica_in(flipped) as replica:
        before = replica.cell(DEFAULT, at(GOOD))
        result = write(replica, op(GOOD, "set", "better"), op(BAD, "set", "anything"))
        assert isinstance(result, Damaged)
        assert replica.cell(DEFAULT, at(GOOD)) == before


def test_a_range_with_a_damaged_cell_does_not_pass_for_whole(flipped: Path) -> None:
    with replica_in(flipped) as replica:
        with pytest.raises(Damaged, match=BAD):
            replica.page(DEFAULT, at("map:m"), None, 10)
        assert len(replica.page(DEFAULT, at(GOOD), None, 10)) == 1


# Random writes, of this replica and of others.

PATHS = [
    "register:r",
    "counter:c",
    "flag:f",
    "set:s/int:1",
    "set:s/int:2",
    "map:m/counter:c",
    "max_register:x",
]
METHODS: dict[str, list[tuple[Any, ...]]] = {
    "register": [("set", 1), ("set", "two"), ("remove",)],
    "counter": [("add", 5), ("add", -2), ("reset",)],
    "flag": [("enable",), ("disable",)],
    "set": [("add",), ("remove",)],
    "max_register": [("set", 3), ("set", 9)],
}


def random_op(rng: Random) -> Op:
    text = rng.choice(PATHS)
    kind = "set" if text.startswith("set") else text.rpartition("/")[2].partition(":")[0]
    method, *args = rng.choice(METHODS[kind])
    return op(text, method, *args)


def foreign_write(draft: Draft, replica: bytes, rng: Random) -> None:
    """A single-cell event of another replica arrives, joined to what is here."""
    one = random_op(rng)
    seq = draft.state.delivered.last(replica) + 1
    local = draft.cell(one.path)
    seen = rng.choice([local, EMPTY])
    if seen.context().get(replica, 0) != local.context().get(replica, 0):
        seen = local  # a replica has always seen its own events
    kind = type_at(one.path)
    assert kind is not None
    theirs = kind.write(seen, one.method, one.args, Event(replica, seq, 1))
    if theirs is not seen:
        draft.put(one.path, join(local, theirs))
        draft.state.delivered.add(replica, seq)


def randomly_written(replica: Replica, rng: Random, steps: int = 60) -> None:
    for _ in range(steps):
        if rng.random() < 0.5:
            write(replica, *[random_op(rng) for _ in range(rng.choice([1, 1, 1, 3]))])
            continue
        with replica.store.transaction() as drafts:
            for _ in range(rng.randint(1, 4)):
                foreign_write(drafts(DEFAULT), rng.choice([b"another1", b"another2"]), rng)


def recomputed(view: View) -> int:
    return sum(record.weight(cell_path, cell) for cell_path, cell in view.cells(b"")) % record.DIGEST_MOD


@pytest.mark.parametrize("seed", range(8))
def test_the_digest_is_the_sum_over_the_cells(tmp_path: Path, seed: int) -> None:
    with replica_in(tmp_path) as replica:
        randomly_written(replica, Random(seed))
        with replica.store.snapshot() as views:
            assert recomputed(views(DEFAULT)) == views(DEFAULT).state.digest != 0
    with replica_in(tmp_path) as replica, replica.store.snapshot() as views:
        assert recomputed(views(DEFAULT)) == views(DEFAULT).state.digest


@pytest.mark.parametrize("seed", range(8))
def test_a_replica_has_one_row_a_path(tmp_path: Path, seed: int) -> None:
    """Beside the rows of events over several cells, which stay until they are stable."""
    with replica_in(tmp_path) as replica:
        randomly_written(replica, Random(seed))
        with replica.store.snapshot() as views:
            view = views(DEFAULT)
            for who in (replica.replica, b"another1", b"another2"):
                rows = [(seq, cell_path) for seq, grouped, cell_path in view.rows(who, 0) if not grouped]
                assert max(Counter(cell_path for _, cell_path in rows).values()) == 1
                for seq, cell_path in rows:
                    assert view.cell(cell_path).context()[who] == seq


def test_a_million_updates_would_be_one_row(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        for _ in range(100):
            replica.turn([Write(DEFAULT, [op("counter:c", "add", 1)])] * 10, NOW)
        assert replica.store.count(DEFAULT) == (1, 1)


# Transactions.


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with_one = Store(tmp_path)
    with_one.host("k")
    put(with_one, "register:a", 1)
    yield with_one
    with_one.close()


def cell_of(seq: int) -> Cell:
    return Cell((Entry(b"replica1", seq, b"payload"),))


def put(store: Store, text: str, seq: int) -> None:
    with store.transaction() as drafts:
        drafts("k").put(at(text), cell_of(seq))
        drafts("k").state.delivered.add(b"replica1", seq)


def everything(store: Store) -> tuple[Any, ...]:
    with store.snapshot() as views:
        view = views("k")
        rows = list(view.rows(b"replica1", 0))
        return dict(view.cells(b"")), rows, view.state.delivered.flat(), view.state.digest


def test_an_exception_inside_leaves_nothing(store: Store) -> None:
    before = everything(store)
    with pytest.raises(ZeroDivisionError), store.transaction() as drafts:
        drafts("k").put(at("register:a"), cell_of(2))
        drafts("k").put(at("register:b"), cell_of(2))
        drafts("k").state.delivered.add(b"replica1", 2)
        drafts("k").scan(path.of_text("register:a"))  # hands the cells to LMDB already
        raise ZeroDivisionError
    assert everything(store) == before
    put(store, "register:c", 2)
    assert store.cell("k", at("register:c")) == cell_of(2)


def test_a_failing_transaction_over_two_keyspaces_leaves_neither(store: Store) -> None:
    store.host("other")
    with pytest.raises(ZeroDivisionError), store.transaction() as drafts:
        drafts("k").put(at("register:b"), cell_of(2))
        drafts("other").put(at("register:b"), cell_of(2))
        raise ZeroDivisionError
    assert store.cell("k", at("register:b")) == store.cell("other", at("register:b")) == EMPTY


def test_a_snapshot_does_not_move(store: Store) -> None:
    with store.snapshot() as views:
        view = views("k")
        put(store, "register:a", 2)
        put(store, "register:b", 3)
        assert view.cell(at("register:a")) == cell_of(1)
        assert view.cell(at("register:b")) == EMPTY
        assert list(view.rows(b"replica1", 0)) == [(1, False, at("register:a"))]
        assert view.state.delivered.last(b"replica1") == 1
    with store.snapshot() as views:
        assert views("k").cell(at("register:a")) == cell_of(2)


def test_what_is_not_committed_is_seen_by_nobody_else(store: Store) -> None:
    with store.transaction() as drafts:
        drafts("k").put(at("register:b"), cell_of(2))
        assert drafts("k").cell(at("register:b")) == cell_of(2)
        assert store.cell("k", at("register:b")) == EMPTY
        assert store.state("k").digest == record.weight(at("register:a"), cell_of(1))
    assert store.cell("k", at("register:b")) == cell_of(2)


def test_a_read_that_the_end_of_the_store_overtakes_says_so(store: Store) -> None:
    with pytest.raises(Closed), store.snapshot() as views:
        store.close()
        views("k").cell(at("register:a"))
    with pytest.raises(Closed):
        store.page("k", b"", None, 10)
