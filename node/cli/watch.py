"""``watch`` and ``subscriptions``: what changes on a running node, and who follows it under a name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from ..errors import CursorExpired, GossamerError
from ..feed import Change, Held
from ..store.feedpage import ADVICE
from . import show
from .exits import Failure, not_found
from .options import at_node, in_keyspace, node_at


@click.command()
@click.argument("prefix", default="")
@click.option(
    "--since", metavar="CURSOR", help="Go on after this cursor, in place of beginning with what there is."
)
@click.option("--no-snapshot", is_flag=True, help="Begin with what comes, and not with what there is.")
@click.option("--limit", type=click.IntRange(1), help="End after so many changes.")
@click.option(
    "--idle",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="End when nothing came for so long; 0: at once.",
)
@in_keyspace
@at_node
def watch(
    prefix: str,
    since: str | None,
    no_snapshot: bool,
    limit: int | None,
    idle: float | None,
    keyspace: str,
    at: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Print changes of the paths that begin with PREFIX as they become visible on the node, until Ctrl-C.

    First comes what there is. With --json each is a line of JSON, whose cursor is for --since.
    """
    with _until_nobody_wants_more(), node_at(at, timeout) as client, _about_since():
        changes = client.keyspace(keyspace).watch(prefix, since, snapshot=not no_snapshot, timeout=idle)
        with changes:
            for count, change in enumerate(changes, 1):
                click.echo(show.to_json(_as_json(change)) if as_json else _as_text(change))
                if count == limit:
                    return


@contextmanager
def _until_nobody_wants_more() -> Iterator[None]:
    """Ctrl-C, and a reader of the output that has left, are how a watch ends."""
    try:
        yield
    except (KeyboardInterrupt, BrokenPipeError):
        show.abandon_output()


@contextmanager
def _about_since() -> Iterator[None]:
    """What is wrong with a cursor, as one says it here."""
    try:
        yield
    except CursorExpired as error:
        raise Failure(_here(str(error).replace(ADVICE, "begin again without --since"))) from None
    except GossamerError:  # one of them is a `ValueError` too
        raise
    except ValueError as error:
        raise ValueError(_here(str(error))) from None


def _here(said: str) -> str:
    return f"--{said}" if said.startswith("since: ") else said


def _as_json(change: Change) -> dict[str, Any]:
    return {
        "path": change.path,
        "kind": change.kind,
        "old": change.old,
        "new": change.new,
        "was_there": change.was_there,
        "is_there": change.is_there,
        "written_by": [
            {"replica": replica.hex(), "seq": seq, "member": member}
            for (replica, seq), member in zip(change.dots, change.members, strict=True)
        ],
        "visible_at": change.visible_at,
        "is_snapshot": change.is_snapshot,
        "id": change.id,
        "cursor": change.cursor,
        "error": None if change.error is None else str(change.error),
    }


def _as_text(change: Change) -> str:
    if change.error is not None:
        return f"{change.path} cannot be read: {change.error}"
    old = show.to_json(change.old) if change.was_there else "-"
    new = show.to_json(change.new) if change.is_there else "-"
    return f"{change.path} {new}" if change.is_snapshot else f"{change.path} {old} -> {new}"


@click.group(invoke_without_command=True)
@in_keyspace
@at_node
@click.pass_context
def subscriptions(ctx: click.Context, keyspace: str, at: str, timeout: float, as_json: bool) -> None:
    """List the subscriptions that the node remembers, or remove one."""
    if ctx.invoked_subcommand is not None:
        ctx.obj = (keyspace, at, timeout, as_json)
        return
    with node_at(at, timeout) as client:
        found = client.keyspace(keyspace).subscriptions()
    if as_json:
        show.print_json([_held(one) for one in found])
    else:
        columns = ("name", "prefix", "changes behind", "seconds behind", "state")
        show.print_table(columns, (_row(one, time.time()) for one in found))


def _held(one: Held) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def _row(one: Held, now: float) -> tuple[Any, ...]:
    behind = 0 if one.oldest_unacked_at is None else max(round(now - one.oldest_unacked_at), 0)
    state = "expired" if one.is_expired else "consumed" if one.is_consumed else "waiting"
    return one.name, one.prefix, one.behind, behind, state


@subscriptions.command("remove")
@click.argument("name")
@click.pass_obj
def remove_subscription(where: tuple[str, str, float, bool], name: str) -> None:
    """Forget the subscription NAME: how far its consumer has come."""
    keyspace, at, timeout, as_json = where
    with node_at(at, timeout) as client:
        was_there = client.keyspace(keyspace).unsubscribe(name)
    if not was_there:
        not_found(f"subscription {name}")
    if as_json:
        show.print_json({"subscription": name, "removed": True})
