"""336,776 flights through three nodes: do they agree with each other, and with the file?

Three processes, EWR, JFK and LGA, each take in their own airport's flights at the same time. JFK is cut off for
the middle third of its flights, and killed with SIGKILL halfway through them and started again. In the end all
three must hold the same, and every figure must be the one that plain Python computes from the file::

    python bench/flights.py [--rows N] [--smoke]

The exit code is 0 if nothing differs; what differs is named.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from flights_data import ROWS
from flights_ingest import BATCH_ROWS
from flights_run import Run
from measure import Load

SMOKE_ROWS, SMOKE_BATCH_ROWS = 3_000, 25


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(description="flights through three nodes, checked against the file")
    parser.add_argument("--rows", type=int, default=ROWS, help="the first so many flights of the file only")
    parser.add_argument("--batch", type=int, default=BATCH_ROWS, help="flights in a transaction")
    parser.add_argument("--smoke", action="store_true", help="a small run, of seconds")
    options = parser.parse_args()
    limit, batch = (SMOKE_ROWS, SMOKE_BATCH_ROWS) if options.smoke else (options.rows, options.batch)
    console, load = Console(), Load()
    with tempfile.TemporaryDirectory(prefix="gossamer-flights-") as scratch:
        wrong = Run(limit, batch, Path(scratch), console).all()
    console.print(str(load))
    for line in wrong:
        console.print(f"WRONG {line}", markup=False, highlight=False)
    if not wrong:
        console.print("The three nodes are equal, and every figure is the one of the file.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
