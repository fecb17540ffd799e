"""``documents``: which document classes a running node's cluster has on record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from gossamer.crdt import path

from ..documents import schema
from ..replication.registry import SYSTEM
from . import show
from .options import at_node, node_at

if TYPE_CHECKING:
    from ..rpc import Client


@click.command()
@at_node
def documents(at: str, timeout: float, as_json: bool) -> None:
    """List the document classes on record: a class that would read its fields wrongly is refused."""
    with node_at(at, timeout) as client:
        found = list(_recorded(client))
    if as_json:
        show.print_json(found)
    else:
        rows = (
            (d["keyspace"], f"{d['class']} v{d['version']}", *pair)
            for d in found
            for pair in d["fields"].items()
        )
        show.print_table(("keyspace", "class", "field", "what it is"), rows)


def _recorded(client: Client) -> Iterator[dict[str, Any]]:
    for text, value in client.keyspace(SYSTEM).items("map:documents/"):
        components = path.decode(path.of_text(text))
        found = schema.decode(value)
        yield {
            "keyspace": components[1][1],
            "class": found.name,
            "version": found.version,
            "fields": schema.as_plain(found),
        }
