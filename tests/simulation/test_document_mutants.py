"""Faults that typed documents could have: each is made here on purpose, and the schedule of documents must find it.

The same seed passes without the fault, so it is the fault that is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from gossamer.documents import Document, schema
from gossamer.handles import Set, Transaction, ranges
from gossamer.handles.typed import Typed
from gossamer.store import Draft

from .run import run

Mutant = Callable[[pytest.MonkeyPatch], None]


def a_wrong_value_is_written(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Typed, "plain", lambda _self, value: msgspec.to_builtins(value, builtin_types=(bytes,)))


def what_does_not_fit_is_read_as_it_is(patch: pytest.MonkeyPatch) -> None:
    honest = Typed.of_plain

    def mutant(self: Typed, plain: Any, at: bytes) -> Any:
        try:
            return honest(self, plain, at)
        except ValueError:
            return plain

    patch.setattr(Typed, "of_plain", mutant)


def what_does_not_fit_is_read_as_the_default(patch: pytest.MonkeyPatch) -> None:
    honest = Typed.of_plain

    def mutant(self: Typed, plain: Any, at: bytes) -> Any:
        try:
            return honest(self, plain, at)
        except ValueError:
            return self.absent(at)

    patch.setattr(Typed, "of_plain", mutant)


def an_update_writes_what_is_wrong(patch: pytest.MonkeyPatch) -> None:
    honest = Typed.plain

    def mutant(self: Typed, value: Any) -> Any:
        try:
            return honest(self, value)
        except ValueError:
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
    patch.setattr(Draft, "add_group", lambda *_: None)
    honest = Draft.put
    patch.setattr(Draft, "put", lambda self, at, cell, _grouped=(): honest(self, at, cell, ()))


def a_clear_leaves_what_is_deeper(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Any) -> None:
        for attribute, field in self.fields().items():
            if field.kind not in ("map", "set", "set_rw"):
                ranges.clear(self._backend, self._keyspace, [getattr(self, attribute)._path])

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
    a_wrong_value_is_written: 0,
    what_does_not_fit_is_read_as_it_is: 0,
    what_does_not_fit_is_read_as_the_default: 0,
    an_update_writes_what_is_wrong: 0,
    a_failed_transaction_is_committed: 0,
    elements_are_checked_one_by_one: 0,
    a_transaction_is_sent_in_pieces: 0,
    a_clear_leaves_what_is_deeper: 0,
    any_class_is_let_through: 0,
    only_the_first_record_is_compared: 0,
    records_are_compared_in_an_order: 0,
    a_field_that_is_gone_is_forgotten: 0,
    a_higher_version_is_no_reason: 0,
}


@pytest.mark.parametrize("mutant", SEEDS, ids=lambda mutant: str(mutant.__name__))
def test_the_schedule_finds_it(mutant: Mutant) -> None:
    run(SEEDS[mutant], "documents")
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        with pytest.raises(AssertionError):
            run(SEEDS[mutant], "documents")
