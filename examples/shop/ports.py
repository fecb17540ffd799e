"""Ports to listen on, for processes that are told beforehand."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

PORTS = range(10_000, 32_768)
"""Of which those that are listened on are drawn. Linux gives connections that go out ports above them: one of those would be
free now, and perhaps taken by another process's connection a moment later."""


def free_ports(count: int) -> list[int]:
    """So many that nobody listens on. `RuntimeError` if there are not."""
    with ExitStack() as held:  # until all are found, so that they differ
        found: list[int] = []
        for port in random.sample(PORTS, len(PORTS)):
            one = held.enter_context(socket.socket())
            try:
                one.bind(("127.0.0.1", port))
            except OSError:  # taken
                continue
            found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError(f"not {count} ports of {PORTS.start} to {PORTS.stop - 1} are free")
