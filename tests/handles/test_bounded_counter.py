"""Bounded counters where one replica holds everything, and where an identity was used twice."""

from __future__ import annotations

from typing import Any

import pytest

from gossamer.crdt import counter_bounded
from gossamer.errors import InsufficientRights, LimitExceeded
from gossamer.handles import Keyspace
from gossamer.limits import SPEND_WAIT_S_MAX, TRANSACTION_CELLS_MAX
from gossamer.memory import MemoryBackend

from .conftest import World


def test_mint_and_spend(world: World) -> None:
    stock = world.place.bounded_counter("n")
    assert (world.do(stock, "value"), world.do(stock, "available")) == (0, 0)
    world.do(stock, "mint", 5)
    world.do(stock, "spend", 2)
    assert (world.do(stock, "value"), world.do(stock, "available")) == (3, 3)
    with pytest.raises(InsufficientRights, match="n: 4 wanted, and the rights here are 3") as raised:
        world.do(stock, "spend", 4)
    assert raised.value.available == 3
    world.do(stock, "spend", 3)
    assert (world.do(stock, "value"), world.do(stock, "available")) == (0, 0)


@pytest.mark.parametrize("n", [0, -1, counter_bounded.AMOUNT_MAX + 1])
@pytest.mark.parametrize("method", ["mint", "spend"])
def test_an_amount_is_in_range(world: World, method: str, n: int) -> None:
    with pytest.raises(ValueError, match=f"^n: {n} is not from 1 to "):
        world.do(world.place.bounded_counter("n"), method, n)


@pytest.mark.parametrize("n", [True, 1.0, "1", None])
@pytest.mark.parametrize("method", ["mint", "spend"])
def test_an_amount_is_an_int(world: World, method: str, n: Any) -> None:
    with pytest.raises(TypeError, match="^n: "):
        world.do(world.place.bounded_counter("n"), method, n)


def test_sums_are_of_any_size(space: Keyspace) -> None:
    stock = space.bounded_counter("n")
    for _ in range(3):
        stock.mint(counter_bounded.AMOUNT_MAX)
    assert stock.value() == stock.available() == 3 * counter_bounded.AMOUNT_MAX


def test_a_transfer_wants_another_member(world: World) -> None:
    stock = world.place.bounded_counter("n")
    world.do(stock, "mint", 5)
    with pytest.raises(ValueError, match="member 'b': "):
        world.do(stock, "transfer", "b", 1)
    with pytest.raises(ValueError, match="^to: "):
        world.do(stock, "transfer", "", 1)
    with pytest.raises(TypeError, match="^to "):
        world.do(stock, "transfer", 7, 1)
    with pytest.raises(ValueError, match="^n: "):
        world.do(stock, "transfer", "b", 0)


def test_a_wait_is_a_number_of_seconds(space: Keyspace) -> None:
    stock = space.bounded_counter("n")
    stock.mint(1)
    for wrong in (-0.1, SPEND_WAIT_S_MAX + 1, float("nan")):
        with pytest.raises(ValueError, match="^wait: "):
            stock.spend(1, wait=wrong)
    with pytest.raises(TypeError, match="^wait: "):
        stock.spend(1, wait=True)
    stock.spend(1, wait=0.1)
    assert stock.value() == 0


def test_a_transaction_does_not_wait(space: Keyspace) -> None:
    with pytest.raises(ValueError, match="a transaction does not wait"), space.transaction() as tx:
        tx.bounded_counter("n").spend(1, wait=1)


def test_a_transaction_spends_all_or_nothing(space: Keyspace) -> None:
    space.bounded_counter("n").mint(5)
    with pytest.raises(InsufficientRights), space.transaction() as tx:
        tx.bounded_counter("n").spend(3)
        tx.register("r").set(1)
        assert (tx.bounded_counter("n").value(), tx.bounded_counter("n").available()) == (2, 2)
        tx.bounded_counter("n").spend(3)
    assert (space.bounded_counter("n").value(), space.register("r").get()) == (5, None)


def test_rights_that_are_gone_at_the_commit(space: Keyspace) -> None:
    stock = space.bounded_counter("n")
    stock.mint(5)
    with pytest.raises(InsufficientRights), space.transaction() as tx:
        tx.bounded_counter("n").spend(3)
        tx.register("r").set(1)
        stock.spend(4)
    assert (stock.value(), space.register("r").get()) == (1, None)


def test_a_map_with_one_is_not_cleared(world: World) -> None:
    inside = world.place.map("m")
    world.do(inside.register("r"), "set", 1)
    world.do(inside.map("k").bounded_counter("n"), "mint", 1)
    world.do(inside.map("k").bounded_counter("n"), "spend", 1)
    for method, args in (("clear", ()), ("remove", ("k",))):
        with pytest.raises(ValueError, match="bounded_counter:n: a bounded_counter cannot be removed"):
            world.do(inside, method, *args)
    assert world.do(inside, "value") == {"r": 1, "k": {"n": 0}}
    world.do(inside, "remove", "r")
    assert world.do(inside, "keys") == ["k"]


def test_a_map_too_large_for_one_event_is_not_half_cleared(space: Keyspace) -> None:
    many = space.map("m").set("a")
    many.update(range(TRANSACTION_CELLS_MAX + 1))
    space.map("m").map("z").bounded_counter("n").mint(1)
    with pytest.raises(ValueError, match="cannot be removed") as raised:
        space.map("m").clear()
    assert not isinstance(raised.value, LimitExceeded)
    assert len(many) == TRANSACTION_CELLS_MAX + 1


def test_one_that_was_never_minted_is_in_nobody_s_way(space: Keyspace) -> None:
    assert space.map("m").bounded_counter("n").value() == 0
    space.map("m").register("r").set(1)
    space.map("m").clear()
    assert space.map("m").value() == {}


def test_of_two_accounts_under_one_dot_the_fewest_rights_count() -> None:
    """Nothing can supersede them, so readers are not told of a conflict: they go on, carefully."""
    one, two = MemoryBackend(), MemoryBackend()
    for backend, spent in ((one, 2), (two, 5)):
        stock = Keyspace(backend).bounded_counter("n")
        stock.mint(10)
        stock.spend(spent)
    one.merge(two)
    stock = Keyspace(one).bounded_counter("n")
    assert (stock.value(), stock.available()) == (5, 5)
    stock.spend(5)
    with pytest.raises(InsufficientRights):
        stock.spend(1)
    assert stock.value() == 0
