"""Every seeded bug is noticed; how they are planted can fail itself."""

from __future__ import annotations

import pytest

from gossamer.crdt import Cell, Entry, join

from .catalogue import CATALOGUE, Caught
from .hunting import notices
from .planting import MisfitError, Mutant, plant

HERE = [one for one in CATALOGUE if isinstance(one.bug, Mutant)]
"""The others have their tests beside their scenes."""
CELL = "gossamer.crdt.cell"


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(CATALOGUE) >= 30
    assert len(HERE) >= 20
    assert len({one.name for one in HERE}) == len(HERE)


@pytest.mark.parametrize("one", HERE, ids=lambda one: one.name)
def test_it_is_noticed(one: Caught) -> None:
    assert notices(one), f"{one.witness} passes though {one.name}"
    assert not notices(one, is_planted=False), f"{one.witness} fails anyway"


@pytest.mark.parametrize("text", ["no such text", "return"], ids=["not there", "there more than once"])
def test_a_bug_that_does_not_fit_the_source_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MisfitError, match="its text is"):
        plant(Mutant("it", CELL, text, "pass"), monkeypatch)


def test_a_bug_that_changes_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MisfitError, match="changes no function"):
        plant(Mutant("it", CELL, "# a loop, as every read asks this", "# another comment"), monkeypatch)


def test_it_is_there_until_it_is_taken_back() -> None:
    old, new = Cell((Entry(b"a" * 8, 1, b"x"),)), Cell((Entry(b"b" * 8, 1, b"y"),))
    with pytest.MonkeyPatch.context() as patch:
        plant(Mutant("it", CELL, "    seen_a, seen_b = a.context(), b.context()", "    return a"), patch)
        assert join(old, new) == old
    assert join(old, new) == Cell((*old.live, *new.live))
