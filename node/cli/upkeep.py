"""``backup``, ``restore``, ``verify`` and ``compact``: what is done to a directory, beside or without its node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from . import show
from .exits import DAMAGED, FAILED
from .options import at_node, node_at

if TYPE_CHECKING:
    from ..maintenance import Backup, Report

directory = click.Path(file_okay=False, path_type=Path)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@contextmanager
def working(what: str, quiet: bool) -> Iterator[None]:
    """Show on a terminal that something takes its time."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


@click.command()
@click.argument("data", type=directory)
@click.argument("target", type=directory)
@as_json_option
def backup(data: Path, target: Path, as_json: bool) -> None:
    """Copy the node in DATA, running or not, to TARGET: consistent, with a manifest and a checksum.

    Run it on the node's machine. TARGET must be absent or empty, and no mount point. Writers are not held up.
    """
    from .. import maintenance

    with working(f"copying {data} to {target}", as_json):
        made = maintenance.backup(data, target)
    if as_json:
        show.print_json(msgspec.to_builtins(made))
        return
    click.echo(f"{target}: {made.data_bytes:,} bytes of node {made.name or made.replica}")
    _print_held(made)


@click.command()
@click.argument("source", type=directory)
@click.argument("data", type=directory)
@as_json_option
def restore(source: Path, data: Path, as_json: bool) -> None:
    """Make a new data directory DATA from the backup SOURCE. It gets a replica id of its own.

    Start a node on it as on any other: what the other members have beyond the backup comes from them, and what the
    backup alone has goes to them.
    """
    from .. import maintenance

    with working(f"restoring {source} to {data}", as_json):
        made, replica = maintenance.restore(source, data)
    if as_json:
        show.print_json({"directory": str(data), "replica": replica, "backup": msgspec.to_builtins(made)})
        return
    click.echo(f"{data}: node {made.name or made.replica} as of {made.made_at}, now replica {replica}")
    _print_held(made)


@click.command()
@click.argument("data", type=directory)
@as_json_option
@click.pass_context
def verify(ctx: click.Context, data: Path, as_json: bool) -> None:
    """Look at every byte of a node's directory, or of a backup, and name what is damaged. Nothing is written."""
    from .. import maintenance

    with working(f"reading {data}", as_json):
        report = maintenance.verify(data)
    if as_json:
        show.print_json(msgspec.to_builtins(report))
    else:
        _print_report(report)
    if not report.is_sound:
        ctx.exit(DAMAGED)


@click.command()
@click.argument("data", type=directory)
@as_json_option
def compact(data: Path, as_json: bool) -> None:
    """Write the store of a stopped node anew, so that its file is no larger than its data."""
    from .. import maintenance

    with working(f"compacting {data}", as_json):
        done = maintenance.compact(data)
    if as_json:
        show.print_json({"directory": str(data), **msgspec.to_builtins(done)})
    else:
        click.echo(f"{data}: {done.before:,} bytes before, {done.after:,} now")


@click.command()
@click.argument("data", required=False, type=directory)
@at_node
@click.pass_context
def doctor(ctx: click.Context, data: Path | None, at: str, timeout: float, as_json: bool) -> None:
    """Say what is wrong with a node and what to do: with its directory DATA, or with the running one at --at.

    Exits with 1 if there is something that will not mend itself.
    """
    from ..maintenance import doctor as asked

    if data is not None:
        advice = asked.of_directory(data)
    else:
        with node_at(at, timeout) as client:
            advice = asked.of_status(client.status())
    if as_json:
        show.print_json(msgspec.to_builtins(advice))
    else:
        rows = [(one.grade, one.about, one.what, one.todo) for one in advice]
        show.print_table(("", "about", "what", "what to do"), rows)
    if any(one.grade == "act" for one in advice):
        ctx.exit(FAILED)


def _print_held(made: Backup) -> None:
    rows = [(name, held.cells, held.events, held.digest) for name, held in made.keyspaces.items()]
    show.print_table(("keyspace", "cells", "events", "digest"), rows)


def _print_report(report: Report) -> None:
    rows: list[tuple[Any, ...]] = [(one.keyspace, one.where, one.what) for one in report.findings]
    show.print_table(("keyspace", "where", "what is wrong"), rows)
    cells = ", ".join(f"{name} {count:,}" for name, count in report.keyspaces.items())
    verdict = "sound" if report.is_sound else f"{len(report.findings)} findings"
    click.echo(f"{report.directory}: {verdict}; cells looked at: {cells}")
    if not report.is_sound:
        click.echo(
            "Start its node while other members are up: it fetches damaged cells from them. If it cannot be opened, "
            "restore a backup, or begin with an empty directory under the same name."
        )
