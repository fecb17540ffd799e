"""The `gossamer` command and its subcommands."""

from __future__ import annotations

import os

import click

from .bench import bench
from .cells import add, get, ls, remove, set_
from .certs import access_key, certs
from .conflicts import conflicts, dismiss, reinstate
from .demo import demo
from .documents import documents
from .exits import Commands
from .explain import explain
from .keyspaces import keyspaces
from .members import leave, members, status
from .monitoring import monitoring
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

LONG = 1000
"""Characters: longer than any first sentence, which is never cut off."""

EPILOG = """Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 unreachable, 5 damaged.

Shell completion: eval "$(_GOSSAMER_COMPLETE=bash_source gossamer)" in ~/.bashrc; for zsh and fish say
zsh_source and fish_source."""


SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Run a node": (serve, config, demo, bench),
    "Read and write": (get, set_, add, remove, ls, export, import_),
    "Bounded counters": (mint, spend, transfer),
    "Changes": (watch, subscriptions),
    "Wait for others": (token, wait),
    "The cluster": (status, members, leave, keyspaces, documents),
    "Conflicts": (explain, conflicts, reinstate, dismiss),
    "A directory, on its machine": (backup, restore, verify, compact),
    "When something is wrong": (doctor, monitoring),
    "Security": (certs, access_key),
}
"""The commands in the order of the help, by what they are for."""


class Sectioned(Commands):
    """The group whose help has sections, and says of each command the whole first sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.commands))
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [
                        ((command.name or "").ljust(width), command.get_short_help_str(LONG))
                        for command in section
                    ]
                )


@click.group(
    cls=Sectioned,
    help=HELP,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="gossamer", prog_name="gossamer", message="%(prog)s %(version)s")
def main() -> None:
    # gRPC's core writes lines of its own to standard error; what matters of them comes as an exception.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


for section in SECTIONS.values():
    for command in section:
        main.add_command(command)
