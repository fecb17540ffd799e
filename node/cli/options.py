"""Options that several commands share, and the node that they name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .. import connect
from ..config import check_address
from ..errors import GossamerError, Unreachable
from ..handles.keyspace import DEFAULT
from .exits import UNREACHABLE, USAGE, Failure

if TYPE_CHECKING:
    from ..rpc import Client

AT = "127.0.0.1:7400"
"""Where a node listens unless told otherwise, and where commands look for one."""

HUNG_UP = "Socket closed"
"""What gRPC says when the other end took the connection and ended it, as a node with TLS does to plain text."""

META = "gossamer.tls"
TLS_FILES = ("tls_ca", "tls_certificate", "tls_key")

F = TypeVar("F", bound=Callable[..., Any])


def tls_of(*files: str | None) -> dict[str, str | None] | None:
    """The three files of TLS, if any was named. `ValueError` names one that is missing."""
    if not any(files):
        return None
    for name, file in zip(TLS_FILES, files, strict=True):
        if not file:
            raise ValueError(f"{name}: with TLS all of {', '.join(TLS_FILES)} are needed")
    return {name.removeprefix("tls_"): file for name, file in zip(TLS_FILES, files, strict=True)}


def _keep(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
    """The value goes to `node_at` by way of the context, past the command, which has no use for it."""
    ctx.meta[f"{META}.{option.name}"] = value


def _kept_option(name: str, metavar: str, text: str) -> Callable[[F], F]:
    return click.option(
        f"--{name.replace('_', '-')}",
        name,
        metavar=metavar,
        envvar=f"GOSSAMER_{name.upper()}",
        show_envvar=True,
        expose_value=False,
        callback=_keep,
        help=text,
    )


def at_node(command: F) -> F:
    """``--at``, ``--timeout``, ``--json`` and those of TLS: for a command that talks to a running node."""
    for option in (
        _kept_option("access_key", "KEY", "The access key to show, if the node wants one."),
        _kept_option("tls_key", "FILE", "PEM: its key."),
        _kept_option("tls_certificate", "FILE", "PEM: a certificate for this client."),
        _kept_option("tls_ca", "FILE", "PEM: the authority of the node's certificate."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs."),
        click.option(
            "--timeout",
            type=click.FloatRange(0, min_open=True),
            default=5.0,
            show_default=True,
            help="Seconds to wait for an answer.",
        ),
        click.option(
            "--at",
            metavar="HOST:PORT",
            envvar="GOSSAMER_AT",
            default=AT,
            show_default=True,
            show_envvar=True,
            help="The node to talk to.",
        ),
    ):
        command = option(command)
    return command


def in_keyspace(command: F) -> F:
    """``--keyspace``: for a command that reads or writes cells."""
    return click.option(
        "--keyspace", default=DEFAULT, show_default=True, metavar="NAME", help="The keyspace to look in."
    )(command)


with_id = click.option(
    "--op-id", metavar="ID", help="A name of one's own for this write: repeated, on any node, it counts once."
)
"""For a command that writes."""


@contextmanager
def node_at(at: str, timeout: float) -> Iterator[Client]:
    """A client of the node at ``at``. A wrong value, found here or there, is wrong usage."""
    kept = click.get_current_context().meta
    with as_usage():
        tls = tls_of(*(kept.get(f"{META}.{name}") for name in TLS_FILES))
    with (
        as_usage(),
        connect(check_address(at, "--at"), timeout, tls, kept.get(f"{META}.access_key")) as client,
    ):
        try:
            yield client
        except Unreachable as error:
            why = str(error).rpartition(": ")[2]  # gRPC tells the whole way that it went
            if why == HUNG_UP and tls is None:
                why = f"{why}; if it wants TLS, name --tls-ca, --tls-certificate and --tls-key"
            raise Failure(f"no node answers at {at}: {why}", UNREACHABLE) from None


@contextmanager
def as_usage() -> Iterator[None]:
    """A `TypeError` or `ValueError` inside names an argument that is wrong: exit code 2, no traceback."""
    try:
        yield
    except GossamerError:  # one of them is a `ValueError` too
        raise
    except (TypeError, ValueError) as error:
        raise Failure(str(error), USAGE) from None


class TakesNumbers(click.Command):
    """A command whose arguments may be negative numbers, which click by itself would take for options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" not in args:
            numbers = [arg for arg in args if _NEGATIVE.fullmatch(arg)]
            # Behind a -- nothing is an option. The only argument that may stand before a number is the path.
            args = [*(arg for arg in args if arg not in numbers), *(["--", *numbers] if numbers else [])]
        return super().parse_args(ctx, args)


_NEGATIVE = re.compile(r"-(\d|\.\d)[\d.eE+-]*")
