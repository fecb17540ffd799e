"""The Data service: a node's reads and writes for clients that hold no data.

What runs where? Reads are lookups of microseconds, so they run right on the loop; a hop to another thread
would cost a hundred times as much. Writes are awaited from the writer thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import grpc
import msgspec

from gossamer.crdt import Cell, Dot, codec
from gossamer.proto import data_pb2 as pb
from gossamer.proto import data_pb2_grpc

from ..backend import Op
from ..documents import schema
from ..errors import AnotherNode, LimitExceeded
from ..feed import Feeds
from ..handles.conflicts import Ledgers
from ..limits import CONFLICTS_AT_ONCE, PAGE_BYTES, REPLY_BYTES_MAX
from ..op_id import check_op_id
from ..turns import Attempt
from . import faults, watching, wire
from .untaken import Untaken

Context = grpc.aio.ServicerContext[Any, Any]


class Served(Ledgers, Protocol):
    """What the service needs of a node."""

    feeds: Feeds

    @property
    def replica(self) -> bytes:
        """Its replica id now."""

    async def aattempt(self, keyspace: str, ops: Sequence[Op], wait: float, attempt: Attempt) -> Dot | None:
        """`awrite_within`, which may be asked for again. `AnotherNode` if it was first asked of another."""

    async def astatus(self) -> dict[str, Any]:
        """A plain, JSON-ready snapshot."""

    async def aadmin(self, verb: str, arguments: dict[str, Any]) -> Any:
        """What an operator asks; `ValueError` for a verb that there is not."""


class DataService(data_pb2_grpc.DataServicer):
    """Each method checks all of its input first, and answers errors as `faults` says."""

    def __init__(self, node: Served) -> None:
        self._node, self._untaken = node, Untaken()

    async def Read(self, request: pb.ReadRequest, context: Context) -> pb.ReadReply:
        async with faults.answering(context):
            paths = wire.checked_paths(request.paths)
            cells = [codec.encode(self._node.cell(request.keyspace, p)) for p in paths]
            self._untaken.add(_within_a_reply(cells), context)
            return pb.ReadReply(cells=cells, now=self._node.now())

    async def Write(self, request: pb.WriteRequest, context: Context) -> pb.WriteReply:
        async with faults.answering(context):
            return await self._write(request)

    async def Estate(self, request: pb.EstateRequest, context: Context) -> pb.EstateReply:
        async with faults.answering(context):
            return pb.EstateReply(replicas=await self._node.aestate(request.keyspace, request.member))

    async def _write(self, request: pb.WriteRequest) -> pb.WriteReply:
        ops, wait = wire.unpack_ops(request.ops), wire.checked_wait(request.wait_s)
        if request.HasField("op_id"):
            op_id = check_op_id(request.op_id)
            return wire.pack_dot(await self._node.awrite_within(request.keyspace, ops, wait, op_id))
        if not request.HasField("attempt"):
            return wire.pack_dot(await self._node.awrite_within(request.keyspace, ops, wait))
        attempt = wire.unpack_attempt(request.attempt)
        try:
            if not attempt.node:  # the client's first write: it asks who this is
                raise AnotherNode(self._node.replica)
            return wire.pack_dot(await self._node.aattempt(request.keyspace, ops, wait, attempt))
        except AnotherNode as error:
            return pb.WriteReply(another=error.replica)

    async def Scan(self, request: pb.ScanRequest, context: Context) -> AsyncIterator[pb.ScanPage]:
        async with faults.answering(context):
            page, size = pb.ScanPage(), 0
            for cell_path, cell in self._node.scan(request.keyspace, wire.checked_prefix(request.prefix)):
                size += _append(page, cell_path, cell)
                if size >= PAGE_BYTES:
                    page.now = self._node.now()
                    yield page  # the loop goes round while the page is sent
                    page, size = pb.ScanPage(), 0
            page.now = self._node.now()
            yield page

    async def Bind(self, request: pb.BindRequest, context: Context) -> pb.BindReply:
        async with faults.answering(context):
            await self._node.abind(request.keyspace, schema.of_message(request.schema))
            return pb.BindReply()

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.WatchPage]:
        async with faults.answering(context), aclosing(watching.serve(self._node.feeds, request)) as pages:
            async for page in pages:
                yield page  # not before the client, or the connection's buffer, has room for it

    async def Acknowledge(self, request: pb.AcknowledgeRequest, context: Context) -> pb.AcknowledgeReply:
        async with faults.answering(context):
            await watching.acknowledge(self._node.feeds, request)
            return pb.AcknowledgeReply()

    async def Token(self, request: pb.TokenRequest, context: Context) -> pb.TokenReply:
        async with faults.answering(context):
            dot = wire.checked_dot(request)
            return pb.TokenReply(token=await self._node.amake_token(request.keyspace, dot))

    async def Wait(self, request: pb.WaitRequest, context: Context) -> pb.WaitReply:
        async with faults.answering(context):
            await self._node.await_until(request.keyspace, wire.unpack_wait(request), request.timeout_s)
            return pb.WaitReply()

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainReply:
        async with faults.answering(context):
            cell_path = wire.checked_path(request.path)
            reply = wire.pack_explanation(await self._node.aexplanation(request.keyspace, cell_path))
            self._untaken.add(reply.ByteSize(), context)
            return reply

    async def Conflicts(self, request: pb.ConflictsRequest, context: Context) -> AsyncIterator[pb.Conflict]:
        async with faults.answering(context):
            before, left, size = request.before or None, request.limit, 0
            while left > 0 and size < REPLY_BYTES_MAX:  # the client asks for the rest
                most = min(left, CONFLICTS_AT_ONCE)
                notes = self._node.notes(request.keyspace, request.prefix, most, before, request.settled)
                for number, record in notes:
                    note = wire.pack_note(number, record)
                    size += note.ByteSize()
                    yield note
                left = left - len(notes) if len(notes) == most else 0
                before = notes[-1][0] if notes else None

    async def Settle(self, request: pb.SettleRequest, context: Context) -> pb.WriteReply:
        async with faults.answering(context):
            dot, verb = (request.dot.replica, request.dot.seq), wire.unpack_verb(request.verb)
            number, force = request.number, request.force
            return wire.pack_dot(await self._node.asettle(request.keyspace, number, dot, verb, force))

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusReply:
        async with faults.answering(context):
            return pb.StatusReply(json=msgspec.json.encode(await self._node.astatus()))

    async def Admin(self, request: pb.AdminRequest, context: Context) -> pb.AdminReply:
        async with faults.answering(context):
            arguments = msgspec.json.decode(request.arguments or b"{}", type=dict[str, Any])
            result = await self._node.aadmin(request.verb, arguments)
            return pb.AdminReply(result=msgspec.json.encode(result))


def _append(page: pb.ScanPage, cell_path: bytes, cell: Cell) -> int:
    data = codec.encode(cell)
    page.paths.append(cell_path)
    page.cells.append(data)
    return len(cell_path) + len(data)


def _within_a_reply(cells: list[bytes]) -> int:
    """Their bytes. `LimitExceeded` if they are too many."""
    size = sum(map(len, cells))
    if size > REPLY_BYTES_MAX - 16 * len(cells) - 1024:
        raise LimitExceeded(f"paths: their cells are {size} bytes, too many for one answer; ask for fewer")
    return size
