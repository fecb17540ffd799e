"""One instance as a process: ``python -m examples.shop.services SETTING``, where the setting is JSON.

It prints a line when it serves, and ends when its standard input does, so that it never outlives who started it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

import msgspec
import uvicorn
from fastapi import APIRouter, FastAPI, Response

from . import catalogue, inventory, orders
from .instance import Follower, Here, Setting, answer, application, log

ROUTERS = {"orders": orders.router, "inventory": inventory.router, "catalogue": catalogue.router}
FOLLOWERS: dict[str, list[Follower]] = {
    "orders": [orders.cashier],
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


def main() -> None:
    """Serve until told to stop."""
    setting = msgspec.json.decode(sys.argv[1], type=Setting)
    threading.Thread(target=_end_with_input, daemon=True).start()
    log.info("%s starts", setting.instance)
    uvicorn.run(
        build(setting),
        host="127.0.0.1",
        port=setting.http_port,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        loop="uvloop",
        http="httptools",
        timeout_graceful_shutdown=2,
    )


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
