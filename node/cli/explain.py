"""``explain``: why a running node shows what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import click

from . import show
from .exits import not_found
from .options import at_node, in_keyspace, node_at

COLUMNS = ("value", "", "member", "event", "written", "expires", "known to have it", "not known to")


@click.command()
@click.argument("path")
@in_keyspace
@at_node
def explain(path: str, keyspace: str, at: str, timeout: float, as_json: bool) -> None:
    """Say why PATH reads as it does: its entries, the rule that decided, and which members have which event.

    Of a map or set, of each cell inside, up to 100.
    """
    with node_at(at, timeout) as client:
        found = client.keyspace(keyspace).explain(path)
    cells = found.get("cells", [found])
    if not any(cell["entries"] or cell["superseded"] for cell in cells):
        not_found(found["path"])
    if as_json:
        show.print_json(found)
        return
    for cell in cells:
        click.echo(f"{cell['path']}: {_said(cell)}")
        show.print_table(COLUMNS, _rows(cell))
    if found.get("more"):
        click.echo("and more; name one of them")


def _said(cell: dict[str, Any]) -> str:
    value = show.to_json(cell["value"]) if cell["is_there"] else "nothing"
    return f"{value}; {cell['rule']}"


def _rows(cell: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for entry in cell["entries"]:
        mark = "stands" if entry["stands"] else ("expired" if entry["expired"] else "beaten")
        yield _row(entry, show.to_json(entry["value"]), mark)
    for dead in cell["superseded"]:
        yield _row(dead, "" if dead["floor"] is None else show.to_json(dead["floor"]), "superseded")


def _row(event: dict[str, Any], value: str, mark: str) -> tuple[str, ...]:
    return (
        value,
        mark,
        event["member"] or "?",
        f"{event['replica']}:{event['seq']}",
        event.get("stamp") or "",
        event.get("expires_at") or "",
        "all, for good" if event["stable"] else _names(event["acknowledged"]),
        "" if event["stable"] else _names(event["not_acknowledged"]),
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)
