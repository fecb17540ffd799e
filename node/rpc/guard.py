"""The door of the Data service: which call needs which right, and who has it.

Where are rights checked? Here and nowhere else, before a call reaches the service. A method that the table does not
name needs the rights of an operator, so one that is added and forgotten here is closed, and not open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc

from ..access import Access
from . import faults

KEY = "gossamer-key"
"""The metadata that a client shows its key in."""
SERVICE = "/gossamer.v1.Data/"
RIGHTS = {
    "Status": "look",
    "Read": "read",
    "Scan": "read",
    "Estate": "read",
    "Watch": "read",
    "Acknowledge": "read",  # how far a reader has come is no data
    "Token": "read",
    "Wait": "read",
    "Conflicts": "read",
    "Explain": "read",
    "Write": "write",
    "Settle": "write",
    "Bind": "write",
}
"""Method -> what it needs, on the keyspace that the request names if it names one. Every other method: ``admin``."""

Handler = Any
"""gRPC's `RpcMethodHandler`, whose stubs know nothing of coroutines."""
Context = grpc.aio.ServicerContext[Any, Any]


class Guard(grpc.aio.ServerInterceptor):
    """Looks at the key of each call of the Data service; lets all others by."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Handler:
        handler = await continuation(details)
        if handler is None or not details.method.startswith(SERVICE):
            return handler
        key = next((value for name, value in details.invocation_metadata or () if name == KEY), "")
        return self._guarded(handler, RIGHTS.get(details.method.removeprefix(SERVICE), "admin"), str(key))

    def _guarded(self, handler: Handler, right: str, key: str) -> Handler:
        async def unary(request: Any, context: Context) -> Any:
            await self._check(request, context, right, key)
            return await handler.unary_unary(request, context)

        async def stream(request: Any, context: Context) -> Any:
            await self._check(request, context, right, key)
            # It sends by itself, as `malformed.Reader` has it.
            await handler.unary_stream(request, context)

        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                unary, handler.request_deserializer, handler.response_serializer
            )
        assert handler.unary_stream is not None, "the Data service has calls of these two forms"
        return grpc.unary_stream_rpc_method_handler(
            stream, handler.request_deserializer, handler.response_serializer
        )

    async def _check(self, request: Any, context: Context, right: str, key: str) -> None:
        found = self._access.rights(key)
        keyspace = getattr(request, "keyspace", "")
        if found is None:
            await _refuse(context, "an access key is needed, and none that is known was shown")
        elif not found[1].may(right, keyspace):
            where = "" if right == "admin" else f" keyspace {keyspace!r}"
            await _refuse(
                context, f"access key {found[0]!r} may not {'do this' if right == 'admin' else right}{where}"
            )


async def _refuse(context: Context, why: str) -> NoReturn:
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, why, ((faults.NAME_KEY, "Denied"),))
    raise AssertionError("abort returned")
