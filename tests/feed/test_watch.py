"""Does one who watches a node see what its readers see, in order, until he or the node leaves?"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import gossamer
from gossamer import Closed, CursorExpired, Damaged, Node, NotReady, Quarantined, StoreFailed
from gossamer.crdt import Cell, Entry, path
from gossamer.feed import Change
from gossamer.limits import FEED_PAGE_CHANGES
from gossamer.store import feedpage
from gossamer.testing import Cluster
from gossamer.turns import Instant

from ..store.helpers import raw


def told(changes: Iterable[Change]) -> list[tuple[str, Any, Any]]:
    return [(change.path, change.old, change.new) for change in changes]


def test_first_what_there_is_then_what_comes(node: Node) -> None:
    node.counter("sold").add(2)
    node.set("skus").add("a")
    node.set("skus").discard("a")
    watch = node.watch(timeout=0)
    assert not watch.is_live
    assert told(watch) == [("counter:sold", 0, 2)]
    assert watch.is_live
    node.counter("sold").add(3)
    node.register("note").set("x")
    assert told(watch) == [("counter:sold", 2, 5), ("register:note", None, "x")]


def test_a_change_has_the_names_in_its_path(node: Node) -> None:
    cart = node.map("cart:42/a b")
    cart.counter("items").add(1)
    for one in (7, "7", b"7", None, True, 0.5):
        cart.set("skus").add(one)
    names = {change.names for change in node.watch(timeout=0)}
    assert names == {
        ("cart:42/a b", "items"),
        *(("cart:42/a b", "skus", one) for one in (7, "7", b"7", None, True, 0.5)),
    }


def test_what_a_change_says(node: Node) -> None:
    node.register("r").set("before")
    watch = node.watch(timeout=0)
    (snapshot,) = watch
    assert (snapshot.is_snapshot, snapshot.visible_at, snapshot.is_new) == (True, None, True)
    before = node.register("r").read()
    node.register("r").set(None)
    node.register("r").remove()
    stored_none, removed = watch
    version = node.backend.core.replica, 2
    assert stored_none.dots == (version,)
    assert stored_none.members == ("a",)
    assert stored_none.kind == "register"
    assert not stored_none.is_snapshot
    assert stored_none.visible_at is not None and before.updated_at is not None
    assert removed.visible_at is not None
    assert before.updated_at <= stored_none.visible_at <= removed.visible_at
    assert (stored_none.new, stored_none.is_there, stored_none.is_removed) == (None, True, False)
    assert (removed.new, removed.is_there, removed.is_removed) == (None, False, True)
    assert len({snapshot.id, stored_none.id, removed.id}) == 3


def test_from_now_on(node: Node) -> None:
    node.counter("c").add(1)
    watch = node.watch(snapshot=False, timeout=0)
    node.counter("c").add(1)
    assert told(watch) == [("counter:c", 1, 2)]


def test_the_cells_of_a_transaction_come_together(node: Node) -> None:
    watch = node.watch(timeout=0)
    with node.transaction() as tx:
        tx.counter("b").add(1)
        tx.counter("a").add(1)
    first, second = watch
    assert first.visible_at == second.visible_at
    assert first.dots == second.dots


def test_a_prefix_and_a_map(node: Node) -> None:
    by_prefix, by_map = node.watch("map:cart", timeout=0), node.map("cart").watch(timeout=0)
    node.map("cart").counter("x").add(1)
    node.map("cart").map("inner").counter("x").add(1)
    node.map("cart").create()
    node.map("carts").counter("x").add(1)
    node.counter("x").add(1)
    inside = ["map:cart/counter:x", "map:cart/map:inner/counter:x", "map:cart"]
    assert [change.path for change in by_map] == inside
    assert [change.path for change in by_prefix] == [*inside, "map:carts/counter:x"]
    again = [change.path for change in node.map("cart").watch(timeout=0)]
    assert sorted(again) == sorted(inside)
    with pytest.raises(ValueError, match="prefix"):
        node.map("cart").watch("counter:")


def test_keyspaces_are_apart(node: Node) -> None:
    orders = node.keyspace("orders")
    watch = orders.watch(timeout=0)
    node.counter("c").add(1)
    orders.counter("c").add(2)
    assert told(watch) == [("counter:c", 0, 2)]
    with pytest.raises(ValueError, match="does not host"):
        gossamer.Keyspace(node.backend, "elsewhere").watch()


def test_a_cursor_goes_on_after_its_change(tmp_path: Path) -> None:
    with gossamer.open(tmp_path) as node:
        watch = node.watch(timeout=0)
        for n in range(3):
            node.counter(f"c{n}").add(1)
        first, second, _ = watch
        end = watch.cursor
    with gossamer.open(tmp_path) as node:
        node.counter("c3").add(1)
        assert [c.path for c in node.watch(since=first.cursor, timeout=0)] == [
            f"counter:c{n}" for n in (1, 2, 3)
        ]
        assert [c.path for c in node.watch(since=second.cursor, timeout=0)] == ["counter:c2", "counter:c3"]
        assert [c.path for c in node.watch(since=end, timeout=0)] == ["counter:c3"]


def test_a_snapshot_in_pages_is_one_state_at_its_end(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written before and behind where the snapshot is, and left and gone on with at each change."""
    monkeypatch.setattr(feedpage, "FEED_PAGE_CHANGES", 1)
    for n in range(4):
        node.register(f"r{n}").set(0)
    held: dict[str, Any] = {}
    cursor: str | None = None
    for step in range(12):
        change = next(node.watch(since=cursor, timeout=0), None)
        if change is None:
            break
        assert held.get(change.path) == change.old
        held[change.path], cursor = change.new, change.cursor
        if step < 6:
            node.register(f"r{step % 4}").set(step + 1)
    assert held == dict(node.items())


def test_a_new_id_ends_the_cursors(node: Node) -> None:
    watch = node.watch(timeout=0)
    node.counter("c").add(1)
    (change,) = watch
    node.backend.core._take_new_identity("a test")  # type: ignore[attr-defined]  # the real core has it
    with pytest.raises(CursorExpired, match="took a new id"):
        node.watch(since=change.cursor)
    node.counter("c").add(1)
    assert told(watch) == [("counter:c", 1, 2)], "one who is there already just goes on"
    again = node.watch(since=change.cursor, expired="snapshot", timeout=0)
    assert told(again) == [("counter:c", 0, 2)]


def test_one_who_falls_behind_what_is_kept_is_told(tmp_path: Path) -> None:
    with gossamer.open(tmp_path, feed_changes_max=2) as node:
        strict, lenient = node.watch(timeout=0), node.watch(timeout=0, expired="snapshot")
        assert told(strict) == told(lenient) == []
        for _ in range(5):
            node.counter("c").add(1)
        core: Any = node.backend.core
        core._upkeep.wake_at = core.wake_at = 0.0
        while core.store.feed("default").first < 5:
            node.status()  # the writer goes round
        with pytest.raises(CursorExpired):
            next(strict)
        assert told(lenient) == [("counter:c", 0, 5)]


def test_a_quarantined_cell_is_a_change_with_an_error(node: Node) -> None:
    watch = node.watch(timeout=0)
    cell = Cell((Entry(b"replicaQ", 1, bytes(8) + b"\x01", 0, (bytes(8) + b"\x02",)),))
    core: Any = node.backend.core
    node.backend.writer.submit(lambda: _put(core, path.of_text("register:r"), cell)).result()
    node.counter("c").add(1)
    quarantined, fine = watch
    assert isinstance(quarantined.error, Quarantined)
    assert (quarantined.path, quarantined.new, quarantined.is_there) == ("register:r", None, True)
    assert (fine.path, fine.error) == ("counter:c", None)
    node.register("r").set(3)
    (settled,) = watch
    assert (settled.new, settled.error) == (3, None)


def _put(core: Any, cell_path: bytes, cell: Cell) -> None:
    with core._drafts(Instant(0, 0.0)) as (drafts, _):
        drafts("default").put(cell_path, cell)


def test_a_damaged_cell_is_a_change_with_an_error(tmp_path: Path) -> None:
    with gossamer.open(tmp_path) as node:
        for name in "abc":
            node.counter(name).add(1)
    with raw(tmp_path, "default/cells") as (txn, db):
        key = path.of_text("counter:b")
        stored = txn.get(key, db=db)
        assert stored is not None
        txn.put(key, stored[:-1] + b"\xff", db=db)
    with gossamer.open(tmp_path) as node:
        a, b, c = node.watch(timeout=0)
        assert isinstance(b.error, Damaged)
        assert (a.error, b.is_there, c.error) == (None, True, None)
        assert [change.path for change in node.watch(since=b.cursor, timeout=0)] == ["counter:c"]


def test_during_the_first_bootstrap_it_waits(node: Node) -> None:
    core: Any = node.backend.core
    node.counter("c").add(1)
    core._unready = {"default"}
    with pytest.raises(NotReady):
        node.counter("c").value()
    watch = node.watch()
    found: list[Change] = []
    thread = threading.Thread(target=lambda: found.append(next(watch)))
    thread.start()
    node.keyspace("other").counter("x").add(1)  # a turn, after which the keyspace is found to be ready
    thread.join(20)
    assert told(found) == [("counter:c", 0, 1)]


def test_what_expires_is_removed_when_it_is_swept() -> None:
    """The log knows no clock; a follower that applies it ends with what readers see."""
    with Cluster(2, seed=1) as cluster:
        a, b = cluster.nodes
        cluster.advance(2)
        watch = b.watch()
        a.register("r").set(1, ttl=5)
        cluster.advance(1)
        assert told(watch) == [("register:r", None, 1)]
        cluster.advance(60)
        assert b.register("r").get() is None
        (change,) = watch
        assert (change.old, change.is_removed) == (1, True)
        assert told(b.watch()) == []


# Waiting and leaving


def test_it_waits_for_what_comes(node: Node) -> None:
    watch, found = node.watch(), list[Change]()
    thread = threading.Thread(target=lambda: found.append(next(watch)))
    thread.start()
    node.counter("c").add(1)
    thread.join(20)
    assert told(found) == [("counter:c", 0, 1)]


def commit_right_after_the_read(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next page is read, and before its reader knows that it is empty there is a commit."""
    core: Any = node.backend.core
    original = core.feed_page

    def read(*args: Any) -> Any:
        page = original(*args)
        monkeypatch.setattr(core, "feed_page", original)
        node.counter("c").add(1)
        return page

    monkeypatch.setattr(core, "feed_page", read)


def test_no_wake_up_is_lost(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, found = node.watch(), list[Change]()
    commit_right_after_the_read(node, monkeypatch)
    thread = threading.Thread(target=lambda: found.append(next(watch)), daemon=True)
    thread.start()
    thread.join(20)
    assert told(found) == [("counter:c", 0, 1)]


async def test_async_no_wake_up_is_lost(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async with node.awatch() as watch:
        commit_right_after_the_read(node, monkeypatch)
        assert (await asyncio.wait_for(anext(watch), 20)).new == 1


def test_close_ends_it_from_another_thread(node: Node) -> None:
    watch = node.watch()
    thread = threading.Thread(target=lambda: list(watch))
    thread.start()
    watch.close()
    watch.close()
    thread.join(20)
    assert not thread.is_alive()
    node.counter("c").add(1)
    assert list(watch) == []


def test_the_node_s_close_ends_it(tmp_path: Path) -> None:
    node = gossamer.open(tmp_path).start()
    watch = node.watch()
    thread = threading.Thread(target=lambda: list(watch))
    thread.start()
    node.close()
    thread.join(20)
    assert not thread.is_alive()
    assert list(watch) == []
    with pytest.raises(Closed):
        node.watch()


def test_a_store_that_fails_is_said_to_one_who_waits(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise StoreFailed("a test")

    watch, raised = node.watch(), list[Exception]()

    def consume() -> None:
        try:
            next(watch)
        except StoreFailed as error:
            raised.append(error)

    thread = threading.Thread(target=consume)
    thread.start()
    monkeypatch.setattr(node.backend.core, "turn", fails)
    with pytest.raises(StoreFailed):
        node.counter("c").add(1)
    thread.join(20)
    assert len(raised) == 1


def test_a_timeout_ends_it_for_now(node: Node) -> None:
    watch = node.watch(timeout=0.01)
    assert list(watch) == []
    node.counter("c").add(1)
    assert told(watch) == [("counter:c", 0, 1)]


@pytest.mark.parametrize(
    ("wishes", "error"),
    [
        ({"timeout": -1}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"timeout": "1"}, TypeError),
        ({"snapshot": 2**70}, TypeError),
        ({"expired": "ignore"}, ValueError),
        ({"prefix": 1}, TypeError),
    ],
)
def test_a_wrong_wish_is_named(node: Node, wishes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(wishes))):
        node.watch(**wishes)


def test_inside_a_transaction_there_is_none(node: Node) -> None:
    with node.transaction() as tx, pytest.raises(ValueError, match="transaction"):
        tx.map("m").watch()


def test_a_forked_child_has_none(node: Node) -> None:
    watch = node.watch(timeout=0)
    reader, writer = os.pipe()
    lock = node.backend.core.hub._lock
    lock.acquire()  # as another thread might at that moment
    if os.fork() == 0:
        said = b""
        for attempt in (lambda: next(watch), node.watch, node.subscription("s").__enter__):
            try:
                attempt()
            except Closed:
                said += b"closed "
            except BaseException as error:  # noqa: BLE001  # whatever it is, the parent is to see it
                said += repr(error).encode()
        os.write(writer, said)
        os._exit(0)
    lock.release()
    os.close(writer)
    with open(reader, "rb") as pipe:
        assert pipe.read() == b"closed closed closed "
    os.wait()
    node.counter("c").add(1)
    assert told(watch) == [("counter:c", 0, 1)]


def test_a_watch_that_was_dropped_is_forgotten(node: Node) -> None:
    hub = node.backend.core.hub
    for _ in node.watch(timeout=0):
        break
    gc.collect()
    assert hub.followed() == []
    kept = node.watch(timeout=0)
    assert hub.followed() == ["default"]
    kept.close()


def test_a_slow_consumer_costs_a_page(node: Node) -> None:
    watch = node.watch(snapshot=False, timeout=0)
    for n in range(10):
        with node.transaction() as tx:
            for m in range(500):
                tx.counter(f"c{m}").add(1)
        if n == 1:
            next(watch)
        assert len(watch._stream.tray._items) < FEED_PAGE_CHANGES
    assert sum(1 for _ in watch) == 10 * 500 - 1


def test_many_watchers(node: Node) -> None:
    async def main() -> None:
        ready = asyncio.Event()
        watching = 0

        async def one() -> list[Any]:
            nonlocal watching
            async with node.awatch(snapshot=False) as watch:
                watching += 1
                if watching == 200:
                    ready.set()
                return [change.new async for change, _ in _zip(watch, range(5))]

        tasks = [asyncio.create_task(one()) for _ in range(200)]
        await ready.wait()
        for _ in range(5):
            await node.counter("c").aadd(1)
        for task in tasks:
            assert await task == [1, 2, 3, 4, 5]

    asyncio.run(main())


async def _zip(watch: Any, numbers: range) -> Any:
    for number in numbers:
        change = await anext(watch)
        yield change, number


# In an event loop


async def test_async_first_what_there_is_then_what_comes(node: Node) -> None:
    await node.counter("c").aadd(1)
    async with node.awatch() as watch:
        first = await anext(watch)
        assert watch.is_live
        await node.counter("c").aadd(1)
        second = await anext(watch)
    assert told([first, second]) == [("counter:c", 0, 1), ("counter:c", 1, 2)]
    assert [c.new async for c in node.awatch(since=first.cursor, timeout=0)] == [2]
    assert [c async for c in watch] == [], "it is closed"


async def test_async_it_waits_and_is_closed_by_another_task(node: Node) -> None:
    watch = node.awatch()
    task = asyncio.create_task(anext(watch, None))
    async with asyncio.timeout(20):
        while node.backend.core.hub.followed() == []:
            await asyncio.sleep(0)
        await watch.aclose()
        assert await task is None


async def test_async_a_cancelled_wait_loses_nothing(node: Node) -> None:
    watch = node.awatch()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(watch), 0.01)
    await node.counter("c").aadd(1)
    assert (await anext(watch)).new == 1


async def test_async_the_node_s_close_ends_it(tmp_path: Path) -> None:
    async with gossamer.aopen(tmp_path) as node:
        task = asyncio.create_task(anext(node.awatch(), None))
        while node.backend.core.hub.followed() == []:
            await asyncio.sleep(0)
    assert await task is None


async def test_async_an_expired_cursor_may_begin_again(node: Node) -> None:
    cursor = "lAGnZGVmYXVsdMQIcmVwbGljYVIH"
    with pytest.raises(CursorExpired):
        await anext(node.awatch(since=cursor))
    node.counter("c").add(1)
    assert (await anext(node.awatch(since=cursor, expired="snapshot"))).new == 1


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"feed_changes_max": 0}, ValueError),
        ({"feed_changes_max": True}, TypeError),
        ({"feed_age_s": 0}, ValueError),
        ({"feed_age_s": float("inf")}, ValueError),
        ({"feed_age_s": "1"}, TypeError),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(settings))):
        gossamer.open(tmp_path, **settings)
    assert list(tmp_path.iterdir()) == []
