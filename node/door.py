"""How many may be connected to one of a node's HTTP ports at once, and who must go when one more comes.

Why not refuse the newest? Connections that say nothing cost their owner nothing: a thousand of them would keep a page,
or a scraper, away for good. So the oldest goes, and who means it comes again.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .limits import HTTP_CONNECTIONS_MAX

Accepted = tuple[socket.socket, Any]


class Door:
    """Counts the connections that one listening socket has accepted; on one thread."""

    def __init__(self, most: int = HTTP_CONNECTIONS_MAX) -> None:
        """``most`` is an eighth of the files that the process may open, if that is less."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = most if files == resource.RLIM_INFINITY else max(1, min(most, files // 8))
        self._inside: list[socket.socket] = []
        self._leaving: list[socket.socket] = []
        """Told to end, and not closed yet."""

    def let_in(self, accept: Callable[[], Accepted]) -> Accepted:
        """The next connection; the oldest is told to end if there is one too many.

        `BlockingIOError`, as if there were no next one, while too many that were told have not ended: whoever listens looks again.
        """
        self._inside, self._leaving = _open(self._inside), _open(self._leaving)
        if len(self._leaving) >= self._most:
            raise BlockingIOError
        accepted = accept()
        self._inside.append(accepted[0])
        if len(self._inside) > self._most:
            oldest = self._inside.pop(0)
            self._leaving.append(oldest)
            with suppress(OSError):  # the other end was faster
                oldest.shutdown(socket.SHUT_RDWR)
        return accepted


def _open(connections: list[socket.socket]) -> list[socket.socket]:
    return [connection for connection in connections if connection.fileno() != -1]


class Listening(socket.socket):
    """A listening socket with a `Door`, made of one without, for servers that call its ``accept``."""

    def __init__(self, plain: socket.socket, door: Door) -> None:
        super().__init__(plain.family, plain.type, plain.proto, plain.detach())
        self._door = door

    def accept(self) -> Accepted:
        """`Door.let_in`."""
        return self._door.let_in(super().accept)
