"""TCP proxies between the nodes: they count the bytes, and they can be cut.

What is a partition here? Connections stay open, new ones are accepted, and nothing gets through, as when a
cable is pulled. When it heals, the connections of before are reset.
"""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65536


class Proxies:
    """Proxies by name, on one loop in a thread of its own. A context manager."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._targets: dict[str, tuple[str, int]] = {}
        self._writers: dict[str, set[asyncio.StreamWriter]] = {name: set() for name in names}
        self._ready = threading.Event()
        self.addresses: dict[str, str] = {}
        self.bytes: dict[str, int] = dict.fromkeys(names, 0)
        """Forwarded so far, both directions."""

    def lead(self, name: str, target: str) -> None:
        """Connections to ``name`` go to ``target`` from now on; those that there are end."""
        host, _, port = target.rpartition(":")
        self._targets[name] = (host, int(port))
        self._loop.call_soon_threadsafe(self._reset, name)

    def cut(self, names: list[str]) -> None:
        """Let nothing through."""
        for name in names:
            self._loop.call_soon_threadsafe(self._open[name].clear)

    def heal(self, names: list[str]) -> None:
        """Reset what is connected, and let everything through again."""
        for name in names:
            self._loop.call_soon_threadsafe(self._heal, name)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="proxies")
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
        self._stop = asyncio.Event()
        self._open = {name: asyncio.Event() for name in self._names}
        servers = [await self._listen(name) for name in self._names]
        self._ready.set()
        await self._stop.wait()
        for server in servers:
            server.close()
        for name in self._names:
            self._heal(name)

    async def _listen(self, name: str) -> asyncio.Server:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._accept(name, reader, writer)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.addresses[name] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._open[name].set()
        return server

    def _heal(self, name: str) -> None:
        self._reset(name)
        self._open[name].set()

    def _reset(self, name: str) -> None:
        for writer in self._writers[name]:
            writer.transport.abort()
        self._writers[name].clear()

    async def _accept(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers[name].add(writer)
        try:
            there, back = await asyncio.open_connection(*self._targets[name])
        except (OSError, KeyError):  # nobody listens there, or not yet
            writer.transport.abort()
            return
        self._writers[name].add(back)
        await asyncio.gather(self._pipe(name, reader, back), self._pipe(name, there, writer))
        self._writers[name] -= {writer, back}

    async def _pipe(self, name: str, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK_BYTES):
                await self._open[name].wait()
                if sink.transport.is_closing():  # cut meanwhile: what was on its way is lost
                    return
                self.bytes[name] += len(data)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.transport.abort()
