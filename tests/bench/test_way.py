"""Does the profile of a write's way to another node run, and does it know each stage?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench" / "way.py"


def test_each_stage_of_a_write_takes_its_time() -> None:
    command = [sys.executable, str(BENCH), "--writes", "20", "--durability", "relaxed"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    rows = [line.split("│")[1:3] for line in said.splitlines() if line.startswith("│")]
    took = {name.strip(): float(seconds) for name, seconds in rows if seconds.strip()}
    stages = list(took)
    assert (stages[0], stages[-1], len(stages)) == ("A taken", "all", 10)
    assert all(took[name] > 0 for name in ("A flushed", "A committed", "B heard", "B flushed", "B committed"))
