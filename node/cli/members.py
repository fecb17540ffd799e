"""``members`` and ``status``: what a running node says of its cluster and of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ..limits import LEAVE_TIMEOUT_S
from . import show
from .exits import not_found
from .options import at_node, node_at


@click.group(invoke_without_command=True)
@at_node
@click.pass_context
def members(ctx: click.Context, at: str, timeout: float, as_json: bool) -> None:
    """List the members of the cluster as the node knows them, or remove or forget one."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = (at, timeout, as_json)
        return
    with node_at(at, timeout) as client:
        found = client.status()["members"]
    if as_json:
        show.print_json(found)
    else:
        show.print_table(("name", "state", "address", "replica", "keyspaces"), map(_member, found))


def _member(member: dict[str, Any]) -> tuple[str, ...]:
    keyspaces = (name for name in member["keyspaces"] if not name.startswith("$"))
    return (
        member["name"],
        member["state"],
        member["address"] or "-",
        member["replica"],
        ", ".join(keyspaces),
    )


@members.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove_member(where: tuple[str, float, bool], name: str, yes: bool) -> None:
    """Count the member NAME no longer, so that deletes can be cleaned up without it. It may come back."""
    _ask(where, "members.remove", name, f"Remove {name}? It may come back later, and loses nothing.", yes)


@members.command("forget")
@click.argument("name")
@click.option(
    "--dead", is_flag=True, help="The node is dead for good: what is locked for it may be inherited."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def forget_member(where: tuple[str, float, bool], name: str, dead: bool, yes: bool) -> None:
    """End the member NAME for good: it cannot come back, and what it alone held is lost.

    With --dead, also of one that is forgotten already, you confirm that its node will never run again. Only then
    do others inherit what belonged to it, like the rights that it held of a bounded counter.
    """
    question = f"Forget {name}? What it alone holds is lost, for good."
    if dead:
        question += " And it is dead: nobody will ever start its node again?"
    _ask(where, "members.forget", name, question, yes, dead=dead)


def _ask(
    where: tuple[str, float, bool], verb: str, name: str, question: str, yes: bool, **more: object
) -> None:
    at, timeout, as_json = where
    with node_at(at, timeout) as client:
        found = {member["name"]: member for member in client.status()["members"]}
        if name not in found:
            not_found(f"member {name}")
        if verb == "members.forget" and not as_json:
            _show_losses(found[name])
        if not yes:
            click.confirm(question, abort=True, err=True)
        done = client.admin(verb, name=name, **more)
    if as_json:
        show.print_json(done)


def _show_losses(member: dict[str, Any]) -> None:
    """What nobody else has, as far as the node that is asked was told."""
    heard, alone = member["last_heard_s"], member["held_alone"]
    for keyspace, events in alone.items():
        click.echo(f"{keyspace}: {events} events that no other member is known to have", err=True)
    if not alone:
        click.echo("Nothing is known that it alone holds.", err=True)
    since = "before this node was opened" if heard is None else f"{heard:,.0f} s ago"
    click.echo(f"It was last heard {since}; what it wrote after that is not known.", err=True)


@click.command()
@at_node
@click.option(
    "--within", type=click.FloatRange(0), default=LEAVE_TIMEOUT_S, show_default=True, metavar="SECONDS"
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def leave(at: str, timeout: float, as_json: bool, within: float, yes: bool) -> None:
    """Have the node leave the cluster for good, once other members have all that it has.

    It takes no writes from then on, and 'gossamer serve' ends when it is through. Within --within seconds, or it stays
    and it is said what was missing; nothing is lost either way. For a node that is gone already see 'members forget'.
    """
    with node_at(at, max(timeout, within + 5)) as client:
        name = client.status()["name"]
        if not yes:
            click.confirm(f"Have {name} leave the cluster for good?", abort=True, err=True)
        client.leave(within)
    if as_json:
        show.print_json({"member": name, "state": "left"})
    else:
        click.echo(f"{name} has left; all that it had is with the others")


@click.command()
@at_node
def status(at: str, timeout: float, as_json: bool) -> None:
    """Print what the node holds, and what it and its peers lack of each other."""
    with node_at(at, timeout) as client:
        found = client.status()
    if as_json:
        show.print_json(found)
        return
    show.print_table(("node", found["name"]), _of_node(found))
    click.echo()
    show.print_table(("keyspace", "cells", "events", "state", "digest"), _of_keyspaces(found))
    click.echo()
    show.print_table(("keyspace", "peer", "it lacks", "we lack", "replica"), _of_peers(found))


def _of_node(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    members = found["members"]
    linked = sum(member["state"] == "linked" for member in members)
    yield "replica", found["replica"]
    yield "cluster", found["cluster"]
    reached = sum(member["state"] == "reached" for member in members)
    others = f", {reached} reached through others" if reached else ""
    yield "members", f"{len(members)}, {linked} of them linked{others}"
    yield "store", f"{found['store_bytes']:,} bytes"
    if found["leaving"] or found["left"]:
        yield "leaving", "it has left the cluster" if found["left"] else "it leaves the cluster: no writes"
    if found["forgotten"]:
        yield "forgotten", "the cluster has forgotten this node"


def _of_keyspaces(found: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for name, keyspace in found["keyspaces"].items():
        state = "catching up" if keyspace["catching_up"] else "whole"
        if keyspace["digest_mismatches"]:
            state += f", {keyspace['digest_mismatches']} digest mismatches"
        yield name, keyspace["cells"], keyspace["events"], state, keyspace["digest"]


def _of_peers(found: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for name, keyspace in found["keyspaces"].items():
        for peer, what in keyspace["peers"].items():
            yield name, peer, what["lacks"], what["ahead"], what["replica"]
