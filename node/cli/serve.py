"""``serve``: a node of its own, until it is told to stop; and ``config``: what it would be told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import click
import msgspec

from .. import open as open_node
from ..node import Node
from . import logs, show
from .life import Life
from .options import AT, as_usage
from .settings import Settings, Sourced, gather
from .stopping import Stop

LOOK_EVERY_S = 0.5
"""Between two looks at the status for the log."""

F = TypeVar("F", bound=Callable[..., Any])


def settings_options(command: F) -> F:
    """The arguments of ``serve``, in the order of its help."""
    address = "HOST:PORT"
    for option in reversed(
        (
            click.option("--data", metavar="DIR", help="The node's directory, made if it is not there."),
            click.option(
                "--listen", metavar=address, help=f"Where to listen; port 0 takes a free one. [{AT}]"
            ),
            click.option("--advertise", metavar=address, help="Where others reach it, if not there."),
            click.option("--peer", "peers", multiple=True, metavar=address, help="A node to dial."),
            click.option("--name", help="The member's name. [its address]"),
            click.option("--cluster", metavar="NAME", help="Other clusters' nodes are refused. [default]"),
            click.option("--tls-ca", metavar="FILE", help="PEM: the authority of everyone's certificates."),
            click.option("--tls-certificate", metavar="FILE", help="PEM: this node's certificate."),
            click.option("--tls-key", metavar="FILE", help="PEM: its key."),
            click.option("--access", metavar="FILE", help="TOML: clients' access keys and their rights."),
            click.option("--keyspace", "keyspaces", multiple=True, metavar="NAME", help="One more to host."),
            click.option("--read-only", multiple=True, metavar="NAME", help="One to host and only read."),
            click.option(
                "--host-default/--no-host-default", default=None, help="Whether to host default. [yes]"
            ),
            click.option(
                "--durability",
                type=click.Choice(["commit", "relaxed"]),
                help="What acknowledged writes survive: power loss, or a crash of the process. [commit]",
            ),
            click.option(
                "--op-window-s",
                type=float,
                metavar="SECONDS",
                help="For how long a write with an op_id is remembered; the same on every node. [86400]",
            ),
            click.option(
                "--web", metavar=address, help="Where to show the status page; port 0 takes a free one."
            ),
            click.option(
                "--metrics",
                metavar=address,
                help="Where Prometheus finds the metrics; port 0 takes a free one.",
            ),
            click.option(
                "--canary-s",
                type=float,
                metavar="SECONDS",
                help="With --metrics: between two canaries, which show how fast writes are seen elsewhere; 0: none. [10]",
            ),
            click.option(
                "--config",
                "file",
                type=click.Path(dir_okay=False, path_type=Path),
                envvar="GOSSAMER_CONFIG",
                help="A TOML file with these settings.",
            ),
            click.option("--log-json", is_flag=True, default=None, help="The log as lines of JSON."),
            click.option(
                "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="[info]"
            ),
        )
    ):
        command = option(command)
    return command


KEYS = ", ".join(key for key in Settings.__struct_fields__ if key != "timing")
EPILOG = (
    f"Each setting can also stand in the file ({KEYS}, and a table timing) or in the environment (GOSSAMER_LISTEN and so on; "
    "lists with commas). Arguments come before the environment, and that before the file."
)


@click.command(epilog=EPILOG)
@settings_options
@click.option("--until-eof", is_flag=True, hidden=True)
def serve(file: Path | None, until_eof: bool, **arguments: Any) -> None:
    """Run a node until SIGTERM or Ctrl-C. It says 'listening on ...' when it is ready."""
    with as_usage():
        settings = gather(arguments, os.environ, file).settings
    if settings.data is None:
        raise click.UsageError("where does the data go? --data DIR, GOSSAMER_DATA, or data in the file")
    logs.setup(settings.log_level, settings.log_json)
    with Stop(until_eof) as stop:
        _run(settings, settings.data, stop)


def _run(settings: Settings, data: str, stop: Stop) -> None:
    with as_usage():
        node = open_node(data, **settings.for_node())
    with node:  # a setting that is wrong was found above; what fails here is not the user's argument
        life = Life()
        status = node.status()
        logs.event(
            "opened", data=data, name=status["name"], replica=status["replica"], cluster=status["cluster"]
        )
        logs.event("listening", address=node.address)
        if not settings.log_json:
            click.echo(f"listening on {node.address}")
        _show(node, settings)
        reason = _live(node, life, stop)
    logs.event("stopped", reason=reason)


def _show(node: Node, settings: Settings) -> None:
    """Serve what others look at, where that is wanted."""
    if settings.web is not None:
        with as_usage():
            _say("status page", _web().serve(node, settings.web), settings)
    if settings.metrics is not None:
        from .. import metrics  # prometheus_client takes a while to import, and few commands want it

        with as_usage():
            at = f"http://{metrics.serve(node, settings.metrics)}/metrics"
            if settings.canary_s:
                metrics.start_canary(node, settings.canary_s)
        _say("metrics", at, settings)


def _say(what: str, address: str, settings: Settings) -> None:
    logs.event(what.replace(" ", "_"), address=address)
    if not settings.log_json:
        click.echo(f"{what} on {address}")


def _web() -> ModuleType:
    try:
        from .. import web  # an extra
    except ModuleNotFoundError as error:
        raise click.UsageError(f"--web needs {error.name}: pip install 'gossamer[web]'") from None
    return web


def _live(node: Node, life: Life, stop: Stop) -> str:
    """Log what happens until there is a reason to stop. A store that failed raises here."""
    while True:
        status = node.status()
        for event in life.look(status):
            logs.event(event.name, **event.fields)
        if status["left"]:
            return "it has left the cluster"
        reason = stop.wait(LOOK_EVERY_S)
        if reason is not None:
            return reason


@click.command("config", epilog=EPILOG)
@settings_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def config(file: Path | None, as_json: bool, **arguments: Any) -> None:
    """Print what 'gossamer serve' with the same arguments would use, and where each setting is from."""
    with as_usage():
        found = gather(arguments, os.environ, file)
    if as_json:
        show.print_json(msgspec.to_builtins(found.settings))
    else:
        show.print_table(("setting", "value", "from"), _rows(found))


def _rows(found: Sourced) -> list[tuple[Any, ...]]:
    plain = msgspec.to_builtins(found.settings)
    return [(key, plain[key], source) for key, source in found.sources.items()]
