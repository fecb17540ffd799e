"""What a replica decides on each event, without performing any I/O."""
