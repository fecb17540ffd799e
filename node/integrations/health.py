"""Whether an instance lives, and whether requests may go to it: two endpoints, as Kubernetes asks for them.

What makes an instance not ready? That reads would fail or be of nothing (`NotReady`), or that writes fail (the disk failed,
the node is closed, or leaves the cluster). A node that lags, is cut off, or has a damaged cell goes on serving, and says so elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import GossamerError
from .lifespan import store_of

if TYPE_CHECKING:
    from ..node import Node
    from ..rpc import Client


async def health(store: Node | Client) -> tuple[bool, dict[str, Any]]:
    """Whether requests may go to it, and the body that says why not."""
    try:
        status = await store.astatus()
    except GossamerError as error:
        return False, {"ready": False, "why_not": [type(error).__name__]}
    fetching = [name for name, of in status["keyspaces"].items() if not of["ready"]]
    why_not = [f"keyspace {name!r} is being fetched for the first time" for name in fetching]
    why_not += ["the node leaves the cluster"] if status["leaving"] or status["left"] else []
    catching_up = [name for name, of in status["keyspaces"].items() if of["catching_up"]]
    body = {"ready": not why_not, "why_not": why_not, "name": status["name"], "catching_up": catching_up}
    return not why_not, body


async def live(_request: Request) -> Response:
    """That the event loop answers."""
    return JSONResponse({"live": True})


async def ready(request: Request) -> Response:
    """200 if requests may go to this instance, else 503, with the reasons."""
    is_ready, body = await health(store_of(request))
    return JSONResponse(body, 200 if is_ready else 503, {"Cache-Control": "no-store"})


def health_routes(live_at: str = "/livez", ready_at: str = "/readyz") -> list[Route]:
    """Routes to add to an application: ``app.routes.extend(health_routes())``."""
    return [Route(live_at, live), Route(ready_at, ready)]


__all__ = ["health", "health_routes", "live", "ready"]
