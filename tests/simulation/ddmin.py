"""Delta debugging: the fewest parts of a list that still make a test fail.

After Zeller and Hildebrandt, *Simplifying and isolating failure-inducing input* (2002). What is left cannot lose any one of
its parts; it need not be the smallest there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Part = TypeVar("Part")


def ddmin(parts: Sequence[Part], fails: Callable[[list[Part]], bool]) -> list[Part]:
    """A part of ``parts``, in their order, that fails as they do."""
    left, pieces = list(parts), 2
    while len(left) >= 2:
        size = -(-len(left) // pieces)
        for at in range(0, len(left), size):
            rest = left[:at] + left[at + size :]
            if fails(rest):
                left, pieces = rest, max(pieces - 1, 2)
                break
        else:
            if size == 1:
                break
            pieces = min(len(left), 2 * pieces)
    return [] if len(left) == 1 and fails([]) else left
