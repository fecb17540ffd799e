"""``python -m gossamer``: the `gossamer` command."""

from .cli import main

main()
