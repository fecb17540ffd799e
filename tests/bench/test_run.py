"""Do the benches run, small, and do they count what they say? How fast is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import etcd_peer
import nats_peer
import page
import redis_peer
from gossamer.replica import DEFAULT
from gossamer.replication.messages import Batch, decode
from measure import Curve, Figure, Sample
from pair import Pair, fill, set_field
from results import Result, keep, load
from run import BENCHES, SMOKE, run

BENCH = Path(__file__).parents[2] / "bench"


@cache
def smoke(name: str) -> Result:
    return run(name, SMOKE, is_smoke=True)


@pytest.mark.parametrize("name", BENCHES)
def test_each_bench_runs(name: str) -> None:
    result = smoke(name)
    assert result.figures or result.curves
    for figure in result.figures:
        assert min(figure.ours.values) > 0, figure.what
        assert figure.theirs is None or min(figure.theirs.values) > 0, figure.what
    for curve in result.curves:
        assert all(len(points) == len(dict(points)) > 0 for points in curve.lines.values()), curve.what


@pytest.mark.parametrize(
    ("peer", "name", "against"),
    [
        (redis_peer, "reads", "Redis GET"),
        (nats_peer, "visible", "NATS KV put to watch"),
        (etcd_peer, "visible", "etcd put to watch"),
    ],
)
def test_a_server_that_is_installed_stands_beside_us(peer: ModuleType, name: str, against: str) -> None:
    if not peer.is_there():
        pytest.skip(peer.words())
    result = smoke(name)
    assert against in [figure.against for figure in result.figures]
    assert peer.words() in result.machine


def test_etcds_messages_are_written_and_read_back() -> None:
    pair = etcd_peer._field(1, b"n") + etcd_peer._field(5, b"v" * 300)
    response = b"\x10\x07" + etcd_peer._field(11, etcd_peer._field(2, pair)) * 2
    assert list(etcd_peer.values_of(response)) == [b"v" * 300] * 2


def result(name: str) -> Result:
    figure = Figure(goal="P0", what=name, ours=Sample([2.0], "s"), against="it", theirs=Sample([4.0], "s"))
    lines = {"one": [(10.0, 1.0), (100.0, 2.0)], "other": [(100.0, 3.0)]}
    curve = Curve(name=name, what=f"how {name} grows", x="cells", unit="s", lines=lines, formula="log(cells)")
    return Result(
        about="a question",
        at="2026-01-01 00:00",
        seconds=1.0,
        is_smoke=False,
        machine=["a floor"],
        figures=[figure],
        curves=[curve],
    )


def test_results_are_kept_a_bench_and_shown_in_a_page(tmp_path: Path) -> None:
    file, shown = tmp_path / "figures.json", tmp_path / "page.md"
    keep(file, "old", result("former"))
    keep(file, "other", result("second"))
    keep(file, "old", result("first"))
    assert {name: kept.figures[0].what for name, kept in load(file).items()} == {
        "old": "first",
        "other": "second",
    }
    shown.write_text(f"mine\n\n{page.BEGIN}\nold\n{page.END}\n\nmine too\n")
    for _ in range(2):  # the second time it replaces what it wrote
        page.write(shown, load(file))
    text = shown.read_text()
    assert text.startswith("mine\n") and text.endswith("\nmine too\n") and "\nold\n" not in text
    assert "| P0 | first | 2 s | it | 4 s | 0.5 |  |  |" in text
    assert "![How second grows](page/second.svg)" in text and (tmp_path / "page" / "second.svg").exists()
    assert "| 100 | 2 | 3 |" in text and "Expected: log(cells)." in text
    page.write(shown, {"other": load(file)["other"]})
    assert [drawn.name for drawn in (tmp_path / "page").iterdir()] == ["second.svg"]


def test_a_page_without_its_marks_is_left_alone(tmp_path: Path) -> None:
    shown = tmp_path / "page.md"
    shown.write_text(f"{page.END} {page.BEGIN}")
    with pytest.raises(ValueError, match="lacks the marks"):
        page.write(shown, {})
    assert shown.read_text() == f"{page.END} {page.BEGIN}"


def test_the_page_of_the_project_has_its_marks(tmp_path: Path) -> None:
    copy = tmp_path / "performance.md"
    copy.write_text((BENCH.parent / "docs" / "performance.md").read_text())
    page.write(copy, {"a": result("first")})
    assert "first.svg" in copy.read_text()


def test_the_program_writes_what_it_shows(tmp_path: Path) -> None:
    said = tmp_path / "figures.json"
    program = [sys.executable, str(BENCH / "run.py")]
    done = subprocess.run(
        [*program, "--smoke", "--only", "bytes", "--json", str(said)],
        check=True,
        capture_output=True,
        text=True,
        timeout=200,
    )
    written = json.loads(said.read_bytes())
    figures, machine = (written["benches"]["bytes"][part] for part in ("figures", "machine"))
    assert "64-byte string, one change" in [figure["what"] for figure in figures]
    assert all(figure["ratio"] > 0 for figure in figures)
    assert "fdatasync" in done.stdout and "fdatasync" in " ".join(machine)


@pytest.mark.parametrize(
    ("less", "wanted", "met"), [(False, 2.0, True), (True, 2.0, False), (True, None, None)]
)
def test_a_goal_is_met_or_not(less: bool, wanted: float | None, met: bool | None) -> None:
    ours, theirs = Sample([9.0, 10.0, 60.0], "s"), Sample([4.0], "s")
    figure = Figure(goal="P0", what="", ours=ours, theirs=theirs, less_is_better=less, wanted=wanted)
    assert (figure.ratio, figure.is_met) == (2.5, met)


def test_a_pair_exchanges_and_counts_what_was_sent(tmp_path: Path) -> None:
    with Pair(tmp_path) as pair:
        fill(pair, 0, 30, "v", cells=10)
        pair.connect()
        pair.settle()
        assert pair.b.store.count(DEFAULT) == pair.a.store.count(DEFAULT)
        assert pair.b.state(DEFAULT).digest == pair.a.state(DEFAULT).digest
        pair.quieten()
        pair.messages.clear()
        pair.write(0, set_field(7, "w"))
        pair.settle()
        batches = [body for side, body in pair.messages if side == 0 and isinstance(decode(body), Batch)]
        assert pair.batch_bytes() == sum(map(len, batches)) > 0
        assert pair.bytes() > pair.batch_bytes()  # the acknowledgement comes beside
