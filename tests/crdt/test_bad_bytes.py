"""Does a decoder given anything at all give a sound value or `MalformedError`, and in bounded memory?"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossamer.crdt import (
    EMPTY,
    TYPES,
    Cell,
    Entry,
    Event,
    MalformedError,
    RightsError,
    cell,
    check_cell,
    codec,
    join,
    path,
    values,
    vector,
)

from . import golden
from .harness import PATHS
from .specs import SPECS

MESSAGE_BYTES_MAX = 1024 * 1024
MEMORY_MAX = 24 * MESSAGE_BYTES_MAX
"""The most that a decoder may hold for a hostile message of the greatest size."""


def of_message(data: bytes) -> Cell:
    """A cell as a message brings it: any msgpack first, and then its shape."""
    try:
        shaped = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedError(str(error)) from None
    return codec.of_shape(shaped, codec.by_eight_bytes)


DECODERS: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes], str]] = {
    "path": (path.decode, path.encode, "path"),
    "values": (values.decode, values.encode, "value"),
    "vector": (vector.decode, vector.encode, "vector"),
    "codec.decode": (codec.decode, codec.encode, "cell"),
    "codec.of_shape": (of_message, codec.encode, "cell"),
}


@st.composite
def mutated(draw: st.DrawFn, sound: list[bytes]) -> bytes:
    """Sound bytes with a few of them changed, inserted, cut out or repeated."""
    data = bytearray(draw(st.sampled_from(sound)))
    for _ in range(draw(st.integers(1, 3))):
        at, to = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        new = draw(st.sampled_from([b"", bytes(data[at:to]) * 2]) | st.binary(max_size=2))
        data[at : draw(st.sampled_from([at, at + 1, to]))] = new
    return bytes(data)


@pytest.mark.parametrize("name", sorted(DECODERS))
@given(data=st.data())
def test_any_bytes(name: str, data: st.DataObject) -> None:
    decode, encode, what = DECODERS[name]
    given_bytes = data.draw(st.binary(max_size=40) | mutated(sorted(golden.stored(what).values())))
    try:
        decoded = decode(given_bytes)
    except MalformedError:
        return
    if name != "codec.decode":  # that one trusts the store's checksum
        again = encode(decoded)
        assert decode(again) == decoded
        assert name not in ("path", "values") or again == given_bytes


PAYLOADS = [e.payload for c in golden.CELLS.values() for e in c.live] + list(golden.stored("value").values())


@pytest.mark.parametrize("kind", sorted(SPECS))
@given(data=st.data())
def test_what_a_types_check_lets_through_can_be_read_and_written(kind: str, data: st.DataObject) -> None:
    payload = data.draw(st.binary(max_size=12) | st.sampled_from(PAYLOADS) | mutated(PAYLOADS))
    arrived = Cell((Entry(b"r" * 8, 1, payload),))
    try:
        check_cell(PATHS[kind], arrived)
    except MalformedError:
        return
    cell_type = TYPES[kind]
    cell_type.value(arrived)
    cell_type.present(arrived)
    for method, args in SPECS[kind].writes:
        prepared = cell_type.prepare(method, args)
        try:
            cell_type.write(arrived, method, prepared, Event(b"s" * 8, 1))
        except TypeError:
            assert kind in ("max_register", "min_register")  # numbers do not compare with what is there
        except RightsError:
            assert method in ("spend", "transfer")


@pytest.mark.parametrize("kind", sorted(SPECS))
def test_an_empty_payload_is_for_flags_and_sets_alone(kind: str) -> None:
    """The others could not read it."""
    arrived = Cell((Entry(b"r" * 8, 1, b""),))
    if kind in ("flag", "flag_dw", "set", "set_rw", "map"):
        check_cell(PATHS[kind], arrived)
        return
    with pytest.raises(MalformedError):
        check_cell(PATHS[kind], arrived)


R, Q = b"\x01" * 8, b"\x02" * 8
REPLICA = st.sampled_from([R, Q, R[:7], 1])
SEQ = st.integers(-1, 4) | st.sampled_from([2**63 - 1, 2**63, True, 1.0, None])
PAYLOAD = st.sampled_from([b"", b"\x01", b"\x02", "a", None])
LIVE = st.one_of(
    st.tuples(REPLICA, SEQ, PAYLOAD),
    st.tuples(REPLICA, SEQ, PAYLOAD, SEQ),
    st.tuples(REPLICA, SEQ, PAYLOAD, SEQ, st.lists(PAYLOAD, max_size=2)),
)
DEAD = st.one_of(st.tuples(REPLICA, SEQ), st.tuples(REPLICA, SEQ, SEQ, PAYLOAD))
SHAPES = st.tuples(st.lists(LIVE.map(list), max_size=2), st.lists(DEAD.map(list), max_size=2)).map(list)


@given(SHAPES)
def test_a_shape_is_a_cell_in_normal_form_or_refused(shaped: object) -> None:
    try:
        arrived = codec.of_shape(shaped, codec.by_eight_bytes)
    except MalformedError:
        return
    assert cell.make(arrived.live, arrived.dead) == arrived
    assert codec.decode(codec.encode(arrived)) == arrived
    assert join(arrived, EMPTY) == join(EMPTY, arrived) == arrived


@pytest.mark.parametrize(
    "shaped",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="no live"),
        pytest.param([[], [], []], id="three lists"),
        pytest.param({"live": []}, id="a map"),
        pytest.param([b""], id="live is bytes"),
        pytest.param([[], b""], id="dead is bytes"),
        pytest.param([[b"rrr"]], id="an entry is bytes"),
        pytest.param([[[R, 1]]], id="an entry of two"),
        pytest.param([[[R, 1, b"", 1, [b"a"], 0]]], id="an entry of six"),
        pytest.param([[[R, 0, b""]]], id="seq 0"),
        pytest.param([[[R, 2**63, b""]]], id="seq too high"),
        pytest.param([[[R, True, b""]]], id="seq a bool"),
        pytest.param([[[R[:7], 1, b""]]], id="a short replica"),
        pytest.param([[[R, 1, "a"]]], id="payload a str"),
        pytest.param([[[R, 1, b"x" * (values.PAYLOAD_BYTES_MAX + 1)]]], id="payload too large"),
        pytest.param([[[R, 1, b"", 0]]], id="generation 0 spelled out"),
        pytest.param([[[R, 1, b"", 2]]], id="generation above seq"),
        pytest.param([[[R, 1, b"", 0, []]]], id="no rivals spelled out"),
        pytest.param([[[R, 1, b"", 0, [b"b", b"a"]]]], id="rivals out of order"),
        pytest.param([[[R, 1, b"", 0, [b"a", b"a"]]]], id="a rival twice"),
        pytest.param([[[Q, 1, b""], [R, 1, b""]]], id="live out of order"),
        pytest.param([[[R, 1, b""], [R, 2, b""]]], id="a replica live twice"),
        pytest.param([[], [[Q, 1], [R, 1]]], id="dead out of order"),
        pytest.param([[], [[R, 1], [R, 2]]], id="a replica dead twice"),
        pytest.param([[], [[R]]], id="dead of one"),
        pytest.param([[], [[R, 1, 1]]], id="dead of three"),
        pytest.param([[], [[R, 0]]], id="dead seq 0"),
        pytest.param([[], [[R, 2, 0, b"a"]]], id="floor of no generation"),
        pytest.param([[], [[R, 2, 3, b"a"]]], id="floor's generation above its seq"),
        pytest.param([[], [[R, 2, 1, None]]], id="floor not bytes"),
        pytest.param([[[R, 2, b""]], [[R, 1]]], id="dead below live"),
        pytest.param([[[R, 2, b""]], [[R, 2]]], id="dead at live"),
        pytest.param([[[R, 4, b"", 2]], [[R, 3, 1, b"a"]]], id="floor of another generation below live"),
        pytest.param([[[R, 4, b"", 2]], [[R, 4, 2, b"a"]]], id="floor at live"),
    ],
)
def test_a_cell_that_no_peer_sends(shaped: object) -> None:
    with pytest.raises(MalformedError, match="^cell: "):
        codec.of_shape(shaped, codec.by_eight_bytes)


def array(count: int, item: bytes) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big") + item * count


HOSTILE = {
    "a million empty lists": array(MESSAGE_BYTES_MAX - 5, b"\x90"),
    "a million nothings": array(MESSAGE_BYTES_MAX - 5, b"\xc0"),
    "short strs": array(MESSAGE_BYTES_MAX // 2 - 3, b"\xa1a"),
    "short bytes": array(MESSAGE_BYTES_MAX // 3 - 3, b"\xc4\x01a"),
    "ints": array(MESSAGE_BYTES_MAX // 3 - 3, b"\xcd\xff\xff"),
    "lists in lists": array(20_000, array(15, b"\xcd\xff\xff")),
    "deep": b"\x91" * MESSAGE_BYTES_MAX,
    "deep dicts": b"\x81\xa0" * (MESSAGE_BYTES_MAX // 2),
    "a claim of four billion": b"\xdd\xff\xff\xff\xff" * 100,
    "nothing at all": bytes(MESSAGE_BYTES_MAX),
}


@pytest.mark.parametrize("name", ["path", "values", "vector", "codec.decode"])
@pytest.mark.parametrize("attack", sorted(HOSTILE))
def test_memory_is_bounded(name: str, attack: str) -> None:
    """`codec.of_shape` decodes nothing itself: the bound of its lists is the message decoder's."""
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError):
            DECODERS[name][0](HOSTILE[attack])
        assert tracemalloc.get_traced_memory()[1] < MEMORY_MAX
    finally:
        tracemalloc.stop()


@given(st.integers(0, 2**63 - 1))
@example(2**63 - 1)
def test_stamps_of_peers_whatever_they_are(stamp: int) -> None:
    """Merging looks at no clock, and a local write after the wildest stamp still wins where it was seen."""
    register = TYPES["register"]
    payload = stamp.to_bytes(8, "big") + values.encode("theirs")
    arrived = Cell((Entry(b"r" * 8, 1, payload),))
    check_cell(PATHS["register"], arrived)
    mine = register.write(arrived, "set", register.prepare("set", ("mine",)), Event(b"a" * 8, 1, 5))
    assert register.value(join(arrived, mine)) == "mine"
    check_cell(PATHS["register"], mine)
