"""A real uvicorn in a thread, for as long as a ``with`` lasts."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve ``app``; its address as ``http://host:port``. Connections wait until its lifespan has begun."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        ended: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(server.serve(sockets=[listening]))
            except BaseException as error:  # noqa: BLE001  # the test is told below
                ended.append(error)

        thread = threading.Thread(target=run, name="uvicorn")
        thread.start()
        try:
            yield f"http://{host}:{port}"
        finally:
            server.should_exit = True
            thread.join()
    if ended:
        raise ended[0]
