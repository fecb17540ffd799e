"""Write ``node/metrics/dashboard.json``, a dashboard for Grafana, from the panels below. `make dashboard` runs it.

A test says when that was forgotten, and when a panel asks for a metric that there is not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

OUT = Path(__file__).resolve().parent.parent / "node" / "metrics" / "dashboard.json"
WIDTH, HEIGHT = 24, 8
"""Of the grid, in Grafana's columns; of a panel."""
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
JOB, KEYSPACE = 'job=~"$job"', 'job=~"$job", keyspace=~"$keyspace"'


class Panel(NamedTuple):
    """One graph."""

    title: str
    unit: str
    queries: dict[str, str]
    """Legend -> expression."""
    why: str = ""


def _quantile(q: float, metric: str, by: str) -> str:
    return f"histogram_quantile({q}, sum by ({by}) (rate({metric}_bucket{{{JOB}}}[$__rate_interval])))"


ROWS: dict[str, list[Panel]] = {
    "Does everybody have everything?": [
        Panel(
            "Behind, by member",
            "s",
            {
                "{{peer}} {{keyspace}}": f"max by (peer, keyspace) (gossamer_lag_seconds{{{KEYSPACE}}})",
            },
            "Age of the newest state that the member is known to have all of.",
        ),
        Panel(
            "Time until a write is seen",
            "s",
            {
                "{{peer}} p50": _quantile(0.5, "gossamer_visibility_seconds", "le, peer"),
                "{{peer}} p99": _quantile(0.99, "gossamer_visibility_seconds", "le, peer"),
            },
            "Of canaries: from the write here until this node knows that the member has it.",
        ),
        Panel(
            "Events that a linked member lacks",
            "short",
            {"{{instance}} to {{peer}} {{keyspace}}": f"gossamer_lag_events{{{KEYSPACE}}}"},
        ),
        Panel(
            "Links",
            "short",
            {"{{instance}} to {{peer}}": f"gossamer_peer_linked{{{JOB}}}"},
            "1: linked, 0: away.",
        ),
        Panel("Staleness", "s", {"{{instance}} of {{peer}}": f"gossamer_staleness_seconds{{{KEYSPACE}}}"}),
        Panel("Clock skew", "s", {"{{instance}}: {{peer}}": f"gossamer_peer_clock_skew_seconds{{{JOB}}}"}),
    ],
    "Work": [
        Panel(
            "Writes",
            "wps",
            {
                "{{instance}} {{keyspace}} {{outcome}}": "sum by (instance, keyspace, outcome) "
                f"(rate(gossamer_writes_total{{{KEYSPACE}}}[$__rate_interval]))"
            },
        ),
        Panel(
            "Reads",
            "rps",
            {
                "{{instance}} {{keyspace}} {{kind}}": "sum by (instance, keyspace, kind) "
                f"(rate(gossamer_reads_total{{{KEYSPACE}}}[$__rate_interval]))"
            },
        ),
        Panel(
            "Commit",
            "s",
            {
                "{{instance}} p50": _quantile(0.5, "gossamer_commit_seconds", "le, instance"),
                "{{instance}} p99": _quantile(0.99, "gossamer_commit_seconds", "le, instance"),
            },
        ),
        Panel(
            "Merge",
            "s",
            {
                "{{instance}} p50": _quantile(0.5, "gossamer_merge_seconds", "le, instance"),
                "{{instance}} p99": _quantile(0.99, "gossamer_merge_seconds", "le, instance"),
            },
        ),
        Panel(
            "Between nodes",
            "Bps",
            {
                "{{instance}} sent": f"rate(gossamer_sent_bytes_total{{{JOB}}}[$__rate_interval])",
                "{{instance}} received": f"rate(gossamer_received_bytes_total{{{JOB}}}[$__rate_interval])",
            },
        ),
        Panel(
            "Waiting",
            "short",
            {
                "{{instance}} for the writer": f"gossamer_write_queue{{{JOB}}}",
                "{{instance}} for others": f"gossamer_waiting{{{JOB}}}",
            },
        ),
    ],
    "What is kept": [
        Panel(
            "Store",
            "bytes",
            {
                "{{instance}}": f"gossamer_store_bytes{{{JOB}}}",
                "{{instance}} at most": f"gossamer_store_max_bytes{{{JOB}}}",
            },
        ),
        Panel(
            "Cells and rows",
            "short",
            {
                "{{instance}} {{keyspace}} cells": f"gossamer_cells{{{KEYSPACE}}}",
                "{{instance}} {{keyspace}} rows": f"gossamer_index_rows{{{KEYSPACE}}}",
            },
        ),
        Panel(
            "Clean-up is behind",
            "s",
            {"{{instance}} {{keyspace}}": f"gossamer_collection_lag_seconds{{{KEYSPACE}}}"},
        ),
        Panel(
            "Held back by", "short", {"{{peer}} {{keyspace}}": f"gossamer_collection_held_back{{{KEYSPACE}}}"}
        ),
        Panel(
            "Operations",
            "short",
            {"{{instance}} {{keyspace}} {{state}}": f"gossamer_operations{{{KEYSPACE}}}"},
        ),
        Panel(
            "Beaten values",
            "short",
            {
                "{{instance}} {{keyspace}}": f"increase(gossamer_beaten_values_total{{{KEYSPACE}}}[$__rate_interval])"
            },
        ),
    ],
    "Feeds": [
        Panel(
            "Subscriptions behind",
            "s",
            {"{{instance}} {{subscription}}": f"gossamer_subscription_lag_seconds{{{KEYSPACE}}}"},
        ),
        Panel("Feed", "bytes", {"{{instance}} {{keyspace}}": f"gossamer_feed_bytes{{{KEYSPACE}}}"}),
    ],
    "What should be zero": [
        Panel(
            "Damage",
            "short",
            {
                "{{instance}} {{keyspace}} damaged": f"gossamer_damaged_cells{{{KEYSPACE}}}",
                "{{instance}} {{keyspace}} healed": f"gossamer_healed_cells_total{{{KEYSPACE}}}",
                "{{instance}} store failed": f"gossamer_store_failed{{{JOB}}}",
            },
        ),
        Panel(
            "Doubt",
            "short",
            {
                "{{instance}} {{keyspace}} digests": f"gossamer_digest_mismatches_total{{{KEYSPACE}}}",
                "{{instance}} {{keyspace}} quarantined": f"gossamer_quarantined_cells_total{{{KEYSPACE}}}",
                "{{instance}} {{keyspace}} given up": f"gossamer_given_up_events{{{KEYSPACE}}}",
                "{{instance}} unmet": f"gossamer_unmet_peers{{{JOB}}}",
            },
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": _at(0, y, WIDTH, 1)})
        y += 1
        columns = 3 if len(row) > 2 else 2
        for index, panel in enumerate(row):
            where = _at(
                index % columns * WIDTH // columns, y + index // columns * HEIGHT, WIDTH // columns, HEIGHT
            )
            panels.append(_graph(len(panels) + 1, panel, where))
        y += (len(row) + columns - 1) // columns * HEIGHT
    return {
        "title": "Gossamer",
        "uid": "gossamer",
        "schemaVersion": 39,
        "tags": ["gossamer"],
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": panels,
    }


def _graph(number: int, panel: Panel, where: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.why,
        "datasource": SOURCE,
        "gridPos": where,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for index, (legend, expression) in enumerate(panel.queries.items())
        ],
    }


def _variables() -> list[dict[str, Any]]:
    def asked(name: str, query: str) -> dict[str, Any]:
        return {
            "name": name,
            "type": "query",
            "datasource": SOURCE,
            "query": query,
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "current": {"text": "All", "value": "$__all"},
        }

    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus"},
        asked("job", "label_values(gossamer_info, job)"),
        asked("keyspace", 'label_values(gossamer_events{job=~"$job"}, keyspace)'),
    ]


def _at(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def text() -> str:
    """What is in the file."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    OUT.write_text(text())
    print(OUT, file=sys.stderr)
