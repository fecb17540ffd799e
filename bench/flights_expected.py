"""The figures as they must come out, straight from the file with dicts: nothing of Gossamer in here.

What does the file say? By these rules, which the ingesting side follows in code of its own:

- a flight whose ``dep_time`` is missing (``NA``) was cancelled: it counts as cancelled for its carrier, and for nothing else;
- every other flight has a ``dep_delay`` (below 0 when it left early) and a ``tailnum``;
- an airplane was *last seen* at the airport of its last scheduled departure that was not cancelled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

Figures = dict[str, dict[str, Any]]


def figures(rows: Iterable[dict[str, str]]) -> tuple[Figures, dict[str, set[str]]]:
    """Name of the figure -> its values; and tail number -> the airports that may have touched it last."""
    cancelled: dict[str, int] = defaultdict(int)
    departures: dict[str, int] = defaultdict(int)
    delay: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    tails: dict[str, set[str]] = defaultdict(set)
    last_seen: dict[str, list[Any]] = {}
    worst: dict[str, int] = {}
    touched: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        carrier, tail, origin = row["carrier"], row["tailnum"], row["origin"]
        if row["dep_time"] == "NA":
            cancelled[carrier] += 1
            continue
        minutes = int(row["dep_delay"])
        month, day, clock = int(row["month"]), int(row["day"]), int(row["sched_dep_time"])
        seen = [int(f"{row['year']}{month:02}{day:02}{clock:04}"), origin]
        departures[carrier] += 1
        delay[origin][row["dest"]] += minutes
        tails[carrier].add(tail)
        touched[tail].add(origin)
        last_seen[tail] = max(last_seen.get(tail, seen), seen)
        worst[carrier] = max(worst.get(carrier, minutes), minutes)
    found: Figures = {
        "cancelled": dict(cancelled),
        "departures": dict(departures),
        "delay": {origin: dict(to) for origin, to in delay.items()},
        "tails": {carrier: frozenset(seen) for carrier, seen in tails.items()},
        "last_seen": dict(last_seen),
        "worst": dict(worst),
    }
    return found, dict(touched)
