"""``token`` and ``wait``: what a node has, as text, and until another one has it too."""

from __future__ import annotations

from typing import Any

import click

from . import show
from .exits import USAGE, Failure
from .options import at_node, in_keyspace, node_at


@click.command()
@in_keyspace
@at_node
def token(keyspace: str, at: str, timeout: float, as_json: bool) -> None:
    """Print a token of all that the node has: another one can wait for it."""
    with node_at(at, timeout) as client:
        text = client.keyspace(keyspace).token()
    show.print_json({"keyspace": keyspace, "token": text}) if as_json else click.echo(text)


class _Peers(click.ParamType[Any]):
    name = "N|majority|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in ("majority", "all"):
            return value
        try:
            return click.IntRange(1).convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is neither a number from 1 on, nor majority, nor all", param, ctx)


@click.command()
@click.argument("token", required=False)
@click.option(
    "--replicated",
    type=_Peers(),
    help="Wait until so many other members, or this share of all, have it on disk.",
)
@click.option(
    "--fresh", type=click.FloatRange(0, min_open=True), help="Wait until it is at most so many seconds old."
)
@in_keyspace
@at_node
def wait(
    token: str | None,
    replicated: int | str | None,
    fresh: float | None,
    keyspace: str,
    at: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Wait until the node has all that TOKEN says, up to --timeout seconds."""
    if (token is None) is (fresh is None) or (replicated is not None and token is None):
        raise Failure("wait for a TOKEN, with or without --replicated, or with --fresh for the node", USAGE)
    with node_at(at, timeout) as client:
        space = client.keyspace(keyspace)
        if fresh is not None:
            space.wait_fresh(fresh, timeout)
        elif replicated is not None:
            space.wait_replicated(token or "", replicated, timeout)  # type: ignore[arg-type]  # click has checked it
        else:
            space.wait_for(token or "", timeout)
    if as_json:
        show.print_json({"keyspace": keyspace, "reached": True})
