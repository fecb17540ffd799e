"""Every metric that a node has: its name, type, labels, and what it says. The guide and the dashboard are held to this.

Names follow Prometheus: ``gossamer_`` in front, base units, ``_total`` for what only grows. ``peer`` is a member's name.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One line of the catalogue."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


_KEYSPACE, _PEER, _BOTH = ("keyspace",), ("peer",), ("keyspace", "peer")

METRICS = (
    # The node
    Metric("gossamer_info", "gauge", "1; its labels say which node this is.", ("name", "replica", "version")),
    Metric("gossamer_store_bytes", "gauge", "Bytes of the store file in use."),
    Metric("gossamer_store_max_bytes", "gauge", "Bytes that the store file may come to."),
    Metric("gossamer_store_failed", "gauge", "1 once the disk failed a write: nothing more is written."),
    Metric("gossamer_failed_turns_total", "counter", "Commits that failed as a whole, as on a full disk."),
    Metric("gossamer_forgotten", "gauge", "1 if a peer said that this node was forgotten."),
    Metric("gossamer_old_replicas", "gauge", "Replica ids that the directory had before."),
    Metric("gossamer_write_queue", "gauge", "Writes and messages that wait for the writer thread."),
    Metric("gossamer_waiting", "gauge", "Callers that wait for a token, for copies, or to be fresh."),
    # What it does
    Metric(
        "gossamer_writes_total",
        "counter",
        "Own writes and transactions, by outcome: ok or error.",
        ("keyspace", "outcome"),
    ),
    Metric(
        "gossamer_reads_total",
        "counter",
        "Reads, by kind: a cell, or a page of a map, set or prefix.",
        ("keyspace", "kind"),
    ),
    Metric("gossamer_commit_seconds", "histogram", "A commit of the store, with its fsync."),
    Metric(
        "gossamer_merge_seconds", "histogram", "Taking in one message of a peer: decoding, checking, joining."
    ),
    Metric("gossamer_received_bytes_total", "counter", "Bytes of messages from peers."),
    Metric("gossamer_sent_bytes_total", "counter", "Bytes of messages to peers."),
    # The others
    Metric("gossamer_members", "gauge", "Members, by state.", ("state",)),
    Metric("gossamer_unmet_peers", "gauge", "Configured peers that were never met."),
    Metric("gossamer_peer_linked", "gauge", "1 if this node has a link to the member, else 0.", _PEER),
    Metric(
        "gossamer_peer_heard_seconds", "gauge", "Seconds since something came from the member itself.", _PEER
    ),
    Metric(
        "gossamer_peer_clock_skew_seconds",
        "gauge",
        "Seconds by which its clock is ahead of this one's.",
        _PEER,
    ),
    Metric(
        "gossamer_lag_seconds",
        "gauge",
        "Age of the newest state of this node that the member is known to have all of; 0: all of it.",
        _BOTH,
    ),
    Metric(
        "gossamer_lag_events", "gauge", "Events of this node that a linked peer is not known to have.", _BOTH
    ),
    Metric("gossamer_behind_events", "gauge", "Events of a linked peer that this node lacks.", _BOTH),
    Metric(
        "gossamer_staleness_seconds",
        "gauge",
        "Seconds by which this node may be behind the peer, at most; +Inf: nothing is known.",
        _BOTH,
    ),
    Metric("gossamer_unacknowledged_batches", "gauge", "Batches sent and not acknowledged.", _BOTH),
    Metric(
        "gossamer_visibility_seconds",
        "histogram",
        "From the writing of a canary here until the member is known to have committed it.",
        _PEER,
    ),
    Metric(
        "gossamer_canaries_late_total",
        "counter",
        "Canaries that the member was not known to have when the next one was due.",
        _PEER,
    ),
    # Keyspaces
    Metric("gossamer_ready", "gauge", "0 during the first fetch, when reads fail.", _KEYSPACE),
    Metric(
        "gossamer_catching_up",
        "gauge",
        "1 while a linked peer has something that this node lacks.",
        _KEYSPACE,
    ),
    Metric("gossamer_events", "gauge", "Events that the node has.", _KEYSPACE),
    Metric(
        "gossamer_cells", "gauge", "Stored cells, removed ones included until they are collected.", _KEYSPACE
    ),
    Metric("gossamer_index_rows", "gauge", "Rows of the index of changes.", _KEYSPACE),
    Metric(
        "gossamer_operations",
        "gauge",
        "Cells kept for op_ids, by state: pending, done, markers.",
        ("keyspace", "state"),
    ),
    Metric(
        "gossamer_collection_lag_seconds",
        "gauge",
        "Age of the newest state that all are known to have.",
        _KEYSPACE,
    ),
    Metric(
        "gossamer_collection_held_back",
        "gauge",
        "1: the member lacks something, so nothing newer is collected.",
        _BOTH,
    ),
    Metric(
        "gossamer_beaten_values_total",
        "counter",
        "Register values that lost to a concurrent write.",
        _KEYSPACE,
    ),
    Metric("gossamer_conflict_notes", "gauge", "Notes of beaten values that are kept.", _KEYSPACE),
    Metric(
        "gossamer_damaged_cells",
        "gauge",
        "Cells with a wrong checksum that were not replaced yet.",
        _KEYSPACE,
    ),
    Metric("gossamer_healed_cells_total", "counter", "Damaged cells that were replaced.", _KEYSPACE),
    Metric(
        "gossamer_quarantined_cells_total",
        "counter",
        "Cells found with two payloads under one dot.",
        _KEYSPACE,
    ),
    Metric(
        "gossamer_digest_mismatches_total",
        "counter",
        "Peers with the same events and another digest.",
        _KEYSPACE,
    ),
    Metric(
        "gossamer_digest_known", "gauge", "0 after a replacement, until all cells were read anew.", _KEYSPACE
    ),
    Metric(
        "gossamer_given_up_events",
        "gauge",
        "Events here that the others gave up with a forgotten member.",
        _KEYSPACE,
    ),
    # Feeds
    Metric("gossamer_feed_changes", "gauge", "Changes that the feed keeps.", _KEYSPACE),
    Metric("gossamer_feed_bytes", "gauge", "Bytes of the feed's records.", _KEYSPACE),
    Metric(
        "gossamer_subscription_behind_changes",
        "gauge",
        "Changes that the subscription did not acknowledge.",
        ("keyspace", "subscription"),
    ),
    Metric(
        "gossamer_subscription_lag_seconds",
        "gauge",
        "Age of the oldest change that it did not acknowledge; 0: none.",
        ("keyspace", "subscription"),
    ),
    Metric(
        "gossamer_subscription_expired",
        "gauge",
        "1 if the feed does not reach back to it: it begins again with a snapshot.",
        ("keyspace", "subscription"),
    ),
)

BY_NAME = {metric.name: metric for metric in METRICS}

__all__ = ["BY_NAME", "METRICS", "Metric"]
