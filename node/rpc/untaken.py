"""Large answers that clients have not taken yet: bounded, whoever asks for many and reads none."""

from __future__ import annotations

from typing import Any

import grpc

from ..errors import LimitExceeded
from ..limits import LARGE_BYTES, LARGE_BYTES_MAX


class Untaken:
    """Of one server; lives on its loop."""

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, size: int, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """An answer of so many bytes is about to be given to a call; it counts until that has ended. `LimitExceeded`."""
        if size < LARGE_BYTES:
            return
        if self._bytes + size > LARGE_BYTES_MAX:
            raise LimitExceeded(
                f"{self._bytes} bytes of answers wait to be read by clients, at most {LARGE_BYTES_MAX} may; ask again later"
            )
        self._bytes += size
        context.add_done_callback(lambda _: self._take(size))  # type: ignore[arg-type]  # the stubs want a class

    def _take(self, size: int) -> None:
        self._bytes -= size
