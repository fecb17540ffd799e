"""How a customer's program asks the shop: at one instance, and once more at the other if that does not answer right.

Whose lateness counts? All of it: the time runs from when a request was meant to be sent, which is not put off because
an earlier one is late (an open loop), to the end of the right answer, retries and all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..services.model import INSTANCES
from .http import Answer, Pool

FIRST_S = 0.3
"""For the first answer. The rest of the second that an answer may take is for the other instance."""
ONLY_S = 0.9
"""For it where the other one is known not to answer: there is nothing better than to wait."""
SECOND_S = 0.65
RIGHT_S = 1.0
"""An answer that took longer is no answer."""
STRIKES = 2
"""Tries in a row that failed, after which an instance is not asked first any more: a single late answer is mere bad luck."""
LOOK_S, LOOKED_S = 0.3, 0.2
"""Between two looks whether an instance that did not answer is well again, and for its answer. Until then it is asked second: as a
load balancer's health checks do, so that no customer's request has to find out."""
TOKEN = "gossamer-token"
LAST_TRY = "shop-last-try"
"""Says that there is nobody else to ask, so an instance may take its time."""

Right = Callable[[Any], bool]


class Sample(NamedTuple):
    """One request, as its customer sees it."""

    meant_at: float
    """When it was to be sent, seconds since 1970."""
    took_s: float
    what: str
    is_right: bool
    tries: int


class Wrong(Exception):
    """No right answer from either instance."""


class Desk:
    """Sends requests, and keeps a `Sample` of each."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._pools = {name: Pool(ports[name]) for name in INSTANCES}
        self._resting: dict[str, asyncio.Task[None]] = {}
        """Instance -> who looks whether it is well again."""
        self._strikes: dict[str, int] = {}
        self.samples: list[Sample] = []
        self.reasons: dict[str, int] = {}
        """Why a try failed, and how often."""

    def close(self) -> None:
        """End all connections."""
        for task in self._resting.values():
            task.cancel()
        for pool in self._pools.values():
            pool.close()

    async def one(self, instance: str, method: str, path: str, body: object = None) -> Any:
        """One request to one instance, not sampled; its JSON. `OSError`, `TimeoutError` or `Wrong`."""
        answer = await self._pools[instance].request(method, path, _encoded(body), {}, 60.0)
        if answer.status >= 400:
            raise Wrong(f"{instance} {method} {path}: {answer.status} {answer.body[:300]!r}")
        return (
            msgspec.json.decode(answer.body or b"null")
            if "json" in answer.headers.get("content-type", "")
            else None
        )

    async def ask(
        self,
        what: str,
        service: str,
        number: str,
        method: str,
        path: str,
        *,
        body: object = None,
        key: str | None = None,
        token: str | None = None,
        right: Right = bool,
        meant_at: float | None = None,
    ) -> tuple[Any, str | None]:
        """The right answer's JSON and token, or `Wrong`."""
        began = time.time() if meant_at is None else meant_at
        sent = {
            name: value for name, value in (("idempotency-key", key), (TOKEN, token)) if value is not None
        }
        targets = self._targets(service, number)
        has_other = targets[1] not in self._resting
        tried = targets, (FIRST_S if has_other else ONLY_S, SECOND_S), (False, True)
        for tries, (target, timeout_s, is_last) in enumerate(zip(*tried, strict=True), 1):
            last = {LAST_TRY: "1"} if is_last or not has_other else {}
            request = method, path, _encoded(body), sent | last
            answer = await self._try(what, target, request, timeout_s, right)
            if answer is not None:
                took = time.time() - began
                self.samples.append(Sample(began, took, what, took <= RIGHT_S, tries))
                return msgspec.json.decode(answer.body), answer.headers.get(TOKEN)
        self.samples.append(Sample(began, time.time() - began, what, False, 2))
        raise Wrong(f"{method} {path}")

    def _targets(self, service: str, number: str) -> tuple[str, str]:
        first, second = f"{service}-{number}", f"{service}-{'2' if number == '1' else '1'}"
        return (second, first) if first in self._resting and second not in self._resting else (first, second)

    async def _try(
        self,
        what: str,
        target: str,
        request: tuple[str, str, bytes, dict[str, str]],
        timeout_s: float,
        right: Right,
    ) -> Answer | None:
        try:
            answer = await self._pools[target].request(*request, timeout_s)
        except (OSError, TimeoutError) as error:
            self._failed(f"{target} {type(error).__name__}")
            self._strike(target)
            return None
        if answer.status >= 400:
            self._failed(f"{target} {what}: {answer.status}")
            if answer.status >= 500:  # else it lacks what this request needs, and may be all right for others
                self._strike(target)
            return None
        if not right(msgspec.json.decode(answer.body)):
            self._failed(f"{target} {what}: wrong answer")
            return None
        self._strikes.pop(target, None)
        return answer

    def _failed(self, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def _strike(self, instance: str) -> None:
        self._strikes[instance] = self._strikes.get(instance, 0) + 1
        if self._strikes[instance] >= STRIKES and instance not in self._resting:
            self._resting[instance] = asyncio.create_task(self._look_after(instance))

    async def _look_after(self, instance: str) -> None:
        """Until it says that it is well."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                answer = await self._pools[instance].request("GET", "/shop/well", b"", {}, LOOKED_S)
            except (OSError, TimeoutError):
                continue
            if answer.status == 200:
                del self._resting[instance]
                self._strikes.pop(instance, None)
                return


def _encoded(body: object) -> bytes:
    return b"" if body is None else msgspec.json.encode(body)
