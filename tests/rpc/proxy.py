"""A TCP proxy that can turn into a black hole: connections stay open and nothing gets through."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """Listens on a port of its own and forwards to ``target``. A context manager; runs in its own thread."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self.accepted = 0
        self._ready = threading.Event()

    def swallow(self) -> None:
        """Forward nothing from now on, but go on accepting."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def forward(self) -> None:
        """Forward again, what was swallowed first."""
        self._loop.call_soon_threadsafe(self._open.set)

    def cut(self) -> None:
        """End all connections; they are ended when this returns."""
        asyncio.run_coroutine_threadsafe(self._cut_now(), self._loop).result()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="proxy")
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop, self._open = asyncio.Event(), asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._cut()

    async def _cut_now(self) -> None:
        self._cut()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(back)
        await asyncio.gather(self._pipe(reader, back), self._pipe(there, writer))

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._open.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.transport.abort()
