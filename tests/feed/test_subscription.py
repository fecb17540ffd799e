"""Is every change delivered until it is acknowledged, and none after that?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import gossamer
from gossamer import Closed, CursorExpired, Node, SubscriptionInUse
from gossamer.feed import Change
from gossamer.feed.subscription import Acks
from gossamer.limits import ACK_EVERY_S, SKIP_CHANGES
from gossamer.store.feed import Place

from ..store.helpers import line, python


def values(changes: Iterable[Change]) -> list[Any]:
    return [change.new for change in changes]


def bump(node: Node, times: int = 1) -> None:
    for _ in range(times):
        node.counter("c").add(1)


def test_it_goes_on_after_a_restart_where_it_was(tmp_path: Path) -> None:
    with gossamer.open(tmp_path) as node:
        bump(node)
        with node.subscription("s", timeout=0) as feed:
            bump(node, 4)
            (first,) = feed
            assert (first.new, first.is_snapshot) == (5, True)
            bump(node, 4)
            for change in feed:
                if change.new == 7:
                    change.ack()
    with gossamer.open(tmp_path) as node:
        bump(node)
        with node.subscription("s", timeout=0) as feed:
            again = list(feed)
        assert values(again) == [8, 9, 10]
        with node.subscription("s", timeout=0) as feed:
            assert [change.id for change in feed] == [change.id for change in again], (
                "they are known by their ids"
            )


def test_from_now_on_is_from_the_first_time(node: Node) -> None:
    bump(node)
    with node.subscription("s", snapshot=False, timeout=0) as feed:
        assert list(feed) == []
    bump(node)
    with node.subscription("s", snapshot=False, timeout=0) as feed:
        assert values(feed) == [2]


def test_a_snapshot_goes_on_in_its_middle(node: Node) -> None:
    for n in range(5):
        node.counter(f"c{n}").add(1)
    with node.subscription("s", timeout=0) as feed:
        change = [next(feed) for _ in range(3)][-1]
        change.ack()
    node.counter("c1").add(1)
    node.counter("c4").add(1)
    with node.subscription("s", timeout=0) as feed:
        told = [(change.path, change.old, change.new) for change in feed]
    assert told == [("counter:c1", 1, 2), ("counter:c3", 0, 1), ("counter:c4", 0, 2)]


def test_acknowledging_one_acknowledges_all_before_it(node: Node) -> None:
    with node.subscription("s", timeout=0) as feed:
        assert list(feed) == []
        bump(node, 3)
        changes = [*feed]
        changes[-1].ack()
        changes[0].ack()  # it never goes back
    with node.subscription("s", timeout=0) as feed:
        assert list(feed) == []


def test_auto_ack_takes_the_loop_s_next_turn_for_handled(node: Node) -> None:
    with node.subscription("s", snapshot=False, timeout=0, auto_ack=True) as feed:
        bump(node, 4)
        for change in feed:
            if change.new == 3:
                break
    with node.subscription("s", timeout=0, auto_ack=True) as feed:
        assert values(feed) == [3, 4], "the loop left in the middle of 3"
    with node.subscription("s", timeout=0, auto_ack=True) as feed:
        assert values(feed) == []


def test_an_exception_in_the_loop_leaves_its_change(node: Node) -> None:
    bump(node, 1)
    with node.subscription("s", snapshot=False, auto_ack=True, timeout=0):
        bump(node, 3)
    with pytest.raises(RuntimeError), node.subscription("s", timeout=0, auto_ack=True) as feed:
        for change in feed:
            if change.new == 3:
                raise RuntimeError
    with node.subscription("s", timeout=0) as feed:
        assert values(feed) == [3, 4]


def test_acks_are_batched_while_there_is_more_to_do() -> None:
    acks = Acks()
    acks.begin(Place(0))
    for n in range(1, 4):
        acks.give(Place(n))
        acks.handled(now=100.0)
    assert acks.due(100.0) is None
    assert acks.due(100.0 + ACK_EVERY_S) == acks.rest() == Place(3)
    acks.acknowledged(Place(3))
    assert acks.rest() is None


def test_one_consumer_at_a_time(node: Node) -> None:
    with node.subscription("s") as one:
        other = node.subscription("s", timeout=0)
        with pytest.raises(SubscriptionInUse, match="'s'"):
            next(other)
        with node.subscription("t", timeout=0) as another, node.keyspace("k").subscription("s") as apart:
            assert (another.name, apart.name) == ("t", "s")
        assert one.is_live is False
    assert list(other) == []


def test_one_that_was_dropped_is_free_again(node: Node) -> None:
    bump(node)
    next(node.subscription("s"))
    assert values(node.subscription("s", timeout=0)) == [1]


def test_a_change_of_another_cannot_be_acknowledged(node: Node) -> None:
    bump(node)
    with node.subscription("s", timeout=0) as one, node.subscription("t", timeout=0) as other:
        with pytest.raises(ValueError, match="ack"):
            one.ack(next(other))
        with pytest.raises(ValueError, match="subscription"):
            next(node.watch()).ack()
        change = next(one)
    with pytest.raises(Closed):
        change.ack()


def test_a_name_has_one_prefix(node: Node) -> None:
    with node.subscription("s", "counter:"):
        pass
    with pytest.raises(ValueError, match="prefix 'counter:'"), node.subscription("s", "flag:"):
        pass
    with node.subscription("s", "counter:"):  # what failed holds nothing
        pass


@pytest.mark.parametrize(
    ("name", "error"), [(1, TypeError), ("", ValueError), ("\n", ValueError), ("é" * 101, ValueError)]
)
def test_a_name_has_limits(node: Node, name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="subscription"):
        node.subscription(name)
    node.subscription("é" * 100)


def test_one_whose_place_is_gone_is_told_and_may_begin_again(tmp_path: Path) -> None:
    with gossamer.open(tmp_path, feed_changes_max=2) as node:
        for name in ("strict", "lenient"):
            with node.subscription(name, timeout=0) as feed:
                assert list(feed) == []
        bump(node, 5)
        trim(node, 5)
        assert [held.is_expired for held in node.subscriptions()] == [True, True]
        with node.subscription("strict", timeout=0) as feed:
            with pytest.raises(CursorExpired, match="snapshot"):
                next(feed)
            feed.begin_again()
            (change,) = feed
            assert (change.new, change.is_snapshot) == (5, True)
            change.ack()
        with node.subscription("lenient", timeout=0, expired="snapshot") as feed:
            (change,) = feed
            change.ack()
        bump(node)
        for name in ("strict", "lenient"):
            with node.subscription(name, timeout=0) as feed:
                assert values(feed) == [6]


def trim(node: Node, first: int) -> None:
    core: Any = node.backend.core
    core._upkeep.wake_at = core.wake_at = 0.0
    while core.store.feed("default").first < first:
        node.status()  # the writer goes round


def test_a_new_id_is_nothing_to_it(node: Node) -> None:
    with node.subscription("s", timeout=0) as feed:
        bump(node, 2)
        assert values(feed) == [2]
        bump(node)
    node.backend.core._take_new_identity("a test")  # type: ignore[attr-defined]  # the real core has it
    bump(node)
    with node.subscription("s", timeout=0) as feed:
        assert values(feed) == [4], "nothing of the snapshot was acknowledged"
        bump(node)
        (change,) = feed
        change.ack()


def test_what_is_not_wanted_does_not_hold_it(node: Node) -> None:
    with node.subscription("s", "flag:", timeout=0) as feed:
        assert list(feed) == []
    for _ in range(SKIP_CHANGES // 500 + 1):
        with node.transaction() as tx:
            for n in range(500):
                tx.counter(f"c{n}").add(1)
    (held,) = node.subscriptions()
    assert held.behind > SKIP_CHANGES
    with node.subscription("s", "flag:", timeout=0) as feed:
        assert list(feed) == []
    (held,) = node.subscriptions()
    assert held.behind < SKIP_CHANGES


def test_what_the_node_remembers(node: Node) -> None:
    with node.subscription("s", "counter:") as feed:
        bump(node, 2)
        (held,) = node.subscriptions()
        assert (held.name, held.prefix, held.is_consumed, held.is_expired) == ("s", "counter:", True, False)
        assert held.behind == 2 and held.oldest_unacked_at is not None
        next(feed).ack()
    with node.map("m").subscription("m"):
        pass
    m, s = node.subscriptions()
    assert (m.prefix, s.behind, s.is_consumed, s.oldest_unacked_at) == ("map:m", 0, False, None)
    told = node.status()["keyspaces"]["default"]["feed"]
    assert [one["name"] for one in told["subscriptions"]] == ["m", "s"]
    assert (told["on"], told["changes"]) == (True, 2)
    assert node.unsubscribe("s")
    assert not node.unsubscribe("s")
    assert [held.name for held in node.subscriptions()] == ["m"]


def test_close_ends_it_from_another_thread(node: Node) -> None:
    feed = node.subscription("s", auto_ack=True)
    with feed:
        thread = threading.Thread(target=lambda: list(feed))
        thread.start()
    thread.join(20)
    assert not thread.is_alive()
    with pytest.raises(Closed), feed:
        pass


async def test_async(node: Node) -> None:
    await node.counter("c").aadd(1)
    async with node.subscription("s", timeout=0) as feed:
        (change,) = [change async for change in feed]
        await change.aack()
        await node.counter("c").aadd(1)
        await node.counter("c").aadd(1)
        with pytest.raises(SubscriptionInUse):
            await anext(node.subscription("s"))
    async with node.subscription("s", timeout=0, auto_ack=True) as feed:
        assert [change.new async for change in feed] == [2, 3]
    async with node.subscription("s", timeout=0) as feed:
        assert [change async for change in feed] == []
        await feed.abegin_again()
        assert [change.new async for change in feed] == [3]
    (held,) = await node.asubscriptions()
    assert held.name == "s"
    assert await node.aunsubscribe("s")


async def test_async_it_waits(node: Node) -> None:
    async with node.subscription("s", auto_ack=True) as feed:
        task = asyncio.create_task(anext(feed))
        await node.counter("c").aadd(1)
        assert (await asyncio.wait_for(task, 20)).new == 1


KILLED = """
import sys, gossamer
node = gossamer.open(sys.argv[1])
with node.subscription("s", snapshot=False) as feed:
    for n in range(1, 1000):
        node.counter("c").add(1)
        change = next(feed)
        print(f"given {change.new}\\n", end="", flush=True)  # in one piece, whenever the kill comes
        change.ack()
        print(f"acknowledged {change.new}\\n", end="", flush=True)
"""


@pytest.mark.parametrize("after", [3, 10, 37])
def test_a_kill_loses_no_acknowledgement_and_no_change(tmp_path: Path, after: int) -> None:
    process = python(KILLED, str(tmp_path))
    said = [line(process).split() for _ in range(after)]
    process.kill()
    assert process.stdout is not None
    said += [
        text.split() for text in process.stdout.read().splitlines()
    ]  # not communicate(): it passes over the buffer
    process.communicate()
    acknowledged = [int(word[1]) for word in said if word[0] == "acknowledged"]
    with gossamer.open(tmp_path) as node:
        total = node.counter("c").value()
        with node.subscription("s", timeout=0) as feed:
            again = values(feed)
    assert again in ([*range(acknowledged[-1] + 1, total + 1)], [*range(acknowledged[-1] + 2, total + 1)]), (
        "all that was not acknowledged; the last acknowledgement may have stood before it was said"
    )
