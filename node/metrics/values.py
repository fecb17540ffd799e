"""What the metrics of one node are now: from its status, its counts and its lag. Plain samples, without Prometheus.

Where does each figure come from? Mostly from the status that `Node.status` shows too. What the status does not have is
looked up beside it in `look`, on the writer's thread, and the rest is what `counts` has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..counts import Counts
from ..replica import Replica
from ..turns import Instant
from .lag import STABLE, Lag

Labels = tuple[str, ...]
Sample = tuple[str, Labels, float]
"""A metric's name, the values of its labels, and its own."""


class Look(NamedTuple):
    """What there is to see of a node at one moment."""

    now: Instant
    status: dict[str, Any]
    size_max: int
    damaged: dict[str, int]
    notes: dict[str, int]
    lag: dict[str, dict[str, float]]
    names: dict[bytes, str]


def look(replica: Replica, lag: Lag, now: Instant) -> Look:
    """Look at a node. On its writer's thread."""
    store, knowledge = replica.store, replica.knowledge
    names = store.keyspaces()
    lag.forget_all_but(set(names))
    return Look(
        now=now,
        status=replica.status(now),
        size_max=store.size_max(),
        damaged={name: len(store.damaged(name)) for name in names},
        notes={name: store.tally(name).notes for name in names},
        lag={name: lag.look(knowledge, replica.engine.identity.name, name, now.mono) for name in names},
        names=knowledge.names(),
    )


def counted(counts: Counts) -> Iterator[Sample]:
    """What was counted as it happened, histograms apart."""
    for (keyspace, is_error), number in list(counts.written.items()):
        yield "gossamer_writes_total", (keyspace, "error" if is_error else "ok"), number
    for kind, of in (("cell", counts.read), ("page", counts.pages)):
        for keyspace, number in list(of.items()):
            yield "gossamer_reads_total", (keyspace, kind), number
    for peer, number in list(counts.late.items()):
        yield "gossamer_canaries_late_total", (peer,), number
    yield "gossamer_failed_turns_total", (), counts.failed_turns
    yield "gossamer_received_bytes_total", (), counts.received_bytes
    yield "gossamer_sent_bytes_total", (), counts.sent_bytes


def seen(at: Look) -> Iterator[Sample]:
    """What a look showed."""
    status = at.status
    yield "gossamer_store_bytes", (), status["store_bytes"]
    yield "gossamer_store_max_bytes", (), at.size_max
    yield "gossamer_forgotten", (), status["forgotten"]
    yield "gossamer_old_replicas", (), len(status["old_replicas"])
    yield "gossamer_unmet_peers", (), len(status["unmet_peers"])
    yield from _members(status["members"])
    for name, of in status["keyspaces"].items():
        yield from _keyspace(at, name, of)
        yield from _peers(at, name, of)
        yield from _feed(name, of["feed"], at.now.wall / 1e6)


def _members(members: list[dict[str, Any]]) -> Iterator[Sample]:
    for state, number in Counter(member["state"] for member in members).items():
        yield "gossamer_members", (state,), number
    for member in members:
        if member["state"] not in ("linked", "reached", "away"):
            continue
        peer = (member["name"],)
        yield "gossamer_peer_linked", peer, member["state"] == "linked"
        if member["last_heard_s"] is not None:
            yield "gossamer_peer_heard_seconds", peer, member["last_heard_s"]
        if member["clock_skew_s"] is not None:
            yield "gossamer_peer_clock_skew_seconds", peer, member["clock_skew_s"]


def _keyspace(at: Look, name: str, of: dict[str, Any]) -> Iterator[Sample]:
    keyspace = (name,)
    yield "gossamer_ready", keyspace, of["ready"]
    yield "gossamer_catching_up", keyspace, of["catching_up"]
    yield "gossamer_events", keyspace, of["events"]
    yield "gossamer_cells", keyspace, of["cells"]
    yield "gossamer_index_rows", keyspace, of["rows"]
    for state, number in of["operations"].items():
        yield "gossamer_operations", (name, state), number
    yield "gossamer_beaten_values_total", keyspace, of["beaten"]
    yield "gossamer_conflict_notes", keyspace, at.notes[name]
    yield "gossamer_damaged_cells", keyspace, at.damaged[name]
    yield "gossamer_healed_cells_total", keyspace, of["healed"]
    yield "gossamer_quarantined_cells_total", keyspace, of["quarantined"]
    yield "gossamer_digest_mismatches_total", keyspace, of["digest_mismatches"]
    yield "gossamer_digest_known", keyspace, of["digest_is_known"]
    yield "gossamer_given_up_events", keyspace, sum(of["beyond_seals"].values())
    for replica in of["held_back_by"]:
        peer = at.names.get(bytes.fromhex(replica), replica)
        yield "gossamer_collection_held_back", (name, peer), 1


def _peers(at: Look, name: str, of: dict[str, Any]) -> Iterator[Sample]:
    for member, seconds in at.lag[name].items():
        if member == STABLE:
            yield "gossamer_collection_lag_seconds", (name,), seconds
        else:
            yield "gossamer_lag_seconds", (name, member), seconds
    for peer, link in of["peers"].items():
        yield "gossamer_lag_events", (name, peer), link["lacks"]
        yield "gossamer_behind_events", (name, peer), link["ahead"]
        yield "gossamer_unacknowledged_batches", (name, peer), link["unacknowledged_batches"]
        staleness = link["staleness_s"]
        yield "gossamer_staleness_seconds", (name, peer), math.inf if staleness is None else staleness


def _feed(name: str, of: dict[str, Any], wall: float) -> Iterator[Sample]:
    yield "gossamer_feed_changes", (name,), of["changes"]
    yield "gossamer_feed_bytes", (name,), of["bytes"]
    for held in of["subscriptions"]:
        labels, oldest = (name, held["name"]), held["oldest_unacked_at"]
        yield "gossamer_subscription_behind_changes", labels, held["behind"]
        yield "gossamer_subscription_lag_seconds", labels, 0.0 if oldest is None else max(wall - oldest, 0.0)
        yield "gossamer_subscription_expired", labels, held["is_expired"]


__all__ = ["Look", "Sample", "counted", "look", "seen"]
