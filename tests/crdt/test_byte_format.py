"""Are the bytes what they always were, and equal for equal things?"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.crdt import Cell, MalformedError, Vector, codec, path, values, vector

from . import golden
from .specs import SPECS
from .strategies import quarantined, reachable


def test_golden_file_byte_for_byte() -> None:
    assert golden.FILE.read_text() == golden.text()


def test_golden_bytes_are_read_as_what_they_were() -> None:
    assert {name: codec.decode(data) for name, data in golden.stored("cell").items()} == golden.CELLS
    assert {name: path.decode(data) for name, data in golden.stored("path").items()} == golden.PATHS
    assert {name: vector.decode(data) for name, data in golden.stored("vector").items()} == golden.VECTORS
    assert {name: values.decode(data) for name, data in golden.stored("value").items()} == golden.VALUES


@pytest.mark.parametrize("name", sorted(golden.CELLS))
def test_golden_cells_pass_the_check_of_what_peers_send(name: str) -> None:
    shaped = msgspec.msgpack.decode(golden.stored("cell")[name])
    assert codec.of_shape(shaped, codec.by_eight_bytes) == golden.CELLS[name]


def flattened(cells: list[list[Cell]]) -> list[Cell]:
    return [cell for of_one in cells for cell in of_one]


@pytest.mark.parametrize("kind", sorted(SPECS))
@given(data=st.data())
def test_equal_cells_are_equal_bytes(kind: str, data: st.DataObject) -> None:
    cells = data.draw(st.one_of(reachable(kind, 8), quarantined(kind).map(flattened)))
    for a in cells:
        for b in cells:
            assert (codec.encode(a) == codec.encode(b)) == (a == b)


@given(st.sampled_from(["counter", "mv_register"]).flatmap(quarantined).map(flattened))
def test_replicas_by_number(cells: list[Cell]) -> None:
    """In a message a replica is its number in a table."""
    table: list[bytes] = []
    for cell in cells:
        shaped = codec.shape(cell, lambda replica: numbered(table, replica))
        sent = msgspec.msgpack.decode(msgspec.msgpack.encode(shaped))
        assert codec.of_shape(sent, lambda number: in_table(table, number)) == cell


def numbered(table: list[bytes], replica: bytes) -> int:
    if replica not in table:
        table.append(replica)
    return table.index(replica)


def in_table(table: list[bytes], number: Any) -> bytes:
    if type(number) is not int or not 0 <= number < len(table):
        raise MalformedError("message: no such replica")
    return table[number]


def test_a_vector_of_no_events_is_the_empty_one() -> None:
    assert vector.encode(Vector({golden.A: ()})) == vector.encode(Vector())
