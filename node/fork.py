"""What a fork does to a node: the parent goes on as if nothing had happened, the child has no node.

Why not let the child use it? It has none of the node's threads, and LMDB's environment is the parent's: a
child could write through it unnoticed, and if a thread was in a write transaction at the fork, closing it
hangs. So a fork waits for the transaction that is under way, and the child's copy only says that it is closed.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class ForkLock:
    """Used in a ``with`` around what a fork must not catch in the middle; `hold` and `release` are the fork's.

    Python's locks are not fair: a busy thread takes one again before a waiting one has woken up. So there is a
    turnstile before the lock, which a waiting fork keeps shut.
    """

    def __init__(self) -> None:
        self._turnstile, self._lock = threading.Lock(), threading.Lock()

    def __enter__(self) -> None:
        with self._turnstile:
            pass
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def hold(self) -> None:
        """Wait until nobody is inside, and let nobody in."""
        self._turnstile.acquire()
        self._lock.acquire()

    def release(self) -> None:
        """Let them in again."""
        self._lock.release()
        self._turnstile.release()


class Guarded(Protocol):
    """Something that a fork must not catch in the middle."""

    fork_lock: ForkLock

    def forked(self, parent: int) -> None:
        """In the child: the parent's process id. Must not wait for anything."""


_guarded: WeakSet[Guarded] = WeakSet()
_registry = threading.Lock()
_held: list[Guarded] = []


def guard(it: Guarded) -> None:
    """Keep ``it`` from being caught in the middle by a fork, for as long as it lives."""
    with _registry:
        _guarded.add(it)


def _before() -> None:
    _registry.acquire()
    for it in _guarded:
        it.fork_lock.hold()
        _held.append(it)


def _release() -> list[Guarded]:
    held = list(_held)
    _held.clear()
    for it in held:
        it.fork_lock.release()
    _registry.release()
    return held


def _in_child() -> None:
    for it in _release():
        it.forked(os.getppid())


os.register_at_fork(before=_before, after_in_parent=_release, after_in_child=_in_child)
