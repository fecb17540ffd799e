"""A remote node as a backend: the verbs that handles stand on, each one call.

What if no answer comes? A read may simply be asked again: `Unreachable`. A write that surely did not leave this
process is `Unreachable` too. Else it is sent again, which counts it once (`tries.py` says why), until the timeout is
over: `OutcomeUnknown`. With an ``op_id`` the caller may then repeat it, there or anywhere.

The async twins go over the same channel as the others: an asyncio channel would belong to one loop, and would
have to be closed in it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import grpc
import msgspec

from gossamer.crdt import Cell, Dot
from gossamer.proto import data_pb2 as pb
from gossamer.proto import data_pb2_grpc

from ..apply import current
from ..backend import Change, Op, expect
from ..beaten import Record
from ..config import check_address
from ..documents import schema as schemas
from ..errors import Closed, GossamerError, LimitExceeded, Unreachable, VersionMismatch
from ..handles.conflicts import Verb
from ..handles.resolvers import Resolvers
from ..limits import REPLY_BYTES_MAX
from ..tls import TLS, Version
from ..waiting import Wait
from . import address, credentials, faults, wire
from .following import RemoteFeeds
from .guard import KEY
from .keyed import Keyed
from .tries import Tries

log = logging.getLogger("gossamer")

Reply = TypeVar("Reply")


class RemoteBackend:
    """Any thread, any event loop. Connects with the first call, and again when it must."""

    def __init__(
        self, target: str, timeout: float, tls: TLS | None = None, access_key: str | None = None
    ) -> None:
        self.target, self._timeout = check_address(target, "target"), timeout
        self._tls, self._shown = tls, tls and tls.versions()
        self._unusable: object = None
        """The versions of certificate files that could not be read."""
        self._key = access_key
        self._credentials = None if tls is None else credentials.for_channel(tls)
        self._connect()
        self._closed = False
        self.bound: set[tuple[str, type]] = set()
        self.feeds = RemoteFeeds(self)
        self._ahead = time.time_ns() // 1000 - _mono()  # until the node has said what time it is there
        self.resolvers = Resolvers()
        self._node = b""  # its replica id, once it has said

    def _connect(self) -> None:
        if self._credentials is None:
            self._channel = grpc.insecure_channel(self.target, options=address.CLIENT)
        else:
            self._channel = grpc.secure_channel(self.target, self._credentials, options=address.CLIENT)
        keyed = (
            self._channel if self._key is None else grpc.intercept_channel(self._channel, Keyed(self._key))
        )
        self._stub = data_pb2_grpc.DataStub(keyed)

    def aio_channel(self) -> tuple[grpc.aio.Channel, list[tuple[str, str]]]:
        """A connection of its own for the running loop, and what each call over it shows."""
        metadata = [] if self._key is None else [(KEY, self._key)]
        if self._credentials is None:
            return grpc.aio.insecure_channel(self.target, options=address.CLIENT), metadata
        return grpc.aio.secure_channel(self.target, self._credentials, options=address.CLIENT), metadata

    def close(self) -> None:
        """Close the connection. Again: does nothing."""
        self._closed = True
        self.feeds.cut()
        self._channel.close()

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        reply = self._call(self._stub.Read, pb.ReadRequest(keyspace=keyspace, paths=[cell_path]))
        return self._read(cell_path, reply)

    async def acell(self, keyspace: str, cell_path: bytes) -> Cell:
        reply = await self._acall(self._stub.Read, pb.ReadRequest(keyspace=keyspace, paths=[cell_path]))
        return self._read(cell_path, reply)

    def _read(self, cell_path: bytes, reply: pb.ReadReply) -> Cell:
        self._note_clock(reply.now)
        return wire.unpack_cell(cell_path, reply.cells[0])

    def _note_clock(self, now: int) -> None:
        if now:  # else a node of an earlier build
            self._ahead = now - _mono()

    def now(self) -> int:
        """The node's clock, as of its last answer and the time since; this machine's wall clock does not count."""
        return _mono() + self._ahead

    def scan(self, keyspace: str, prefix: bytes) -> Iterator[tuple[bytes, Cell]]:
        self.check()
        call = self._begun(self._stub.Scan, pb.ScanRequest(keyspace=keyspace, prefix=prefix))
        try:
            while (page := self._next_page(call)) is not None:
                self._note_clock(page.now)
                for cell_path, data in zip(page.paths, page.cells, strict=True):
                    yield cell_path, wire.unpack_cell(cell_path, data)
        except grpc.RpcError as error:
            raise faults.raised(error, is_write=False) from None
        finally:
            call.cancel()

    def _next_page(self, call: Any) -> pb.ScanPage | None:
        """The next page of a scan; the timeout is for each, since many take long, and he who reads them may take his time."""
        late = threading.Timer(self._timeout, call.cancel)
        late.daemon = True
        late.start()
        try:
            return cast(pb.ScanPage | None, next(call, None))
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.CANCELLED and not self._closed:
                raise Unreachable(f"no answer within {self._timeout:g} s") from None
            raise
        finally:
            late.cancel()

    async def ascan(self, keyspace: str, prefix: bytes) -> list[tuple[bytes, Cell]]:
        return await asyncio.to_thread(lambda: list(self.scan(keyspace, prefix)))

    def write(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        return self.write_within(keyspace, ops, 0.0, op_id)

    def write_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        request = _write_request(keyspace, ops, wait, op_id)
        tries = Tries(request, self._node, self._timeout + wait)
        while True:
            self.check()
            try:
                reply = self._begun(self._stub.Write, tries.request, timeout=tries.remaining())
            except grpc.RpcError as error:
                time.sleep(self._pause(tries, error))
            else:
                if self._is_answered(tries, reply):
                    return wire.unpack_dot(reply)

    async def awrite(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        return await self.awrite_within(keyspace, ops, 0.0, op_id)

    async def awrite_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        request = _write_request(keyspace, ops, wait, op_id)
        tries = Tries(request, self._node, self._timeout + wait)
        while True:
            self.check()
            call = self._begun(cast(Any, self._stub.Write).future, tries.request, timeout=tries.remaining())
            await _done(call)
            try:
                reply = call.result()
            except grpc.RpcError as error:
                await asyncio.sleep(self._pause(tries, error))
            else:
                if self._is_answered(tries, reply):
                    return wire.unpack_dot(reply)

    def _pause(self, tries: Tries, error: grpc.RpcError) -> float:
        if self._closed:
            raise faults.raised(error, is_write=True) from None
        try:
            return tries.pause(error)
        except GossamerError as raised:
            raise raised from None

    def _is_answered(self, tries: Tries, reply: pb.WriteReply) -> bool:
        self._node = reply.another or self._node
        return tries.is_answered(reply)

    def estate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        request = pb.EstateRequest(keyspace=keyspace, member=member)
        return wire.unpack_estate(self._call(self._stub.Estate, request))

    async def aestate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        request = pb.EstateRequest(keyspace=keyspace, member=member)
        return wire.unpack_estate(await self._acall(self._stub.Estate, request))

    def update(self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None) -> Dot | None:
        for attempt in self._attempts():
            with attempt:
                cell = self.cell(keyspace, cell_path)
                return self.write(keyspace, (self._expects(cell_path, cell), *change(cell)), op_id)
        raise AssertionError("the last attempt raises")

    async def aupdate(
        self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None
    ) -> Dot | None:
        for attempt in self._attempts():
            with attempt:
                cell = await self.acell(keyspace, cell_path)
                return await self.awrite(keyspace, (self._expects(cell_path, cell), *change(cell)), op_id)
        raise AssertionError("the last attempt raises")

    def _expects(self, cell_path: bytes, cell: Cell) -> Op:
        return expect(cell_path, current(cell_path, cell, self.now()))

    def _attempts(self) -> Iterator[_Attempt]:
        """At a conditional write, until one succeeds or the timeout is over. Some writer succeeds each time."""
        until = time.monotonic() + self._timeout
        while True:
            yield _Attempt(is_last=time.monotonic() >= until)

    def bind(self, keyspace: str, schema: schemas.Schema) -> None:
        self._call(self._stub.Bind, _bind_request(keyspace, schema), is_write=True)

    async def abind(self, keyspace: str, schema: schemas.Schema) -> None:
        await self._acall(self._stub.Bind, _bind_request(keyspace, schema), is_write=True)

    def make_token(self, keyspace: str, dot: Dot | None = None) -> str:
        return self._call(self._stub.Token, _token_request(keyspace, dot)).token

    async def amake_token(self, keyspace: str, dot: Dot | None = None) -> str:
        return (await self._acall(self._stub.Token, _token_request(keyspace, dot))).token

    def wait_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        request = wire.pack_wait(keyspace, wait, timeout)
        self._call(self._stub.Wait, request, wait=timeout)

    async def await_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        request = wire.pack_wait(keyspace, wait, timeout)
        await self._acall(self._stub.Wait, request, wait=timeout)

    def explanation(self, keyspace: str, cell_path: bytes) -> dict[str, Any]:
        request = pb.ExplainRequest(keyspace=keyspace, path=cell_path)
        return wire.unpack_explanation(self._call(self._stub.Explain, request))

    async def aexplanation(self, keyspace: str, cell_path: bytes) -> dict[str, Any]:
        request = pb.ExplainRequest(keyspace=keyspace, path=cell_path)
        return wire.unpack_explanation(await self._acall(self._stub.Explain, request))

    def notes(
        self, keyspace: str, prefix: str, limit: int, before: int | None, settled: bool
    ) -> list[tuple[int, Record]]:
        self.check()
        found: list[tuple[int, Record]] = []
        is_cut = True
        while is_cut and len(found) < limit:
            before = found[-1][0] if found else before
            notes, is_cut = self._some_notes(keyspace, prefix, limit - len(found), before, settled)
            found += notes
        return found

    def _some_notes(
        self, keyspace: str, prefix: str, limit: int, before: int | None, settled: bool
    ) -> tuple[list[tuple[int, Record]], bool]:
        """What one call answers, and whether it was cut for its size."""
        request = pb.ConflictsRequest(
            keyspace=keyspace, prefix=prefix, limit=limit, before=before or 0, settled=settled
        )
        try:
            notes = list(self._begun(self._stub.Conflicts, request, timeout=self._timeout))
        except grpc.RpcError as error:
            raise faults.raised(error, is_write=False) from None
        return list(map(wire.unpack_note, notes)), sum(note.ByteSize() for note in notes) >= REPLY_BYTES_MAX

    async def anotes(
        self, keyspace: str, prefix: str, limit: int, before: int | None, settled: bool
    ) -> list[tuple[int, Record]]:
        return await asyncio.to_thread(self.notes, keyspace, prefix, limit, before, settled)

    def settle(self, keyspace: str, number: int, dot: Dot, verb: Verb, force: bool) -> Dot | None:
        request = _settle_request(keyspace, number, dot, verb, force)
        return wire.unpack_dot(self._call(self._stub.Settle, request, is_write=True))

    async def asettle(self, keyspace: str, number: int, dot: Dot, verb: Verb, force: bool) -> Dot | None:
        request = _settle_request(keyspace, number, dot, verb, force)
        return wire.unpack_dot(await self._acall(self._stub.Settle, request, is_write=True))

    def status(self) -> dict[str, Any]:
        """What the node says of itself."""
        return _json(self._call(self._stub.Status, pb.StatusRequest()).json)

    async def astatus(self) -> dict[str, Any]:
        """`status`, awaited."""
        return _json((await self._acall(self._stub.Status, pb.StatusRequest())).json)

    def admin(self, verb: str, arguments: dict[str, Any]) -> Any:
        """An operator's request."""
        request = pb.AdminRequest(verb=verb, arguments=msgspec.json.encode(arguments))
        return msgspec.json.decode(self._call(self._stub.Admin, request, is_write=True).result)

    async def aadmin(self, verb: str, arguments: dict[str, Any]) -> Any:
        """`admin`, awaited."""
        request = pb.AdminRequest(verb=verb, arguments=msgspec.json.encode(arguments))
        reply = await self._acall(self._stub.Admin, request, is_write=True)
        return msgspec.json.decode(reply.result)

    def pages(self, request: pb.WatchRequest) -> Any:
        """The call of a Watch, to iterate and to cancel."""
        self.check()
        return self._begun(self._stub.Watch, request)

    def acknowledge(self, request: pb.AcknowledgeRequest) -> None:
        """How far a subscription has come. Sent twice it does no more, so it may be tried again."""
        self._call(self._stub.Acknowledge, request)

    async def aacknowledge(self, request: pb.AcknowledgeRequest) -> None:
        """`acknowledge`, awaited."""
        await self._acall(self._stub.Acknowledge, request)

    def _call(
        self, method: Callable[..., Reply], request: object, *, is_write: bool = False, wait: float = 0.0
    ) -> Reply:
        self.check()
        try:
            return cast(Reply, self._begun(method, request, timeout=self._timeout + wait))
        except grpc.RpcError as error:
            raise faults.raised(error, is_write) from None

    async def _acall(
        self, method: Callable[..., Reply], request: object, *, is_write: bool = False, wait: float = 0.0
    ) -> Reply:
        self.check()
        call = self._begun(cast(Any, method).future, request, timeout=self._timeout + wait)
        await _done(call)
        try:
            return cast(Reply, call.result())
        except grpc.RpcError as error:
            raise faults.raised(error, is_write) from None

    def _begun(self, method: Callable[..., Any], *args: Any, **settings: Any) -> Any:
        try:
            return method(*args, **settings)
        except ValueError:
            self._say_if_closed()
            raise

    def _say_if_closed(self) -> None:
        """For a `ValueError` of gRPC's, which is what it says of a channel that was closed since `check`."""
        if self._closed:
            raise Closed(f"the client of {self.target} is closed") from None

    def check(self) -> None:
        """`Closed` if it is."""
        self._say_if_closed()
        if self._tls is not None and (now := self._tls.versions()) != self._shown:
            self._renew(self._tls, now)

    def _renew(self, tls: TLS, now: tuple[Version, ...]) -> None:
        """Connect anew with a replaced certificate. One that cannot be read is not taken."""
        try:
            self._credentials = credentials.for_channel(tls)
        except ValueError as error:
            if now != self._unusable:
                log.warning("the certificate stays as it was: %s", error)
            self._unusable = now
            return
        self._shown = now  # calls under way end on the old connection, which is gone with the last of them
        self._connect()


class _Attempt:
    """For a ``with``: another write came between, so it is tried again; after the last one that is said."""

    def __init__(self, *, is_last: bool) -> None:
        self._is_last = is_last

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, VersionMismatch) and not self._is_last


def _mono() -> int:
    return time.monotonic_ns() // 1000


async def _done(call: grpc.Future[Any]) -> None:
    """Wait for a call in the running loop; cancelled, it is given up, though a write may stand."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def settle() -> None:
        if not done.done():
            done.set_result(None)

    call.add_done_callback(lambda _: _in_loop(loop, settle))
    try:
        await done
    except asyncio.CancelledError:
        call.cancel()
        raise


def _in_loop(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(what)
    except RuntimeError:  # the loop is closed, so nobody waits
        pass


def _token_request(keyspace: str, dot: Dot | None) -> pb.TokenRequest:
    named = None if dot is None else pb.Dot(replica=dot[0], seq=dot[1])
    return pb.TokenRequest(keyspace=keyspace, dot=named)


def _write_request(keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None) -> pb.WriteRequest:
    request = pb.WriteRequest(keyspace=keyspace, ops=wire.pack_ops(ops), wait_s=wait, op_id=op_id)
    if request.ByteSize() > address.RECEIVE_BYTES_MAX:
        raise LimitExceeded(
            f"a transaction of {request.ByteSize()} bytes on the wire, at most {address.RECEIVE_BYTES_MAX} are possible"
        )
    return request


def _settle_request(keyspace: str, number: int, dot: Dot, verb: Verb, force: bool) -> pb.SettleRequest:
    which = pb.Dot(replica=dot[0], seq=dot[1])
    return pb.SettleRequest(keyspace=keyspace, number=number, dot=which, verb=verb, force=force)


def _bind_request(keyspace: str, schema: schemas.Schema) -> pb.BindRequest:
    return pb.BindRequest(keyspace=keyspace, schema=schemas.encode(schema).encode())


def _json(data: bytes) -> dict[str, Any]:
    return msgspec.json.decode(data, type=dict[str, Any])
