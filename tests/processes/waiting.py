"""Waiting for what another process does: look again until it is so, or say what lacked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Event

LOOK_EVERY_S = 0.02
PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))
"""How many times as long as elsewhere one waits on this machine, if other work takes its processors."""
DEADLINE_S = 30.0 * PATIENCE
"""For what must come, however busy the machine is; figures of the tests have deadlines of their own."""


def until(lacking: Callable[[], str], seconds: float = DEADLINE_S) -> float:
    """Look until ``lacking`` says nothing; the seconds that took. `AssertionError`, with the last that it said,
    after ``seconds``."""
    began, pause = time.monotonic(), Event()
    while lack := lacking():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds:g} s: {lack}")
        pause.wait(LOOK_EVERY_S)
    return time.monotonic() - began


def so(condition: Callable[[], bool], what: str, seconds: float = DEADLINE_S) -> float:
    """`until` for a condition: ``what`` says what is waited for."""
    return until(lambda: "" if condition() else what, seconds)
