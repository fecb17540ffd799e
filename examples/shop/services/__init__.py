"""The three services, each of which embeds a node of its own."""
