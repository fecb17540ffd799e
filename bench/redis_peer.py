"""Redis beside us, where it is installed: a server of our own on loopback, that syncs every write to disk.

Which Redis is it? The ``redis-server`` on the PATH; `words` says its version and its setting, or why there is none.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

import loopback


def words() -> str:
    """Its version and fsync setting, or what is missing."""
    server = shutil.which("redis-server")
    if server is None:
        return "Redis: skipped, redis-server is not installed"
    said = subprocess.run([server, "--version"], check=True, capture_output=True, text=True).stdout.split()
    version = next(word[2:] for word in said if word.startswith("v="))
    return f"Redis {version}, appendonly yes, appendfsync always, client {redis.__version__}"


def is_there() -> bool:
    """Whether it can be measured."""
    return shutil.which("redis-server") is not None


@contextmanager
def running(directory: Path) -> Iterator[int]:
    """A server with its files in ``directory``; its port."""
    port = loopback.free_port()
    command = (
        f"redis-server --port {port} --bind 127.0.0.1 --appendonly yes --appendfsync always --save".split()
    )
    with loopback.server([*command, "", "--dir", str(directory)], directory, port):
        yield port


def connect(port: int) -> Any:
    """A client for threads."""
    return redis.Redis(port=port)


def aconnect(port: int, connections: int) -> Any:
    """A client for tasks, as many connections as there are writers."""
    pool = redis.asyncio.BlockingConnectionPool(port=port, max_connections=connections)
    return redis.asyncio.Redis.from_pool(pool)  # the client closes the pool with itself
