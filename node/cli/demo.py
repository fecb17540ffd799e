"""``demo``: three nodes on this machine, to look at and to break."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click


@click.command()
@click.option("--script", is_flag=True, help="One fixed round without keys; exit 0 if all replicas agree.")
@click.option(
    "--deadline",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds that each step may take.",
)
def demo(script: bool, deadline: float) -> None:
    """Start three nodes, write to all at once, cut one off, heal, and watch them agree."""
    if not script and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("there is no terminal here to show it on; try gossamer demo --script")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # by way of the clean-up
    from .. import demo as demonstration  # rich's live display and gRPC are for this command alone

    if script:
        demonstration.play(click.echo, deadline)
    else:
        demonstration.watch(deadline)


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
