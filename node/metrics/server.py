"""The metrics over HTTP: a thread for each scraper, of which there are few, and none for long."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from ..door import Accepted, Door
from ..limits import HTTP_READ_S

log = logging.getLogger("gossamer")


class Server(ThreadingWSGIServer):
    """Bounded by a `Door`. Failures of a connection are the other end's, mostly, and no news."""

    request_queue_size = 128
    """With the five that are usual, some silent connections at once would have a scraper wait for TCP to try again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._door = Door()
        super().__init__(*args, **kwargs)

    def get_request(self) -> Accepted:
        """`Door.let_in`."""
        return self._door.let_in(super().get_request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log it for who looks closely."""
        log.debug("metrics: a request from %s failed: %r", client_address, sys.exception())


class ServerOf6(Server):
    """The same over IPv6."""

    address_family = socket.AF_INET6


class Handler(WSGIRequestHandler):
    """Gives up on who sends no request, and logs none."""

    timeout = HTTP_READ_S

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def start(host: str, port: int, registry: CollectorRegistry) -> tuple[Server, threading.Thread]:
    """Serve a registry. `OSError` if the address is taken."""
    is_6 = host.startswith("[")
    server = make_server(
        host.strip("[]"), port, make_wsgi_app(registry), ServerOf6 if is_6 else Server, handler_class=Handler
    )
    thread = threading.Thread(target=server.serve_forever, name="gossamer-metrics", daemon=True)
    thread.start()
    return server, thread
