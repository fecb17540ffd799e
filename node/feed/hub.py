"""Who follows which feed in this process, and how they are woken.

Why no polling? A commit rings the bells of those who follow its keyspace, from the writer's thread; a bell wakes a
thread or an event loop and never blocks. A reader that has been dropped is forgotten with its bell.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Protocol
from weakref import WeakSet, WeakValueDictionary

from ..errors import SubscriptionInUse


class Bell(Protocol):
    """Wakes one reader."""

    def ring(self) -> None:
        """There may be something new. From any thread; must not block."""


class ThreadBell:
    """Wakes a thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        self._event.set()

    def hush(self) -> None:
        """What rang so far is heard."""
        self._event.clear()

    def wait(self, timeout: float | None) -> bool:
        """Wait until it rings, or rang since `hush`; False if it did not in time."""
        return self._event.wait(timeout)


class LoopBell:
    """Wakes a task of the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._is_rung = False

    def ring(self) -> None:
        if self._is_rung:  # the loop is told once, however many commits there are before it looks
            return
        self._is_rung = True
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the loop is closed, so nobody waits
            pass

    def hush(self) -> None:
        self._event.clear()
        self._is_rung = False

    async def wait(self, timeout: float | None) -> bool:
        """Wait until it rings, or rang since `hush`; False if it did not in time."""
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return False
        return True


class Consumer:
    """Holds a subscription: nobody else has it while this object lives and was not released."""

    def __init__(self, keyspace: str, name: str, owner: bytes) -> None:
        self.key = (keyspace, name)
        self.owner = owner
        """Who it is; the same owner may take it over, as a client does that comes back after a cut."""
        self.is_lost = False
        """Its owner has taken it over elsewhere."""


class Hub:
    """Everyone who follows a feed of one node."""

    def __init__(self) -> None:
        self.is_closed = False
        self._bells: dict[str, WeakSet[Bell]] = {}
        self._consumers: WeakValueDictionary[tuple[str, str], Consumer] = WeakValueDictionary()
        self._lock = threading.Lock()

    def forked(self) -> None:
        """In a forked child: the lock may be held by a thread that is not here."""
        self._lock = threading.Lock()

    def add(self, keyspace: str, bell: Bell) -> None:
        """Ring ``bell`` after commits that changed the keyspace, for as long as it lives."""
        with self._lock:
            self._bells.setdefault(keyspace, WeakSet()).add(bell)

    def followed(self) -> list[str]:
        """The keyspaces that somebody follows."""
        return [keyspace for keyspace, bells in list(self._bells.items()) if bells]

    def ring(self, keyspace: str) -> None:
        """Wake those who follow a keyspace."""
        with self._lock:
            bells = list(self._bells.get(keyspace, ()))
        for bell in bells:
            bell.ring()

    def ring_all(self) -> None:
        """Wake everybody: something has happened to the node itself."""
        for keyspace in list(self._bells):
            self.ring(keyspace)

    def close(self) -> None:
        """End every iteration."""
        self.is_closed = True
        self.ring_all()

    def claim(self, keyspace: str, name: str, owner: bytes) -> Consumer:
        """Take a subscription. `SubscriptionInUse` if another owner has it."""
        with self._lock:
            held = self._consumers.get((keyspace, name))
            if held is not None and held.owner != owner:
                raise SubscriptionInUse(
                    f"subscription {name!r}: it has a consumer, and there is one at a time; close that one first"
                )
            if held is not None:
                held.is_lost = True
            consumer = Consumer(keyspace, name, owner)
            self._consumers[keyspace, name] = consumer
        if held is not None:
            self.ring(keyspace)
        return consumer

    def is_claimed(self, keyspace: str, name: str) -> bool:
        """Whether a subscription has a consumer."""
        return (keyspace, name) in self._consumers

    def let_go(self, keyspace: str, name: str, owner: bytes) -> None:
        """Its owner says that it is done with it, wherever its stream is."""
        held = self._consumers.get((keyspace, name))
        if held is not None and held.owner == owner:
            held.is_lost = True
            self.release(held)
            self.ring(keyspace)

    def release(self, consumer: Consumer) -> None:
        """Let go of a subscription."""
        with self._lock:
            if self._consumers.get(consumer.key) is consumer:
                del self._consumers[consumer.key]
