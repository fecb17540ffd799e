"""Faults that typed documents could have: each is made here on purpose, and the schedule of documents must find it.

The same seed passes without the fault, so it is the fault that is found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import cache
from typing import Any

import msgspec
import pytest

from gossamer import InvalidValue, UnfitData
from gossamer.backend import CLEAR, make_op
from gossamer.crdt import Cell, Dot, path
from gossamer.documents import Document, schema
from gossamer.handles import Set, Transaction
from gossamer.handles.typed import Typed
from gossamer.store import Draft

from .invariants import KEYSPACE
from .run import run

Mutant = Callable[[pytest.MonkeyPatch], None]


def a_wrong_value_is_written(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Typed, "plain", lambda _self, value: msgspec.to_builtins(value, builtin_types=(bytes,)))


def what_does_not_fit_is_read_as_it_is(patch: pytest.MonkeyPatch) -> None:
    honest = Typed.of_plain

    def mutant(self: Typed, plain: Any, at: bytes) -> Any:
        try:
            return honest(self, plain, at)
        except UnfitData:
            return plain

    patch.setattr(Typed, "of_plain", mutant)


def what_does_not_fit_is_read_as_the_default(patch: pytest.MonkeyPatch) -> None:
    honest = Typed.of_plain

    def mutant(self: Typed, plain: Any, at: bytes) -> Any:
        try:
            return honest(self, plain, at)
        except UnfitData:
            return self.absent(at)

    patch.setattr(Typed, "of_plain", mutant)


def what_is_wrong_is_written_as_the_default(patch: pytest.MonkeyPatch) -> None:
    honest = Typed.plain

    def mutant(self: Typed, value: Any) -> Any:
        try:
            return honest(self, value)
        except InvalidValue:
            return self._default

    patch.setattr(Typed, "plain", mutant)


def a_failed_transaction_is_committed(patch: pytest.MonkeyPatch) -> None:
    honest = Transaction.__exit__
    patch.setattr(Transaction, "__exit__", lambda self, _kind, error, trace: honest(self, None, error, trace))


def elements_are_checked_one_by_one(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Any, elements: Iterable[Any]) -> None:
        for element in elements:
            self.add(element)

    patch.setattr(Set, "update", mutant)


def a_transaction_is_sent_in_pieces(patch: pytest.MonkeyPatch) -> None:
    add_whole, put = Draft.add_group, Draft.put

    def add_group(self: Draft, dot: Dot, paths: Iterable[bytes]) -> None:
        if self.tables.name != KEYSPACE:
            add_whole(self, dot, paths)

    def alone(self: Draft, at: bytes, cell: Cell, grouped: Collection[Dot] = ()) -> None:
        put(self, at, cell, () if self.tables.name == KEYSPACE else grouped)

    patch.setattr(Draft, "add_group", add_group)
    patch.setattr(Draft, "put", alone)


def a_clear_leaves_what_is_deeper(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Any) -> None:
        flat = [f for f in self.fields().values() if f.kind not in path.CONTAINERS]
        ops = [make_op(self._path + f.component(), CLEAR) for f in flat]
        self._backend.write(self._keyspace, ops)

    patch.setattr(Document, "clear", mutant)


def any_class_is_let_through(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schema, "recorded_with", lambda new, _records: new)


def only_the_first_record_is_compared(patch: pytest.MonkeyPatch) -> None:
    honest = schema.recorded_with
    patch.setattr(schema, "recorded_with", lambda new, records: honest(new, records[:1]))


def records_are_compared_in_an_order(patch: pytest.MonkeyPatch) -> None:
    def mutant(new: schema.Schema, records: list[schema.Schema]) -> schema.Schema:
        for record in records:
            new = schema.merged(new, record)
        return new

    patch.setattr(schema, "recorded_with", mutant)


def a_field_that_is_gone_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(schema, "_merged_fields", lambda new, _recorded: new)


def a_higher_version_is_no_reason(patch: pytest.MonkeyPatch) -> None:
    honest = schema.merged

    def mutant(new: schema.Schema, recorded: schema.Schema) -> schema.Schema:
        return new if new.version < recorded.version else honest(new, recorded)

    patch.setattr(schema, "merged", mutant)


SEEDS: dict[Mutant, int] = {
    a_wrong_value_is_written: 2,
    what_does_not_fit_is_read_as_it_is: 1,
    what_does_not_fit_is_read_as_the_default: 1,
    what_is_wrong_is_written_as_the_default: 2,
    a_failed_transaction_is_committed: 2,
    elements_are_checked_one_by_one: 15,
    a_transaction_is_sent_in_pieces: 10,
    a_clear_leaves_what_is_deeper: 3,
    any_class_is_let_through: 4,
    only_the_first_record_is_compared: 5,
    records_are_compared_in_an_order: 38,
    a_field_that_is_gone_is_forgotten: 11,
    a_higher_version_is_no_reason: 21,
}


@cache
def honest(seed: int) -> None:
    """A seed without any fault, once for all that need it."""
    run(seed, "documents")


@pytest.mark.parametrize("mutant", SEEDS, ids=lambda mutant: str(mutant.__name__))
def test_the_schedule_finds_it(mutant: Mutant) -> None:
    honest(SEEDS[mutant])
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        with pytest.raises(AssertionError):
            run(SEEDS[mutant], "documents")
