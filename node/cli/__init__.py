"""The `gossamer` command."""
