"""``mint``, ``spend`` and ``transfer``: the bounded counters of a running node.

They are verbs of their own, and no ``add``: what is spent here is spent from the rights of the node that is asked.
"""

from __future__ import annotations

import click

from . import show
from .options import TakesNumbers, at_node, in_keyspace, node_at, with_id
from .target import Target


@click.command(cls=TakesNumbers)
@click.argument("path")
@click.argument("n", type=int, default=1)
@with_id
@in_keyspace
@at_node
def mint(path: str, n: int, op_id: str | None, keyspace: str, at: str, timeout: float, as_json: bool) -> None:
    """Add N (1 unless given) to the bounded counter at PATH, and print what is there now."""
    with node_at(at, timeout) as client:
        target = Target(client, keyspace, path)
        target.stock().mint(n, op_id=op_id)
        _print(target, as_json)


@click.command(cls=TakesNumbers)
@click.argument("path")
@click.argument("n", type=int, default=1)
@click.option("--wait", type=float, metavar="SECONDS", help="Have the node ask others for what it lacks.")
@with_id
@in_keyspace
@at_node
def spend(
    path: str,
    n: int,
    wait: float | None,
    op_id: str | None,
    keyspace: str,
    at: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Take N (1 unless given) out of the bounded counter at PATH, and print what is left.

    It fails, and takes nothing, if the node has the rights to less.
    """
    with node_at(at, timeout) as client:
        target = Target(client, keyspace, path)
        target.stock().spend(n, wait=wait, op_id=op_id)
        _print(target, as_json)


@click.command(cls=TakesNumbers)
@click.argument("path")
@click.argument("member")
@click.argument("n", type=int)
@with_id
@in_keyspace
@at_node
def transfer(
    path: str, member: str, n: int, op_id: str | None, keyspace: str, at: str, timeout: float, as_json: bool
) -> None:
    """Give the node's rights to N of the bounded counter at PATH to MEMBER."""
    with node_at(at, timeout) as client:
        target = Target(client, keyspace, path)
        target.stock().transfer(member, n, op_id=op_id)
        _print(target, as_json)


def _print(target: Target, as_json: bool) -> None:
    stock = target.stock()
    value, available = stock.value(), stock.available()
    if as_json:
        show.print_json({"path": target.text, "value": value, "available": available})
    else:
        click.echo(show.to_text(value))
