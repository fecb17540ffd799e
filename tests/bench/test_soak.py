"""Does the soak run, and would it notice a node that grows?"""

from __future__ import annotations

from pathlib import Path

import pytest

from soak import BOUNDS, NODES, Sample, draw, judged, run, slope

SECONDS = 1800


def samples(**rises: float) -> list[Sample]:
    """Of half an hour: figures that begin at a level, and rise by so much in an hour."""
    levels = {"heap": 60e6, "file": 20e6, "rows": 5_000.0}
    return [
        {"at": at, **{name: level + rises.get(name, 0.0) * at / 3600 for name, level in levels.items()}}
        for at in range(0, SECONDS, 9)
    ]


def test_three_processes_take_updates_and_hold_the_same_in_the_end(tmp_path: Path) -> None:
    taken, differing = run(tmp_path, seconds=1.5, per_second=60)
    assert differing == ""
    assert set(taken) == set(NODES)
    for of_one in taken.values():
        assert of_one[-1]["heap"] > 0 and of_one[-1]["file"] > 0
    draw(tmp_path / "soak.svg", taken)
    assert (tmp_path / "soak.svg").read_bytes().startswith(b"<?xml")


def test_what_stays_where_it_is_is_met() -> None:
    assert all(verdict.is_met for verdict in judged("a", samples()))


@pytest.mark.parametrize(("name", "an_hour"), [("heap", 40e6), ("file", 40e6), ("rows", 60_000.0)])
def test_what_grows_is_named_and_nothing_else(name: str, an_hour: float) -> None:
    grown = [verdict for verdict in judged("a", samples(**{name: an_hour})) if not verdict.is_met]
    assert [verdict.bound for verdict in grown] == [BOUNDS[name]]
    assert grown[0].rise == pytest.approx(an_hour / 3600 * SECONDS * 2 / 3, rel=0.02)


def test_spikes_and_the_first_third_do_not_count() -> None:
    spiky = samples()
    for one in spiky[:60]:
        one["heap"] = 1e6
    for one in spiky[::25]:
        one["heap"] *= 3
    assert all(verdict.is_met for verdict in judged("a", spiky))


def test_a_slope_needs_two_moments() -> None:
    assert slope([(1.0, 5.0)]) == slope([(1.0, 5.0), (1.0, 9.0)]) == 0.0
    assert slope([(0.0, 0.0), (1.0, 2.0), (2.0, 4.0)]) == 2.0
