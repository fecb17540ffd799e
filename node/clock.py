"""The machine's clocks, read here and nowhere else; everything below takes the time as an argument."""

from __future__ import annotations

import time

from .turns import Instant


def system() -> Instant:
    """This moment."""
    return Instant(time.time_ns() // 1000, time.monotonic())
