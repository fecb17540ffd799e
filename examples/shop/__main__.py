"""Run the shop, break it, and say whether it kept what was asked of it: ``python -m examples.shop``.

The exit code is 0 if every requirement is met. With ``--smoke`` the run is small, and only what does not depend on the
machine's speed counts: that every order is right in the end.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from . import figures, report
from .course import Course, Findings, Plan
from .machine import Machine
from .nemesis import full, smoke

ORDERS_PER_S = 17.8
"""Visits, of which some four in five are an order in the time that is measured, of some 115 cells: 100,000 a minute."""


def main() -> int:
    """Run it; the exit code."""
    options = _options()
    if options.smoke:
        plan = Plan(5.0, 1.0, 1.0, smoke())
    else:
        plan = Plan(options.orders_per_s, 10.0, 30.0 * options.scale, full(options.scale))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="gossamer-shop-") as folder:
        machine = Machine()
        gc.freeze()  # what was imported is not looked through again while customers wait
        found = uvloop.run(Course(plan, Path(folder), say).run())
        found.machine = str(machine)
    return _end(found, options, say)


def _end(found: Findings, options: argparse.Namespace, say: report.Say) -> int:
    if options.smoke:
        print("A small run: what it says of speed means nothing.\n")
        print(report.markdown(found, with_plots=False))
        return 0 if figures.correct(found) else 1
    path = report.write(found, options.report)
    for line in figures.lines(found):
        say(f"{'met   ' if line.is_met else 'MISSED'}  {line.name}: {line.measured} (wanted: {line.wanted})")
    for wrong in found.wrong[:20]:
        say(f"WRONG  {wrong}")
    say(f"{path} has the rest")
    return 0 if all(line.is_met for line in figures.lines(found)) and not found.wrong else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.shop", description="a shop without a broker, measured"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="a small run, of seconds; no requirement of speed counts"
    )
    parser.add_argument(
        "--orders-per-s", type=float, default=ORDERS_PER_S, help="visits that begin in a second"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="stretches the phases")
    parser.add_argument(
        "--report", type=Path, default=Path("build/shop"), help="folder for the report and its plots"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
