"""The metrics of an application's node at a path of the application itself."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .. import metrics
from .lifespan import node_of


async def exposed(request: Request) -> Response:
    """The metrics of the node that the application lives with, for Prometheus."""
    text = await metrics.aexposition(node_of(request))
    return Response(text, headers={"Content-Type": metrics.CONTENT_TYPE})


def metrics_route(path: str = "/metrics") -> Route:
    """A route to add to an application: ``app.routes.append(metrics_route())``.

    Whoever reaches it can read names of members, keyspaces and subscriptions, and no data.
    """
    return Route(path, exposed)


__all__ = ["metrics_route"]
