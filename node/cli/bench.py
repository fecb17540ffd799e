"""``bench``: what a node costs on this machine and this disk."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from . import show
from .upkeep import as_json_option, working

SECONDS = 15.0


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    default=".",
    show_default="the current one",
    help="Where to measure: a folder on the disk that the node will have.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    default=SECONDS,
    show_default=True,
    help="About how long to take.",
)
@as_json_option
def bench(directory: Path, seconds: float, as_json: bool) -> None:
    """Measure reads, durable writes, and the way of a write to another node, on this machine and disk.

    Beside them stand LMDB alone, and an append that is synced to the disk. It starts two nodes on loopback, in a
    folder of its own that is gone afterwards. Other programs' load makes every figure worse.
    """
    from . import measuring  # starts nodes: what it imports takes a while

    with working(f"measuring in {directory.resolve()}, about {seconds:g} s", as_json):
        taken = measuring.measure(directory, seconds)
    if as_json:
        show.print_json(msgspec.to_builtins(taken))
        return
    rows = [
        (
            one.what,
            _figure(one.median, one.unit),
            f"{_number(one.least)} to {_number(one.greatest)}",
            one.beside,
            "" if one.beside_median is None else _figure(one.beside_median, one.unit),
            "" if one.ratio is None else _number(one.ratio),
        )
        for one in taken.figures
    ]
    show.print_table(("", "median", "rounds", "beside it", "its median", "ratio"), rows)
    click.echo(
        f"{taken.directory}: an append of 4 KiB takes {_figure(taken.sync_us, 'µs')} until it is on the disk"
    )
    click.echo(taken.machine)
    if taken.is_memory:
        click.echo("That is no disk, but memory: name a folder on one with --dir.")


def _figure(value: float, unit: str) -> str:
    return f"{_number(value)} {unit}"


def _number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
