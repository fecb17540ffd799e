"""How a customer's program asks the shop: at one instance, and once more at the other if that does not answer right.

Whose lateness counts? All of it: the time runs from when a request was meant to be sent, which is not put off because
an earlier one is late (an open loop), to the end of the right answer, retries and all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..services.model import INSTANCES
from .http import Answer, Pool

FIRST_S = 0.1
"""For the first answer. The rest of the second that an answer may take is for the other instance."""
ONLY_S = 0.9
"""For it where the other one is known not to answer: there is nothing better than to wait."""
SECOND_S = 0.85
RIGHT_S = 1.0
"""An answer that took longer is no answer."""
REST_S = 3.0
"""For which an instance that did not answer is asked second; then one request tries it again."""
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
        self._resting: dict[tuple[str, str], float] = {}
        """(instance, what it is bad at; "" is everything) -> until when."""
        self.samples: list[Sample] = []
        self.reasons: dict[str, int] = {}
        """Why a try failed, and how often."""

    def close(self) -> None:
        """End all connections."""
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
        targets = self._targets(what, service, number)
        has_other = not self._rests(targets[1], what, time.monotonic())
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

    def _targets(self, what: str, service: str, number: str) -> tuple[str, str]:
        first, second = f"{service}-{number}", f"{service}-{'2' if number == '1' else '1'}"
        now = time.monotonic()
        if self._rests(first, what, now) and not self._rests(second, what, now):
            return second, first
        for about in (what, ""):
            if (first, about) in self._resting:  # this one tries whether it is well again; others do not yet
                self._resting[first, about] = now + REST_S
        return first, second

    def _rests(self, instance: str, what: str, now: float) -> bool:
        return any(self._resting.get((instance, about), 0.0) > now for about in (what, ""))

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
            self._failed(target, "", f"{target} {type(error).__name__}")
            return None
        if answer.status >= 400:
            # One that lacks what this request needs may be all right for others.
            self._failed(target, what, f"{target} {what}: {answer.status}")
            return None
        if not right(msgspec.json.decode(answer.body)):
            self._failed(target, what, f"{target} {what}: wrong answer")
            return None
        self._resting.pop((target, what), None)
        self._resting.pop((target, ""), None)
        return answer

    def _failed(self, target: str, about: str, reason: str) -> None:
        self._resting[target, about] = time.monotonic() + REST_S
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


def _encoded(body: object) -> bytes:
    return b"" if body is None else msgspec.json.encode(body)
