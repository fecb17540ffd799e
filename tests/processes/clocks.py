"""Clocks that jump: the wall clock of one process, hours ahead or behind, from one moment to the next.

How, without touching the machine's? ``python skewed.py FILE serve …`` is ``gossamer serve`` with Python's wall clock shifted by
what FILE says at each look; all of a node's looks at it are Python's. (libfaketime shifts the C library's too. It also
wakes threads that sleep by the monotonic clock, after which a node under gRPC has a fifth of its speed, so that promises in
seconds say nothing.)
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_SECONDS = struct.Struct("q")


class WallClock:
    """The wall clock of one process. `file` is to be given to ``skewed.py``."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.write_bytes(_SECONDS.pack(0))
        with file.open("r+b") as handle:
            self._shared = mmap.mmap(handle.fileno(), _SECONDS.size)

    def jump(self, seconds: int) -> None:
        """From now on it is so far ahead of the machine's, or behind it."""
        self._shared[:] = _SECONDS.pack(seconds)

    @property
    def program(self) -> list[str]:
        """What to give to Python in place of ``-m gossamer``."""
        return [str(Path(__file__).with_name("skewed.py")), str(self.file)]
