"""``export`` and ``import``: what a running node holds, as lines of JSON."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO, TYPE_CHECKING

import click

from . import show
from .exits import Failure
from .options import at_node, in_keyspace, node_at

if TYPE_CHECKING:
    from ..backend import Op
    from ..rpc import Client

SPOOLED_BYTES = 16 * 1024 * 1024
"""Of standard input kept in memory until it has been checked; more goes to a temporary file."""


@click.command("export")
@click.argument("prefix", default="")
@click.option("--output", "-o", type=click.File("w", encoding="utf-8", atomic=True), help="A file. [stdout]")
@in_keyspace
@at_node
def export(
    prefix: str, output: IO[str] | None, keyspace: str, at: str, timeout: float, as_json: bool
) -> None:
    """Print the cells whose path begins with PREFIX, a line of JSON each, for 'gossamer import'."""
    from ..maintenance import portable

    count = 0
    with node_at(at, timeout) as client:
        for line in portable.lines(client.keyspace(keyspace), prefix):
            click.echo(line, file=output)
            count += 1
    if output is not None:
        _say(f"{count:,} cells", {"cells": count}, as_json)


@click.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--merge", is_flag=True, help="Into keyspaces that hold something: counters are added up.")
@at_node
def import_(file: IO[str], merge: bool, at: str, timeout: float, as_json: bool) -> None:
    """Write what 'gossamer export' printed to FILE (- for standard input). All of it is checked first."""
    from ..maintenance import portable

    with _twice(file) as lines, node_at(at, timeout) as client:
        totals: dict[str, int] = {}
        for keyspace, _ops, count in portable.chunks(enumerate(lines, 1)):
            totals[keyspace] = totals.get(keyspace, 0) + count
        if not merge:
            _check_empty(client, totals)
        lines.seek(0)
        for keyspace, ops, _count in _shown(portable.chunks(enumerate(lines, 1)), sum(totals.values())):
            client.backend.write(keyspace, ops)
    _say(
        "\n".join(f"{name}: {count:,} cells" for name, count in totals.items()) or "nothing to import",
        {"cells": totals},
        as_json,
    )


def _check_empty(client: Client, keyspaces: Iterable[str]) -> None:
    for name in keyspaces:
        first = next(islice(client.keyspace(name).keys(), 1), None)
        if first is not None:
            raise Failure(
                f"keyspace {name} holds {first}; --merge writes into it all the same (counters are then added up)"
            )


def _shown(chunks: Iterable[tuple[str, list[Op], int]], total: int) -> Iterator[tuple[str, list[Op], int]]:
    """The chunks, with progress on a terminal."""
    if not sys.stderr.isatty():
        yield from chunks
        return
    with click.progressbar(length=total, label="cells", file=sys.stderr) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(chunk[2])


@contextmanager
def _twice(file: IO[str]) -> Iterator[IO[str]]:
    """The file, from its beginning, to be read more than once."""
    if file.seekable() and file is not sys.stdin:
        yield file
        return
    with tempfile.SpooledTemporaryFile(SPOOLED_BYTES, mode="w+", encoding="utf-8") as spool:
        for line in file:
            spool.write(line)
        spool.seek(0)
        yield spool


def _say(text: str, plain: object, as_json: bool) -> None:
    if as_json:
        show.print_json(plain)
    else:
        click.echo(text)
