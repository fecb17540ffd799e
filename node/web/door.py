"""The door of the page: who may look, where the node demands access keys.

A browser asks its user for a name and a password; the key is the password, and the name says nothing. Programs may send
it as a bearer token. Every key may look, as with the status over gRPC.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from ..access import Access

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


class Door:
    """ASGI middleware: 401 without a key that the file knows."""

    def __init__(self, app: App, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or self._may_pass(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
            return
        ask = {"WWW-Authenticate": 'Basic realm="gossamer", charset="UTF-8"'}
        await PlainTextResponse("An access key is wanted, as the password.\n", 401, ask)(scope, receive, send)

    def _may_pass(self, authorization: str) -> bool:
        found = self._access.rights(key_in(authorization))
        return found is not None and found[1].may("look", "")


def key_in(authorization: str) -> str:
    """The key in the header; empty if there is none."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    except ValueError:  # neither base64 nor text
        return ""


__all__ = ["Door", "key_in"]
