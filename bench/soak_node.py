"""One node of the soak as a process: it writes at a rate, and says every so often what it costs by now.

What does it write? Updates of the same names for ever, one event each: registers of 10,000 names, counters, and elements of
a set, which come and go. Values that a concurrent write beat are noted, and notes are kept up to a count: 10,000 of them, as
they are by default, would take longer to gather than a soak's first third, and until then the file grows by them. So these
nodes keep fewer, and after the first minutes nothing may grow any more. What it is told: its settings, as
JSON; a line on its input ends the writing, and the end of its input the node.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import time
from collections.abc import Awaitable
from typing import Any

import gossamer
from measure import heap_bytes

NAMES = 10_000
COUNTERS = ELEMENTS = 1_000
NOTES = 500
"""Of beaten values. Some hundreds came in a minute where it was measured."""
BURST_S = 0.1
"""What is due is written together, so often."""


def main() -> None:
    """The settings: data, name, listen, peers, per_second, sample_s."""
    settings = json.loads(sys.argv[1])
    stopped, ended = threading.Event(), threading.Event()
    threading.Thread(target=_listen, args=(stopped, ended), daemon=True).start()
    with gossamer.open(
        settings["data"],
        name=settings["name"],
        listen=settings["listen"],
        peers=settings["peers"],
        conflicts_max=NOTES,
    ) as node:
        load = Load(node, settings["per_second"], settings["sample_s"], settings["name"])
        asyncio.run(load.run(stopped))
        while not ended.wait(settings["sample_s"]):
            load.say()


class Load:
    """Its writes, and how many they were."""

    def __init__(self, node: gossamer.Node, per_second: float, sample_s: float, name: str) -> None:
        self._node, self._per_second, self._sample_s = node, per_second, sample_s
        self._rng = random.Random(name)
        self._written = 0
        self._began = time.monotonic()

    async def run(self, stopped: threading.Event) -> None:
        """Write until told to stop. What is late is made up for only within a burst, so a stall stays visible."""
        due, said, before = 0.0, 0.0, time.monotonic()
        while not stopped.is_set():
            began = time.monotonic()
            due = min(due + self._per_second * (began - before), 2 * self._per_second * BURST_S)
            before = began
            count = int(due)
            due -= count
            await asyncio.gather(*(self._update() for _ in range(count)))
            self._written += count
            if began - said >= self._sample_s:
                said = began
                await asyncio.to_thread(self.say)
            await asyncio.sleep(max(0.0, BURST_S - (time.monotonic() - began)))

    def _update(self) -> Awaitable[Any]:
        rng, node = self._rng, self._node
        which = rng.random()
        if which < 0.7:
            return node.register(f"r{rng.randrange(NAMES)}").aset(rng.randbytes(32))
        if which < 0.9:
            return node.counter(f"c{rng.randrange(COUNTERS)}").aadd(1)
        elements = node.set("s")
        return (elements.aadd if which < 0.95 else elements.aremove)(rng.randrange(ELEMENTS))

    def say(self) -> None:
        """A sample, as a line of JSON."""
        status = self._node.status()
        held = status["keyspaces"]["default"]
        sample = {
            "at": time.monotonic() - self._began,
            "written": self._written,
            "heap": heap_bytes(),
            "file": status["store_bytes"],
            "rows": held["rows"],
            "beaten": held["beaten"],
            "cells": held["cells"],
            "events": held["events"],
            "digest": held["digest"],
        }
        print(json.dumps(sample), flush=True)


def _listen(stopped: threading.Event, ended: threading.Event) -> None:
    sys.stdin.readline()
    stopped.set()
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main()
