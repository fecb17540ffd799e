"""What the pure core raises about bytes: the peer's mistake or the disk's, never the caller's."""


class MalformedError(ValueError):
    """Bytes that are not what they should be: a cell, a path, a vector, a message."""
