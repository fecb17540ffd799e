"""The network between the nodes, as a process: a TCP wire for each pair, in each direction of dialing.

How is a node cut off? Its wires go silent: connections stay open, new ones are accepted, and no byte gets through, as
when a cable is pulled. When they heal, the connections of before are reset. It is a process of its own so that what it costs
is not taken for the latency of the shop::

    python -m examples.shop.wires NAME…      # answers each line of JSON on its standard input
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from subprocess import PIPE, Popen
from typing import Any, Self, cast

import msgspec
import uvloop

HOST = "127.0.0.1"


class Wire:
    """From one node to another."""

    def __init__(self) -> None:
        self.target: tuple[str, int] | None = None
        self.is_silent = False
        self.ends: set[End] = set()

    async def listen(self) -> str:
        """Take a free port; the address."""
        server = await asyncio.get_running_loop().create_server(lambda: End(self, None), HOST, 0)
        return f"{HOST}:{server.sockets[0].getsockname()[1]}"

    def lead(self, address: str) -> None:
        """Lead there from now on; what is connected is ended."""
        host, _, port = address.rpartition(":")
        self.target = (host, int(port))
        self.reset()

    def silence(self) -> None:
        """Let nothing through."""
        self.is_silent = True

    def heal(self) -> None:
        """Let everything through again."""
        if self.is_silent:
            self.is_silent = False
            self.reset()

    def reset(self) -> None:
        """End all connections."""
        for end in tuple(self.ends):
            end.transport.abort()


class End(asyncio.Protocol):
    """One end of a connection; what comes in goes out at the other one."""

    transport: asyncio.Transport

    def __init__(self, wire: Wire, other: End | None) -> None:
        self._wire, self._other = wire, other
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        self._wire.ends.add(self)
        if self._other is None:
            self._task = asyncio.get_running_loop().create_task(self._reach())

    async def _reach(self) -> None:
        if self._wire.target is None or self._wire.is_silent:
            return
        try:
            _, other = await asyncio.get_running_loop().create_connection(
                lambda: End(self._wire, self), *self._wire.target
            )
        except OSError:
            self.transport.abort()
            return
        self._other = other
        for data in self._early:
            other.send(data)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        if self._wire.is_silent:
            return
        if self._other is None:
            self._early.append(data)
        else:
            self._other.send(data)

    def send(self, data: bytes) -> None:
        """Write out what came in at the other end."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def pause_writing(self) -> None:
        if self._other is not None and not self._other.transport.is_closing():
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and not self._other.transport.is_closing():
            self._other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._wire.ends.discard(self)
        if self._other is not None and not self._other.transport.is_closing():
            self._other.transport.abort()


async def _serve(names: list[str]) -> None:
    wires = {(a, b): Wire() for a in names for b in names if a != b}
    _say({f"{a}>{b}": await wire.listen() for (a, b), wire in wires.items()})
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        _do(wires, msgspec.json.decode(line))
        _say("done")


def _do(wires: dict[tuple[str, str], Wire], order: dict[str, Any]) -> None:
    for (a, b), wire in wires.items():
        if b in order.get("lead", {}):
            wire.lead(order["lead"][b])
        if (a in order.get("cut", ())) != (b in order.get("cut", ())):
            wire.silence()
        if order.get("heal"):
            wire.heal()


def _say(what: object) -> None:
    print(msgspec.json.encode(what).decode(), flush=True)


class Wires:
    """The process, for who breaks things. A context manager."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "examples.shop.wires", *self._names]
        self._process = Popen(command, stdin=PIPE, stdout=PIPE)
        self._addresses: dict[str, str] = self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def peers(self, name: str) -> list[str]:
        """What a node dials to reach the others."""
        return [address for pair, address in self._addresses.items() if pair.startswith(f"{name}>")]

    def lead(self, name: str, address: str) -> None:
        """A node listens there now."""
        self._tell({"lead": {name: address}})

    def cut(self, names: Iterable[str]) -> None:
        """Cut some off from the rest; among themselves they are connected."""
        self._tell({"cut": list(names)})

    def heal(self) -> None:
        """Connect all again."""
        self._tell({"heal": True})

    def _tell(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return msgspec.json.decode(self._process.stdout.readline())


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1:]))
