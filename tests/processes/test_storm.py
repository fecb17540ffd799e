"""Twenty nodes that come back to one at once: its memory stays bounded, and they do not come in step."""

from __future__ import annotations

import logging
import random
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import gossamer

from .group import state_of
from .process import Serve
from .waiting import so, until

NODES = 20
VALUES, LARGE = 60, "x" * 100_000
"""What each node has for the one: 6 MB, so 120 in all. Each has a keyspace of its own, so that the one is all that is busy."""
GROWTH_BYTES_MAX = 80 * 1024**2
"""Of the one, while all of them come: windows of 1 MiB a link, as bytes and as values, and what is under way; not the 114 MiB of them all."""
BACK_S = 120.0
"""On a machine that does other things as well."""


@contextmanager
def nodes(folder: Path, hub: str) -> Iterator[list[gossamer.Node]]:
    """Nodes that can dial, and not be dialed."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                gossamer.open(
                    folder / f"n{n}", name=f"n{n}", peers=[hub], keyspaces=[f"k{n}"], host_default=False
                )
            )
            for n in range(NODES)
        ]


def steady_port() -> int:
    """A free port that no connection is given as its own: one that dials it while nobody listens may get it, and keep it."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(10_000, lowest), 50):
        with socket.socket() as it, suppress(OSError):
            it.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def away(hub: Serve) -> str:
    status = hub.client.status()
    lacking = [f"n{n}" for n in range(NODES) if state_of(status, f"n{n}") != "linked"]
    return f"{lacking} are not linked" if lacking else ""


def lacking(hub: Serve, spokes: list[gossamer.Node], peak: list[int]) -> str:
    """What the hub lacks; its heap is noted."""
    peak.append(hub.heap_bytes())
    held = hub.client.status()["keyspaces"]
    behind = [
        name
        for at, node in enumerate(spokes)
        if digest(held, name := f"k{at}") != digest(node.status()["keyspaces"], name)
    ]
    return f"the hub differs in {behind}" if behind else ""


def digest(keyspaces: dict[str, Any], name: str) -> str:
    return str(keyspaces[name]["digest"])


def write(node: gossamer.Node, at: int) -> None:
    for n in range(VALUES):
        node.keyspace(f"k{at}").register(f"{n}").set(LARGE)


def test_twenty_nodes_come_back_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Serve("hub", tmp_path) as hub:
        hosted = [word for n in range(NODES) for word in ("--keyspace", f"k{n}")]
        hub.start(*hosted, listen=f"127.0.0.1:{steady_port()}")
        with nodes(tmp_path, hub.address) as spokes:
            until(lambda: away(hub), BACK_S)
            so(
                lambda: all(state_of(node.status(), "hub") == "linked" for node in spokes),
                "half linked",
                BACK_S,
            )
            quiet = hub.heap_bytes()
            hub.kill()
            so(lambda: all(state_of(node.status(), "hub") == "away" for node in spokes), "not noticed")
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(write, spokes, range(NODES)))
            with caplog.at_level(logging.DEBUG, "gossamer"):
                so(lambda: len(pauses(caplog)) > 2 * NODES, "nobody dials")
            hub.start(*hosted, listen=hub.address)
            peak: list[int] = []
            took = until(lambda: lacking(hub, spokes, peak), BACK_S)
            until(lambda: away(hub), BACK_S)
            growth = max(peak) - quiet
            print(
                f"{NODES} nodes and {NODES * VALUES * len(LARGE) / 1e6:.0f} MB were here {took:.1f} s after the hub was "
                f"back, whose heap grew from {quiet / 1024**2:.0f} by at most {growth / 1024**2:.0f} MiB; pauses before dialing "
                f"{min(pauses(caplog)):.2f} to {max(pauses(caplog)):.2f} s"
            )
            assert growth < GROWTH_BYTES_MAX
            assert len(set(pauses(caplog))) > NODES // 2, "they dial in step"


def pauses(caplog: pytest.LogCaptureFixture) -> list[float]:
    """How long nodes were to wait before they dialed again."""
    found = (re.search(r"again in ([\d.]+) s", record.getMessage()) for record in caplog.records)
    return [float(one[1]) for one in found if one is not None]
