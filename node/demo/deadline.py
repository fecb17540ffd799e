"""Waiting for what processes do, without guessing how long it takes: look again until it is so, or say what lacks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..errors import GossamerError

LOOK_EVERY_S = 0.03


class Late(GossamerError):
    """A step of the demonstration did not come to its end in time."""


def until(lacking: Callable[[], str], what: str, seconds: float) -> float:
    """Look until ``lacking`` says nothing; the seconds that took. `Late`, with the last that it said, after
    ``seconds``."""
    began = time.monotonic()
    pause = threading.Event()
    while lack := lacking():
        if time.monotonic() - began > seconds:
            raise Late(f"{what}: not within {seconds:g} s: {lack}")
        pause.wait(LOOK_EVERY_S)
    return time.monotonic() - began
