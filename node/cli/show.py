"""Values for people and for programs: text, tables and JSON.

What has no JSON of its own? Bytes are ``{"base64": ...}``, and a set is an array in the order of its elements'
paths, so that equal sets give equal text.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from gossamer.crdt import path

_PIPE_WIDTH = 10_000  # columns; what is read by a program must not be wrapped


def to_json(value: Any) -> str:
    """One line of JSON."""
    return json.dumps(value, default=_without_json, ensure_ascii=False)


def to_text(value: Any) -> str:
    """A value alone on its line: a str as it is, anything else as JSON."""
    return value if isinstance(value, str) else to_json(value)


def of_text(text: str) -> Any:
    """The value that an argument stands for: JSON if it is valid JSON, else the text itself."""
    try:
        return json.loads(text, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return text


def print_json(value: Any) -> None:
    """Print a value as a line of JSON."""
    click.echo(to_json(value))


def abandon_output() -> None:
    """Write no more: what is still buffered goes nowhere, and so is not written at exit to a pipe that is closed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table. A str is shown as it is, anything else as JSON. No rows: nothing is printed."""
    from rich.console import Console  # rich takes longer to import than most commands to run
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(to_text(item)) for item in row))
    if not table.rows:
        return
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False).print(table)


def _without_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, frozenset):
        return sorted(value, key=path.element)
    raise TypeError(f"{type(value).__name__} has no JSON")


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
