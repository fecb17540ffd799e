"""What the machine is, and what everything else on it did meanwhile; if that is much, the figures are worth little."""

from __future__ import annotations

import os
import time
from pathlib import Path


class Machine:
    """Looks at the beginning; its text is of the time since then, once all processes of the run have ended."""

    def __init__(self) -> None:
        self._busy, self._own, self._at = _busy_s(), _own_s(), time.monotonic()

    def __str__(self) -> str:
        passed = time.monotonic() - self._at
        own = _own_s() - self._own
        others = max(0.0, _busy_s() - self._busy - own)
        return (
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end. The run used {own / passed:.2f} of a core "
            f"on average (six instances, the wires and the customers), everything else on the machine {others / passed:.2f}."
        )


def _busy_s() -> float:
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split()[1:11]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
