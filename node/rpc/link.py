"""A link: one Exchange stream to a peer, dialed or accepted, from its opening to its end.

How does a node notice that a peer is gone? Both sides send a ping every beat, whatever else they send. None is
answered: the peer's own pings say as much. A link on which nothing was heard for some of its own beats is dead. A link
that does not read because the engine is busy does not count, nor does the time in which this very process was stopped.

What the engine has not taken yet is bounded: with `LINK_PIPELINE` messages under way a link stops reading, and
flow control passes that on to the peer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import grpc

from gossamer.proto.replication_pb2 import Frame

from ..errors import GossamerError, ProtocolError
from ..limits import LINK_PIPELINE, LINK_QUEUE_BYTES_MAX, MESSAGE_BYTES_MAX, PART_BYTES, LinkTiming
from ..turns import Connected, Disconnected, Received
from ..writer import Writer

log = logging.getLogger("gossamer")


class Stream(Protocol):
    """The two directions of an Exchange, alike on both sides."""

    async def read(self) -> Any:
        """The next frame, or `grpc.aio.EOF`."""

    async def write(self, frame: Frame) -> None:
        """Send a frame; waits while the peer's window is full."""


class Link:
    """Lives on the loop. `run` is its whole life; `send` and `close` are the engine's."""

    def __init__(self, number: int, stream: Stream, writer: Writer, timing: LinkTiming) -> None:
        self.number = number
        self._stream, self._writer, self._timing = stream, writer, timing
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.beats = 0
        """Heartbeats since the link opened."""
        self._reading = self._greeted = False
        self._beats_unheard = 0
        self._untaken = asyncio.Semaphore(LINK_PIPELINE)
        self._parts: list[bytes] = []
        self._outgoing: deque[bytes] = deque()
        self._offset = 0  # of what is already sent of the first outgoing message
        self._outgoing_bytes = 0
        self._ping: int | None = None
        self._closing: str | None = None
        self._to_send = asyncio.Event()

    async def run(self, dialed: str | None, vouched: frozenset[str] | None) -> str:
        """Connect, exchange until the link ends, disconnect; the reason why it ended."""
        connected = self._writer.enqueue(Connected(self.number, dialed, vouched))
        try:
            await connected
            return await self._exchange()
        except GossamerError as error:  # the node is closed, or its disk is full
            return f"this node cannot: {error}"
        finally:
            await self._disconnect()

    def send(self, body: bytes) -> None:
        """Queue a message."""
        self._outgoing_bytes += len(body)
        if self._outgoing_bytes > LINK_QUEUE_BYTES_MAX:
            self.end(f"{self._outgoing_bytes} bytes wait to be sent")
            return
        self._outgoing.append(body)
        self._to_send.set()

    def close(self, reason: str) -> None:
        """End the link once all that was queued is sent, or soon, if the peer does not read."""
        self._closing = reason
        self._to_send.set()
        asyncio.get_running_loop().call_later(self._timing.hello_s, self.end, reason)

    def end(self, reason: str) -> None:
        """End the link now."""
        if not self._ended.done():
            self._ended.set_result(reason)

    async def _exchange(self) -> str:
        jobs = [asyncio.create_task(self._job(job)) for job in (self._read, self._send, self._beat)]
        try:
            return await self._ended
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _job(self, job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except ProtocolError as error:
            self.end(str(error))
        except grpc.aio.AioRpcError as error:
            self.end(f"{error.code().name}: {error.details()}")
        except (grpc.aio.BaseError, asyncio.InvalidStateError) as error:  # the call has ended
            self.end(f"the stream ended: {error or type(error).__name__}")
        except Exception as error:
            log.exception("link %d failed", self.number)
            self.end(repr(error))

    async def _disconnect(self) -> None:
        """Tell the engine, whatever it takes: it must not believe in a link that is gone."""
        while True:
            try:
                await self._writer.enqueue(Disconnected(self.number))
            except GossamerError:
                if self._writer.is_done_for:
                    return
                await asyncio.sleep(self._timing.backoff_max_s)  # a full disk, perhaps
            else:
                return

    # In.

    async def _read(self) -> None:
        while True:
            self._reading = True
            frame = await self._stream.read()
            self._reading = False
            self._beats_unheard = 0
            if frame is grpc.aio.EOF:
                self.end("the peer ended the link")
                return
            await self._heard(frame)

    async def _heard(self, frame: Frame) -> None:
        match frame.WhichOneof("body"):
            case "message":
                await self._take(self._whole(frame.message))
            case "part":
                self._parts.append(frame.part)
                self._check_size()
            case "ping" | "pong":
                pass  # that it was heard is what counts
            case _:
                raise ProtocolError("a frame without a body")

    def _whole(self, last: bytes) -> bytes:
        if not self._parts:
            return last
        self._parts.append(last)
        self._check_size()
        body = b"".join(self._parts)
        self._parts.clear()
        return body

    def _check_size(self) -> None:
        size = sum(map(len, self._parts))
        if size > MESSAGE_BYTES_MAX or not self._parts[0]:
            raise ProtocolError(
                f"a message of {size} bytes in parts; at most {MESSAGE_BYTES_MAX} are possible"
            )

    async def _take(self, body: bytes) -> None:
        self._greeted = True
        await self._untaken.acquire()
        self._writer.enqueue(Received(self.number, body)).add_done_callback(self._taken)

    def _taken(self, outcome: asyncio.Future[Any]) -> None:
        self._untaken.release()
        if not outcome.cancelled() and (error := outcome.exception()) is not None:
            self.end(str(error))

    # Out.

    async def _send(self) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            while (frame := self._next_frame()) is not None:
                await self._stream.write(frame)
            if self._closing is not None:
                self.end(self._closing)

    def _next_frame(self) -> Frame | None:
        """Heartbeats first, also between the pieces of a message."""
        if self._ping is not None:
            frame, self._ping = Frame(ping=self._ping), None
            return frame
        return self._next_piece() if self._outgoing else None

    def _next_piece(self) -> Frame:
        body = self._outgoing[0]
        piece = body[self._offset : self._offset + PART_BYTES]
        self._outgoing_bytes -= len(piece)
        self._offset += len(piece)
        if self._offset < len(body):
            return Frame(part=piece)
        self._outgoing.popleft()
        self._offset = 0
        return Frame(message=piece)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._timing.beat_s)
            self.beats += 1
            self._beats_unheard += self._reading
            if self._beats_unheard > self._timing.beats_missed_max:
                self.end(f"nothing heard for {self._beats_unheard} heartbeats of {self._timing.beat_s} s")
            if not self._greeted and self.beats * self._timing.beat_s > self._timing.hello_s:
                self.end(f"no hello within {self._timing.hello_s} s")
            self._ping = self.beats
            self._to_send.set()
