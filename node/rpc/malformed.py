"""Requests that are no protobuf at all: answered like any other wrong argument, and not a failure of the node.

Left to itself, gRPC ends such a call with UNKNOWN and writes a traceback for each of them, which fills the log at a stranger's wish.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from gossamer.proto.replication_pb2 import Frame

from . import faults

Handler = Any
"""gRPC's `RpcMethodHandler`, whose stubs know nothing of coroutines."""
Context = grpc.aio.ServicerContext[Any, Any]


class Malformed:
    """In the place of a request that could not be read."""


class Reader(grpc.aio.ServerInterceptor):
    """Reads the requests of every method, the innermost of the interceptors, and sends the answers of streams itself: gRPC
    writes a traceback for each that it cannot send any more."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Handler:
        return _reading(await continuation(details))


def _reading(handler: Handler) -> Handler:
    if handler is None or handler.request_deserializer is None:
        return handler
    read, write = handler.request_deserializer, handler.response_serializer
    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(
            _answered(handler.unary_unary), _or(read, Malformed), write
        )
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(
            _streamed(handler.unary_stream), _or(read, Malformed), write
        )
    if handler.stream_stream is not None:  # a link: a frame without a body ends it, with the reason
        return grpc.stream_stream_rpc_method_handler(handler.stream_stream, _or(read, Frame), write)
    return handler


def _or(read: Callable[[bytes], Any], otherwise: Callable[[], Any]) -> Callable[[bytes], Any]:
    def reading(data: bytes) -> Any:
        try:
            return read(data)
        except DecodeError:
            return otherwise()

    return reading


def _answered(serve: Callable[[Any, Context], Awaitable[Any]]) -> Callable[[Any, Context], Awaitable[Any]]:
    async def unary(request: Any, context: Context) -> Any:
        try:
            if isinstance(request, Malformed):
                await _refuse(context)
            return await serve(request, context)
        except grpc.aio.AbortError as error:
            request = None
            _let_go(error)
            raise

    return unary


def _streamed(serve: Callable[[Any, Context], Any]) -> Callable[[Any, Context], Any]:
    async def stream(request: Any, context: Context) -> Any:
        try:
            if isinstance(request, Malformed):
                await _refuse(context)
            if hasattr(found := serve(request, context), "__aiter__"):
                async with aclosing(found):
                    async for reply in found:
                        await context.write(reply)
            else:  # it writes to the context by itself
                await found
        except grpc.aio.AbortError as error:
            request = found = None
            _let_go(error)
            raise
        except grpc.aio.InternalError as error:  # the call is over, by its deadline say, and takes no more
            raise asyncio.CancelledError from error

    return stream


def _let_go(error: grpc.aio.AbortError) -> None:
    """Forget where a refusal came from. gRPC keeps it in a cycle with its call, and so with the frames that it passed and the request
    that they hold, until the garbage collector next looks at what is old: megabytes a call, for whoever sends what is refused."""
    error.__traceback__ = error.__context__ = None


async def _refuse(context: Context) -> None:
    name = ((faults.NAME_KEY, ValueError.__name__),)
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "request: no message of this call", name)
