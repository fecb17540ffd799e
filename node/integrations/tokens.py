"""Reading one's own writes over HTTP: the token that a client brings is waited for, and it goes away with a new one.

What does a client have to do? Send back the ``Gossamer-Token`` of the last answer, to whichever instance comes next.
Then no instance shows it an older state than it has seen, and each shows what it wrote at another one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from .. import headers
from ..errors import Closed, GossamerError, LimitExceeded, Unreachable
from ..handles import Keyspace
from ..handles.keyspace import DEFAULT, check_name
from ..waiting import check_timeout
from .lifespan import IN_SCOPE, Scope, store_in
from .problems import RETRY_AFTER_S, problem, problem_of

if TYPE_CHECKING:
    from ..node import Node
    from ..rpc import Client

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WAIT_S = 1.0
"""Seconds that a request waits for what its client has seen, unless told otherwise: others have it in milliseconds, or
are cut off, and then a client is better told soon."""


class ReadYourWrites:
    """ASGI middleware: ``app.add_middleware(ReadYourWrites)``.

    A token that does not come within ``timeout`` seconds is answered with 503 and ``Retry-After``; the body says what
    is missing. One that makes no sense here is answered with 400. ``keyspaces`` are those that tokens are taken of.
    """

    def __init__(
        self,
        app: App,
        *,
        keyspaces: Sequence[str] = (DEFAULT,),
        timeout: float = WAIT_S,
        retry_after_s: float = RETRY_AFTER_S,
    ) -> None:
        if isinstance(keyspaces, str):
            raise TypeError(f"keyspaces: a list of str is wanted, not the str {keyspaces!r}")
        self._app, self._timeout, self._retry_after_s = app, check_timeout(timeout), retry_after_s
        self._keyspaces = tuple(check_name(name) for name in keyspaces)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        store = scope[IN_SCOPE] = store_in(scope)
        refusal = await self._wait(store, scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                await self._add_tokens(store, message)
            await send(message)

        await self._app(scope, receive, sending)

    async def _wait(self, store: Node | Client, scope: Scope) -> Response | None:
        """Wait for what the client has seen; the answer to give instead, if that does not come."""
        for name in self._keyspaces:
            token = headers.from_http(scope["headers"], name)
            if token is None:
                continue
            try:
                await Keyspace(store.backend, name).await_for(token, self._timeout)
            except GossamerError as error:
                return problem_of(error, self._retry_after_s)
            except ValueError as error:
                return problem(400, f"The header {headers.HTTP} holds no token for here", detail=str(error))
        return None

    async def _add_tokens(self, store: Node | Client, message: Any) -> None:
        fields = MutableHeaders(scope=message)
        for name in self._keyspaces:
            try:
                headers.to_http(fields, await Keyspace(store.backend, name).atoken(), name)
            except (Closed, Unreachable, LimitExceeded):
                return  # the answer itself matters more


__all__ = ["ReadYourWrites"]
