"""A thread with an event loop of its own, for a node's sockets.

Why not the caller's loop? A node serves programs without one, and a caller that blocks his loop must not
make his node look dead to its peers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..limits import END_S_MAX

T = TypeVar("T")


class LoopThread:
    """Starts at once. `run` things on it from other threads; `close` it in the end."""

    def __init__(self, name: str) -> None:
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        if not self._started.wait(END_S_MAX):
            raise RuntimeError(f"the thread {name} did not start within {END_S_MAX:g} s")

    def run(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for its result, which takes a moment; `TimeoutError` if it does not come."""
        return asyncio.run_coroutine_threadsafe(job, self.loop).result(END_S_MAX)

    def close(self) -> None:
        """Cancel what still runs, close the loop, end the thread."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(END_S_MAX)

    def _main(self) -> None:
        # The plain selector loop, whatever policy the program has set: others gain nothing on one stream a peer.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._started.set()
        await self._stop.wait()
