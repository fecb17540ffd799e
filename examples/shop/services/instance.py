"""One instance of a service: its node, its counts, and the FastAPI application around them.

How does a request find what an earlier one wrote elsewhere? Each answer carries a token in a header; the client
sends it with its next request, to whatever service, and that one waits until it has what the token says.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
from fastapi import Depends, FastAPI, Request, Response

import gossamer
from gossamer import web
from gossamer.integrations.fastapi import (
    ReadYourWrites,
    add_exception_handlers,
    health_router,
    lifespan,
    metrics_route,
)

from .model import furthest, hosts
from .setting import Setting

TOKEN_WAIT_S, TOKEN_WAIT_LAST_S = 0.25, 0.6
"""That a request waits for what its client has seen elsewhere; then it says 503, and the client asks the other instance.
The second where there is no other one to ask."""
LAST_TRY = b"shop-last-try"

log = logging.getLogger("shop")


class Instance:
    """What the endpoints and followers of one process share."""

    def __init__(self, setting: Setting, node: gossamer.Node) -> None:
        self.setting, self.node = setting, node
        self.name = setting.instance
        self.number = setting.instance[-1]
        self.cells: dict[str, int] = {}
        """Cells committed by this process's own transactions, by keyspace."""
        self.lags: list[tuple[str, str, float, float]] = []
        """(keyspace, who committed a change, when, when it was visible here), since last asked for."""
        self.ordered: list[str] = []
        """Carts that are to be emptied."""
        if "orders" in {name for some in hosts(self.name) for name in some}:
            node.keyspace("orders").resolver("map:saga/", furthest)

    def count(self, tx: gossamer.Transaction, notes: int = 0) -> None:
        """Count the cells that a transaction has committed; with an idempotency key the note of that is one more."""
        self.cells[tx.name] = self.cells.get(tx.name, 0) + tx.cells + notes

    def saw(self, change: gossamer.Change) -> None:
        """Note how long a change of another instance took to get here."""
        if change.visible_at is None or not isinstance(change.new, dict) or "at" not in change.new:
            return
        if change.new["by"] != self.name:
            keyspace = change.id.partition("/")[0]
            self.lags.append((keyspace, change.new["by"], change.new["at"], change.visible_at))


class Tokens:
    """Reading one's own writes, with more patience for a client that has nobody else to ask."""

    def __init__(self, app: Any, keyspaces: Sequence[str]) -> None:
        self._quick = ReadYourWrites(app, keyspaces=keyspaces, timeout=TOKEN_WAIT_S)
        self._patient = ReadYourWrites(app, keyspaces=keyspaces, timeout=TOKEN_WAIT_LAST_S)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_last = any(name == LAST_TRY for name, _ in scope.get("headers", ()))
        await (self._patient if is_last else self._quick)(scope, receive, send)


Follower = Callable[[Instance], Coroutine[Any, Any, None]]


def application(setting: Setting, tokens: Sequence[str], followers: Sequence[Follower]) -> FastAPI:
    """An application that opens its node, follows what it must, and closes the node.

    ``tokens`` are the keyspaces of which clients read their own writes here.
    """

    @asynccontextmanager
    async def following(app: FastAPI) -> AsyncIterator[None]:
        node = app.state.gossamer
        say(f"node {node.address}")
        app.state.instance = instance = Instance(setting, node)
        tasks = [asyncio.create_task(_guarded(follower, instance)) for follower in followers]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    own, read = hosts(setting.instance)
    opened = lifespan(
        setting.data,
        then=following,
        name=setting.instance,
        listen=setting.listen,
        peers=setting.peers,
        keyspaces=own,
        read_only=read,
        host_default=False,
    )
    app = FastAPI(lifespan=opened, title=setting.instance)
    app.add_middleware(Tokens, keyspaces=tokens)
    add_exception_handlers(app)
    app.include_router(health_router())
    app.routes.append(metrics_route())
    app.mount("/gossamer", web.app(lambda: app.state.gossamer))
    return app


async def _guarded(follower: Follower, instance: Instance) -> None:
    """A follower that fails is begun again: what it had not acknowledged comes again."""
    while True:
        try:
            await follower(instance)
        except Exception:
            log.exception("a follower of %s failed and is begun again", instance.name)
            await asyncio.sleep(1)


async def _instance(request: Request) -> Instance:  # a plain function would be called in a thread
    found: Instance = request.app.state.instance
    return found


Here = Annotated[Instance, Depends(_instance)]


def answer(of: object, status: int = 200) -> Response:
    """JSON, written by msgspec: FastAPI's own way looks at each value twice."""
    return Response(msgspec.json.encode(of), status, media_type="application/json")


def now() -> float:
    """Seconds since 1970."""
    return time.time()


def say(text: str) -> None:
    """A line for whoever started the process."""
    print(text, flush=True, file=sys.stdout)
