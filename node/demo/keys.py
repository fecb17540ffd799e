"""Keys as they are pressed, one at a time, without Enter."""

from __future__ import annotations

import os
import select
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EOF = ""
"""What comes when the terminal is gone."""


@contextmanager
def pressed(fd: int) -> Iterator[Callable[[float], str | None]]:
    """A function that waits so many seconds for a key: the key, None, or `EOF`. The terminal is put back after."""
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield lambda seconds: _key(fd, seconds)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _key(fd: int, seconds: float) -> str | None:
    ready, _, _ = select.select([fd], [], [], seconds)
    if not ready:
        return None
    try:
        return os.read(fd, 1).decode(errors="replace")
    except OSError:
        return EOF
