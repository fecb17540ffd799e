"""``export`` and ``import``: what a running node holds, as lines of JSON."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from ..errors import GossamerError, Unreachable
from . import show
from .exits import USAGE, Failure, code_of
from .options import at_node, in_keyspace, node_at

if TYPE_CHECKING:
    from ..maintenance.portable import Chunk
    from ..rpc import Client

SPOOLED_BYTES = 16 * 1024 * 1024
"""Of standard input kept in memory until it has been checked; more goes to a temporary file."""


@click.command("export")
@click.argument("prefix", default="")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A file. [stdout]")
@in_keyspace
@at_node
def export(prefix: str, output: Path | None, keyspace: str, at: str, timeout: float, as_json: bool) -> None:
    """Print the cells whose path begins with PREFIX, a line of JSON each, for 'gossamer import'."""
    from ..maintenance import portable

    count, is_file = 0, output is not None and str(output) != "-"
    with node_at(at, timeout) as client, _whole(output if is_file else None) as file:
        for line in portable.lines(client.keyspace(keyspace), prefix):
            click.echo(line, file=file)
            count += 1
    if is_file:
        _say(f"{count:,} cells", {"cells": count}, as_json)


@click.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--merge", is_flag=True, help="Into keyspaces that hold something: counters are added up.")
@at_node
def import_(file: IO[str], merge: bool, at: str, timeout: float, as_json: bool) -> None:
    """Write what 'gossamer export' printed to FILE (- for standard input). All of it is checked first.

    So is that the node hosts the keyspaces and takes writes to them. What is refused all the same, for what a cell holds
    already, ends it there, and it says up to which line all is written.
    """
    with _twice(file) as lines, node_at(at, timeout) as client:
        totals: dict[str, int] = {}
        for chunk in _named(file, lines):
            # To write nothing is refused for the same reasons as to write something.
            if chunk.keyspace not in totals:
                _write(client, file, chunk._replace(ops=[], lines=chunk.lines[:1]), 0)
            totals[chunk.keyspace] = totals.get(chunk.keyspace, 0) + len(chunk.lines)
        if not merge:
            _check_empty(client, totals)
        lines.seek(0)
        written = 0
        for chunk in _shown(_named(file, lines), sum(totals.values())):
            _write(client, file, chunk, written)
            written = chunk.lines[-1]
    _say(
        "\n".join(f"{name}: {count:,} cells" for name, count in totals.items()) or "nothing to import",
        {"cells": totals},
        as_json,
    )


@contextmanager
def _whole(output: Path | None) -> Iterator[IO[str] | None]:
    """A file to write that takes its place once it is whole: a failure leaves what was there. None: standard output."""
    if output is None:
        yield None
        return
    if output.exists() and not output.is_file():  # a pipe, a device
        with output.open("w", encoding="utf-8") as there:
            yield there
        return
    target = output.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with draft.open("w", encoding="utf-8") as file:
            yield file
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _check_empty(client: Client, keyspaces: Iterable[str]) -> None:
    for name in keyspaces:
        first = next(islice(client.keyspace(name).keys(), 1), None)
        if first is not None:
            raise Failure(
                f"keyspace {name} holds {first}; --merge writes into it all the same (counters are then added up)"
            )


def _named(file: IO[str], lines: Iterable[str]) -> Iterator[Chunk]:
    """The transactions of a file. An error names the file, and the line."""
    from ..maintenance import portable

    try:
        yield from portable.chunks(enumerate(lines, 1))
    except ValueError as error:  # text that is not UTF-8 is one too
        raise Failure(f"{file.name}: {error}", USAGE) from None


def _write(client: Client, file: IO[str], chunk: Chunk, written: int) -> None:
    """``written`` is the last line that is written already, 0 if none is."""
    before = f"; the lines up to {written} are written: import the rest alone" if written else ""
    first, last = chunk.lines[0], chunk.lines[-1]
    where = f"{file.name}, line {first}" if first == last else f"{file.name}, lines {first} to {last}"
    try:
        client.backend.write(chunk.keyspace, chunk.ops)
    except Unreachable:
        raise
    except GossamerError as error:
        raise Failure(f"{where}: {error}{before}", code_of(error)) from None
    except (TypeError, ValueError) as error:
        raise Failure(f"{where}: {error}{before}", USAGE) from None


def _shown(chunks: Iterable[Chunk], total: int) -> Iterator[Chunk]:
    """The chunks, with progress on a terminal."""
    if not sys.stderr.isatty():
        yield from chunks
        return
    with click.progressbar(length=total, label="cells", file=sys.stderr) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(len(chunk.lines))


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
