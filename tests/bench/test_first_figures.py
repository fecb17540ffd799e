"""Do the benches run, small, and do they count what they say? How fast is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from first_figures import BENCHES, SMOKE, run
from gossamer.replica import DEFAULT
from gossamer.replication.messages import Batch, decode
from measure import Figure, Sample
from pair import Pair, fill, set_field

BENCH = Path(__file__).parents[2] / "bench"


@pytest.mark.parametrize("name", BENCHES)
def test_each_bench_runs(name: str, tmp_path: Path) -> None:
    figures = run(name, SMOKE, tmp_path)
    assert figures
    for figure in figures:
        assert min(figure.ours.values) > 0, figure.what
        assert figure.theirs is None or min(figure.theirs.values) > 0, figure.what


def test_the_program_writes_what_it_shows(tmp_path: Path) -> None:
    said = tmp_path / "figures.json"
    program = [sys.executable, str(BENCH / "first_figures.py")]
    done = subprocess.run(
        [*program, "--smoke", "--only", "bytes", "--json", str(said)],
        check=True,
        capture_output=True,
        text=True,
        timeout=200,
    )
    written = json.loads(said.read_bytes())
    assert "64-byte string, one change" in [figure["what"] for figure in written["figures"]]
    assert "fdatasync" in done.stdout and "fdatasync" in written["machine"][0]


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
