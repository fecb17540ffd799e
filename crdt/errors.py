"""What the pure core raises: of bytes, which are the peer's mistake or the disk's, and of a write that must not be."""


class MalformedError(ValueError):
    """Bytes that are not what they should be: a cell, a path, a vector, a message."""


class UnseenError(Exception):
    """A write that supersedes just what was read would replace a later one of the same replica, which has one entry."""


class RightsError(Exception):
    """A write that wants more of a bounded counter than its writer has the rights to."""

    def __init__(self, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} wanted, and the rights here are {available}")
        self.wanted, self.available = wanted, available
