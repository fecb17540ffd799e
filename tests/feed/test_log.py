"""What is in the log, when is there one, and how long does it stay?"""

from __future__ import annotations

from pathlib import Path

import pytest

from gossamer import CursorExpired, Damaged
from gossamer.crdt import EMPTY, Cell, Entry, codec
from gossamer.feed import Scope
from gossamer.feed.hub import ThreadBell
from gossamer.feed.upkeep import Retention
from gossamer.replica import DEFAULT, Replica
from gossamer.store import feed, feedlog
from gossamer.store.feed import AT_END, Logged, Place
from gossamer.store.feedpage import Item
from gossamer.turns import Instant, Subscribe, Tick, UseFeed, Write

from ..store.helpers import NOW, at, op, raw, replica_in, write

R = b"replicaR"


def follow(replica: Replica) -> Place:
    """Turn the feed on; where it ends."""
    (result,) = replica.turn([UseFeed(DEFAULT)], NOW)
    assert result is None
    return page(replica, Place(AT_END))[1]


def page(replica: Replica, place: Place) -> tuple[list[Item], Place]:
    found = replica.feed_page(DEFAULT, place, Scope())
    assert found is not None
    return found.items, found.after


def tick(replica: Replica, seconds: float) -> None:
    """Upkeep, so long after `NOW`."""
    replica._upkeep.wake_at = 0.0
    replica.turn([Tick()], Instant(NOW.wall + int(seconds * 1e6), NOW.mono + seconds))


def test_who_does_not_follow_pays_for_no_record(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        write(replica, op("counter:c", "add", 1))
        follow(replica)
        write(replica, op("counter:c", "add", 1))
    with raw(tmp_path, "default/feed") as (txn, db):
        assert txn.stat(db)["entries"] == 1


def test_a_record_s_bytes(tmp_path: Path) -> None:
    """What is on disks: these bytes may not change."""
    cell = codec.encode(Cell((Entry(R, 7, b"\x01"),)))
    logged = Logged(1_700_000_000_000_000, at("flag:f"), b"", cell)
    stored = feed.pack(3, logged)
    assert stored.hex() == (
        "ebff3c5994cf00060a24181e4000c403126600c400c411919193c4087265706c6963615207c40101"
    )
    assert feed.unpack(3, stored) == logged
    with pytest.raises(Damaged, match="position 4"):
        feed.unpack(4, stored)


def test_a_cell_that_one_commit_changes_twice_is_one_change(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        write(replica, op("counter:c", "add", 1))
        place = follow(replica)
        writes = [Write(DEFAULT, [op("counter:c", "add", n)]) for n in (2, 3)]
        replica.turn([*writes, Write(DEFAULT, [op("flag:f", "enable")])], NOW)
        items, _ = page(replica, place)
        assert [item.path for item in items] == [at("counter:c"), at("flag:f")]
        assert codec.decode(items[0].old).context() == {replica.replica: 1}
        assert codec.decode(items[0].new).context() == {replica.replica: 3}


def test_so_it_is_across_the_parts_of_a_large_commit(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        place = follow(replica)
        one, two = (Cell((Entry(R, seq, b"\x01"),)) for seq in (1, 2))
        with replica._drafts(NOW) as (drafts, _):
            draft = drafts(DEFAULT)
            draft.put(at("flag:f"), one)
            draft.put(at("flag:g"), one)
            draft.spill()
            draft.put(at("flag:f"), two)
            draft.put(at("flag:g"), EMPTY)  # it came and went: no reader ever saw it
            draft.spill()
        items, after = page(replica, place)
        assert [(item.path, item.old, item.new) for item in items] == [(at("flag:f"), b"", codec.encode(two))]
        assert replica.store.feed(DEFAULT).size == len(feed.pack(2, Logged(NOW.wall, *items[0][:3])))
        assert page(replica, after) == ([], after)


@pytest.mark.parametrize(
    ("old", "new", "is_seen"),
    [
        (EMPTY, Cell((Entry(R, 1, b"\x01"),)), True),
        (
            Cell((Entry(R, 1, b"\x01"),)),
            Cell((Entry(R, 2, b"\x01"),)),
            True,
        ),  # written anew, with the same value
        (Cell((Entry(R, 1, b"\x01"),)), EMPTY, True),
        (EMPTY, Cell((Entry(R, 1, b""),)), False),  # *off* where nothing was
        (EMPTY, EMPTY, False),
    ],
)
def test_what_a_reader_could_tell(old: Cell, new: Cell, is_seen: bool) -> None:
    assert feedlog.is_visible(at("flag_dw:f"), old, new) is is_seen


def test_collection_is_no_change(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        write(replica, op("flag:f", "enable"))
        place = follow(replica)
        write(replica, op("flag:f", "disable"))
        _, after = page(replica, place)
        tick(replica, 5)
        assert replica.store.count(DEFAULT)[0] == 0, "the cell is collected"
        assert page(replica, after) == ([], after)


@pytest.mark.parametrize(
    "retention", [Retention(changes_max=3), Retention(age_s=100), Retention(bytes_max=3 * 60)], ids=str
)
def test_the_oldest_go_first(tmp_path: Path, retention: Retention) -> None:
    with replica_in(tmp_path) as replica:
        replica._upkeep.retention = retention
        place = follow(replica)
        bell = ThreadBell()
        replica.hub.add(DEFAULT, bell)  # somebody follows it
        for after in range(10):
            now = Instant(NOW.wall + after * 30_000_000, NOW.mono)
            replica.turn([Write(DEFAULT, [op("counter:c", "add", 1)])], now)
        tick(replica, 9 * 30)
        state = replica.store.feed(DEFAULT)
        assert state.next == 12
        assert 8 <= state.first <= 9
        with pytest.raises(CursorExpired, match="begin again with a snapshot"):
            page(replica, place)
        assert len(page(replica, Place(state.first - 1))[0]) == state.next - state.first
        assert state.size == sum(sizes(replica))


def test_they_go_in_small_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossamer.feed.upkeep.FEED_TRIM_CHANGES", 4)
    with replica_in(tmp_path) as replica:
        follow(replica)
        for _ in range(10):
            write(replica, op("counter:c", "add", 1))
        replica._upkeep.retention = Retention(changes_max=1)
        tick(replica, 1)
        assert replica.store.feed(DEFAULT).first == 6
        assert replica._upkeep.wake_at <= 1, "the next step comes at once"
        tick(replica, 1)
        tick(replica, 1)
        assert replica.store.feed(DEFAULT).first == 11
        assert replica._upkeep.wake_at > 1


def test_it_ends_when_nobody_has_followed_for_long(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        replica._upkeep.retention = Retention(age_s=50)
        place = follow(replica)
        write(replica, op("counter:c", "add", 1))
        tick(replica, 40)
        assert replica.store.feed(DEFAULT).is_on
        tick(replica, 60)
        assert not replica.store.feed(DEFAULT).is_on
    with replica_in(tmp_path) as replica:
        write(replica, op("counter:c", "add", 1))
        end = Place(replica.store.feed(DEFAULT).next - 1)
        for before in (place, end):
            with pytest.raises(CursorExpired):
                page(replica, before)
        follow(replica)
        with pytest.raises(
            CursorExpired
        ):  # it was at the end, and changes were made since that nobody logged
            page(replica, end)


def test_a_subscription_alone_does_not_keep_it_on_for_ever(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        replica._upkeep.retention = Retention(age_s=50)
        replica.turn([Subscribe(DEFAULT, "s", "", b"", True, False)], NOW)
        tick(replica, 60)
        assert not replica.store.feed(DEFAULT).is_on
        (held,) = replica.feed_status(DEFAULT)["subscriptions"]
        assert held["is_expired"]


def test_a_damaged_record_is_no_change(tmp_path: Path) -> None:
    with replica_in(tmp_path) as replica:
        place = follow(replica)
        write(replica, op("counter:c", "add", 1))
    with raw(tmp_path, "default/feed") as (txn, db):
        cursor = txn.cursor(db=db)
        assert cursor.first()
        key, stored = cursor.item()
        cursor.put(key, stored[:-1] + bytes((stored[-1] ^ 1,)))
    with replica_in(tmp_path) as replica:
        with pytest.raises(CursorExpired, match="wrong checksum"):
            page(replica, place)
        tick(replica, 1)
        assert replica.store.feed(DEFAULT).first == 3, "it is not kept in the way of others"


def sizes(replica: Replica) -> list[int]:
    """Of the records of an open store."""
    store = replica.store
    with store.reading() as txn:
        return [len(value) for _, value in txn.cursor(db=store._tables[DEFAULT].feed_log)]
