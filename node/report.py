"""A node's status as plain data: what it holds, who its members are, and what each side lacks of the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gossamer.crdt import Vector, path, vector

from .replication import healing, limits, stability

if TYPE_CHECKING:
    from .replica import Replica
    from .replication.registry import Member
    from .store.feed import Subscribed


_NOTHING = Vector()


def status(replica: Replica, now: float) -> dict[str, Any]:
    """Replica, members, links, and per keyspace the vector, digest, cells, and what each peer lacks."""
    engine = replica.engine
    return {
        "replica": replica.replica.hex(),
        "name": engine.identity.name,
        "cluster": engine.identity.cluster,
        "old_replicas": [i.hex() for i in engine.old_ids],
        "unmet_peers": engine.unmet(),
        "forgotten": engine.is_forgotten and not engine.has_left,
        "leaving": engine.is_departing and not engine.has_left,
        "left": replica.is_gone,
        "damaged": _damaged(replica),
        "members": members(replica, now),
        "keyspaces": {name: keyspace(replica, name, now) for name in replica.store.keyspaces()},
        "store_bytes": replica.store.size(),
    }


def _damaged(replica: Replica) -> list[str]:
    names = replica.store.keyspaces()
    return [f"{name}: {healing.name_of(at)}" for name in names for at in replica.store.damaged(name)]


def members(replica: Replica, now: float) -> list[dict[str, Any]]:
    """The registry, with who is linked now, and what clock it has."""
    engine = replica.engine
    linked = {link.peer for link in engine.links.values() if link.hello and not link.closing}
    sealed, seals = engine.registry.sealed, engine.registry.seals
    return [
        {
            "name": m.name,
            "replica": m.replica.hex(),
            "address": m.address,
            "keyspaces": sorted(m.keyspaces),
            "read_only": sorted(m.read_only),
            "clock_skew_s": _skew(m.replica, replica),
            "state": _member_state(m, replica, linked, now),
            "old_replicas": sorted(i.hex() for i in m.ids if i != m.replica),
            "sealed": sorted(i.hex() for i in m.ids if i in sealed),
            "last_heard_s": _last_heard(replica, m, now),
            "held_alone": held_alone(replica, m),
            "dead": any(i in seals and seals[i].is_dead for i in m.ids),
        }
        for m in sorted(engine.registry.members.values(), key=lambda m: m.name)
    ]


def _last_heard(replica: Replica, member: Member, now: float) -> float | None:
    """Seconds since the last sign of life of a member, from itself or, in a large cluster, through others; None if
    none has come since this node was opened."""
    signs = [replica.engine.heard_of(i) for i in member.ids]
    heard = [at for at in signs if at is not None]
    return round(now - max(heard), 3) if heard and member.replica != replica.replica else None


def held_alone(replica: Replica, member: Member) -> dict[str, int]:
    """Keyspace -> the events that a member has told of and that no other one is known to have, where there are any.

    What is lost should it never come back, as far as it was told here since this node was opened.
    """
    engine = replica.engine
    out: dict[str, int] = {}
    for (peer, name), told in engine.last_told.items():
        if peer not in member.ids or not replica.hosts(name):
            continue
        state = replica.store.state(name)
        lost = told.minus(state.delivered)
        others = [m.replica for m in engine.registry.remaining if m.name != member.name]
        for link in engine.links.values():
            shared = link.shared.get(name)
            if shared is not None and shared.theirs is not None and link.peer not in member.ids:
                lost = lost.minus(shared.theirs)
        for other in others:
            lost = lost.minus(engine.last_told.get((other, name), _NOTHING))
        if lost:
            out[name] = out.get(name, 0) + lost.count()
    return out


def _skew(member: bytes, replica: Replica) -> float | None:
    """Seconds by which a member's clock is ahead of ours, None if it is not linked."""
    micros = 0 if member == replica.replica else replica.engine.skews().get(member)
    return None if micros is None else round(micros / 1e6, 3)


def _member_state(member: Member, replica: Replica, linked: set[bytes], now: float) -> str:
    if member.has_left:
        return "left"
    if member.is_forgotten:
        return "forgotten"
    if member.is_removed:
        return "removed"
    if member.replica == replica.replica:
        return "self"
    if member.replica in linked:
        return "linked"
    sign = replica.engine.heard_of(member.replica) if replica.engine.is_partial else None
    return "reached" if sign is not None and now - sign < limits.AWAY_AFTER_S else "away"


def keyspace(replica: Replica, name: str, now: float) -> dict[str, Any]:
    """One keyspace of the status."""
    state = replica.store.state(name)
    cells, rows = replica.store.count(name)
    engine = replica.engine
    ids = stability.counted(state, replica.replica, engine.registry, name, engine.linked(name))
    hosts = [m for m in engine.registry.remaining if name in m.keyspaces]
    unreachable = engine.unreachable(name, (m.replica for m in hosts), state)
    return {
        "delivered": vector_of(state.delivered),
        "events": state.delivered.count(),
        "digest": f"{state.digest:032x}",
        "read_only": name in engine.read_only,
        "hosts": sorted(m.name for m in hosts),
        "unreachable_hosts": sorted(m.name for m in hosts if m.replica in unreachable),
        "cells": cells,
        "rows": rows,
        "operations": replica.store.operation_counts(name)._asdict(),
        "ready": not (state.bootstrap and state.bootstrap.is_first and not state.is_whole),
        "catching_up": not state.is_whole or _is_behind(replica, name),
        "digest_is_known": state.is_counted,
        "healed": engine.healer.healed.get(name, 0),
        "digest_mismatches": engine.mismatches.get(name, 0),
        "quarantined": engine.quarantined.get(name, 0),
        "feed": feed(replica, name),
        "beaten": replica.store.tally(name).last,
        "beyond_seals": {r.hex(): n for r, n in engine.registry.beyond(name, state.delivered).items()},
        "held_back_by": [i.hex() for i in stability.held_back_by(state, ids)],
        "staleness_s": _seconds(replica.knowledge.stale_by(name, now)),
        "peers": _peers(replica, name, now),
    }


def feed(replica: Replica, name: str) -> dict[str, Any]:
    """A keyspace's feed, and who is subscribed to it."""
    state = replica.store.feed(name)
    oldest = replica.store.logged_at(name, state.first)
    return {
        "on": state.is_on,
        "changes": state.next - state.first,
        "bytes": state.size,
        "oldest_at": oldest and oldest / 1e6,
        "subscriptions": [
            _subscription(replica, name, subscription, held)
            for subscription, held in sorted(replica.store.subscriptions(name).items())
        ],
    }


def _subscription(replica: Replica, keyspace: str, name: str, held: Subscribed) -> dict[str, Any]:
    state = replica.store.feed(keyspace)
    oldest = replica.store.logged_at(keyspace, held.position + 1)
    return {
        "name": name,
        "prefix": path.to_text(held.inside) if held.inside else held.prefix,
        "behind": max(state.next - 1 - held.position, 0),
        "oldest_unacked_at": oldest and oldest / 1e6,
        "acked_at": held.acked_at / 1e6,
        "is_consumed": replica.hub.is_claimed(keyspace, name),
        "is_expired": not state.is_on or held.position + 1 < state.first or held.position >= state.next,
    }


def _is_behind(replica: Replica, name: str) -> bool:
    delivered = replica.store.state(name).delivered
    shared = [link.shared.get(name) for link in replica.engine.links.values()]
    return any(s and s.theirs is not None and not delivered.covers(s.theirs) for s in shared)


def _peers(replica: Replica, name: str, now: float) -> dict[str, dict[str, Any]]:
    delivered = replica.store.state(name).delivered
    ages = replica.knowledge.staleness(name, now)
    out: dict[str, dict[str, Any]] = {}
    for link in replica.engine.links.values():
        shared = link.shared.get(name)
        if link.hello is None or shared is None or shared.theirs is None:
            continue
        out[link.hello.name] = {
            "replica": link.peer.hex(),
            "lacks": delivered.minus(shared.theirs).count(),
            "ahead": shared.theirs.minus(delivered).count(),
            "unacknowledged_batches": len(shared.unacked),
            "staleness_s": _seconds(ages.get(link.peer, math.inf)),
        }
    return out


def _seconds(age: float) -> float | None:
    """None: nothing is known, which JSON has no number for."""
    return None if age == math.inf else round(age, 3)


def vector_of(of: Vector) -> dict[str, list[list[int]]]:
    """A vector as JSON: replica id in hex -> ``[[first, last], …]``."""
    return {r.hex(): [list(pair) for pair in vector.pairs(of.intervals(r))] for r in of.replicas()}
