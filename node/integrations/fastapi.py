"""Gossamer in a FastAPI application.

::

    app = FastAPI(lifespan=lifespan("data", listen="127.0.0.1:7400"))
    app.add_middleware(ReadYourWrites)
    add_exception_handlers(app)
    app.include_router(health_router())

    @app.post("/orders")
    async def order(node: NodeDep, op_id: OpId) -> int:
        await node.counter("sold").aadd(1, op_id=op_id)
        return await node.counter("sold").avalue()
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from fastapi.requests import HTTPConnection

from .. import Keyspace, Node
from . import idempotency
from .health import health, health_routes
from .lifespan import client_lifespan, lifespan, node_of, store_of
from .metrics import metrics_route
from .problems import add_exception_handlers, problem_of
from .tokens import ReadYourWrites

# Coroutines, though they wait for nothing: FastAPI calls plain functions in a thread, which costs more than all they do.


async def _node(connection: HTTPConnection) -> Node:
    return node_of(connection)


async def _store(connection: HTTPConnection) -> Keyspace:
    return store_of(connection)


async def _op_id(
    request: Request,
    _key: Annotated[
        str | None, Header(alias=idempotency.HEADER, description="Makes a retry do nothing.")
    ] = None,
) -> str | None:
    try:
        return idempotency.op_id_of(request)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


async def _required_op_id(op_id: Annotated[str | None, Depends(_op_id)]) -> str:
    if op_id is None:
        raise HTTPException(400, f"the header {idempotency.HEADER} is missing")
    return op_id


NodeDep = Annotated[Node, Depends(_node)]
"""The node that the application lives with."""
StoreDep = Annotated[Keyspace, Depends(_store)]
"""The node, or the client of one: with `client_lifespan` there is no node."""
OpId = Annotated[str | None, Depends(_op_id)]
"""The ``op_id`` of the request's ``Idempotency-Key``, None without one."""
RequiredOpId = Annotated[str, Depends(_required_op_id)]
"""`OpId` where the header must be there: 400 without one."""


def health_router(live_at: str = "/livez", ready_at: str = "/readyz") -> APIRouter:
    """``app.include_router(health_router())``."""
    return APIRouter(routes=list(health_routes(live_at, ready_at)))


__all__ = [
    "NodeDep",
    "OpId",
    "ReadYourWrites",
    "RequiredOpId",
    "StoreDep",
    "add_exception_handlers",
    "client_lifespan",
    "health",
    "health_router",
    "health_routes",
    "lifespan",
    "metrics_route",
    "node_of",
    "problem_of",
    "store_of",
]
