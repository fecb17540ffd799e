"""What the pure core raises: of bytes, which are the peer's mistake or the disk's, and of a write that would lose one."""


class MalformedError(ValueError):
    """Bytes that are not what they should be: a cell, a path, a vector, a message."""


class UnseenError(Exception):
    """A write that supersedes just what was read would replace a later one of the same replica, which has one entry."""
