"""Metrics of a node for Prometheus: a registry of its own for each node, and canaries that show how fast writes spread.

::

    from gossamer import metrics

    metrics.exposition(node)  # the text that Prometheus scrapes
    metrics.start_canary(node)  # and how long a write takes to be seen elsewhere
"""

from __future__ import annotations

import asyncio
import threading
from importlib import resources
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE

from ..config import check_address
from ..errors import Closed, ListenError
from ..limits import CANARY_EVERY_S, END_S_MAX
from ..node import Node
from .canary import Canary
from .catalogue import METRICS, Metric
from .collector import NodeCollector
from .server import start

_lock = threading.Lock()
_registries: WeakKeyDictionary[Node, CollectorRegistry] = WeakKeyDictionary()


def registry(node: Node) -> CollectorRegistry:
    """The node's registry, always the same one: add what you like, or register it with a server of your own."""
    with _lock:
        found = _registries.get(node)
        if found is None:
            found = _registries[node] = CollectorRegistry(auto_describe=False)
            found.register(NodeCollector(node))
        return found


def exposition(node: Node) -> str:
    """The metrics as text, in Prometheus' format. `Closed` once the node is closed."""
    return generate_latest(registry(node)).decode()


async def aexposition(node: Node) -> str:
    """`exposition`, in a thread of its own."""
    return await asyncio.get_running_loop().run_in_executor(None, exposition, node)


def start_canary(node: Node, every_s: float = CANARY_EVERY_S) -> Canary:
    """Write a canary every ``every_s`` seconds until the node closes, or `Canary.close` is called."""
    return Canary(node, every_s)


def serve(node: Node, address: str) -> str:
    """Serve the metrics over HTTP on a thread, until the node closes; the address with its real port.

    Whoever reaches it can read them: names of members, keyspaces and subscriptions, and no data. `ListenError` if it is taken.
    """
    host, _, port = check_address(address, "address", any_port=True).rpartition(":")
    try:
        server, thread = start(host, int(port), registry(node))
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {error}") from None

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(END_S_MAX)

    try:
        node.when_closed(stop)
    except Closed:
        stop()
        raise
    return f"{host}:{server.server_port}"


def alert_rules() -> str:
    """Alerting rules for Prometheus, as YAML."""
    return resources.files(__name__).joinpath("gossamer.rules.yml").read_text()


def dashboard() -> str:
    """A dashboard for Grafana, as JSON."""
    return resources.files(__name__).joinpath("dashboard.json").read_text()


__all__ = [
    "CONTENT_TYPE",
    "METRICS",
    "Canary",
    "Metric",
    "aexposition",
    "alert_rules",
    "dashboard",
    "exposition",
    "registry",
    "serve",
    "start_canary",
]
