"""What breaks and when: a list of faults, each for so long, and the times of what was done.

What counts as a phase? The time from one deed to the next, under the name of what was broken or mended at its beginning.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from .cluster import Cluster
from .load.staff import Staff

CALM = "healthy"
SPLIT = ("orders-2", "inventory-2", "catalogue-2")
"""The half that is cut off from the other half."""


class Fault(msgspec.Struct, frozen=True):
    """Something broken for ``down_s`` seconds, and the ``up_s`` seconds that follow its mending."""

    what: str
    """``kill``, ``freeze``, ``cut off`` or ``split``"""
    who: tuple[str, ...]
    down_s: float
    up_s: float


class Phase(msgspec.Struct):
    """A stretch of the run."""

    kind: str
    """``healthy``, a fault, or ``after`` a fault."""
    who: str
    begin: float
    end: float = float("inf")
    mended: float = float("inf")
    """When a broken one was to be whole again: the process was started, or woken, or the wires healed."""

    @property
    def is_broken(self) -> bool:
        """Whether something was broken all the time."""
        return self.kind != CALM and not self.kind.startswith("after")


class Nemesis:
    """Breaks and mends. `phases` is what happened."""

    def __init__(self, cluster: Cluster, staff: Staff) -> None:
        self._cluster, self._staff = cluster, staff
        self.phases: list[Phase] = []

    def begin(self, kind: str, who: tuple[str, ...] = ()) -> None:
        """A new phase begins now."""
        now = time.time()
        if self.phases:
            self.phases[-1].end = now
        self.phases.append(Phase(kind, ", ".join(who), now))

    async def run(self, faults: list[Fault]) -> None:
        """One fault after the other."""
        for fault in faults:
            await self._break(fault)
            await asyncio.sleep(fault.down_s)
            self.phases[-1].mended = time.time()
            await self._mend(fault)
            self.begin(f"after {fault.what}", fault.who)
            await asyncio.sleep(fault.up_s)
            if fault.what == "split":
                await self._staff.review()

    async def _break(self, fault: Fault) -> None:
        self.begin(fault.what, fault.who)
        if fault.what == "kill":
            await self._cluster.kill(fault.who[0])
        elif fault.what == "freeze":
            self._cluster.freeze(fault.who[0])
        else:
            self._cluster.cut(list(fault.who))
        if fault.what == "split":
            await self._staff.disagree()

    async def _mend(self, fault: Fault) -> None:
        if fault.what == "kill":
            await self._cluster.start(fault.who[0])
        elif fault.what == "freeze":
            self._cluster.thaw(fault.who[0])
        else:
            self._cluster.heal()


def full(scale: float = 1.0) -> list[Fault]:
    """Each service killed, frozen and cut off once, one instance or the other, and at last all split in two halves."""

    def each(what: str, who: tuple[str, ...], down_s: float, up_s: float) -> list[Fault]:
        return [Fault(what, (one,), down_s * scale, up_s * scale) for one in who]

    return [
        *each("kill", ("orders-1", "inventory-2", "catalogue-1"), 5, 6),
        *each("freeze", ("orders-2", "inventory-1", "catalogue-2"), 8, 6),
        *each("cut off", ("orders-1", "inventory-2", "catalogue-2"), 8, 6),
        Fault("split", SPLIT, 12 * scale, 10 * scale),
    ]


def smoke() -> list[Fault]:
    """One kill and one split."""
    return [Fault("kill", ("inventory-1",), 1, 1), Fault("split", SPLIT, 3, 2)]
