"""A bad line: Ethernet frames on their way between a node and the others are delayed, lost, doubled and overtaken.

``python -m tests.processes.relay PORT TAP DELAY LOSS DOUBLE SEED``: frames from the device PORT go to a TAP device that is
made here, and back. It says ``ready`` when the TAP is there, and ends with its standard input. The kernel's own means for
this, netem, is not built in everywhere; a TAP is.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from itertools import count
from random import Random

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
ETH_P_ALL = 3
OUTGOING = 4
"""How a packet socket marks what this machine itself sends on the device."""
FRAME_BYTES = 65_536
WAITING_MAX = 1_000
"""Frames under way on a line at a time; more are lost, as in any queue."""


class Line:
    """One direction."""

    def __init__(
        self, send: Callable[[bytes], object], rng: Random, delay: float, loss: float, double: float
    ):
        self._send, self._rng = send, rng
        self._delay, self._loss, self._double = delay, loss, double
        self._numbers = count()
        self._waiting: list[tuple[float, int, bytes]] = []

    def take(self, frame: bytes, now: float) -> None:
        """A frame enters: once, twice or never comes out, each after a delay of its own."""
        copies = 0 if self._rng.random() < self._loss else 1 + (self._rng.random() < self._double)
        for _ in range(copies if len(self._waiting) < WAITING_MAX else 0):
            due = now + self._delay * self._rng.uniform(0.5, 1.5)
            heapq.heappush(self._waiting, (due, next(self._numbers), frame))

    def give(self, now: float) -> float | None:
        """Send what is due; when the next one is."""
        while self._waiting and self._waiting[0][0] <= now:
            try:
                self._send(heapq.heappop(self._waiting)[2])
            except OSError:  # the device is down, or the frame too long for it: lost
                pass
        return self._waiting[0][0] if self._waiting else None


def tap(name: str) -> int:
    """Make a TAP device; it goes when the handle is closed."""
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return handle


def relay(port: str, name: str, delay: float, loss: float, double: float, seed: int) -> None:
    """Until standard input ends."""
    rng, handle = Random(seed), tap(name)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as packets:
        packets.bind((port, 0))
        packets.setblocking(False)
        out = Line(lambda frame: os.write(handle, frame), rng, delay, loss, double)
        back = Line(packets.send, rng, delay, loss, double)
        print("ready", flush=True)
        due: float | None = None
        while True:
            patience = None if due is None else max(0.0, due - time.monotonic())
            ready, _, _ = select.select([packets, handle, sys.stdin], [], [], patience)
            if sys.stdin in ready:
                return
            now = time.monotonic()
            if packets in ready:
                frame, where = packets.recvfrom(FRAME_BYTES)
                if where[2] != OUTGOING:
                    out.take(frame, now)
            if handle in ready:
                back.take(os.read(handle, FRAME_BYTES), now)
            due = min((at for at in (out.give(now), back.give(now)) if at is not None), default=None)


if __name__ == "__main__":
    delay_, loss_, double_ = map(float, sys.argv[3:6])
    relay(sys.argv[1], sys.argv[2], delay_, loss_, double_, int(sys.argv[6]))
