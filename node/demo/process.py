"""One node of the demonstration: a ``gossamer serve`` process, and a client of it.

How does no process outlive the demonstration? It is stopped by its own pid on every way out of the ``with``; and
should the demonstration be killed, the end of its standard input tells it.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .. import connect
from ..limits import END_S_MAX
from .deadline import Late

if TYPE_CHECKING:
    from ..rpc import Client

CLIENT_TIMEOUT_S = 5.0
STOP_S = 10.0
"""For a node to stop when told to; then it is killed."""


class NodeProcess:
    """Not running at first."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.address: str | None = None
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._client: Client | None = None

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id, if it is running."""
        return self._process.pid if self._process is not None and self.is_running else None

    @property
    def client(self) -> Client:
        """The handles of the node. `Late` if it is not running."""
        if self._client is None:
            raise Late(f"node {self.name} is not running")
        return self._client

    def start(self, peers: Sequence[str], seconds: float) -> str:
        """Start the process; the address it listens on. `Late` if it says none in time."""
        with open(self._log, "a") as log:
            self._process = subprocess.Popen(
                self._command(peers),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the demonstration, which then stops its nodes
            )
        self.address = self._ready(seconds)
        self._client = connect(self.address, CLIENT_TIMEOUT_S)
        return self.address

    def kill(self) -> None:
        """SIGKILL: no goodbye, nothing flushed."""
        if self._process is not None:
            self._process.kill()
        self._end()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that takes too long. Not running: does nothing."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._end()

    def check(self) -> None:
        """`Late`, with the end of its log, if its process ended by itself."""
        if self._process is not None and not self.is_running:
            raise Late(
                f"node {self.name} ended with exit code {self._process.returncode}: {self._last_words()}"
            )

    def _end(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._process is not None:
            self._process.wait(END_S_MAX)
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process = self._client = self.address = None

    @property
    def _log(self) -> Path:
        return self._folder / f"{self.name}.log"

    def _command(self, peers: Sequence[str]) -> list[str]:
        dialed = [word for peer in peers for word in ("--peer", peer)]
        command = [sys.executable, "-P", "-m", "gossamer", "serve", "--name", self.name]
        return [
            *command,
            "--data",
            str(self._folder / self.name),
            "--listen",
            "127.0.0.1:0",
            "--until-eof",
            *dialed,
        ]

    def _ready(self, seconds: float) -> str:
        assert self._process is not None and self._process.stdout is not None
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read_first, args=(self._process.stdout, lines), daemon=True).start()
        try:
            line = lines.get(timeout=seconds)
        except queue.Empty:
            raise Late(f"node {self.name}: not listening within {seconds:g} s") from None
        if not line.startswith("listening on "):
            self._process.wait(STOP_S)
            self.check()
        return line.removeprefix("listening on ").strip()

    def _last_words(self) -> str:
        with open(self._log) as log:
            return " / ".join(line.strip() for line in deque(log, 3)) or "it said nothing"


def _read_first(pipe: IO[str], lines: queue.SimpleQueue[str]) -> None:
    lines.put(pipe.readline())


def _environment() -> dict[str, str]:
    """Settings that are meant for the user's own nodes are not for these."""
    return {key: value for key, value in os.environ.items() if not key.startswith("GOSSAMER_")}
