"""``certs`` and ``access-key``: an authority and certificates for trying TLS out, and for tests. A real one has an authority of its own."""

from __future__ import annotations

from pathlib import Path

import click

from .. import access
from . import show
from .exits import USAGE, Failure


@click.command("access-key")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def access_key(as_json: bool) -> None:
    """Make a new access key: the key is for the client, its hash for the node's access file."""
    key = access.new_key()
    if as_json:
        show.print_json({"key": key, "hash": access.hash_of(key)})
    else:
        click.echo(f"key   {key}\nhash  {access.hash_of(key)}")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--node", "nodes", multiple=True, metavar="NAME", help="A certificate for the member NAME.")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="A host or address at which the nodes are reached. [localhost and 127.0.0.1]",
)
@click.option("--client", "clients", multiple=True, metavar="NAME", help="A certificate for a client.")
@click.option(
    "--days",
    type=click.FloatRange(0, min_open=True),
    default=365.0,
    show_default=True,
    help="They are valid.",
)
def certs(
    folder: Path, nodes: tuple[str, ...], hosts: tuple[str, ...], clients: tuple[str, ...], days: float
) -> None:
    """Make certificates in FOLDER, signed by an authority there, which is made first if there is none.

    For development: whoever reads FOLDER/ca-key.pem can be any member. A name that has a certificate gets a new one.
    """
    try:
        from ..certificates import Authority
    except ModuleNotFoundError as error:
        if error.name != "cryptography":
            raise
        raise Failure(
            "certificates are made with the package cryptography: pip install 'gossamer[certs]'"
        ) from None
    if not nodes and not clients:
        raise Failure("for whom? --node NAME or --client NAME, each as often as you like", USAGE)
    authority = Authority.at(folder, days)
    for name in nodes:
        click.echo(authority.issue(name, hosts or ("localhost", "127.0.0.1"), days))
    for name in clients:
        click.echo(authority.issue(name, (), days, is_client=True))
