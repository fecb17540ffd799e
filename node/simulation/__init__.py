"""A seeded cluster in one process, with its own network and clock."""
