"""The shell of a node: writer thread, links, server, client."""
