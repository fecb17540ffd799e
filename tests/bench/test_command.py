"""Does `gossamer bench` measure what it says, on an installation that has nothing but the package?"""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from gossamer.cli import main
from gossamer.cli.measuring import MEMORY_US


def bench(*args: str) -> str:
    result = CliRunner().invoke(main, ["bench", "--seconds", "0.3", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_measures_in_the_directory_and_leaves_nothing_there(tmp_path: Path) -> None:
    said = json.loads(bench("--json", "--dir", str(tmp_path)))
    assert said["directory"] == str(tmp_path) and list(tmp_path.iterdir()) == []
    assert said["is_memory"] == (said["sync_us"] < MEMORY_US)
    read, one, many, p50, p99 = said["figures"]
    for figure in (read, one, many):
        assert 0 < figure["least"] <= figure["median"] <= figure["greatest"]
        assert figure["ratio"] == figure["median"] / figure["beside_median"]
    assert 0 < p50["least"] <= p50["median"] <= p99["median"] <= p99["greatest"]


def test_it_says_what_stands_beside_each_figure(tmp_path: Path) -> None:
    said = bench("--dir", str(tmp_path))
    for words in ("read a register", "LMDB get", "durable write, one writer", "256 writers", "p99", "4 KiB"):
        assert words in said


def test_a_directory_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["bench", "--dir", str(tmp_path / "absent")])
    assert result.exit_code == 2 and "does not exist" in result.output
