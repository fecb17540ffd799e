"""A lean HTTP/1.1 client: keep-alive connections to one server, one request at a time on each.

Why not a library's? On two cores that six services share with their customers, what the client costs is missing
elsewhere, and a client that is late makes every answer look late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, cast

IDLE_MAX = 64


class Answer(NamedTuple):
    """Of a server."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class Pool:
    """Connections to one server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []

    async def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_s: float
    ) -> Answer:
        """`OSError` or `TimeoutError` if there is no answer."""
        async with asyncio.timeout(timeout_s):
            connection = await self._connection()
            try:
                answer = await connection.request(_request(method, path, body, headers))
            except BaseException:
                connection.close()
                raise
        if len(self._idle) < IDLE_MAX and not connection.is_closed:
            self._idle.append(connection)
        return answer

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed:
                return connection
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(_Connection, "127.0.0.1", self._port)
        return made

    def close(self) -> None:
        """End the connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()


def _request(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: shop", f"content-length: {len(body)}"]
    if body:
        lines.append("content-type: application/json")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class _Connection(asyncio.Protocol):
    """Understands answers that say their length, as uvicorn's do."""

    def __init__(self) -> None:
        self._data = b""
        self._waiting: asyncio.Future[Answer] | None = None
        self.is_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name

    async def request(self, data: bytes) -> Answer:
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._waiting

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end or self._waiting is None or self._waiting.done():
            return
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        if len(rest) >= length:
            self._data = b""
            self._waiting.set_result(Answer(int(status.split(" ", 2)[1]), headers, rest[:length]))

    def connection_lost(self, error: Exception | None) -> None:
        self.is_closed = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error if isinstance(error, OSError) else ConnectionResetError())

    def close(self) -> None:
        self.is_closed = True
        self._transport.abort()
