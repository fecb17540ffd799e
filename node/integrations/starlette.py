"""Gossamer in a Starlette application.

::

    app = Starlette(routes=[*routes, *health_routes()], lifespan=lifespan("data", listen="127.0.0.1:7400"))
    app.add_middleware(ReadYourWrites)
    add_exception_handlers(app)

A handler says ``node_of(request)``, and ``op_id_of(request)`` for the ``op_id`` of its ``Idempotency-Key``.
"""

from .health import health, health_routes
from .idempotency import op_id_of
from .lifespan import client_lifespan, lifespan, node_of, store_of
from .metrics import metrics_route
from .problems import add_exception_handlers, problem_of
from .tokens import ReadYourWrites

__all__ = [
    "ReadYourWrites",
    "add_exception_handlers",
    "client_lifespan",
    "health",
    "health_routes",
    "lifespan",
    "metrics_route",
    "node_of",
    "op_id_of",
    "problem_of",
    "store_of",
]
