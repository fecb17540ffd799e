"""A caller's function inside a commit: it turns what a cell is in that very transaction into what is to be written.

What if it fails, or does what it must not? Whatever it raises is the caller's: nothing is written, and the caller
gets the very exception. It runs where everybody waits for it, so a write from inside, which would wait for itself,
is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from gossamer.crdt import Cell

from .backend import Change, Op

_running = threading.local()


class ChangeFailed(Exception):
    """The function raised. Never reaches a caller, who gets what it raised."""


class Changing:
    """One call of the function. A thread that commits calls it; `error` is for the caller."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self.error: BaseException | None = None

    def __call__(self, cell: Cell) -> Sequence[Op]:
        _running.is_inside = True
        try:
            return self._change(cell)
        except BaseException as error:  # SystemExit too: it must not end the writer's thread
            self.error = error
            raise ChangeFailed from error
        finally:
            _running.is_inside = False

    def raised(self) -> BaseException:
        """What the function raised."""
        assert self.error is not None, "it has not failed"
        return self.error


def check_outside() -> None:
    """`ValueError` inside a function that is being called: what it asks for would wait for the function itself."""
    if getattr(_running, "is_inside", False):
        raise ValueError("update: its function must not write or wait; it returns the new value")
