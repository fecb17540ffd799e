"""``keyspaces``: which keyspaces there are, who hosts them, and letting go of one on one node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ..limits import DROP_TIMEOUT_S
from . import show
from .exits import not_found
from .options import at_node, node_at


@click.group(invoke_without_command=True)
@at_node
@click.pass_context
def keyspaces(ctx: click.Context, at: str, timeout: float, as_json: bool) -> None:
    """List the keyspaces that the node knows of and their hosts, or drop one from the node."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = (at, timeout, as_json)
        return
    with node_at(at, timeout) as client:
        found = list(_listed(client.status()))
    if as_json:
        show.print_json(found)
    else:
        show.print_table(("keyspace", "here", "events", "hosts", "out of reach"), map(_row, found))


def _listed(status: dict[str, Any]) -> Iterator[dict[str, Any]]:
    members = [m for m in status["members"] if m["state"] not in ("removed", "forgotten", "left")]
    names = {name for m in members for name in m["keyspaces"]} | status["keyspaces"].keys()
    for name in sorted(name for name in names if not name.startswith("$")):
        here = status["keyspaces"].get(name)
        yield {
            "keyspace": name,
            "hosted": here is not None,
            "read_only": bool(here and here["read_only"]),
            "events": here and here["events"],
            "hosts": sorted(m["name"] for m in members if name in m["keyspaces"]),
            "unreachable_hosts": here["unreachable_hosts"] if here else [],
        }


def _row(found: dict[str, Any]) -> tuple[Any, ...]:
    here = "no" if not found["hosted"] else "read only" if found["read_only"] else "yes"
    events = "-" if found["events"] is None else found["events"]
    return found["keyspace"], here, events, _names(found["hosts"]), _names(found["unreachable_hosts"])


def _names(names: list[str]) -> str:
    return ", ".join(names) or "-"


@keyspaces.command("drop")
@click.argument("name")
@click.option("--force", is_flag=True, help="At once, even if what is here is nowhere else.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(where: tuple[str, float, bool], name: str, force: bool, yes: bool) -> None:
    """Let go of the keyspace NAME on the node that is asked, and free its space there.

    It waits until other hosts have confirmed that they have everything, and is refused if they do not. Take the
    keyspace out of the node's settings as well, or its next start hosts it again.
    """
    at, timeout, as_json = where
    with node_at(at, max(timeout, DROP_TIMEOUT_S + 5)) as client:
        if name not in client.status()["keyspaces"]:
            not_found(f"keyspace {name}")
        lost = " What no other host has is lost, for good." if force else ""
        if not yes:
            click.confirm(f"Drop the keyspace {name} on this node?{lost}", abort=True, err=True)
        client.drop_keyspace(name, force=force)
    if as_json:
        show.print_json({"keyspace": name, "state": "dropped"})
