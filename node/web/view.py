"""What the status page shows, as plain data: names, counts and paths, and none of the values.

How can one node tell how far any two members are apart? It knows of each what that has committed, from what they told it
or each other. So the figures are of what is *known here*: a member may have more, and never less.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from gossamer.crdt import path

from ..beaten import OPEN, Record
from ..maintenance import doctor
from ..metrics.lag import STABLE, Lag
from ..replica import Replica
from ..replication.link import Shared
from ..turns import Instant

MATRIX_MEMBERS_MAX = 12
"""Members in a matrix of who lacks what; more make no table that anybody reads, and each pair costs a comparison."""
NOTES_LOOKED_AT = 500
"""The newest notes of beaten values that are counted by path, a keyspace: some milliseconds."""
HOTTEST = 10
"""Paths of registers that are shown."""
DAMAGED_MAX = 50
"""Damaged cells that are named; the rest is counted."""


def view(replica: Replica, lag: Lag, now: Instant) -> dict[str, Any]:
    """All of the page. On the writer's thread."""
    status = replica.status(now)
    lag.forget_all_but(set(status["keyspaces"]))
    advice = [one for one in doctor.of_status(status) if one.grade != "ok"]
    damaged = status["damaged"]
    ordered = sorted(status["keyspaces"].items(), key=lambda of: (of[0].startswith("$"), of[0]))
    return {
        "name": status["name"],
        "cluster": status["cluster"],
        "replica": status["replica"],
        "at": now.wall / 1e6,
        "store_bytes": status["store_bytes"],
        "store_max_bytes": replica.store.size_max(),
        "advice": [msgspec.to_builtins(one) for one in advice],
        "members": [_member(member) for member in status["members"]],
        "keyspaces": [_keyspace(replica, lag, name, of, now) for name, of in ordered],
        "conflicts": hottest(replica),
        "damaged": damaged[:DAMAGED_MAX],
        "damaged_count": len(damaged),
    }


def _member(member: dict[str, Any]) -> dict[str, Any]:
    shown = ("name", "state", "address", "last_heard_s", "clock_skew_s", "keyspaces", "read_only")
    return {name: member[name] for name in shown}


def _keyspace(replica: Replica, lag: Lag, name: str, of: dict[str, Any], now: Instant) -> dict[str, Any]:
    shown = (
        "events",
        "cells",
        "ready",
        "catching_up",
        "read_only",
        "digest",
        "digest_is_known",
        "digest_mismatches",
        "quarantined",
        "healed",
        "beaten",
        "staleness_s",
    )
    own = replica.engine.identity.name
    behind = lag.look(replica.knowledge, own, name, now.mono)
    names = replica.names
    return {key: of[key] for key in shown} | {
        "name": name,
        "behind_s": {member: round(seconds, 1) for member, seconds in behind.items() if member != STABLE},
        "held_back_by": sorted(names.get(bytes.fromhex(i), i) for i in of["held_back_by"]),
        "matrix": matrix(replica, name),
        "digests": _digests(replica, name),
    }


def matrix(replica: Replica, keyspace: str) -> dict[str, Any]:
    """Members, and for each of them how many of its events each other one is not known to have."""
    known = replica.knowledge.committed(keyspace)
    members = sorted(known)[:MATRIX_MEMBERS_MAX]
    lacks = [[known[has].minus(known[other]).count() for other in members] for has in members]
    return {"members": members, "lacks": lacks, "left_out": len(known) - len(members)}


def _digests(replica: Replica, keyspace: str) -> list[dict[str, str]]:
    """Of the linked members: the digest that each told last, and what it means."""
    out = []
    for link in replica.engine.links.values():
        shared = link.shared.get(keyspace)
        if link.hello is not None and shared is not None and shared.theirs is not None:
            told = shared.their_digest.hex()
            out.append({"member": link.hello.name, "digest": told, "verdict": _verdict(replica, shared)})
    return sorted(out, key=lambda one: one["member"])


def _verdict(replica: Replica, shared: Shared) -> str:
    state = replica.store.state(shared.name)
    if shared.theirs != state.delivered:
        return "other events"
    # A digest is told every few seconds and may be of an earlier vector, so another one says nothing by itself: the
    # engine compares the two when they belong together, and counts what it finds as a mismatch.
    is_equal = state.is_counted and shared.their_digest == state.digest.to_bytes(16, "big")
    return "equal" if is_equal else "not compared yet"


def hottest(replica: Replica) -> list[dict[str, Any]]:
    """The registers with the most beaten values among the newest notes, of all keyspaces."""
    counts: Counter[tuple[str, bytes]] = Counter()
    newest: dict[tuple[str, bytes], Record] = {}
    for keyspace in replica.store.keyspaces():
        for _, record in replica.store.notes(keyspace, None, NOTES_LOOKED_AT):
            at = keyspace, record.path
            counts[at] += record.state == OPEN
            newest.setdefault(at, record)
    return [
        {
            "keyspace": at[0],
            "path": path.to_text(at[1]),
            "open": number,
            "last_at": newest[at].seen_at / 1e6,
            "writers": sorted(
                {_writer(replica, newest[at].beaten.dot[0]), _writer(replica, newest[at].by.dot[0])}
            ),
        }
        for at, number in counts.most_common(HOTTEST)
        if number
    ]


def _writer(replica: Replica, of: bytes) -> str:
    return replica.names.get(of, of.hex())


__all__ = ["hottest", "matrix", "view"]
