"""Followers of every node under the same faults: do they have, at each of their moments, what the node has?

The promise does not depend on how the feed is made: whoever applies a snapshot and then each change, in order, holds
exactly what the node's readers see. An *eager* follower is compared after every event of its node. A *lazy* one reads
a little at a time, stops, and comes back with its cursor, in the middle of a snapshot too. A *subscriber* keeps only
what it had acknowledged when it or its node dies. Each change must begin where the one before it of that path ended.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gossamer.errors import Closed, CursorExpired, NotReady
from gossamer.feed import Change, Subscription, Watch, cursor
from gossamer.feed.upkeep import Retention
from gossamer.simulation import SimulatedNode
from gossamer.store import feedpage

from .invariants import KEYSPACE
from .schedule import Action, Outcome, Schedule

Held = dict[str, Any]
"""Path as text -> value: what a follower knows."""
PREFIXES = ("", "", "", "set:s", "map:p/", "counter:")


@contextmanager
def drawn_pages(rng: random.Random) -> Iterator[None]:
    """Pages of this seed: mostly so small that a snapshot takes many."""
    drawn = {
        "FEED_PAGE_CHANGES": rng.choice((1, 1, 2, 200)),
        "FEED_PAGE_LOOKS": rng.choice((1, 3, 2_000)),
    }
    kept = {name: getattr(feedpage, name) for name in drawn}
    try:
        for name, value in drawn.items():
            setattr(feedpage, name, value)
        yield
    finally:
        for name, value in kept.items():
            setattr(feedpage, name, value)


class Follower:
    """What every one of them does with a change."""

    def __init__(self, node: SimulatedNode, prefix: str) -> None:
        self.node, self.prefix = node, prefix
        self.held: Held = {}
        self.ids: set[str] = set()

    def apply(self, change: Change) -> None:
        where = f"{self.node}, {change}"
        assert change.path.startswith(self.prefix), where
        assert change.id not in self.ids, f"{where}: it was delivered before"
        assert change.was_there == (change.path in self.held), where
        assert change.old == self.held.get(change.path, change.old), where
        assert change.is_there or change.was_there, f"{where}: no reader could tell"
        assert change.dots or not change.is_new, f"{where}: nobody wrote it"
        self.ids.add(change.id)
        if change.is_there:
            self.held[change.path] = change.new
        else:
            del self.held[change.path]

    def compare(self) -> None:
        expected = dict(self.node.items(self.prefix))
        assert self.held == expected, (
            f"{self.node}: a follower of {self.prefix!r} holds other than its readers"
        )


class Eager(Follower):
    """Reads all there is after every event."""

    watch: Watch | None = None

    def follow(self, outcome: Outcome) -> None:
        if self.watch is None:
            self.watch = self.node.watch(self.prefix)
            self.held, self.ids = {}, set()
        before = len(self.ids)
        for change in self.watch:
            self.apply(change)
        outcome.seen["change"] = outcome.seen.get("change", 0) + len(self.ids) - before
        if self.watch.is_live:
            self.compare()


class Lazy(Follower):
    """Reads so many changes, or to the end; goes away with its cursor, and comes back."""

    watch: Watch | None = None
    cursor: str | None = None

    def follow(self, limit: int, outcome: Outcome) -> None:
        if self.watch is None:
            self.watch = self.node.watch(self.prefix, self.cursor)
            outcome.count("resumed" if self.cursor else "followed")
        try:
            for _ in range(limit):
                self.apply(next(self.watch))
        except StopIteration:
            if self.watch.is_live:
                self.compare()
                outcome.count("caught up")
        self.cursor = self.watch.cursor

    def leave(self) -> None:
        self.watch = None

    def begin_again(self) -> None:
        self.watch = self.cursor = None
        self.held, self.ids = {}, set()


class Subscriber(Follower):
    """A service that keeps what it knows only together with an acknowledgement."""

    subscription: Subscription | None = None

    def __init__(self, node: SimulatedNode, prefix: str) -> None:
        super().__init__(node, prefix)
        self.kept: tuple[Held, set[str]] = ({}, set())

    def follow(self, rng: random.Random, outcome: Outcome) -> None:
        if self.subscription is None:
            self.subscription = self.node.subscription("service", self.prefix)
            self.held, self.ids = dict(self.kept[0]), set(self.kept[1])
        for _ in range(rng.randint(1, 6)):
            change = next(self.subscription, None)
            if change is None:
                if self.subscription.is_live:
                    self.compare()
                return
            self.apply(change)
            outcome.count("delivered")
            if rng.random() < 0.4:
                change.ack()
                self.kept = dict(self.held), set(self.ids)
                outcome.count("acknowledged")

    def die(self) -> None:
        """Without a word: what was not acknowledged is forgotten."""
        self.subscription = None

    def begin_again(self) -> None:
        assert self.subscription is not None
        self.held, self.ids, self.kept = {}, set(), ({}, set())
        self.subscription.begin_again()


class FeedSchedule(Schedule):
    """The writes and faults of every schedule, and followers at each node."""

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
        self.retention = Retention(
            self.rng.choice((2, 5, 1_000, 1_000_000)), self.rng.choice((2.0, 1e6, 1e6)), 256 * 1024 * 1024
        )
        self.eager: dict[str, Eager] = {}
        self.lazy: dict[str, Lazy] = {}
        self.subscribers: dict[str, Subscriber] = {}
        self._check = self.invariants.check
        self.invariants.check = self.cluster.after_event = self.check  # type: ignore[method-assign]

    def work(self) -> list[Action]:
        return [*super().work(), (self.follow, 8), (self.serve, 8), (self.leave, 3)]

    def run(self) -> Outcome:
        with drawn_pages(self.rng):
            return super().run()

    def check(self, node: SimulatedNode) -> None:
        self._check(node)
        node.core._upkeep.retention = self.retention
        if not self._is_ready(node):
            return
        follower = self.eager.get(node.name)
        if follower is None or follower.node is not node:
            follower = self.eager[node.name] = Eager(node, "")
        try:
            follower.follow(self.outcome)
        except CursorExpired:  # so many changes in one commit, or it was down
            assert follower.watch is not None
            self._has_expired(node, follower.watch.cursor)
            follower.watch = None

    def follow(self) -> None:
        node = self.any_alive()
        if node is not None and self._is_ready(node):
            lazy = self.lazy.setdefault(node.name, Lazy(node, self.rng.choice(PREFIXES)))
            limit = self.rng.choice((1, 2, 5, 1_000))
            self.note(f"a follower of {node.name} reads up to {limit}", "follow")
            self._lazily(lazy, limit)

    def _lazily(self, lazy: Lazy, limit: int) -> None:
        for _ in range(2):
            try:
                return lazy.follow(limit, self.outcome)
            except CursorExpired:
                self._has_expired(lazy.node, lazy.cursor if lazy.watch is None else lazy.watch.cursor)
                lazy.begin_again()

    def serve(self) -> None:
        node = self.any_alive()
        if node is not None and self._is_ready(node):
            prefix = self.rng.choice(PREFIXES)
            subscriber = self.subscribers.setdefault(node.name, Subscriber(node, prefix))
            self.note(f"the service at {node.name} works", "serve")
            self._serve(subscriber)

    def _serve(self, subscriber: Subscriber) -> None:
        try:
            subscriber.follow(self.rng, self.outcome)
        except CursorExpired:
            assert subscriber.subscription is not None
            stream = subscriber.subscription._stream
            assert stream is not None
            self._has_expired(subscriber.node, stream.tray.cursor(stream.source))
            subscriber.begin_again()
            subscriber.follow(self.rng, self.outcome)

    def leave(self) -> None:
        """Some followers go away; a service may die with what it has not acknowledged."""
        for lazy in self.lazy.values():
            if self.rng.random() < 0.5:
                lazy.leave()
        for subscriber in self.subscribers.values():
            if self.rng.random() < 0.5:
                subscriber.die()

    def kill(self) -> None:
        super().kill()
        self._forget_the_dead()

    def kill_before_sending(self) -> None:
        super().kill_before_sending()
        self._forget_the_dead()

    def new_identity(self) -> None:
        before = {node.name: node._core for node in self.cluster.nodes}
        super().new_identity()
        for node in self.cluster.nodes:
            if before[node.name] is not None and before[node.name] is not node._core:
                self._forget(node)

    def _forget_the_dead(self) -> None:
        for node in self.cluster.nodes:
            if not node.is_alive:
                self._forget(node)

    def _forget(self, node: SimulatedNode) -> None:
        """The process is gone, and with it all that its followers had not kept elsewhere."""
        self.eager.pop(node.name, None)
        if node.name in self.lazy:
            self.lazy[node.name].leave()
        if node.name in self.subscribers:
            self.subscribers[node.name].die()

    def _is_ready(self, node: SimulatedNode) -> bool:
        try:
            next(node.keys(), None)
        except (NotReady, Closed):
            return False
        return True

    def _has_expired(self, node: SimulatedNode, at: str | None) -> None:
        """It is said only where it may be: what comes next was trimmed, or the node has taken another id."""
        assert at is not None
        _, _, replica, position = cursor.parts(at)[:4]
        first = node.core.store.feed(KEYSPACE).first
        assert replica != node.core.replica or position + 1 < first, (
            f"{node}: {position} expired, {first} is here"
        )
        self.outcome.count("expired")

    def check_end(self) -> None:
        for node in self.alive():
            lazy = self.lazy.setdefault(node.name, Lazy(node, ""))
            subscriber = self.subscribers.setdefault(node.name, Subscriber(node, ""))
            self._lazily(lazy, 1_000_000)
            assert lazy.watch is not None and lazy.watch.is_live
            lazy.compare()
            for _ in range(300):
                self._serve(subscriber)
            subscriber.compare()
