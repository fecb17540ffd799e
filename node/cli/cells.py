"""``get``, ``set``, ``add``, ``remove`` and ``ls``: the cells of a running node."""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from . import show
from .exits import not_found
from .options import TakesNumbers, at_node, in_keyspace, node_at, with_id
from .target import Found, Target

VALUE_HELP = "VALUE is JSON if it is valid JSON (5, true, '[1]'), else text; --text takes it as text always."

as_text = click.option("--text", "is_text", is_flag=True, help="Take the value as text, JSON or not.")

with_ttl = click.option(
    "--ttl", type=float, metavar="SECONDS", help="Hide it after so many seconds, and remove it then."
)


def _value(argument: str, is_text: bool) -> Any:
    return argument if is_text else show.of_text(argument)


@click.command(cls=TakesNumbers)
@click.argument("path")
@in_keyspace
@at_node
def get(path: str, keyspace: str, at: str, timeout: float, as_json: bool) -> None:
    """Print what is at PATH, like counter:sold or map:cart%3A42."""
    with node_at(at, timeout) as client:
        target = Target(client, keyspace, path)
        found = target.get()
    _print(target, found, as_json)


@click.command("set", cls=TakesNumbers, epilog=VALUE_HELP)
@click.argument("path")
@click.argument("value")
@as_text
@with_ttl
@with_id
@in_keyspace
@at_node
def set_(
    path: str,
    value: str,
    is_text: bool,
    ttl: float | None,
    op_id: str | None,
    keyspace: str,
    at: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Set the register (of any kind) or flag at PATH to VALUE, and print what is there now."""
    with node_at(at, timeout) as client:
        target = Target(client, keyspace, path, op_id)
        target.set(_value(value, is_text), ttl)
        found = target.get()
    _print(target, found, as_json)


@click.command(cls=TakesNumbers, epilog=VALUE_HELP)
@click.argument("path")
@click.argument("value", required=False)
@as_text
@with_ttl
@with_id
@in_keyspace
@at_node
def add(
    path: str,
    value: str | None,
    is_text: bool,
    ttl: float | None,
    op_id: str | None,
    keyspace: str,
    at: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Add VALUE to the counter (1 unless given, may be negative) or set at PATH, and print what is there now."""
    with node_at(at, timeout) as client:
        target = Target(client, keyspace, path, op_id)
        if value is None:
            target.add(is_given=False, ttl=ttl)
        else:
            target.add(_value(value, is_text), ttl=ttl)
        found = target.get()
    _print(target, found, as_json)


@click.command(cls=TakesNumbers, epilog=VALUE_HELP.replace("VALUE", "ELEMENT"))
@click.argument("path")
@click.argument("element", required=False)
@as_text
@with_id
@in_keyspace
@at_node
def remove(
    path: str,
    element: str | None,
    is_text: bool,
    op_id: str | None,
    keyspace: str,
    at: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Remove what is at PATH, or only ELEMENT from the set there."""
    with node_at(at, timeout) as client:
        target = Target(client, keyspace, path, op_id)
        was_there = target.remove() if element is None else target.discard(_value(element, is_text))
    if not was_there:
        not_found(target.text if element is None else f"{target.text}: element {element}")
    if as_json:
        show.print_json({"path": target.text, "removed": True})


@click.command()
@click.argument("prefix", default="")
@click.option("--limit", type=click.IntRange(1), help="Print so many at most.")
@in_keyspace
@at_node
def ls(prefix: str, limit: int | None, keyspace: str, at: str, timeout: float, as_json: bool) -> None:
    """List the paths whose text begins with PREFIX, with their values. Each element of a set is a path."""
    with node_at(at, timeout) as client:
        rows = list(islice(client.keyspace(keyspace).items(prefix), limit))
    if as_json:
        show.print_json([{"path": path, "value": value} for path, value in rows])
    else:
        show.print_table(("path", "value"), ((path, show.to_json(value)) for path, value in rows))


def _print(target: Target, found: Found | None, as_json: bool) -> None:
    if found is None:
        not_found(target.text)
    if as_json:
        show.print_json({"path": target.text, "value": found.value} | found.about)
    elif isinstance(found.value, dict) and target.kind == "map":
        rows = ((name, show.to_json(value)) for name, value in found.value.items())
        show.print_table(("name", "value"), rows)
    elif isinstance(found.value, list) and target.kind != "register":
        for item in found.value:
            click.echo(show.to_json(item))
    else:
        click.echo(show.to_text(found.value))
