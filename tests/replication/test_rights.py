"""What is moved of bounded counters, and where to: never more than there is, never to and fro, never for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from gossamer.backend import make_op
from gossamer.crdt import counter_bounded
from gossamer.errors import InsufficientRights, StoreFull
from gossamer.replication import limits, registry, rights
from gossamer.replication.messages import Want
from gossamer.replication.registry import SYSTEM, Registry
from gossamer.turns import KEPT, Received, Tick, Write

from .bench import DEFAULT, HOSTILE_LINK, ME, PEER, Bench, at, bench

IDS = [bytes([n]) * 8 for n in range(6)]
HELD = st.lists(st.integers(0, 40) | st.integers(0, 2**70), min_size=2, max_size=6).map(
    lambda amounts: dict(zip(IDS, amounts, strict=False))
)
STOCK = at("bounded_counter:n")


@for_any(HELD)
def test_evening_out_ends(held: dict[bytes, int]) -> None:
    """Each gives in turn until nobody gives. Nobody becomes poorer than a share by it, nor richer."""
    share = sum(held.values()) // len(held)
    given_away = 0
    for _ in range(40 * len(held)):
        moved = False
        for me in IDS[: len(held)]:
            for to, amount in rights.gifts(me, held).items():
                assert 0 < amount <= counter_bounded.AMOUNT_MAX
                assert held[me] - amount >= share >= held[to] + amount
                held[me] -= amount
                held[to] += amount
                moved, given_away = True, given_away + amount
        if not moved:
            break
    else:
        assert max(held.values()) > counter_bounded.AMOUNT_MAX, f"it goes on and on: {held}"
    assert sum(held.values()) // len(held) == share


@for_any(HELD, st.integers(1, 300))
def test_who_is_asked_has_it(held: dict[bytes, int], wanted: int) -> None:
    me = IDS[0]
    asked = rights.asks(me, wanted, held)
    if held[me] >= wanted or sum(held.values()) < wanted:
        assert asked == {}
    else:
        assert held[me] + sum(asked.values()) == wanted
        assert all(0 < amount <= held[holder] for holder, amount in asked.items())


def test_nothing_is_moved_that_need_not_be() -> None:
    a, b, c = IDS[:3]
    assert rights.gifts(a, {a: 10, b: 4, c: 4}) == {}, "nobody is low"
    assert rights.gifts(a, {a: 2, b: 0, c: 0}) == {}, "there is not one for each"
    assert rights.gifts(b, {a: 30, b: 10, c: 0}) == {}, "another one is richer"
    assert rights.gifts(a, {a: 30, b: 10, c: 0}) == {c: 13}
    assert rights.gifts(a, {a: 90, b: 0, c: 0}) == {b: 30, c: 30}


def test_of_two_that_wait_the_lower_id_is_served() -> None:
    low, high = IDS[:2]
    assert rights.answer(low, high, 5, 3, waiting=True) == 0
    assert rights.answer(high, low, 5, 3, waiting=True) == 3
    assert rights.answer(low, high, 2, 3, waiting=False) == 2


def test_spends_that_can_all_be_paid() -> None:
    assert rights.affordable([5, 100, 3], 20) == 8
    assert rights.affordable([], 20) == 0
    assert rights.affordable([21], 20) == 0


@pytest.fixture(autouse=True)
def nothing_is_evened_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WATCHED_MAX", 0)


def register(run: Bench, name: str, replica: bytes) -> None:
    ops = registry.join_ops(Registry(), name, replica, f"{name}:1", ["default", SYSTEM])
    run.turn(Write(SYSTEM, ops))


def given(run: Bench, to: bytes, stock: bytes = STOCK) -> int:
    return counter_bounded.rights(run.store.cell("default", stock), [to])


def test_a_member_is_given_what_it_asks_for_as_far_as_it_is_here() -> None:
    with bench() as run:
        run.turn(run.write("bounded_counter:n", "mint", 10))
        run.say(HOSTILE_LINK, Want(0, DEFAULT, STOCK, 4))
        assert given(run, PEER) == 0, "a stranger gets nothing"
        register(run, "hostile", PEER)
        run.mono += limits.GIVE_EVERY_S
        run.say(HOSTILE_LINK, Want(0, DEFAULT, STOCK, 4))
        assert given(run, PEER) == 4
        run.mono += limits.GIVE_EVERY_S
        run.say(HOSTILE_LINK, Want(0, DEFAULT, STOCK, 40))
        assert (given(run, PEER), given(run, ME)) == (10, 0)
        assert HOSTILE_LINK not in run.closed


def test_a_peer_that_asks_without_end_makes_few_events() -> None:
    with bench() as run:
        register(run, "hostile", PEER)
        run.turn(run.write("bounded_counter:n", "mint", 10**6))
        before = run.replica.state("default").delivered.last(ME)
        for _ in range(100):
            run.say(HOSTILE_LINK, Want(0, DEFAULT, STOCK, 1))
        assert run.replica.state("default").delivered.last(ME) == before + 1
        assert run.replica.wake_at <= run.mono + limits.GIVE_EVERY_S
        run.mono += limits.GIVE_EVERY_S
        run.turn(Tick())
        assert given(run, PEER) == 2, "the last question is answered when it is time"
        for index in range(2 * limits.WANTS_MAX):
            run.say(HOSTILE_LINK, Want(0, DEFAULT, at(f"bounded_counter:n{index}"), 1))
        (shared,) = [
            link.shared["default"] for link in run.replica.engine.links.values() if link.peer == PEER
        ]
        assert len(shared.wants) == limits.WANTS_MAX


def test_what_is_not_here_is_not_asked_for() -> None:
    with bench() as run:
        register(run, "hostile", PEER)
        run.turn(run.write("bounded_counter:n", "mint", 3))
        run.turn(Write("default", [make_op(STOCK, "transfer", (PEER, 2))]))
        run.sent.clear()
        run.turn(run.write("bounded_counter:n", "spend", 4))
        assert not _wants(run), "not even all together have so much"
        run.mono += limits.ASK_EVERY_S
        run.turn(run.write("bounded_counter:n", "spend", 2))
        assert _wants(run) == [(STOCK, 1)], "without a wait it is asked for all the same"
        run.turn(run.write("bounded_counter:n", "spend", 2))
        assert len(_wants(run)) == 1, "and not again at once"


def test_a_spend_that_waits_asks_again_until_its_time_is_over() -> None:
    with bench() as run:
        register(run, "hostile", PEER)
        run.turn(run.write("bounded_counter:n", "mint", 3))
        run.turn(Write("default", [make_op(STOCK, "transfer", (PEER, 2))]))
        run.sent.clear()
        write = Write("default", [make_op(STOCK, "spend", (3,))], 3.5 * limits.ASK_EVERY_S)
        assert run.turn(write) == [KEPT]
        for _ in range(4):
            run.mono += limits.ASK_EVERY_S
            run.turn(Tick())
        assert len(_wants(run)) == 4
        ((settled, outcome),) = run.replica.take_settled()
        assert settled is write
        assert isinstance(outcome, InsufficientRights)
        assert outcome.available == 1


def test_who_waits_is_told_that_the_store_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    with bench() as run:
        write = Write("default", [make_op(STOCK, "spend", (3,))], 10.0)
        assert run.turn(write) == [KEPT]

        @contextmanager
        def full() -> Iterator[None]:
            raise StoreFull("no space")
            yield

        with monkeypatch.context() as patch:
            patch.setattr(run.store, "transaction", full)
            with pytest.raises(StoreFull):
                run.turn(run.write("register:r", "set", 1))
        ((settled, outcome),) = run.replica.take_settled()
        assert settled is write
        assert isinstance(outcome, StoreFull)
        run.turn(run.write("bounded_counter:n", "mint", 3))
        assert run.replica.take_settled() == [], "it is not spent later, when nobody waits"
        assert given(run, ME) == 3


def test_a_gift_that_cannot_be_made_fails_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with bench() as run:
        register(run, "hostile", PEER)
        run.turn(run.write("bounded_counter:n", "mint", 10))
        monkeypatch.setattr(counter_bounded, "PAYLOAD_BYTES_MAX", 1)  # as if the account were full
        question = Received(HOSTILE_LINK, run.body(HOSTILE_LINK, Want(0, DEFAULT, STOCK, 4)))
        dot, _ = run.turn(run.write("register:r", "set", 1), question)
        assert dot is not None
        assert (given(run, PEER), given(run, ME)) == (0, 10)


def _wants(run: Bench) -> list[tuple[bytes, int]]:
    return [(m.path, m.amount) for m in run.sent.get(HOSTILE_LINK, []) if isinstance(m, Want)]
