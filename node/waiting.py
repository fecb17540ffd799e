"""What a caller may wait for, the arguments checked, and what is said when it did not come in time.

A wait is plain data, so that it travels to a remote node; what it asks is answered by `knowledge`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from .errors import GossamerError, TooStale, WaitTimeout
from .limits import WAIT_S_MAX
from .replication import replicated
from .replication.replicated import Peers
from .turns import Instant


class Covered(NamedTuple):
    """This node has everything that the token's node had."""

    token: str


class Replicated(NamedTuple):
    """So many members have the token's events on disk."""

    token: str
    peers: Peers


class Fresh(NamedTuple):
    """This node has all that every member had so many seconds ago."""

    max_staleness: float


Wait = Covered | Replicated | Fresh


class Until:
    """One who waits: ``lacks`` is asked on the writer thread after each turn, until it says None."""

    def __init__(self, lacks: Callable[[Instant], str | None]) -> None:
        self.lacks = lacks
        self.why = "nothing was found out"
        """What was missing when it was asked last."""
        self.is_over = False
        """Nobody waits any more."""


def check(wait: Wait) -> Wait:
    """The wait itself. `TypeError` or `ValueError` names the argument that is wrong; a token is judged by the node."""
    if isinstance(wait, Fresh):
        _seconds("max_staleness", wait.max_staleness)
        if not wait.max_staleness > 0:
            raise ValueError(f"max_staleness: {wait.max_staleness} s is not above 0")
        return wait
    if not isinstance(wait.token, str):
        raise TypeError(f"token: a str is wanted, not {type(wait.token).__name__}")
    if isinstance(wait, Replicated):
        replicated.check(wait.peers)
    return wait


def check_timeout(timeout: float) -> float:
    """The timeout itself. `TypeError` or `ValueError` says what is wrong with it."""
    _seconds("timeout", timeout)
    if not 0 <= timeout <= WAIT_S_MAX:
        raise ValueError(f"timeout: {timeout} s is not between 0 and {WAIT_S_MAX:g}")
    return timeout


def too_late(wait: Wait, keyspace: str, timeout: float, why: str) -> GossamerError:
    """What to raise for a wait that was not over in time, and why it was not."""
    if isinstance(wait, Fresh):
        return TooStale(f"keyspace {keyspace!r}: {why}")
    return WaitTimeout(f"keyspace {keyspace!r}: not within {timeout:g} s: {why}")


def _seconds(name: str, seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name}: seconds are wanted, not {type(seconds).__name__}")
    if isinstance(seconds, float) and math.isnan(seconds):  # which raises for an int beyond every float
        raise ValueError(f"{name}: not a number")
