"""What the machine is, and what everything else on it did meanwhile; if that is much, the figures are worth little."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
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


class Cpu:
    """What processes use, by name, though one of a name may end and another begin."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, float]] = {}
        self._used: dict[str, float] = {}
        self._began = time.monotonic()

    def look(self, pids: Mapping[str, int]) -> None:
        """Add what each has used since the last look."""
        for name, pid in pids.items():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            last_pid, last = self._last.get(name, (0, 0.0))
            if not self._last:
                self._began = time.monotonic()
            if last_pid:
                self._used[name] = self._used.get(name, 0.0) + used - (last if last_pid == pid else 0.0)
            self._last[name] = pid, used

    def cores(self) -> dict[str, float]:
        """Cores used, on average since the first look."""
        passed = time.monotonic() - self._began
        return {name: used / passed for name, used in self._used.items()}


def _busy_s() -> float:
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split()[1:11]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
