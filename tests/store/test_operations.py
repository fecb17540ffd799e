"""The table *operations*: derived from the cells, so its damage is found, told, and mended from them."""

from __future__ import annotations

from pathlib import Path

import pytest

import gossamer
from gossamer import Damaged
from gossamer.maintenance import verify
from gossamer.store import Store

from .helpers import at, raw

SOLD = at("counter:sold")


def filled(where: Path) -> None:
    node = opened(where)
    node.counter("sold").add(1)
    for number in range(3):
        node.counter("sold").add(10, op_id=f"order-{number}")
    node.close()


def opened(where: Path) -> gossamer.Node:
    """With a peer that it has never met, and does not dial: so nothing is folded."""
    return gossamer.open(where, peers=["127.0.0.1:1"])


def flip(where: Path, key: bytes) -> None:
    with raw(where, "default/operations") as (txn, db):
        stored = txn.get(key, db=db)
        assert stored is not None
        txn.put(key, stored[:-1] + bytes((stored[-1] ^ 4,)), db=db)


def test_what_is_derived_is_that_of_the_cells(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    assert verify(tmp_path / "a").is_sound


@pytest.mark.parametrize(
    ("key", "what"),
    [
        (b"s" + SOLD, "the tally of counter:sold is not that of its operations"),
        (b"n", "the counts are not those of the cells"),
    ],
)
def test_what_is_not_is_found(tmp_path: Path, key: bytes, what: str) -> None:
    filled(tmp_path / "a")
    flip(tmp_path / "a", key)
    assert [(one.where, one.what) for one in verify(tmp_path / "a").findings] == [("operations", what)]


def test_a_lost_entry_of_the_index_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    with raw(tmp_path / "a", "default/operations") as (txn, db):
        assert txn.delete(b"p" + SOLD + b"\x20order-1\x00", db=db)
    assert "index of what is pending" in verify(tmp_path / "a").findings[0].what


def test_a_damaged_tally_is_an_error_until_the_next_operation_makes_it_anew(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    flip(tmp_path / "a", b"s" + SOLD)
    node = opened(tmp_path / "a")
    with pytest.raises(Damaged, match="counter:sold"):
        node.counter("sold").value()
    node.counter("sold").add(10, op_id="order-3")
    assert node.counter("sold").value() == 41
    node.close()
    assert verify(tmp_path / "a").is_sound


def test_reading_looks_for_no_tally_where_there_never_was_an_operation(tmp_path: Path) -> None:
    tmp_path.joinpath("s").mkdir()
    store = Store(tmp_path / "s")
    store.host("default")
    assert not store.has_operations("default")
    store.close()
