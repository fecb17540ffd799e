"""The `gossamer` command and its subcommands."""

from __future__ import annotations

import os

import click

from .cells import add, get, ls, remove, set_
from .certs import access_key, certs
from .conflicts import conflicts, dismiss, reinstate
from .demo import demo
from .documents import documents
from .exits import Commands
from .explain import explain
from .keyspaces import keyspaces
from .members import members, status
from .portable import export, import_
from .serve import config, serve
from .stock import mint, spend, transfer
from .tokens import token, wait
from .upkeep import backup, compact, doctor, restore, verify
from .watch import subscriptions, watch

HELP = """A replicated data store embedded in Python services.

Run a node with 'serve', and read and write a running one with the other commands. A path is text like
counter:sold, set:skus or map:cart%3A42/counter:items (kind:name, names percent-encoded).
"""

EPILOG = """Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 unreachable, 5 damaged.

Shell completion: eval "$(_GOSSAMER_COMPLETE=bash_source gossamer)" in ~/.bashrc; for zsh and fish say
zsh_source and fish_source."""


@click.group(
    cls=Commands,
    help=HELP,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="gossamer", prog_name="gossamer", message="%(prog)s %(version)s")
def main() -> None:
    # gRPC's core writes lines of its own to standard error; what matters of them comes as an exception.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


for command in (
    serve,
    demo,
    get,
    set_,
    add,
    mint,
    spend,
    transfer,
    remove,
    ls,
    watch,
    subscriptions,
    members,
    keyspaces,
    status,
    documents,
    conflicts,
    explain,
    reinstate,
    dismiss,
    config,
    backup,
    restore,
    verify,
    doctor,
    compact,
    certs,
    access_key,
    export,
    import_,
    token,
    wait,
):
    main.add_command(command)
