"""Does the flights bench find the figures of the file, and would it notice if they were others?"""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path

from flights_check import differences, impossible
from flights_data import AIRPORTS, of_airport, rows, scheduled
from flights_expected import figures
from flights_ingest import cells, ingest, read
from gossamer import Keyspace
from gossamer.memory import MemoryBackend

BENCH = Path(__file__).parents[2] / "bench"


def test_three_processes_agree_with_the_file_despite_a_cut_and_a_kill() -> None:
    done = subprocess.run(
        [sys.executable, BENCH / "flights.py", "--smoke"],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every figure is the one of the file" in done.stdout


def test_an_ingester_goes_on_where_another_stopped() -> None:
    some = rows(1_500)
    keyspace = Keyspace(MemoryBackend())
    for airport in AIRPORTS:
        flights = of_airport(airport, some)
        assert [position for position, _ in islice(ingest(keyspace, airport, flights, 50), 2)] == [50, 100]
        assert next(ingest(keyspace, airport, flights, 50))[0] == 150
        for _ in ingest(keyspace, airport, flights, 50):
            pass
    found, last, positions = read(keyspace)
    expected, possible = figures(some)
    assert list(differences("memory", found, expected)) == []
    assert list(impossible("memory", last, possible)) == []
    assert sum(positions.values()) == len(some)


def test_each_figure_and_each_way_to_differ_is_noticed() -> None:
    expected, possible = figures(rows(2_000))
    for name, values in expected.items():
        assert values, name
        for key in values:
            assert list(
                differences("", expected | {name: {k: v for k, v in values.items() if k != key}}, expected)
            )
    assert list(differences("", {"tails": {"UA": frozenset("a")}}, {"tails": {"UA": frozenset("b")}})) == [
        "/tails/UA: too many ['a'], missing ['b']"
    ]
    tail = next(iter(possible))
    assert list(impossible("", {name: next(iter(where)) for name, where in possible.items()}, possible)) == []
    assert list(impossible("", {tail: "ATL"}, {tail: {"JFK"}})) == [f"/{tail}: 'ATL' is not one of ['JFK']"]


def test_every_row_counts_once_and_airports_see_theirs_in_time_order() -> None:
    some = rows(2_000)
    expected, _ = figures(some)
    assert sum(expected["cancelled"].values()) + sum(expected["departures"].values()) == len(some)
    assert expected["cancelled"]  # the file has them among its first
    for airport in AIRPORTS:
        times = [scheduled(row) for row in of_airport(airport, some)]
        assert times == sorted(times)


def test_the_cells_of_a_batch_are_counted_as_they_are_written() -> None:
    keyspace = Keyspace(MemoryBackend())
    flights = of_airport("JFK", rows(300))
    _, count = next(ingest(keyspace, "JFK", flights, 60))
    assert count == len(list(keyspace.keys()))
    assert count == cells(flights[:60]) + 1
