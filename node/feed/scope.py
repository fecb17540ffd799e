"""What a reader follows: the paths whose text begins with a prefix, or all that is in a map."""

from __future__ import annotations

from gossamer.crdt import path

from ..handles.prefix import ranges_of_text


class Scope:
    """Paths whose text begins with ``text`` and that lie in the container ``inside``, a path; both may be empty."""

    __slots__ = ("inside", "ranges", "text")

    def __init__(self, text: str = "", inside: bytes = b"") -> None:
        self.text, self.inside = text, inside
        self.ranges = [inside] if inside else ranges_of_text(text)
        """Prefixes that hold all of them; ``text`` is compared as well, unless they are all that it says."""

    def holds(self, cell_path: bytes) -> bool:
        """Whether a path is followed."""
        if self.inside:
            return cell_path.startswith(self.inside)
        if not self.text:
            return True
        return any(map(cell_path.startswith, self.ranges)) and path.to_text(cell_path).startswith(self.text)
