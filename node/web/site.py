"""The status page as an ASGI application: the page, what it shows as JSON, and that again and again as events."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ..access import Access
from ..errors import Closed, GossamerError
from ..node import Node
from .board import LOOK_EVERY_S, Board
from .door import Door

VIEWERS_MAX = 64
"""Streams of events at a time; each is a task, and a connection."""
NOTICE_S = 0.25
"""Seconds after which a stream notices that the node was closed."""

PAGE = resources.files(__package__).joinpath("page.html").read_text()


def _hashes(tag: str) -> str:
    """What a policy calls the page's own styles or scripts: nothing else is run, whatever is in the data."""
    inside = re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inside)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src {_hashes('style')}; script-src {_hashes('script')}; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Site:
    """The handlers of one application."""

    def __init__(self, node: Node | Callable[[], Node]) -> None:
        self._board = Board(node)
        self._viewers = 0

    async def page(self, _request: Request) -> Response:
        """The page itself, which asks for the rest."""
        return HTMLResponse(PAGE, headers=HEADERS)

    async def status(self, _request: Request) -> Response:
        """What the page shows, once."""
        try:
            return JSONResponse(await self._board.look(), headers=HEADERS)
        except GossamerError as error:
            return JSONResponse({"error": type(error).__name__}, 503, HEADERS)

    async def events(self, _request: Request) -> Response:
        """What the page shows, as server-sent events, until the viewer goes or the node closes."""
        if self._viewers >= VIEWERS_MAX:
            return PlainTextResponse("Too many watch already.\n", 503, {"Retry-After": "10"})
        return StreamingResponse(self._stream(), headers=HEADERS, media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        self._viewers += 1
        try:
            while True:
                yield _event(await self._board.look())
                for _ in range(int(LOOK_EVERY_S / NOTICE_S)):
                    await asyncio.sleep(NOTICE_S)
                    self._board.check_open()
        except Closed:
            yield "event: closed\ndata: \n\n"
        except GossamerError as error:
            yield f"event: failed\ndata: {type(error).__name__}\n\n"
        finally:
            self._viewers -= 1


def _event(what: dict[str, Any]) -> str:
    return f"data: {json.dumps(what)}\n\n"


def app(node: Node | Callable[[], Node], *, access: Access | None = None) -> Starlette:
    """The status page of a node, to be mounted: ``app.mount("/gossamer", gossamer.web.app(node))``.

    ``node`` may be a function that gives it, for an application that is put together before the node is opened. With
    ``access`` it demands one of those keys; without, it is behind whatever it is mounted behind.
    """
    site = Site(node)
    routes = [Route("/", site.page), Route("/status.json", site.status), Route("/events", site.events)]
    return Starlette(routes=routes, middleware=[Middleware(Door, access)] if access is not None else [])


__all__ = ["app"]
