"""The course of a run: open the shop, let customers in, break things, let it come to rest, look at everything.

What is measured where? Latency and availability by the customers, convergence by each service as changes reach it,
committed cells by the services' own transactions. What a killed process had not been asked for yet is not counted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from . import audit
from .cluster import Cluster
from .load.buyers import Buyers, Ledger
from .load.desk import Desk, Sample, Wrong
from .load.staff import Staff
from .machine import Cpu
from .nemesis import CALM, Fault, Nemesis, Phase
from .services.model import INSTANCES

ASK_S = 1.0
"""Between two times that every instance is asked for what it measured."""
REST_S = 60.0
"""For all to come to rest after the last customer; the promise is 5 minutes, and 10 s after a heal."""


class Plan(msgspec.Struct, frozen=True):
    """How much, how long, and what breaks."""

    orders_per_s: float
    warm_up_s: float
    healthy_s: float
    faults: list[Fault]


class Lag(msgspec.Struct, frozen=True):
    """How long a change took from one instance to another."""

    keyspace: str
    by: str
    instance: str
    committed: float
    visible: float


class Findings(msgspec.Struct):
    """All that a run has found."""

    plan: Plan
    phases: list[Phase] = []
    samples: list[Sample] = []
    lags: list[Lag] = []
    cells: list[tuple[float, dict[str, int]]] = []
    """(when, keyspace -> cells committed so far)."""
    reasons: dict[str, int] = {}
    wrong: list[str] = []
    rested_s: float = 0.0
    """From the last customer's last answer until all instances were equal and every saga at its end."""
    orders: int = 0
    stages: dict[str, int] = {}
    double: int = 0
    """Orders that both inventory instances had reserved for, of which one gave back."""
    contested: int = 0
    found: int = 0
    conflicts: int = 0
    cpu: dict[str, float] = {}
    """Cores used, on average, by whom."""
    machine: str = ""


Say = Callable[[str], None]


class Course:
    """One run, in a folder of its own."""

    def __init__(self, plan: Plan, folder: Path, say: Say) -> None:
        self._plan, self._folder, self._say = plan, folder, say
        self.findings = Findings(plan)
        self._counted: dict[str, dict[str, int]] = {}
        self._total: dict[str, int] = {}
        self._cpu = Cpu()

    async def run(self) -> Findings:
        """All of it."""
        async with Cluster(self._folder) as self._cluster:
            self._desk, self._ledger = Desk(self._cluster.ports), Ledger()
            self._staff = Staff(self._desk)
            self._nemesis = Nemesis(self._cluster, self._staff)
            try:
                await self._all()
            finally:
                self._desk.close()
        return self.findings

    async def _all(self) -> None:
        await self._linked()
        self._say("six instances are linked; the shop opens")
        self._nemesis.begin("warm-up")
        await self._staff.open_shop()
        await self._until(self._is_stocked, "first prices and stock are everywhere")
        gatherer = asyncio.create_task(self._gather())
        buyers = Buyers(self._desk, self._ledger)
        self._staff.start()
        coming = asyncio.create_task(buyers.run(self._plan.orders_per_s))
        await self._faults()
        coming.cancel()
        await buyers.done()
        await self._staff.stop()
        gatherer.cancel()
        await self._rest()

    async def _faults(self) -> None:
        await asyncio.sleep(self._plan.warm_up_s)
        self._nemesis.begin(CALM)
        self._say("healthy")
        await asyncio.sleep(self._plan.healthy_s)
        try:
            await self._nemesis.run(self._plan.faults)
        except (OSError, TimeoutError, RuntimeError, Wrong) as error:
            self.findings.wrong.append(f"the nemesis ended: {error or type(error).__name__}")
            self._cluster.heal()
            self._cluster.thaw_all()
        self._nemesis.begin("end")
        self._say("everything was broken and mended")

    async def _linked(self) -> None:
        async def are_linked() -> bool:
            statuses = await self._statuses()
            return all(
                sum(member["state"] == "linked" for member in status["members"]) == len(INSTANCES) - 1
                for status in statuses.values()
            )

        await self._until(are_linked, "all are linked")

    async def _is_stocked(self) -> bool:
        return not audit.unequal(await self._statuses())

    async def _statuses(self) -> dict[str, dict[str, Any]]:
        return dict(
            zip(
                INSTANCES,
                await asyncio.gather(*(self._desk.one(name, "GET", "/shop/status") for name in INSTANCES)),
                strict=True,
            )
        )

    # What is measured

    async def _gather(self) -> None:
        while True:
            await asyncio.sleep(ASK_S)
            await self._ask_all()

    async def _ask_all(self) -> None:
        self._cpu.look({**self._cluster.pids(), "customers": os.getpid()})
        await asyncio.gather(*(self._ask(name) for name in INSTANCES))
        self.findings.cells.append((time.time(), dict(self._total)))

    async def _ask(self, name: str) -> None:
        try:
            async with asyncio.timeout(ASK_S / 2):
                found = await self._desk.one(name, "GET", "/shop/measured")
        except (OSError, TimeoutError, Wrong):
            return
        self._count(name, found["cells"])
        self.findings.lags += [Lag(k, by, name, at, seen) for k, by, at, seen in found["lags"]]

    def _count(self, name: str, cells: dict[str, int]) -> None:
        before = self._counted.get(name, {})
        if any(cells.get(keyspace, 0) < count for keyspace, count in before.items()):
            before = {}  # it was killed, and counts from the beginning
        for keyspace, count in cells.items():
            kind = "views" if keyspace.startswith("view") else keyspace
            self._total[kind] = self._total.get(kind, 0) + count - before.get(keyspace, 0)
        self._counted[name] = cells

    # The end

    async def _rest(self) -> None:
        began, found = time.monotonic(), self.findings
        await self._expect(self._is_at_rest, "all are equal and every saga is at its end")
        found.rested_s = time.monotonic() - began
        await self._staff.review()
        await self._expect(self._is_stocked, "what the reviewer picked is everywhere")
        await self._ask_all()
        statuses, dumps = await self._statuses(), await self._dumps()
        found.wrong += audit.wrong(dumps, statuses, self._ledger, self._staff)
        found.wrong += [f"{name} ended by itself" for name in self._cluster.ended()]
        found.phases, found.samples, found.reasons = (
            self._nemesis.phases,
            self._desk.samples,
            self._desk.reasons,
        )
        found.cpu = self._cpu.cores()
        found.orders = len(self._ledger.orders)
        found.contested, found.found = self._staff.contested, self._staff.found
        self._tally(dumps)

    def _tally(self, dumps: dict[str, dict[str, Any]]) -> None:
        stages: dict[str, int] = {}
        for stage in dumps["orders-1"]["saga"].values():
            stages[stage] = stages.get(stage, 0) + 1
        self.findings.stages = stages
        records = dumps["inventory-1"]["reservations"].values()
        self.findings.double = sum(
            {"released", "sold"} <= {one["state"] for one in of_order.values()} for of_order in records
        )
        self.findings.conflicts = dumps["catalogue-1"]["conflicts"]

    async def _dumps(self) -> dict[str, dict[str, Any]]:
        return {name: await self._desk.one(name, "GET", "/shop/dump") for name in INSTANCES}

    async def _is_at_rest(self) -> bool:
        if audit.unequal(await self._statuses()):
            return False
        dumps = await self._dumps()
        return not any(line for line in audit.unfinished(dumps))

    async def _expect(self, condition: Callable[[], Any], what: str) -> None:
        """What does not come is a finding, and the run goes on, so that it has a report."""
        try:
            await self._until(condition, what)
        except TimeoutError as error:
            self.findings.wrong.append(str(error))

    async def _until(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + REST_S
        while not await condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {REST_S:.0f} s: {what}")
            await asyncio.sleep(0.2)


__all__ = ["Course", "Findings", "Lag", "Plan"]
