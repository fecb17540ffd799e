"""The client's side of a remote watch: streams that go on after a cut from where they were.

What does a cut do? The node may have been restarted, or the network was away: what was received stands, and the next
stream begins after it. A first attempt that fails raises `Unreachable` at once, so that a wrong address is not waited
for; with ``resume=False`` every cut does.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import grpc

from gossamer.proto import data_pb2 as pb
from gossamer.proto import data_pb2_grpc

from .. import admin
from ..errors import Closed, CursorExpired, GossamerError, NotReady, Unreachable
from ..feed import AsyncWatch, Held, Subscription, Wanted, Watch, cursor
from ..feed.change import Source
from ..feed.feeds import check_name, held
from ..feed.tray import Tray
from ..handles.resolvers import Resolvers
from ..limits import LinkTiming
from ..store.feed import AT_END, Place
from . import faults, watching, wire
from .dialer import backoff

if TYPE_CHECKING:
    from .remote import RemoteBackend

_TIMING = LinkTiming()


class RemoteFeeds:
    """A remote node's feeds. Any thread, any event loop."""

    def __init__(self, remote: RemoteBackend) -> None:
        self._remote = remote
        self._streams: WeakSet[RemoteStream | RemoteAsyncStream] = WeakSet()

    def cut(self) -> None:
        """The client is closed: whoever waits for more is told, whichever connection he waits on."""
        for stream in list(self._streams):
            stream.cut()

    def _stream(self, following: Following) -> RemoteStream:
        self._streams.add(stream := RemoteStream(self._remote, following))
        return stream

    def _async_stream(self, following: Following) -> RemoteAsyncStream:
        self._streams.add(stream := RemoteAsyncStream(self._remote, following))
        return stream

    def watch(self, keyspace: str, wanted: Wanted) -> Watch:
        return Watch(self._stream(Following(self._remote.resolvers, keyspace, wanted)))

    def awatch(self, keyspace: str, wanted: Wanted) -> AsyncWatch:
        return AsyncWatch(self._async_stream(Following(self._remote.resolvers, keyspace, wanted)))

    def subscription(self, keyspace: str, name: str, wanted: Wanted, auto_ack: bool) -> Subscription:
        check_name(name)
        owner = os.urandom(8)
        return Subscription(
            name,
            lambda: self._stream(Following(self._remote.resolvers, keyspace, wanted, name, owner)),
            lambda: self._async_stream(Following(self._remote.resolvers, keyspace, wanted, name, owner)),
            time.monotonic,
            auto_ack,
        )

    def subscriptions(self, keyspace: str) -> list[Held]:
        return _held(self._remote.status(), keyspace)

    async def asubscriptions(self, keyspace: str) -> list[Held]:
        return _held(await self._remote.astatus(), keyspace)

    def unsubscribe(self, keyspace: str, name: str) -> bool:
        return bool(self._remote.admin(admin.UNSUBSCRIBE, {"keyspace": keyspace, "name": check_name(name)}))

    async def aunsubscribe(self, keyspace: str, name: str) -> bool:
        arguments = {"keyspace": keyspace, "name": check_name(name)}
        return bool(await self._remote.aadmin(admin.UNSUBSCRIBE, arguments))


def _held(status: dict[str, Any], keyspace: str) -> list[Held]:
    if keyspace not in status["keyspaces"]:
        raise ValueError(f"keyspace {keyspace!r}: the node does not host it")
    return held(status["keyspaces"][keyspace]["feed"])


class Following:
    """How far a remote reader is, and what it asks for next."""

    def __init__(
        self,
        resolvers: Resolvers,
        keyspace: str,
        wanted: Wanted,
        name: str | None = None,
        owner: bytes = b"",
    ) -> None:
        self.keyspace, self.wanted, self._name, self._owner = keyspace, wanted, name, owner
        self.tray = Tray(Place(AT_END, b"" if wanted.snapshot else None))
        self.source = Source(keyspace, b"", wanted.scope, {}, resolvers)
        self.is_closed = False
        self.has_begun = False
        self.failures = 0
        self._is_anew = False
        self._cut_at: float | None = None

    def request(self) -> pb.WatchRequest:
        """What goes on where it is."""
        scope = self.wanted.scope
        since = self.wanted.since
        if self.has_begun and self.tray.place.position != AT_END:
            since = cursor.encode(self.keyspace, self.source.replica, self.tray.place, scope)
        return pb.WatchRequest(
            keyspace=self.keyspace,
            prefix=scope.text,
            inside=scope.inside,
            since="" if self._is_anew else since or "",
            snapshot=self._is_anew or self.wanted.snapshot,
            idle_s=self.wanted.timeout,
            subscription=self._name or "",
            consumer=self._owner,
            anew=self._is_anew and self._name is not None,
        )

    def receive(self, page: pb.WatchPage) -> None:
        """Take a page in. `MalformedError` if it is none."""
        for change in page.changes:
            for cell in (change.old, change.new):
                if cell:
                    wire.unpack_cell(change.path, cell)
        names = {member.replica: member.name for member in page.members}
        self.source = self.source._replace(replica=page.replica, names={**self.source.names, **names})
        self.tray.fill(map(watching.unpack_item, page.changes), watching.unpack_place(page.read))
        self.has_begun, self._is_anew, self.failures, self._cut_at = True, False, 0, None

    def begin_again(self) -> None:
        """The next request is for a snapshot."""
        self._is_anew = True
        self.tray.restart(Place(AT_END, b""))

    def wait_after(self, error: grpc.RpcError, now: float, rng: Random) -> float:
        """Seconds to wait before going on after a stream that failed; raises what is not to be gone on after."""
        raised = faults.raised(error, is_write=False)
        if isinstance(raised, (Closed, NotReady)):
            raised = Unreachable(str(raised))
        if isinstance(raised, CursorExpired) and self.wanted.expired == "snapshot":
            self.begin_again()
            return 0.0
        if not isinstance(raised, Unreachable) or not self.has_begun or not self.wanted.resume:
            raise raised from None
        self._cut_at = now if self._cut_at is None else self._cut_at
        if self.wanted.timeout is not None and now - self._cut_at > max(
            self.wanted.timeout, _TIMING.connect_s
        ):
            raise raised from None
        self.failures += 1
        return backoff(_TIMING, self.failures - 1, rng)

    def acknowledgement(self, place: Place) -> pb.AcknowledgeRequest:
        """What says how far it is handled."""
        return pb.AcknowledgeRequest(
            keyspace=self.keyspace, subscription=self._name or "", place=watching.pack_place(place)
        )

    @property
    def leave(self) -> pb.AcknowledgeRequest | None:
        """What says that a subscription's consumer is done."""
        if self._name is None or not self.has_begun:
            return None
        return pb.AcknowledgeRequest(keyspace=self.keyspace, subscription=self._name, leaving=self._owner)


class RemoteStream:
    """A `Stream`."""

    def __init__(self, remote: RemoteBackend, following: Following) -> None:
        self._remote, self._following = remote, following
        self._call: Any = None
        self._closing = threading.Event()
        self._rng = Random()

    @property
    def tray(self) -> Tray:
        return self._following.tray

    @property
    def source(self) -> Source:
        return self._following.source

    def begin(self) -> None:
        if not self._following.has_begun:
            self._receive()

    def begin_again(self) -> None:
        self._hang_up()
        self._following.begin_again()
        self._receive()

    def more(self) -> bool:
        return self._receive()

    def _receive(self) -> bool:
        """Wait for the next page, over as many calls as it takes; False if there is none to come."""
        while not self._closing.is_set():
            try:
                self._following.receive(next(self._opened()))
                return True
            except StopIteration:
                self._call = None
                return False
            except grpc.RpcError as error:
                self._call = None
                if not self._closing.is_set():
                    self._closing.wait(self._following.wait_after(error, time.monotonic(), self._rng))
        return False

    def _opened(self) -> Any:
        call = self._call
        if call is None:
            call = self._call = self._remote.pages(self._following.request())
            if self._closing.is_set():  # it was closed before there was a call to cancel
                call.cancel()
        return call

    def _hang_up(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def cut(self) -> None:
        """End the call under way, from any thread; going on then says that the client is closed."""
        call = self._call
        if call is not None:
            call.cancel()

    def acknowledge(self, place: Place) -> None:
        self._remote.acknowledge(self._following.acknowledgement(place))

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._hang_up()
        if (leave := self._following.leave) is not None:
            with suppress(GossamerError):  # the node notices by itself, in a moment
                self._remote.acknowledge(leave)


class RemoteAsyncStream:
    """An `AsyncStream`, over a connection of its own: one of asyncio's belongs to a loop, and so does this."""

    def __init__(self, remote: RemoteBackend, following: Following) -> None:
        self._remote, self._following = remote, following
        self._channel: grpc.aio.Channel | None = None
        self._metadata: list[tuple[str, str]] = []
        self._call: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._rng = Random()

    @property
    def tray(self) -> Tray:
        return self._following.tray

    @property
    def source(self) -> Source:
        return self._following.source

    async def begin(self) -> None:
        if not self._following.has_begun:
            await self._receive()

    async def begin_again(self) -> None:
        self._hang_up()
        self._following.begin_again()
        await self._receive()

    async def more(self) -> bool:
        return await self._receive()

    async def _receive(self) -> bool:
        while not self._is_closed:
            try:
                if self._call is None:
                    self._call = self._opened()
                page = await self._call.read()
                if page is grpc.aio.EOF:
                    self._call = None
                    return False
                self._following.receive(page)
                return True
            except asyncio.CancelledError:
                if self._is_closed:  # the call was cancelled, by `close`, and not the task
                    return False
                task = asyncio.current_task()
                if task is None or not task.cancelling():  # by `cut`
                    await self._drop()
                    self._remote.check()
                raise
            except grpc.RpcError as error:
                await self._drop()
                if not self._is_closed:
                    await asyncio.sleep(self._following.wait_after(error, time.monotonic(), self._rng))
        return False

    def _opened(self) -> Any:
        self._remote.check()
        if self._channel is None:
            self._channel, self._metadata = self._remote.aio_channel()
            self._loop = asyncio.get_running_loop()
        stub: Any = data_pb2_grpc.DataStub(self._channel)
        return stub.Watch(self._following.request(), metadata=self._metadata)

    async def _drop(self) -> None:
        """The next call is over another connection: the certificate may be another one by then."""
        channel, self._channel, self._call = self._channel, None, None
        if channel is not None:
            await channel.close()

    def _hang_up(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def cut(self) -> None:
        """End the call under way, from any thread; going on then says that the client is closed."""
        if self._loop is not None:
            with suppress(RuntimeError):  # that loop is closed, so nobody waits
                self._loop.call_soon_threadsafe(self._hang_up)

    async def acknowledge(self, place: Place) -> None:
        await self._remote.aacknowledge(self._following.acknowledgement(place))

    async def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._hang_up()
        if (leave := self._following.leave) is not None:
            with suppress(GossamerError):
                await self._remote.aacknowledge(leave)
        await self._drop()
