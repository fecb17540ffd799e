"""What the writer does for feeds, inside its transactions: on and off, subscriptions, retention.

When is a log kept at all? From the first watch or subscription on, and until nobody has followed it for as long as it
keeps a change. So those who never ask for a feed pay nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from ..limits import (
    FEED_AGE_S,
    FEED_BYTES_MAX,
    FEED_CHANGES_MAX,
    FEED_TRIM_CHANGES,
    FEED_USED_EVERY_S,
    SUBSCRIPTIONS_MAX,
)
from ..store import Draft
from ..store.feed import FeedState, Place, Subscribed
from ..turns import Acknowledge, FeedInput, Subscribe, Unsubscribe, UseFeed


class Retention(NamedTuple):
    """How much of each feed is kept."""

    changes_max: int = FEED_CHANGES_MAX
    age_s: float = FEED_AGE_S
    bytes_max: int = FEED_BYTES_MAX

    @property
    def age_us(self) -> int:
        return int(self.age_s * 1e6)


RETENTION = Retention()
"""Unless told otherwise."""


def take(draft: Draft, given: FeedInput, wall: int, retention: Retention) -> object:
    """Do what a consumer asked for. `ValueError` names what is wrong with it."""
    match given:
        case UseFeed():
            _use(draft, wall, retention)
            return None
        case Subscribe():
            _use(draft, wall, retention)
            return _subscribe(draft, given, wall)
        case Acknowledge():
            return _acknowledge(draft, given, wall)
        case Unsubscribe():
            return _unsubscribe(draft, given)


def _use(draft: Draft, wall: int, retention: Retention) -> None:
    state = draft.feed.state
    if not state.is_on:
        draft.feed.turn_on(wall)
        draft.touch()
    elif wall - state.used_at > _used_every(retention):
        draft.feed.use(wall)
        draft.touch()


def _used_every(retention: Retention) -> float:
    return min(FEED_USED_EVERY_S * 1e6, retention.age_us / 4)


def _subscribe(draft: Draft, given: Subscribe, wall: int) -> Subscribed:
    found = draft.feed.subscription(given.name)
    if found is not None and (found.prefix, found.inside) != (given.prefix, given.inside):
        raise ValueError(
            f"subscription {given.name!r}: it was made for the prefix {found.prefix!r}, not {given.prefix!r}; "
            "remove it, or take another name"
        )
    if found is not None and not given.anew:
        return found
    if found is None and draft.feed.count_subscriptions() >= SUBSCRIPTIONS_MAX:
        raise ValueError(f"subscription {given.name!r}: a keyspace has at most {SUBSCRIPTIONS_MAX}")
    reached = b"" if given.snapshot else None
    # What this turn has changed so far is not logged yet, and is before the subscription's beginning all the same:
    # a snapshot has it, and without one a change that is delivered too many does no harm.
    made = Subscribed(given.prefix, given.inside, draft.feed.state.next - 1, reached, wall)
    draft.feed.put_subscription(given.name, made)
    draft.touch()
    return made


def _acknowledge(draft: Draft, given: Acknowledge, wall: int) -> Place:
    found = draft.feed.subscription(given.name)
    if found is None:
        raise ValueError(f"subscription {given.name!r}: there is none")
    if given.place.position >= draft.feed.state.next:
        raise ValueError(f"subscription {given.name!r}: what is acknowledged lies ahead of the feed")
    if given.place.order <= found.place.order:
        return found.place
    moved = msgspec.structs.replace(
        found, position=given.place.position, reached=given.place.reached, acked_at=wall
    )
    draft.feed.put_subscription(given.name, moved)
    draft.touch()
    return given.place


def _unsubscribe(draft: Draft, given: Unsubscribe) -> bool:
    is_gone = draft.feed.drop_subscription(given.name)
    if is_gone:
        draft.touch()
    return is_gone


def tend(
    state: FeedState, is_followed: bool, draft: Callable[[], Draft], wall: int, retention: Retention
) -> bool:
    """Retention of one feed; whether there is more to remove at once."""
    if not state.is_on:
        return False
    if is_followed:
        _use(draft(), wall, retention)
    elif wall - state.used_at > retention.age_us:
        draft().feed.turn_off()
        draft().touch()
        return False
    return _trim(draft(), wall, retention)


def _trim(draft: Draft, wall: int, retention: Retention) -> bool:
    for _ in range(FEED_TRIM_CHANGES):
        if not _is_over(draft, wall, retention):
            return False
        draft.feed.drop_oldest()
        draft.touch()
    return True


def _is_over(draft: Draft, wall: int, retention: Retention) -> bool:
    state = draft.feed.state
    position, oldest = draft.feed.oldest()
    if position >= state.next:
        return False
    if state.next - position > retention.changes_max or state.size > retention.bytes_max:
        return True
    return oldest is None or wall - oldest.wall > retention.age_us
