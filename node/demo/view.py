"""What each replica shows, side by side: its values, its digest, and how many events it lacks.

When are replicas equal? When they have delivered the same events; then their digests and values must be equal
too, and a difference is a fault, not a delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from gossamer.crdt import Vector

from .process import NodeProcess

if TYPE_CHECKING:
    from ..rpc import Client

KEYSPACE = "default"
ATTEMPTS = 3
"""Readings of a replica that goes on changing, before it is shown as it is."""


class View(msgspec.Struct, frozen=True):
    """One replica at one moment."""

    name: str
    sold: int
    skus: list[str]
    note: list[str]
    """The value that stands, then those it beat."""
    cart: dict[str, Any]
    digest: str
    delivered: dict[str, list[list[int]]]
    """Replica id -> ``[[first, last], …]``."""
    is_steady: bool = True
    """Nothing came while it was read, so that its parts belong together."""

    @property
    def values(self) -> tuple[Any, ...]:
        """Everything that a reader sees."""
        return self.sold, self.skus, self.note, self.cart


def view(node: NodeProcess) -> View:
    """Read a replica, again if something came meanwhile, for its parts are read one after the other."""
    client = node.client
    before = _state(client)
    for attempt in range(1, ATTEMPTS + 1):
        values = _values(client)
        after = _state(client)
        if after == before or attempt == ATTEMPTS:
            break
        before = after
    return View(node.name, *values, *after, is_steady=after == before)


def _state(client: Client) -> tuple[str, dict[str, list[list[int]]]]:
    keyspace = client.status()["keyspaces"][KEYSPACE]
    return keyspace["digest"], keyspace["delivered"]


def _values(client: Client) -> tuple[int, list[str], list[str], dict[str, Any]]:
    return (
        client.counter("sold").value(),
        sorted(client.set("skus")),
        [sibling.value for sibling in client.register("note").siblings()],
        client.map("cart:42").value(),
    )


def difference(views: Sequence[View]) -> str:
    """How the replicas differ; nothing if all are equal."""
    behind = [f"{view.name} lacks {lag}" for view, lag in zip(views, lags(views), strict=True) if lag]
    if behind:
        return f"{', '.join(behind)} events"
    if not all(view.is_steady for view in views):
        return "writes are coming in"
    first = views[0]
    for other in views[1:]:
        if other.digest != first.digest:
            return f"the digests of {first.name} and {other.name} differ"
        if other.values != first.values:
            return f"the values of {first.name} and {other.name} differ: {first.values} and {other.values}"
    return ""


def lags(views: Sequence[View]) -> list[int]:
    """For each replica, how many events the others have and it has not."""
    vectors = [_vector(view) for view in views]
    everything = Vector()
    for vector in vectors:
        everything.update(vector)
    return [everything.minus(vector).count() for vector in vectors]


def _vector(view: View) -> Vector:
    return Vector({bytes.fromhex(r): tuple(chain(*spans)) for r, spans in view.delivered.items()})
