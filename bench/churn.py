"""What do restarts under new replica ids cost those who go on, after 0 to 10,000 of them?

Counted with the node's own code, on the state that so many restarts leave: each old id is sealed and closed, a
registry of so many seals is the base on which vectors are told (`replication/bases.py`). That the real cluster comes to
that state, restart by restart, is shown by `tests/simulation/test_churn.py`, in which every restart is carried out. Measured
are an Open, and the news of one event, between two members who know of the same closed ids, and to one who knows of
none (a joiner).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gossamer.crdt import Vector, vector
from gossamer.replication import messages
from gossamer.replication.bases import Base, Told
from identities import ids, news_bytes
from measure import Curve, Figure, Sample

GROWTH_MAX = 1.05
"""Of what members exchange, from the first restart to the last: a number may need a byte more."""
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


EXCHANGED: dict[str, Callable[[Figures], float]] = {
    "Open between members": lambda one: one.open_bytes,
    "news of one event": lambda one: one.tell_bytes,
}
ONCE: dict[str, Callable[[Figures], float]] = {"Open to a joiner": lambda one: one.joiner_open_bytes}


def measure(restarts: Sequence[int]) -> Iterator[Figure | Curve]:
    """After so many restarts, ascending, from one on."""
    taken = [figures(count) for count in restarts]
    first, last = taken[0], taken[-1]
    for what, of in EXCHANGED.items():
        yield Figure(
            goal="",
            what=f"{what} after {last.restarts:,} restarts",
            ours=Sample([of(last)], "B"),
            against=f"after {first.restarts:,}",
            theirs=Sample([of(first)], "B"),
            less_is_better=True,
            wanted=GROWTH_MAX,
        )
    yield Curve(
        name="churn",
        what="bytes of messages after restarts, each under a new replica id",
        x="restarts",
        unit="B",
        lines={what: [(one.restarts, of(one)) for one in taken] for what, of in (EXCHANGED | ONCE).items()},
        formula="constant between members, who name the closed ids by one hash; to a joiner linear, 26 bytes each, once",
    )
    yield Curve(
        name="churn-time",
        what="work that closed ids make",
        x="restarts",
        unit="ms",
        lines={
            "a base, once for each id that is closed": [(one.restarts, one.base_ms) for one in taken],
            "an Open, packed and taken apart": [(one.restarts, one.open_ms) for one in taken],
        },
        formula="linear in the closed ids: microseconds each",
    )


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
    peers = [(members[2], ours.pack(KEYSPACE, delivered))]
    gained = Vector({members[0]: (1001, 1001)})
    tell = news_bytes(members[0], members[1], gained, bytes(16), peers, 1_700_000_000_000_000)
    joiner = len(messages.encode(opening(strange, delivered)))
    assert vector.decode(strange.pack(KEYSPACE, delivered)) == delivered
    return Figures(restarts, len(opened), tell, joiner, base_ms, open_ms)
