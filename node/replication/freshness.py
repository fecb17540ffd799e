"""How stale a node may be: since when does it hold all that its peers had?

The question this answers: *how long ago, at most, was this node up to date?* A message says what its sender had when
it was sent, and nobody knows how long it was on its way. So a node asks: a question carries a number, the answer
repeats it, and with the answer comes the peer's vector. Once our vector covers that one, we hold all that the peer had
when the question left here. Only our own clock is used, and the answer may be as late as it likes::

    asked at 10.0 -> answered, vector V -> ours covers V at 10.4: until the next answer we are stale by now - 10.0

Questions and answers ride on what is said anyway (each `Tell` and `Ack`), so this costs a byte or two every few
seconds. A reader that cannot wait that long has the question sent at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from gossamer.crdt import Vector

NEVER = -math.inf
URGENT = 1
"""Added to twice a question's number: answer it at once."""


@dataclass
class Proof:
    """Since when we hold all that one peer had, in one keyspace."""

    at: float = NEVER
    """We hold all that the peer had at that time of our clock."""
    waiting: list[tuple[float, Vector]] = field(default_factory=list)
    """What it had at later times, and we may lack: the earliest such and the latest, since each is a step on."""

    def note(self, asked_at: float, theirs: Vector) -> None:
        """The peer answered a question of that time with that vector."""
        self.waiting[1:] = [(asked_at, theirs)] if self.waiting else []
        self.waiting = self.waiting or [(asked_at, theirs)]

    def settle(self, delivered: Vector) -> float:
        """`at`, now that we have delivered so much, durably."""
        while self.waiting and delivered.covers(self.waiting[0][1]):
            self.at = max(self.at, self.waiting.pop(0)[0])
        return self.at


@dataclass
class Asking:
    """Questions and answers of one keyspace on one link."""

    count: int = 0
    """Of the question that was sent last."""
    asked_at: float | None = None
    """When it was sent; None: it is answered, or none was sent."""
    is_urgent: bool = False
    """It asks for an answer at once."""
    is_wanted: bool = False
    """An urgent one is to be sent."""
    owed: int = 0
    """The number of the peer's question, to be repeated with our next news; 0: there is none."""
    is_owed_now: bool = False

    def want(self) -> bool:
        """Have an urgent question sent, unless one is under way; whether there is something to send."""
        self.is_wanted = self.is_wanted or self.asked_at is None or not self.is_urgent
        return self.is_wanted

    def ask(self, now: float) -> int:
        """The question to send with news now, 0 for none."""
        if self.asked_at is not None and not self.is_wanted:
            return 0
        self.count, self.asked_at, self.is_urgent, self.is_wanted = self.count + 1, now, self.is_wanted, False
        return 2 * self.count + (URGENT if self.is_urgent else 0)

    def on_question(self, question: int) -> None:
        """The peer asks."""
        if question:
            self.owed, self.is_owed_now = question, self.is_owed_now or question % 2 == URGENT

    def answer(self) -> int:
        """The answer to send with news now, 0 for none."""
        owed, self.owed, self.is_owed_now = self.owed, 0, False
        return owed

    def on_answer(self, answer: int) -> float | None:
        """When the question was asked that the peer answers; None if it is not the last one."""
        if self.asked_at is None or answer // 2 != self.count:
            return None
        asked_at, self.asked_at = self.asked_at, None
        return asked_at


def staleness(
    proofs: dict[bytes, Proof], delivered: Vector, ids: Iterable[bytes], now: float
) -> dict[bytes, float]:
    """Seconds by which we are stale at most, for each of the replicas ``ids``; infinite if nothing is known."""
    return {r: now - proofs[r].settle(delivered) if r in proofs else math.inf for r in ids}
