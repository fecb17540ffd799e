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


class Guarded(Protocol):
    """Something that a fork must not catch in the middle."""

    fork_lock: threading.Lock
    """Held while it must not be forked."""

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
        it.fork_lock.acquire()
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
