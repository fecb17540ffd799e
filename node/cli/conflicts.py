"""``conflicts``, ``reinstate`` and ``dismiss``: the register values that a running node saw beaten."""

from __future__ import annotations

import time

import click

from ..handles import Keyspace
from ..handles.conflicts import Conflict, as_plain
from ..limits import CONFLICTS_PAGE
from . import show
from .exits import not_found
from .options import at_node, in_keyspace, node_at


@click.command()
@click.argument("prefix", default="")
@click.option(
    "--limit",
    type=click.IntRange(1, 2**31 - 1),
    default=CONFLICTS_PAGE,
    show_default=True,
    help="So many at most.",
)
@click.option("--all", "settled", is_flag=True, help="Those that were reinstated or dismissed too.")
@in_keyspace
@at_node
def conflicts(
    prefix: str, limit: int, settled: bool, keyspace: str, at: str, timeout: float, as_json: bool
) -> None:
    """List the values that lost to a concurrent write, the newest first, of paths that begin with PREFIX."""
    with node_at(at, timeout) as client:
        found = client.keyspace(keyspace).conflicts(prefix, limit=limit, settled=settled)
    if as_json:
        show.print_json([as_plain(one) for one in found])
        return
    rows = (
        (
            str(c.id),
            c.path,
            show.to_json(c.beaten.value),
            show.to_json(c.by.value),
            c.rule,
            _when(c.seen_at),
            c.state,
        )
        for c in found
    )
    show.print_table(("id", "path", "beaten", "by", "rule", "seen", "state"), rows)


@click.command()
@click.argument("number", metavar="ID", type=click.IntRange(1, 2**31 - 2))
@click.option("--force", is_flag=True, help="Even if the register was written since.")
@in_keyspace
@at_node
def reinstate(number: int, force: bool, keyspace: str, at: str, timeout: float, as_json: bool) -> None:
    """Write the beaten value of conflict ID again, over what is there now."""
    with node_at(at, timeout) as client:
        space = client.keyspace(keyspace)
        found = _conflict(space, number)
        space.reinstate(found, force=force)
    if as_json:
        show.print_json({"path": found.path, "value": found.beaten.value})
    else:
        click.echo(f"{found.path}: {show.to_json(found.beaten.value)}")


@click.command()
@click.argument("number", metavar="ID", type=click.IntRange(1, 2**31 - 2))
@in_keyspace
@at_node
def dismiss(number: int, keyspace: str, at: str, timeout: float, as_json: bool) -> None:
    """List conflict ID no more: it was looked at."""
    with node_at(at, timeout) as client:
        space = client.keyspace(keyspace)
        found = _conflict(space, number)
        space.dismiss(found)
    if as_json:
        show.print_json({"path": found.path, "dismissed": number})


def _conflict(space: Keyspace, number: int) -> Conflict:
    found = space.conflicts(limit=1, before=number + 1, settled=True)
    if not found or found[0].id != number:
        not_found(f"conflict {number}")
    return found[0]


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
