"""Who buys when: the CDNOW transactions, as the PyPI package lifetimes ships them.

CDNOW sold CDs in the 1990s. The file has 69,659 purchases of 23,570 customers: id, day, number of CDs, dollars. Which
CDs they were it does not say; those are drawn here, some titles far more often than others, by a fixed seed.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from random import Random

import msgspec

ROWS = 69_659
TITLES = 200
LINES_MAX = 12
"""Different titles in one order. A purchase of more CDs takes more of some."""
QTY_MAX = 30
"""CDs of one purchase that are ordered here; the file's largest has 99."""

TITLE_NAMES = [f"cd-{number:03}" for number in range(TITLES)]
_WEIGHTS = list(accumulate(1 / (rank + 3) for rank in range(TITLES)))


class Purchase(msgspec.Struct, frozen=True):
    """One line of the file, with the titles drawn."""

    customer: str
    day: int
    """``YYYYMMDD``"""
    goods: dict[str, int]


def purchases(seed: int = 1) -> Iterator[Purchase]:
    """All purchases, in the order of their days."""
    rng = Random(seed)
    for day, customer, cds in sorted(_rows()):
        yield Purchase(customer, day, _drawn(rng, min(cds, QTY_MAX)))


def _rows() -> Iterator[tuple[int, str, int]]:
    with _file().open(encoding="ascii") as lines:
        next(lines)  # the columns' names
        for line in lines:
            customer, day, cds, _dollars = line.split()
            yield int(day), customer, int(cds)


def _file() -> Path:
    # Found without importing the package, which would import all of SciPy.
    found = importlib.metadata.distribution("lifetimes")
    return Path(str(found.locate_file("lifetimes/datasets/CDNOW_master.txt")))


def _drawn(rng: Random, cds: int) -> dict[str, int]:
    goods: dict[str, int] = {}
    for title in rng.choices(TITLE_NAMES, cum_weights=_WEIGHTS, k=cds):
        if title in goods or len(goods) < LINES_MAX:
            goods[title] = goods.get(title, 0) + 1
    return goods


def price_of(title: str) -> int:
    """What a title costs at first, in cents."""
    return 799 + 37 * (TITLE_NAMES.index(title) % 31)
