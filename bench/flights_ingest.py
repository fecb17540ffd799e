"""One airport's flights into a keyspace, batch by batch, with the position in the same transaction.

Where does a killed ingester go on? Exactly where it was: the register ``position`` says how many flights are in,
and it is written in the transaction that puts them in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flights_data import AIRPORTS, MISSING, Row, scheduled
from flights_expected import Figures
from gossamer import Keyspace
from gossamer.handles import Handles

BATCH_ROWS = 100
"""Flights in a transaction: up to six cells each, within the 1,000 that one holds."""
FIGURES = ("cancelled", "departures", "delay", "tails", "last_seen", "worst")
TOUCHED = "touched"


def ingest(
    keyspace: Keyspace, airport: str, flights: Sequence[Row], batch_rows: int = BATCH_ROWS
) -> Iterator[tuple[int, int]]:
    """Put in what is not in yet; after each commit, the position and the cells that the commit wrote."""
    position = int(keyspace.map("position").register(airport).get(0))
    while position < len(flights):
        batch = flights[position : position + batch_rows]
        with keyspace.transaction() as tx:
            for row in batch:
                record(tx, row)
            position += len(batch)
            tx.map("position").register(airport).set(position)
        yield position, cells(batch) + 1


def record(at: Handles, row: Row) -> None:
    """The effects of one flight."""
    carrier, tail, origin = row["carrier"], row["tailnum"], row["origin"]
    if row["dep_time"] == MISSING:
        at.map("cancelled").counter(carrier).add()
        return
    minutes = int(row["dep_delay"])
    at.map("departures").counter(carrier).add()
    at.map("delay").map(origin).counter(row["dest"]).add(minutes)
    at.map("tails").set(carrier).add(tail)
    at.map("last_seen").max_register(tail).set([scheduled(row), origin])
    at.map(TOUCHED).register(tail).set(origin)
    at.map("worst").max_register(carrier).set(minutes)


def cells(batch: Sequence[Row]) -> int:
    """How many cells the effects of a batch are in."""
    touched: set[tuple[str, ...]] = set()
    for row in batch:
        carrier, tail = row["carrier"], row["tailnum"]
        if row["dep_time"] == MISSING:
            touched.add(("cancelled", carrier))
            continue
        touched |= {("departures", carrier), ("worst", carrier), ("delay", row["origin"], row["dest"])}
        touched |= {("tails", carrier, tail), ("last_seen", tail), ("touched", tail)}
    return len(touched)


def read(keyspace: Keyspace) -> tuple[Figures, dict[str, str], dict[str, int]]:
    """The figures; tail number -> the airport that touched it last; airport -> its position."""
    positions = {airport: int(keyspace.map("position").register(airport).get(0)) for airport in AIRPORTS}
    return (
        {name: keyspace.map(name).value() for name in FIGURES},
        keyspace.map(TOUCHED).value(),
        positions,
    )
