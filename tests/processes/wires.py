"""TCP between the nodes, through a proxy whose wires can be cut, blocked, blocked in one direction, or worn out.

How does a cut really cut? Each node dials each other one through a wire of its own, so that both ends of every
connection are known. What a node advertises is its *door*, a wire that everybody may use. Nobody can tell who
comes through a door, so all doors are shut while any wire is not whole.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
READ_BYTES = 64 * 1024


class Wire:
    """A listening port and where it leads. Lives on the loop."""

    def __init__(self) -> None:
        self.address = ""
        self.target: tuple[str, int] | None = None
        self.is_cut = False
        self.bytes_max: int | None = None
        """Bytes after which each connection ends; None: it does not."""
        self.accepted = 0
        self.there, self.back = asyncio.Event(), asyncio.Event()
        """Whether bytes get through, away from the dialer and towards it."""
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        """Take a free port, with everything getting through."""
        self.there.set()
        self.back.set()
        self._server = await asyncio.start_server(self._accepted, HOST, 0)
        self.address = f"{HOST}:{self._server.sockets[0].getsockname()[1]}"

    def cut(self, is_cut: bool = True) -> None:
        """End all connections, and every new one at once; or no more."""
        self.is_cut = is_cut
        for writer in self._writers if is_cut else ():
            writer.transport.abort()

    def heal(self) -> None:
        """Let everything through; what was blocked first, as TCP does."""
        self.cut(False)
        self.bytes_max = None
        self.there.set()
        self.back.set()

    def close(self) -> None:
        """End everything."""
        self.cut()
        self._server.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._accept(reader, writer)
        except asyncio.CancelledError:  # at the end; asyncio's own callback would print it
            pass

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            assert self.target is not None and not self.is_cut
            onward, backward = await asyncio.open_connection(*self.target)
        except (OSError, AssertionError):
            writer.transport.abort()
            return
        pair = {writer, backward}
        self._writers |= pair
        try:
            if not self.is_cut:  # since the connection was asked for
                await asyncio.gather(
                    self._pipe(reader, backward, self.there), self._pipe(onward, writer, self.back)
                )
        finally:
            self._writers -= pair
            for one in pair:
                one.transport.abort()

    async def _pipe(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_open: asyncio.Event
    ) -> None:
        passed = 0
        try:
            while data := await source.read(READ_BYTES):
                await is_open.wait()
                passed += len(data)
                if self.bytes_max is not None and passed > self.bytes_max:
                    break
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.transport.abort()


def _nothing(_: Wire) -> None:
    pass


class Wires:
    """A wire from each name to each other one, and a door to each. A context manager, for any thread."""

    def __init__(self, names: Iterable[str], doors: bool = True) -> None:
        """``doors=False``: they are always shut, so that it is known which wire a link goes over."""
        self._names, self._has_doors = tuple(names), doors
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wires", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    async def _listen(self) -> None:
        self._wires = {(a, b): Wire() for a in self._names for b in self._names if a != b}
        self._doors = {name: Wire() for name in self._names}
        for wire in (*self._wires.values(), *self._doors.values()):
            await wire.listen()
        self._open_doors(self._has_doors)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        for wire in (*self._wires.values(), *self._doors.values()):
            wire.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def door(self, name: str) -> str:
        """What a node advertises."""
        return self._doors[name].address

    def peers(self, name: str) -> list[str]:
        """What a node dials to reach the others."""
        return [wire.address for (source, _), wire in self._wires.items() if source == name]

    def accepted(self, *names: str) -> int:
        """Connections so far over the wires that begin or end at one of these."""
        return sum(wire.accepted for ends, wire in self._wires.items() if set(ends) & set(names))

    def lead(self, to: str, address: str) -> None:
        """All wires to ``to``, and its door, lead to this address from now on."""
        host, _, port = address.rpartition(":")
        for (_, end), wire in self._wires.items():
            if end == to:
                wire.target = (host, int(port))
        self._doors[to].target = (host, int(port))

    def cut(self, name: str) -> None:
        """End every connection from and to a node, and every new one."""
        self._change(name, Wire.cut)

    def swallow(self, name: str) -> None:
        """A black hole around a node: connections stay and are accepted, and no byte gets through."""
        self.deafen(name)
        self.silence(name)

    def silence(self, name: str) -> None:
        """No byte from a node gets through."""
        self._change(name, _nothing, mine=lambda w: w.there.clear(), others=lambda w: w.back.clear())

    def deafen(self, name: str) -> None:
        """No byte to a node gets through."""
        self._change(name, _nothing, mine=lambda w: w.back.clear(), others=lambda w: w.there.clear())

    def wear_out(self, name: str, bytes_max: int) -> None:
        """Connections from and to a node end after so many bytes, and can be made anew at once."""
        self._change(name, lambda wire: setattr(wire, "bytes_max", bytes_max))

    def heal(self) -> None:
        """Make all wires whole, and open the doors."""

        def heal() -> None:
            for wire in self._wires.values():
                wire.heal()
            self._open_doors(self._has_doors)

        self._run(heal)

    def _change(
        self,
        name: str,
        both: Callable[[Wire], None],
        mine: Callable[[Wire], None] = _nothing,
        others: Callable[[Wire], None] = _nothing,
    ) -> None:
        def change() -> None:
            self._open_doors(False)
            for (source, end), wire in self._wires.items():
                if name in (source, end):
                    both(wire)
                    (mine if name == source else others)(wire)

        self._run(change)

    def _open_doors(self, are_open: bool) -> None:
        for door in self._doors.values():
            door.cut(not are_open)

    def _run(self, call: Callable[[], None]) -> None:
        async def called() -> None:
            call()

        asyncio.run_coroutine_threadsafe(called(), self._loop).result()
