"""Does a real Prometheus say so when an instance of the shop is cut off, and is it quiet again afterwards?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.shop.cluster import Cluster
from examples.shop.load.desk import Desk
from examples.shop.prometheus import Prometheus, is_installed

ALLOWED_S = 5
PATIENCE_S = 120.0


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, f"never: {what}"
        await asyncio.sleep(0.5)


@pytest.mark.skipif(
    not is_installed(), reason="prometheus is not installed; on Debian: apt install prometheus"
)
async def test_the_alert_fires_while_an_instance_is_cut_off_and_clears_after(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        desk = Desk(cluster.ports)
        with Prometheus(tmp_path / "prometheus", cluster.ports, ALLOWED_S) as prometheus:
            await until(lambda: prometheus.scraped() == len(cluster.ports), "all are scraped")
            await desk.one("inventory-1", "GET", "/gossamer/")  # the status page is there
            await desk.one("inventory-1", "PUT", "/deliveries/first", {"goods": {"cd-000": 1}})
            await until(lambda: not prometheus.firing(), "quiet")
            cluster.cut(["inventory-2"])
            await desk.one("inventory-1", "PUT", "/deliveries/second", {"goods": {"cd-000": 1}})
            await until(lambda: "inventory-2" in prometheus.firing(), "an alert for what is cut off")
            cluster.heal()
            await until(lambda: not prometheus.firing(), "quiet again")
        desk.close()
