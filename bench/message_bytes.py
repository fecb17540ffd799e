"""P9: how many bytes does one changed field of 10,000 cost on the wire, alone and in batches of 100?

Counted is the engine's message: not gRPC's framing, nor the acknowledgement. Beside it: the update that pycrdt
makes for the same change to a map of as many fields. The engine deflates its batches, and pycrdt does not.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pycrdt

from measure import Figure, Sample
from pair import Pair, fill, set_field, set_fields

FIELDS = 10_000
CHANGED = 5_000
BATCH = 100
DOCUMENTS = 5
LETTERS = string.ascii_letters + string.digits + "-_"
VALUES: dict[str, Callable[[int], object]] = {
    "64-byte string": lambda i: "".join(random.Random(i).choices(LETTERS, k=64)),  # hardly to be deflated
    "integer": lambda i: 1_000 + i,
}


def words() -> str:
    """Which pycrdt it is."""
    return f"pycrdt {version('pycrdt')}"


def measure(fields: int, scratch: Path) -> Iterator[Figure]:
    """In a map of ``fields`` fields."""
    ours = _ours(fields, scratch)
    # How long its updates are depends on the random ids of its documents.
    theirs = [_pycrdt(fields) for _ in range(DOCUMENTS)]
    for name, sent in ours.items():
        yield Figure(
            goal="P9",
            what=name,
            ours=Sample([sent], "B"),
            against="pycrdt update",
            theirs=Sample([taken[name] for taken in theirs], "B"),
            less_is_better=True,
            wanted=_wanted(name),
        )


def _wanted(name: str) -> float:
    return 1.05 if "a field" in name else 1.1


def _ours(fields: int, scratch: Path) -> dict[str, float]:
    taken: dict[str, float] = {}
    changed = fields * CHANGED // FIELDS
    some = range(0, fields, max(1, fields // BATCH))[:BATCH]
    with Pair(scratch / "pair") as pair:
        fill(pair, 0, fields, "at first")
        pair.rest(0)
        pair.connect()
        pair.settle()

        def sent(*writes: Any) -> int:
            pair.quieten()
            pair.messages.clear()
            pair.write(0, *writes)
            pair.settle()
            return pair.batch_bytes()

        for name, value in VALUES.items():
            taken[f"{name}, one change"] = sent(set_field(changed, value(changed)))
            several = [set_field(index, value(index)) for index in some]
            taken[f"{name}, a field of {BATCH} changes"] = sent(*several) / len(some)
            taken[f"{name}, a field of one change of {BATCH}"] = sent(set_fields(some, value(0))) / len(some)
    return taken


def _pycrdt(fields: int) -> dict[str, float]:
    doc: Any = pycrdt.Doc()
    inside: Any = pycrdt.Map()
    doc["m"] = inside
    with doc.transaction():
        for index in range(fields):
            inside[f"field{index:05}"] = "at first"
    some = range(0, fields, max(1, fields // BATCH))[:BATCH]

    sent: list[int] = []
    doc.observe(lambda event: sent.append(len(event.update)))

    def update(indexes: range, value: Callable[[int], object]) -> float:
        sent.clear()
        with doc.transaction():
            for index in indexes:
                inside[f"field{index:05}"] = value(index)
        return sum(sent) / len(indexes)

    changed = fields * CHANGED // FIELDS
    taken: dict[str, float] = {}
    for name, value in VALUES.items():
        taken[f"{name}, one change"] = update(range(changed, changed + 1), value)
        taken[f"{name}, a field of {BATCH} changes"] = update(some, value)
        taken[f"{name}, a field of one change of {BATCH}"] = update(some, value)
    return taken
