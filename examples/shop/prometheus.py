"""A real Prometheus beside the shop: it scrapes all six instances and judges a copy of the project's alerting rules.

What is changed in the copy? Only how long a member may lack a write: seconds in place of five minutes, so that one can
watch the alert fire.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from gossamer import metrics

from .ports import free_ports

PROMISED = "gossamer_lag_seconds) > 300"
"""What the rule says of five minutes."""
ALERT = "GossamerNotVisible"


def is_installed() -> bool:
    """Whether there is one; on Debian: ``apt install prometheus``."""
    return shutil.which("prometheus") is not None


class Prometheus:
    """The process. A context manager."""

    def __init__(self, folder: Path, ports: Mapping[str, int], allowed_s: int) -> None:
        folder.mkdir()
        self._folder, self._port = folder, free_ports(1)[0]
        rules = metrics.alert_rules()
        assert PROMISED in rules
        (folder / "rules.yml").write_text(rules.replace(PROMISED, f"gossamer_lag_seconds) > {allowed_s}"))
        targets = [f"127.0.0.1:{port}" for port in ports.values()]
        settings = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": targets}]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(settings))  # JSON is YAML

    def __enter__(self) -> Self:
        with open(self._folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    "--config.file=prometheus.yml",
                    "--storage.tsdb.path=data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def scraped(self) -> int:
        """How many instances it hears."""
        found = self._get("/api/v1/query?query=sum(up)")
        return int(found["result"][0]["value"][1]) if found is not None and found["result"] else 0

    def firing(self) -> set[str]:
        """The members that lack writes for too long."""
        found = self._get("/api/v1/alerts") or {"alerts": []}
        return {
            one["labels"]["peer"]
            for one in found["alerts"]
            if one["labels"]["alertname"] == ALERT and one["state"] == "firing"
        }

    def _get(self, path: str) -> Any:
        """The data of an answer; None while it starts."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None
