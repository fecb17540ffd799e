"""Servers of our own on loopback: started for one bench, in a directory of its own, and stopped with it.

How long is a start waited for? `START_S`; a server that has ended by then says why in its log, which is named.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

START_S = 20.0
LOOK_S = 0.02


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def server(command: Sequence[str], directory: Path, port: int) -> Iterator[None]:
    """``command``, running from when it accepts connections at ``port``; its log is in ``directory``."""
    directory.mkdir(exist_ok=True)
    log = directory / "log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        _await(process, port, log)
        yield
    finally:
        process.terminate()
        process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_S
    while not _accepts(port):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{process.args!r} does not listen: {log.read_text()[-2000:]}")
        time.sleep(LOOK_S)  # another process's port tells nobody that it is open


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
