"""Where a replica keeps its data on disk."""
