"""A simulated network and clock: what is sent arrives later, or twice, or not at all, as a seed decides.

The question this answers: *what happens next?* One heap of events in simulated time. Links are what the real
shell's are: ordered while nothing is wrong, and ended when something is noticed to be.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Weather:
    """How badly the network behaves. Probabilities are a message's, delays in seconds."""

    delay: tuple[float, float] = (0.0005, 0.005)
    loss: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0


CALM = Weather()


@dataclass
class Wire:
    """One connection between two nodes; each end knows it by a link id of its own."""

    ends: tuple[int, int]
    links: tuple[int, int]
    is_open: bool = True
    arrives_at: list[float] = field(default_factory=lambda: [0.0, 0.0])


class Clock:
    """Simulated time and the events in it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Do something at a time; what is due at one time happens in the order it was asked for."""
        self._count += 1
        heapq.heappush(self._heap, (max(when, self.now), self._count, what))

    def next_at(self) -> float | None:
        """When the next event is due."""
        return self._heap[0][0] if self._heap else None

    def step(self) -> bool:
        """Let the next event happen; False if there is none."""
        if not self._heap:
            return False
        self.now, _, what = heapq.heappop(self._heap)
        what()
        return True

    def run_until(self, when: float) -> None:
        """Let everything happen that is due by then."""
        while self._heap and self._heap[0][0] <= when:
            self.step()
        self.now = max(self.now, when)


class Network:
    """Who can reach whom, and what is on its way."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self.clock, self.rng = clock, rng
        self.weather = CALM
        self.bytes_sent = 0
        self.messages_sent = 0
        self._cut: set[frozenset[int]] = set()

    def is_cut(self, a: int, b: int) -> bool:
        """Whether nothing passes between two nodes."""
        return frozenset((a, b)) in self._cut

    def cut(self, a: int, b: int) -> None:
        """Let nothing pass between two nodes from now on."""
        self._cut.add(frozenset((a, b)))

    def heal(self) -> None:
        """Let everything pass again."""
        self._cut.clear()

    def send(self, wire: Wire, end: int, deliver: Callable[[], None], size: int) -> None:
        """Carry a message from one end of a wire, in this weather."""
        self.bytes_sent += size
        self.messages_sent += 1
        if self.is_cut(*wire.ends) or self.rng.random() < self.weather.loss:
            return
        when = self.clock.now + self.rng.uniform(*self.weather.delay)
        if self.rng.random() >= self.weather.reorder:
            when = max(when, wire.arrives_at[end])
            wire.arrives_at[end] = when
        self.clock.at(when, deliver)
        if self.rng.random() < self.weather.repeat:
            self.clock.at(when + self.rng.uniform(*self.weather.delay), deliver)
