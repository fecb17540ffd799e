"""The status page on an address of its own, for a node that is not inside an application.

Who may look? Whoever may talk to the node: with TLS it is HTTPS, and a certificate of the cluster's authority is
demanded; with access keys, a key as well.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading

import uvicorn

from ..access import Access
from ..config import check_address
from ..door import Door, Listening
from ..errors import Closed, ListenError
from ..limits import END_S_MAX
from ..node import Node
from ..tls import TLS
from .renewed import Renewed
from .site import app

GRACE_S = 2
"""Seconds that streams get to end when the node closes; they notice within a quarter of one."""


def serve(node: Node, address: str) -> str:
    """Serve the page on a thread until the node closes; its address as a URL, with its real port.

    It has the node's own certificate and access keys. `ListenError` if the address is taken.
    """
    host, _, port = check_address(address, "address", any_port=True).rpartition(":")
    tls, access = node.security
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        listening = Listening(socket.create_server((host.strip("[]"), int(port)), family=family), Door())
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {error}") from None
    server = uvicorn.Server(_config(node, tls, access))
    thread = threading.Thread(target=_run, args=(server, listening), name="gossamer-web", daemon=True)

    def stop() -> None:
        server.should_exit = True
        thread.join(END_S_MAX)
        listening.close()

    try:
        node.when_closed(stop)
    except Closed:
        listening.close()
        raise
    thread.start()
    return f"http{'s' if tls else ''}://{host}:{listening.getsockname()[1]}/"


def _run(server: uvicorn.Server, listening: socket.socket) -> None:
    # The plain selector loop, whatever policy the program has set: others do not ask the socket to accept.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(server.serve(sockets=[listening]))


def _config(node: Node, tls: TLS | None, access: Access | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app(node, access=access),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_S,
    )
    config.load()
    if tls is not None:
        config.ssl = renewed = Renewed(ssl.PROTOCOL_TLS_SERVER)
        renewed.follow(tls)
    return config


__all__ = ["serve"]
