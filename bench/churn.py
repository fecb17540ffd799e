"""What do restarts under new replica ids cost those who go on, after 0 to 10,000 of them?

Counted with the node's own code, on the state that so many restarts leave: each old id is sealed and closed, a
registry of so many seals is the base on which vectors are told (`replication/bases.py`). That the real cluster comes to
that state, restart by restart, is shown by `tests/simulation/test_churn.py`, in which every restart is carried out. Measured
are an Open, and the news of one event, between two members who know of the same closed ids, and to one who knows of
none (a joiner).

    python bench/churn.py [--restarts 0 100 1000 10000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

from gossamer.crdt import Vector, vector
from gossamer.replication import messages
from gossamer.replication.bases import Base, Told

RESTARTS = (0, 100, 1_000, 10_000)
MEMBERS = 3
KEYSPACE = "default"


class Figures(NamedTuple):
    """After so many restarts. Bytes are of whole messages."""

    restarts: int
    open_bytes: int
    """To a member that knows of the same closed ids."""
    tell_bytes: int
    """News of one event, with the table of what the others have."""
    joiner_open_bytes: int
    """To one who knows of none: once, when it joins."""
    base_ms: float
    """To make the base anew, once for each id that is closed."""
    open_ms: float
    """To pack such an Open and take it apart again."""


def ids(count: int) -> list[bytes]:
    """Replica ids."""
    return [(i * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") for i in range(1, count + 1)]


def opening(told: Told, delivered: Vector) -> messages.Open:
    """As the engine makes it; the horizon is all but the last event of each member."""
    packed = told.pack(KEYSPACE, delivered)
    return messages.Open(0, KEYSPACE, packed, packed, bytes(16), True, None, None)


def figures(restarts: int) -> Figures:
    """After so many."""
    members, closed = ids(MEMBERS), ids(MEMBERS + restarts)[MEMBERS:]
    bounds = Vector({replica: (1, 4) for replica in closed})
    delivered = Vector({replica: (1, 1000) for replica in members})
    delivered.update(bounds)
    began = time.perf_counter()
    base = Base({KEYSPACE: bounds})
    base_ms = (time.perf_counter() - began) * 1e3
    ours, theirs, strange = Told(), Told(), Told()
    for one, other in ((ours, theirs), (theirs, ours)):
        one.theirs = base.name
        other.tell(base)
    began = time.perf_counter()
    opened = messages.encode(opening(ours, delivered))
    got = messages.decode(opened)
    assert isinstance(got, messages.Open)
    assert theirs.unpack(KEYSPACE, got.delivered) == delivered, "else it is no way to tell it"
    open_ms = (time.perf_counter() - began) * 1e3
    numbering = messages.Numbering(members[0], members[1])
    gained = numbering.flat(Vector({members[0]: (1001, 1001)}))
    peers = [(members[2], ours.pack(KEYSPACE, delivered))]
    tell = messages.Tell(0, 1, numbering.table(), gained, bytes(16), peers, 1_700_000_000_000_000)
    joiner = len(messages.encode(opening(strange, delivered)))
    assert vector.decode(strange.pack(KEYSPACE, delivered)) == delivered
    return Figures(
        restarts, len(opened), len(messages.encode(tell)), joiner, round(base_ms, 2), round(open_ms, 2)
    )


def main(arguments: list[str]) -> int:
    """The table; 1 if what members exchange has grown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--restarts", type=int, nargs="+", default=list(RESTARTS))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    found = [figures(restarts) for restarts in asked.restarts]
    print("restarts  Open, bytes  Tell, bytes  Open to a joiner  base, ms  Open, ms")
    for f in found:
        print(
            f"{f.restarts:8,}{f.open_bytes:13,}{f.tell_bytes:13,}{f.joiner_open_bytes:18,}{f.base_ms:10}{f.open_ms:10}"
        )
    if asked.json:
        asked.json.write_text(json.dumps([f._asdict() for f in found], indent=1) + "\n")
    grown = [
        f for f in found if f.open_bytes > found[0].open_bytes + 32 or f.tell_bytes > found[0].tell_bytes + 32
    ]
    return int(bool(grown))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
