"""One instance as a process: its application, served until the process is told to stop.

What keeps answers quick? Threads change over every millisecond, as an answer waits for the node's writer thread and that for the
interpreter; and what is there from the start is left out of every later search for garbage.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading

import msgspec
import uvicorn
from fastapi import APIRouter, FastAPI, Response

from . import catalogue, inventory, orders
from .instance import Follower, Here, answer, application, log
from .setting import Setting

ROUTERS = {"orders": orders.router, "inventory": inventory.router, "catalogue": catalogue.router}
FOLLOWERS: dict[str, list[Follower]] = {
    "orders": [orders.cashier, orders.emptier],
    "inventory": [inventory.keeper, inventory.booker],
    "catalogue": [catalogue.projector],
}
TOKENS = {"orders": ("orders", "carts"), "inventory": ("stock",), "catalogue": ("catalogue", "orders")}
DUMPS = {"orders": orders.dump, "inventory": inventory.dump, "catalogue": catalogue.dump}

common = APIRouter(prefix="/shop")


@common.get("/measured")
async def measured(here: Here) -> Response:
    """What was counted since the last time, for the report."""
    lags, here.lags = here.lags, []
    return answer({"cells": here.cells, "lags": lags})


@common.get("/status")
async def status(here: Here) -> Response:
    """The node's status."""
    return answer(await here.node.astatus())


@common.get("/well")
async def well(here: Here) -> Response:
    """200 if customers may be sent here: it hears somebody, and has nearly all that those have."""
    status = await here.node.astatus()
    heard = [member for member in status["members"] if member["state"] == "linked"]
    ahead = sum(peer["ahead"] for of in status["keyspaces"].values() for peer in of["peers"].values())
    return answer({"heard": len(heard), "ahead": ahead}, 200 if heard and ahead < AHEAD_MAX else 503)


@common.get("/dump")
def dump(here: Here) -> Response:
    """All that the audit looks at. In a thread: it is large."""
    return answer(DUMPS[here.name.partition("-")[0]](here))


def build(setting: Setting) -> FastAPI:
    """The application of an instance."""
    service = setting.instance.partition("-")[0]
    app = application(setting, TOKENS[service], FOLLOWERS[service])
    app.include_router(ROUTERS[service])
    app.include_router(common)
    return app


SWITCH_S = 0.001
KEEP_ALIVE_S = 600
"""For an idle connection, longer than any client of ours keeps one: else a request may meet a connection that just ends."""
AHEAD_MAX = 100
"""Events that others have and it has not, with which an instance takes customers: a second's."""


def main() -> None:
    """Serve until told to stop, or until the standard input ends, so that it never outlives who started it."""
    setting = msgspec.json.decode(sys.argv[1], type=Setting)
    sys.setswitchinterval(SWITCH_S)
    threading.Thread(target=_end_with_input, daemon=True).start()
    log.info("%s starts", setting.instance)
    app = build(setting)
    gc.collect()
    gc.freeze()
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=setting.http_port,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        loop="uvloop",
        http="httptools",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
    )


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
