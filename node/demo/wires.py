"""The wires between the nodes: one TCP proxy for each direction of dialing, all on one loop in one thread.

How is a node cut off? Nodes know only the wires' addresses, since a node that listens on port 0 and advertises
nothing tells nobody where it is. A wire that is cut ends its connections, and accepts new ones only to end them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from ..limits import END_S_MAX

HOST = "127.0.0.1"
READ_BYTES = 64 * 1024


class Wire:
    """From one node to another. Lives on the loop."""

    def __init__(self) -> None:
        self.address = ""
        self.target: tuple[str, int] | None = None
        self.is_cut = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        """Take a free port."""
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.address = f"{HOST}:{self._server.sockets[0].getsockname()[1]}"

    def cut(self, is_cut: bool) -> None:
        """Cut it, or make it whole again."""
        self.is_cut = is_cut
        if is_cut:
            self.drop()

    def drop(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def close(self) -> None:
        """End everything."""
        self.cut(True)
        if self._server is not None:
            self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut or self.target is None:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
        else:
            await self._join(reader, writer, there, back)
        finally:
            self._writers.discard(writer)

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        self._writers.add(back)
        try:
            if self.is_cut:  # since the connection was asked for
                self.drop()
            await asyncio.gather(_pipe(reader, back), _pipe(there, writer))
        finally:
            self._writers.discard(back)


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(READ_BYTES):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.transport.abort()


class Wires:
    """A wire for each pair of names, in both directions. A context manager; its methods are for any thread."""

    def __init__(self, names: Iterable[str]) -> None:
        names = tuple(names)
        self._wires = {(a, b): Wire() for a in names for b in names if a != b}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo-wires", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        for wire in self._wires.values():
            asyncio.run_coroutine_threadsafe(wire.listen(), self._loop).result(END_S_MAX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(*(wire.close for wire in self._wires.values()))
        asyncio.run_coroutine_threadsafe(_end_all(), self._loop).result(END_S_MAX)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(END_S_MAX)
        self._loop.close()

    def address(self, source: str, to: str) -> str:
        """What ``source`` dials to reach ``to``."""
        return self._wires[source, to].address

    def lead(self, to: str, address: str) -> None:
        """All wires to ``to`` lead to this address from now on."""
        host, _, port = address.rpartition(":")
        for (_, end), wire in self._wires.items():
            if end == to:
                wire.target = (host, int(port))

    def cut(self, name: str) -> None:
        """Cut every wire from and to a node."""
        self._run(*(lambda w=wire: w.cut(True) for ends, wire in self._wires.items() if name in ends))

    def heal(self) -> None:
        """Make all wires whole."""
        self._run(*(lambda w=wire: w.cut(False) for wire in self._wires.values()))

    def _run(self, *calls: Any) -> None:
        async def all_of_them() -> None:
            for call in calls:
                call()

        asyncio.run_coroutine_threadsafe(all_of_them(), self._loop).result(END_S_MAX)


async def _end_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
