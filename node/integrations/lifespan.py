"""The node's life inside an ASGI application's: opened when it starts, closed when it ends, and found in between.

Where does a handler get the node from? From ``app.state.gossamer``, where the lifespan puts it; an application mounted
inside another one has no such state, and finds it in the request, where the middleware for tokens leaves it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from starlette.requests import HTTPConnection

from ..node import Node, Settings, aopen

if TYPE_CHECKING:
    from ..rpc import Client

Scope = MutableMapping[str, Any]
State = Mapping[str, Any]
Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]
"""What FastAPI and Starlette take as ``lifespan=``."""

IN_STATE = "gossamer"
"""Attribute of ``app.state``."""
IN_SCOPE = "gossamer.store"
"""Key of the request's scope."""


def lifespan(
    data: str | PathLike[str], *, then: Lifespan | None = None, **settings: Unpack[Settings]
) -> Lifespan:
    """A lifespan that opens a node, with the settings of `gossamer.open`, and closes it at the end.

    ``then`` is the application's own, which begins when the node is there and ends before it closes. It may also
    be the other way round: ``async with lifespan("data")(app):`` inside one of your own.
    """
    return _within(lambda: aopen(data, **settings), then)


def client_lifespan(
    target: str, *, then: Lifespan | None = None, timeout: float = 5.0, **security: Any
) -> Lifespan:
    """`lifespan`, with a client of a node that runs elsewhere: for several worker processes beside one
    ``gossamer serve``. ``security`` is ``tls=`` and ``access_key=`` of `gossamer.connect`.
    """
    from ..rpc import connect  # grpc takes longer to import than all the rest

    return _within(lambda: connect(target, timeout, **security), then)


def _within(
    opened: Callable[[], AbstractAsyncContextManager[Node | Client]], then: Lifespan | None
) -> Lifespan:
    @asynccontextmanager
    async def run(app: Any) -> AsyncIterator[State | None]:
        async with AsyncExitStack() as stack:
            app.state.gossamer = await stack.enter_async_context(opened())
            stack.callback(delattr, app.state, IN_STATE)
            yield None if then is None else await stack.enter_async_context(then(app))

    return run


def store_in(scope: Scope) -> Node | Client:
    """The node, or the client of one, that the application of this request lives with. `RuntimeError` if none."""
    found = scope.get(IN_SCOPE) or getattr(getattr(scope.get("app"), "state", None), IN_STATE, None)
    if found is None:
        raise RuntimeError(
            "no node is open: the application has no lifespan of gossamer.integrations, or it did not run"
        )
    return found  # type: ignore[no-any-return]  # it was put there above


def store_of(connection: HTTPConnection) -> Node | Client:
    """The node, or the client of one, for a handler."""
    return store_in(connection.scope)


def node_of(connection: HTTPConnection) -> Node:
    """The node, for a handler. `RuntimeError` where the application lives with a client."""
    found = store_in(connection.scope)
    if not isinstance(found, Node):
        raise RuntimeError("the application lives with a client, not with a node: take the store")  # noqa: TRY004
    return found


__all__ = ["Lifespan", "client_lifespan", "lifespan", "node_of", "store_in", "store_of"]
