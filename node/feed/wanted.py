"""What a reader asks for, checked in one place."""

from __future__ import annotations

import math
from typing import NamedTuple

from .scope import Scope

EXPIRED = ("raise", "snapshot")


class Wanted(NamedTuple):
    """Made by `of`."""

    scope: Scope
    since: str | None = None
    snapshot: bool = True
    """Without a cursor: begin with what there is, and not with what comes."""
    timeout: float | None = None
    """Seconds without a change after which the iteration ends; None for never."""
    expired: str = "raise"
    """When the cursor has expired: raise, or begin again with a snapshot."""
    resume: bool = True
    """From a remote node: go on after a cut."""


def of(
    prefix: str = "",
    since: str | None = None,
    *,
    inside: bytes = b"",
    snapshot: bool = True,
    timeout: float | None = None,
    expired: str = "raise",
    resume: bool = True,
) -> Wanted:
    """A checked wish. `TypeError` or `ValueError` names what is wrong."""
    if timeout is not None:
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
            raise TypeError(f"timeout: seconds are wanted, not {type(timeout).__name__}")
        if not 0 <= timeout < math.inf:
            raise ValueError(f"timeout: {timeout} s is not at least 0 and finite")
    for name, given in (("snapshot", snapshot), ("resume", resume)):
        if not isinstance(given, bool):
            raise TypeError(f"{name}: true or false is wanted, not {type(given).__name__}")
    if expired not in EXPIRED:
        raise ValueError(f"expired: {expired!r} is not one of {', '.join(EXPIRED)}")
    if since is not None and not isinstance(since, str):
        raise TypeError(f"since: a cursor, which is a str, is wanted, not {type(since).__name__}")
    if since == "":
        raise ValueError("since: '' is not a cursor")
    return Wanted(Scope(prefix, inside), since, snapshot, timeout, expired, resume)
