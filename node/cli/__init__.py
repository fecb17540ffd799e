"""The `gossamer` command: a node from the shell, and reads and writes of a running one."""

from .main import main

__all__ = ["main"]
