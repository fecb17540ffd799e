"""What goes beside the metrics: alerting rules, the dashboard and the guide name none that there is not, and miss none."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from gossamer import metrics
from gossamer.cli.main import main
from gossamer.metrics.catalogue import BY_NAME

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
NAME = re.compile(r"\bgossamer_[a-z_]+\b")


def known(name: str) -> bool:
    """Whether a metric, or a histogram's series, is called so."""
    if name in BY_NAME:
        return BY_NAME[name].kind != "histogram"
    base, _, last = name.rpartition("_")
    return last in ("bucket", "sum", "count") and base in BY_NAME and BY_NAME[base].kind == "histogram"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dashboard", ROOT / "tools" / "dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expressions() -> list[str]:
    found: dict[str, Any] = json.loads(metrics.dashboard())
    graphs = [panel for panel in found["panels"] if panel["type"] != "row"]
    return [target["expr"] for panel in graphs for target in panel["targets"]]


def test_every_metric_of_the_dashboard_exists() -> None:
    named = {name for expression in expressions() for name in NAME.findall(expression)}
    assert {name for name in named if not known(name)} == set()
    assert len(named) > 20


def test_the_dashboard_is_what_its_panels_make() -> None:
    assert metrics.dashboard() == tool().text(), "run make dashboard"


def test_no_panel_lies_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(metrics.dashboard())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_metric_of_the_rules_exists() -> None:
    rules = re.sub(r"#.*", "", metrics.alert_rules())
    named = set(NAME.findall(rules)) - {"gossamer_"}
    assert {name for name in named if not known(name)} == set()
    assert len(named) > 12


def test_the_guide_has_every_metric_and_alert() -> None:
    guide = (ROOT / "docs" / "monitoring.md").read_text()
    rows = dict(re.findall(r"^\| `(gossamer_\w+)` \| (.+) \|$", guide, re.MULTILINE))
    assert rows == {
        metric.name: f"{metric.kind} | {', '.join(metric.labels)} | {metric.help.removesuffix('.')}".replace(
            " |  | ", " | | "
        )
        for metric in metrics.METRICS
    }
    alerts = re.findall(r"- alert: (\w+)", metrics.alert_rules())
    assert re.findall(r"^\| `(Gossamer\w+)` ", guide, re.MULTILINE) == alerts


def test_the_command_prints_both() -> None:
    for name, text in (("rules", metrics.alert_rules()), ("dashboard", metrics.dashboard())):
        result = CliRunner().invoke(main, ["monitoring", name])
        assert (result.exit_code, result.output) == (0, text)


@pytest.fixture
def promtool(tmp_path: Path) -> Path:
    """A folder with the rules and their tests."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed; on Debian: apt install prometheus")
    (tmp_path / "gossamer.rules.yml").write_text(metrics.alert_rules())
    shutil.copy(HERE / "rules_test.yml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "args", [("check", "rules", "gossamer.rules.yml"), ("test", "rules", "rules_test.yml")]
)
def test_prometheus_takes_the_rules_and_they_fire_when_they_should(
    promtool: Path, args: tuple[str, ...]
) -> None:
    done = subprocess.run(["promtool", *args], cwd=promtool, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", metrics.alert_rules()))
    assert set(re.findall(r"alertname: (\w+)", (HERE / "rules_test.yml").read_text())) == alerts


def test_prometheus_takes_the_expressions_of_the_dashboard(promtool: Path) -> None:
    plain = [re.sub(r"\$__rate_interval", "5m", one) for one in expressions()]
    groups = [{"name": "g", "rules": [{"record": f"r{n}", "expr": one} for n, one in enumerate(plain)]}]
    (promtool / "dashboard.yml").write_text(json.dumps({"groups": groups}))  # JSON is YAML
    done = subprocess.run(
        ["promtool", "check", "rules", "dashboard.yml"],
        cwd=promtool,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
