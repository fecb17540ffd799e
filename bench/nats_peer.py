"""NATS JetStream beside us, where it is installed: one server of our own on loopback, its key-value store in files.

What is a put worth there? It is acknowledged once the server has written it to its file; the file is synced every
two minutes (``sync_interval``, as it comes), so a power cut may undo what was acknowledged. It stands beside our
``durability="relaxed"``.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import loopback
import watcher

BUCKET = "bench"


def words() -> str:
    """Its version and fsync setting, or what is missing."""
    if missing := _missing():
        return f"NATS: skipped, {missing}"
    said = subprocess.run([_server(), "--version"], check=True, capture_output=True, text=True)
    return f"{said.stdout.strip()}, JetStream KV in files, synced every 2 minutes, client nats-py {version('nats-py')}"


def is_there() -> bool:
    """Whether it can be measured."""
    return not _missing()


def _server() -> str:
    return shutil.which("nats-server") or "/usr/sbin/nats-server"


def _missing() -> str:
    if not Path(_server()).exists():
        return "nats-server is not installed"
    try:
        version("nats-py")
    except PackageNotFoundError:
        return "the client nats-py is not installed (pip install -e '.[bench]')"
    return ""


@contextmanager
def running(directory: Path) -> Iterator[int]:
    """A server with its files in ``directory``; its port."""
    port = loopback.free_port()
    command = [_server(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(directory / "data")]
    with loopback.server(command, directory, port):
        yield port


@asynccontextmanager
async def bucket(port: int) -> AsyncIterator[Any]:
    """The key-value store, made if it is not there: one revision a key."""
    import nats

    client = await nats.connect(f"nats://127.0.0.1:{port}")
    try:
        stream = client.jetstream()
        yield await stream.create_key_value(bucket=BUCKET, history=1)
    finally:
        await client.close()


async def _watch(port: int) -> None:
    """In the other process: say of each number put when it was seen."""
    async with bucket(port) as store:
        updates = await store.watch("n")
        async for entry in updates:
            if entry is not None:  # None: all that was there has come
                watcher.say(entry.value, time.monotonic())


if __name__ == "__main__":
    watcher.end_with_input()
    asyncio.run(_watch(int(sys.argv[1])))
