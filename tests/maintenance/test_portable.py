"""What is exported comes back as it was read; what cannot be imported is refused whole, by the number of its line."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import sleep

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import gossamer
from gossamer import Keyspace
from gossamer.cli.main import main
from gossamer.maintenance import portable
from gossamer.maintenance.portable import chunks, lines
from gossamer.memory import MemoryBackend

from ..rpc.standin import free_port

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("$bytes"), inner, max_size=3)
    ),
    max_leaves=8,
)


def loaded(text: Iterator[str] | list[str]) -> Keyspace:
    backend = MemoryBackend()
    for name, ops, _ in chunks(enumerate(text, 1)):
        backend.write(name, ops)
    return Keyspace(backend)


@given(VALUES)
def test_any_value_comes_back(value: object) -> None:
    before = Keyspace(MemoryBackend())
    before.register("r").set(value)
    after = loaded(lines(before))
    assert repr(after.register("r").get()) == repr(before.register("r").get())


@given(st.lists(SCALARS.filter(lambda v: not isinstance(v, int) or -(2**63) <= v < 2**63), max_size=5))
def test_any_element_comes_back(elements: list[object]) -> None:
    before = Keyspace(MemoryBackend())
    for element in elements:
        before.set("s").add(element)
        before.set("s", policy="remove-wins").add(element)
    after = loaded(lines(before))
    assert list(after.items()) == list(before.items())


def test_every_type_comes_back() -> None:
    before, other = Keyspace(one := MemoryBackend()), Keyspace(two := MemoryBackend(b"memory\x00\x02"))
    inner = before.map("cart:42")
    inner.create()
    inner.register("note").set({"$x": [b"\x00", {"$bytes": "YQ=="}]})
    before.mv_register("v").set("one")
    other.mv_register("v").set("two")
    one.merge(two)
    before.flag("f").enable()
    before.flag("d", policy="disable-wins").enable()
    before.counter("c").add(-(10**30))
    before.bounded_counter("b").mint(7)
    before.max_register("m").set([1, "x"])
    before.min_register("m").set(-0.5)
    after = loaded(lines(before))
    assert list(after.items()) == list(before.items())
    assert after.mv_register("v").values() == ["one", "two"]
    assert list(lines(after)) == list(lines(before))


@pytest.mark.parametrize("total", [0, 1, 2**63 - 1, 2**63, 3 * 2**63 + 5])
def test_numbers_of_any_size_come_back(total: int) -> None:
    before = Keyspace(MemoryBackend())
    before.counter("c").add(total)
    stock = before.bounded_counter("b")
    stock.mint(1)
    for _ in range(total // (2**63 - 1)):
        stock.mint(2**63 - 1)
    stock.mint(total % (2**63 - 1) + 1)
    stock.spend(2)
    after = loaded(lines(before))
    assert list(after.items()) == list(before.items()) == [("counter:c", total), ("bounded_counter:b", total)]
    assert after.bounded_counter("b").available() == total


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "line 2: "),
        ("[]", "line 2: "),
        ('{"keyspace": "default", "path": "counter:c"}', "value"),
        ('{"keyspace": 1, "path": "counter:c", "value": 1}', "keyspace"),
        ('{"keyspace": "default", "path": "nothing:c", "value": 1}', "nothing"),
        ('{"keyspace": "default", "path": "counter:c", "value": "x"}', "int is wanted"),
        ('{"keyspace": "default", "path": "counter:c", "value": NaN}', "line 2: "),
        ('{"keyspace": "default", "path": "bounded_counter:b", "value": -1}', "line 2: n: -1"),
        ('{"keyspace": "default", "path": "bounded_counter:b", "value": "x"}', "line 2: n: an int"),
        (
            '{"keyspace": "default", "path": "bounded_counter:b", "value": ' + "9" * 40 + "}",
            "line 2: .* above",
        ),
        ('{"keyspace": "default", "path": "flag:f", "value": false}', "true is wanted"),
        ('{"keyspace": "default", "path": "set:s", "value": true}', "set"),
        ('{"keyspace": "default", "path": "mv_register:v", "value": []}', "mv_register"),
        ('{"keyspace": "default", "path": "register:r", "value": {"$bytes": "?"}}', r"\$bytes"),
        ('{"keyspace": "default", "path": "register:r", "value": {"$date": 1}}', r"\$date"),
        ('{"keyspace": "default", "path": "register:r", "value": {"$bytes": "", "x": 1}}', r"\$bytes"),
        ('{"keyspace": "default", "path": "register:r", "value": ' + "[" * 100 + "]" * 100 + "}", "line 2: "),
    ],
)
def test_a_wrong_line_is_named(line: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        list(chunks(enumerate(['{"keyspace": "default", "path": "counter:c", "value": 1}', line], 1)))


def test_chunks_fit_a_transaction() -> None:
    text = [
        f'{{"keyspace": "default", "path": "register:r{n}", "value": "{"x" * 10_000}"}}' for n in range(60)
    ]
    text += [f'{{"keyspace": "other", "path": "counter:c{n}", "value": 1}}' for n in range(1200)]
    found = list(chunks(enumerate(text, 1)))
    assert [name for name, _ in itertools.groupby(found, key=lambda chunk: chunk[0])] == ["default", "other"]
    assert [number for chunk in found for number in chunk.lines] == list(range(1, len(text) + 1))
    backend = MemoryBackend()
    for name, ops, _ in found:
        backend.write(name, ops)  # or `LimitExceeded`


def command(*arguments: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "gossamer", *map(str, arguments)]
    return subprocess.run(line, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands_carry_a_keyspace_to_another_node(tmp_path: Path) -> None:
    places = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    with (
        gossamer.open(tmp_path / "a", listen=places[0], cluster="one") as a,
        gossamer.open(tmp_path / "b", listen=places[1], cluster="two") as b,
    ):
        a.counter("c").add(3)
        a.set("s").update([1, "x", b"\xff"])
        done = command("export", "--at", places[0], "-o", tmp_path / "file")
        assert (done.returncode, done.stdout) == (0, "4 cells\n"), done.stderr
        done = command("import", tmp_path / "file", "--at", places[1])
        assert (done.returncode, done.stdout) == (0, "default: 4 cells\n"), done.stderr
        assert list(b.items()) == list(a.items())
        done = command("import", tmp_path / "file", "--at", places[1])
        assert done.returncode == 1 and "--merge" in done.stderr and b.counter("c").value() == 3
        text = command("export", "counter:", "--at", places[0]).stdout
        done = command("import", "-", "--merge", "--json", "--at", places[1], stdin=text)
        assert (done.returncode, done.stdout) == (0, '{"cells": {"default": 1}}\n')
        assert b.counter("c").value() == 6
        done = command("import", "-", "--merge", "--at", places[1], stdin=text + "wrong\n")
        assert done.returncode == 2 and b.counter("c").value() == 6
        assert "Error: <stdin>: line 2: JSON is malformed" in done.stderr, done.stderr
        (tmp_path / "latin").write_bytes(text.encode() + b"\xff\n")
        done = command("import", tmp_path / "latin", "--merge", "--at", places[1])
        assert done.returncode == 2 and f"Error: {tmp_path / 'latin'}: 'utf-8'" in done.stderr, done.stderr
        elsewhere = text.replace("default", "nowhere")
        done = command("import", "-", "--merge", "--at", places[1], stdin=text + elsewhere)
        assert done.returncode == 2 and "Error: <stdin>, line 2: keyspace 'nowhere'" in done.stderr
        assert b.counter("c").value() == 6, "nothing of it was written"


def test_what_a_node_refuses_is_named_by_its_lines(tmp_path: Path) -> None:
    place = f"127.0.0.1:{free_port()}"
    with gossamer.open(tmp_path / "a", listen=place) as a:
        a.max_register("m").set("text")
        text = '{"keyspace": "default", "path": "counter:c", "value": 1}\n'
        text += '{"keyspace": "default", "path": "max_register:m", "value": 1}\n'
        done = command("import", "-", "--merge", "--at", place, stdin="\n" + text)
        assert done.returncode == 2 and "Error: <stdin>, lines 2 to 3: " in done.stderr, done.stderr
        assert a.counter("c").value() == 0


def test_what_could_not_be_written_anyway_is_found_before_the_first_line_is(tmp_path: Path) -> None:
    place, line = f"127.0.0.1:{free_port()}", '{"keyspace": "%s", "path": "%s", "value": 1}\n'
    with gossamer.open(tmp_path / "a", listen=place, keyspaces=["seen"], read_only=["seen"]) as a:
        for name in ("seen", "$system", "nowhere"):
            text = line % ("default", "counter:c") + line % (name, "counter:c")
            done = command("import", "-", "--merge", "--at", place, stdin=text)
            assert done.returncode and f"<stdin>, line 2: keyspace '{name}'" in done.stderr, done.stderr
            assert a.counter("c").value() == 0
        assert not a.status()["keyspaces"]["default"]["events"], "to ask is no event"


def test_what_was_written_before_a_line_that_is_refused_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portable, "CELLS_A_CHUNK", 1)
    place, line = f"127.0.0.1:{free_port()}", '{"keyspace": "default", "path": "%s", "value": 1}\n'
    with gossamer.open(tmp_path / "a", listen=place) as a:
        a.max_register("m").set("text")
        text = line % "counter:c" + line % "max_register:m"
        done = CliRunner().invoke(main, ["import", "-", "--merge", "--at", place], input=text)
        assert done.exit_code == 2 and "line 2: " in done.stderr, done.stderr
        assert "the lines up to 1 are written: import the rest alone" in done.stderr
        assert a.counter("c").value() == 1


def test_what_expires_comes_back_with_its_moment() -> None:
    before = Keyspace(MemoryBackend())
    moment = datetime(2100, 1, 1, tzinfo=UTC)
    before.register("r").set("v", expires_at=moment)
    before.mv_register("m").set("v", expires_at=moment)
    before.set("s").add("x", expires_at=moment)
    before.set("s").add("y")
    before.flag("f").enable(ttl=1e-6)
    before.map("empty").create(expires_at=moment)
    after = loaded(lines(before))
    assert dict(after.items()) == dict(before.items())
    assert after.register("r").read().expires_at == after.mv_register("m").read().expires_at == moment
    assert list(lines(after)) == list(lines(before))
    assert sum("expires_at" in line for line in lines(before)) == 4


def test_a_line_with_a_moment_for_what_cannot_expire_is_refused() -> None:
    line = '{"keyspace": "default", "path": "counter:c", "value": 1, "expires_at": "2100-01-01T00:00:00Z"}'
    with pytest.raises(ValueError, match="line 1: counter has no 'expire'"):
        loaded([line])


def test_an_export_that_fails_leaves_the_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(*_: object) -> Iterator[str]:
        yield "{}"
        raise gossamer.Unreachable("it is gone")

    monkeypatch.setattr(portable, "lines", some)
    (tmp_path / "file").write_text("the last one")
    done = CliRunner().invoke(main, ["export", "-o", str(tmp_path / "file")])
    assert done.exit_code == 4
    assert (tmp_path / "file").read_text() == "the last one"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_an_export_takes_as_long_as_its_reader(tmp_path: Path) -> None:
    at = f"127.0.0.1:{free_port()}"
    with gossamer.open(tmp_path / "a", listen=at) as a:
        for number in range(12):
            a.register(f"r{number}").set("x" * 100_000)
        with gossamer.connect(at, timeout=0.5) as client:
            found, paths = [], client.keys()
            for path in paths:
                found.append(path)
                sleep(0.15)
    assert len(found) == 12
