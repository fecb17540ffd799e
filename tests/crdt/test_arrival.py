"""Which entries of a cell are dead because of what is delivered, and what do they leave behind?"""

from __future__ import annotations

from gossamer.crdt import EMPTY, Cell, Dead, Entry, cell

A, B = b"a" * 8, b"b" * 8
SUM = Entry(A, 3, b"\x04", 2)
INCOMING = Cell((SUM, Entry(B, 5, b"\x01")))


def test_an_arriving_entry_that_is_delivered_and_lacking_is_dead_and_leaves_its_floor() -> None:
    arrived = cell.arriving(INCOMING, EMPTY, lambda replica, seq: replica == A)
    assert arrived == Cell((Entry(B, 5, b"\x01"),), (Dead(A, 3, 2, b"\x04"),))


def test_an_arriving_entry_that_is_new_stays() -> None:
    assert cell.arriving(INCOMING, EMPTY, lambda replica, seq: False) is INCOMING


def test_an_arriving_entry_that_is_here_too_stays() -> None:
    assert cell.arriving(INCOMING, INCOMING, lambda replica, seq: True) is INCOMING


def test_an_arriving_entry_that_the_context_includes_is_left_to_the_join() -> None:
    local = Cell((), (Dead(A, 3, 2, b"\x04"), Dead(B, 9)))
    assert cell.arriving(INCOMING, local, lambda replica, seq: True) is INCOMING


def test_a_full_exchange_kills_what_the_sender_had_and_lacks() -> None:
    kept = cell.complete(INCOMING, EMPTY, lambda replica, seq: (replica, seq) == (A, 3))
    assert kept == Cell((Entry(B, 5, b"\x01"),), (Dead(A, 3, 2, b"\x04"),))


def test_a_full_exchange_leaves_what_the_sender_never_had() -> None:
    assert cell.complete(INCOMING, EMPTY, lambda replica, seq: False) is INCOMING


def test_a_full_exchange_leaves_what_the_sender_has() -> None:
    assert cell.complete(INCOMING, INCOMING, lambda replica, seq: True) is INCOMING
