"""Does a type of the user's own need anything changed elsewhere? And a kind that this build has never heard of?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from gossamer.crdt import (
    EMPTY,
    TYPES,
    Args,
    Cell,
    CellType,
    Event,
    MalformedError,
    Write,
    cell,
    check_cell,
    codec,
    join,
    path,
    register_type,
    remove,
    type_at,
    values,
)

CODE = 0x42


def _set(state: Cell, event: Event, args: Args) -> Cell:
    return cell.assign(state, event, args[0])


class Longest(CellType):
    """The longest string wins; of two equally long ones the greater."""

    kind = "longest"
    _methods: Mapping[str, Write] = {"set": _set, "remove": remove}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def prepare(self, method: str, args: Args) -> Args:
        return (values.encode(*args),) if method == "set" else super().prepare(method, args)

    def value(self, state: Cell) -> Any:
        texts = (values.read(entry.payload) for entry in state.live)
        return max(texts, key=lambda text: (len(text), text), default=None)

    def check(self, payload: bytes) -> None:
        if type(values.decode(payload)) is not str:
            raise MalformedError("longest: a payload is not a str")


@pytest.fixture(scope="module", autouse=True)
def longest() -> Iterator[None]:
    register_type(Longest(), CODE)
    yield
    TYPES.pop("longest")  # the code stays taken; nothing else uses it


def written(key: bytes, text: str, replica: bytes) -> Cell:
    kind = type_at(key)
    assert kind is not None
    return kind.write(EMPTY, "set", kind.prepare("set", (text,)), Event(replica, 1))


def test_own_type_is_written_joined_encoded_and_checked() -> None:
    key = path.of_text("map:m/longest:word")
    assert path.to_text(key) == "map:m/longest:word"
    a, b = written(key, "short", b"a" * 8), written(key, "longer", b"b" * 8)
    both = codec.decode(codec.encode(join(a, b)))
    assert Longest().value(both) == "longer"
    check_cell(key, both)
    with pytest.raises(MalformedError, match="longest"):
        check_cell(key, cell.assign(EMPTY, Event(b"a" * 8, 1), values.encode(7)))


def test_own_type_is_removed_as_any_other() -> None:
    key = path.of_text("longest:word")
    a = written(key, "word", b"a" * 8)
    removed = Longest().write(a, "remove", (), Event(b"b" * 8, 1))
    assert Longest().value(join(removed, a)) is None
    assert Longest().write(EMPTY, "remove", (), Event(b"b" * 8, 1)) is EMPTY


@pytest.mark.parametrize(("kind", "code"), [("counter", 0x43), ("other", CODE), ("longest", 0x43)])
def test_a_kind_and_a_code_are_given_once(kind: str, code: int) -> None:
    before = dict(TYPES)
    with pytest.raises(ValueError, match="taken"):
        path.register_kind(kind, code)
    assert before == TYPES


@pytest.mark.parametrize("code", [0x01, 0x14, 0x3F, 0x7F, 0x100])
def test_a_code_of_ones_own_is_0x40_to_0x7e(code: int) -> None:
    with pytest.raises(ValueError, match="0x40 to 0x7e"):
        path.register_kind("mine", code)


@pytest.mark.parametrize("kind", ["", "kind80", "a:b", "a/b", "a b"])
def test_a_kind_is_a_word_that_a_path_can_spell(kind: str) -> None:
    with pytest.raises(ValueError, match="kind"):
        path.register_kind(kind, 0x50)


UNKNOWN = b"\x01m\x00\x60new\x00"


def test_an_unknown_kind_is_merged_and_forwarded_untouched() -> None:
    assert type_at(UNKNOWN) is None
    a = cell.assign(EMPTY, Event(b"a" * 8, 1), b"\xc1 no msgpack")
    b = cell.accumulate(EMPTY, Event(b"b" * 8, 4), b"\xff", 2)
    both = join(a, b)
    check_cell(UNKNOWN, both)
    data = codec.encode(both)
    assert codec.encode(codec.of_shape(msgspec.msgpack.decode(data), codec.by_eight_bytes)) == data
    assert [e.payload for e in both.live] == [b"\xc1 no msgpack", b"\xff"]


def test_an_unknown_kind_has_a_path_like_any_other() -> None:
    assert path.to_text(UNKNOWN) == "map:m/kind96:new"
    assert path.of_text("map:m/kind96:new") == UNKNOWN
    assert path.encode(path.decode(UNKNOWN)) == UNKNOWN
