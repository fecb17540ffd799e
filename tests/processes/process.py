"""A ``gossamer serve`` process: started, killed, stopped for a while, and always gone in the end."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import gossamer
from gossamer.rpc import Client

from .waiting import DEADLINE_S, so

LOG_SHOWN = 4_000
"""Characters of a log in an error."""


class Serve:
    """Not running at first. A context manager: on every way out the process is killed, by its own pid."""

    def __init__(self, name: str, folder: Path, data: Path | None = None) -> None:
        """Its log is in ``folder``, and its directory too unless ``data`` says another."""
        self.name, self.data = name, data or folder / name
        self.address = ""
        self.under: Sequence[str] = ()
        """A command that runs the node's in its own process: ``ip netns exec …``."""
        self.program: Sequence[str] = ("-m", "gossamer")
        """What Python runs."""
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[str] | None = None
        self._clients: list[Client] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for client in self._clients:
            client.close()

    @property
    def client(self) -> Client:
        """The handles of the node as it was started last. Those of earlier lives stay open: others may be in
        the middle of a call."""
        return self._clients[-1]

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def log(self) -> str:
        """All that it has logged, in all its lives."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def identities(self) -> list[str]:
        """The replica ids that it has opened its directory under, as its log says."""
        return re.findall(r" opened .*replica=([0-9a-f]{16})", self.log)

    def start(self, *arguments: str, listen: str = "127.0.0.1:0") -> Self:
        """Start the process and wait until it listens. `AssertionError`, with its log, if it does not."""
        self._process = self.launch(*arguments, listen=listen)
        line = _first_line(self._process)
        assert line.startswith("listening on "), f"{self.name}: {line!r}; its log: {self.log[-LOG_SHOWN:]}"
        self.address = line.removeprefix("listening on ").strip()
        self._clients.append(gossamer.connect(self.address))
        return self

    def launch(self, *arguments: str, listen: str = "127.0.0.1:0") -> subprocess.Popen[str]:
        """Start the process and wait for nothing; it is the caller's to end."""
        command = [*self.under, sys.executable, "-P", *self.program, "serve", "--name", self.name]
        command.append("--until-eof")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("GOSSAMER_")}
        with open(self._log, "a") as log:
            return subprocess.Popen(
                [*command, "--data", str(self.data), "--listen", listen, *arguments],
                stdin=subprocess.PIPE,  # closed with this process: then it ends too
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=inherited,
                start_new_session=True,
            )

    def refuses(self, *arguments: str, listen: str = "127.0.0.1:0") -> tuple[int, str]:
        """The exit code, and what it says, of a start that must fail. `AssertionError` if it listens."""
        before = len(self.log)
        process = self.launch(*arguments, listen=listen)
        try:
            line = _first_line(process)
            assert not line, f"{self.name} {line}"
            return process.wait(DEADLINE_S), self.log[before:]
        finally:
            _kill(process)

    @property
    def has_ended(self) -> bool:
        """It was started, and has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """SIGKILL. Not running: does nothing."""
        if self._process is not None:
            _kill(self._process)
        self._process = None

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(DEADLINE_S)
        self.kill()
        return code

    def wait(self) -> int:
        """The exit code of a process that ends by itself."""
        assert self._process is not None
        code = self._process.wait(DEADLINE_S)
        self.kill()
        return code

    def freeze(self) -> None:
        """SIGSTOP; it has stopped when this returns."""
        os.kill(self.pid, signal.SIGSTOP)
        so(lambda: self._state() == "T", f"{self.name} is still running")

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def heap_bytes(self) -> int:
        """Resident memory that is not of a file: the heap, and not the pages of the store's map."""
        found = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    def _state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]


def _first_line(process: subprocess.Popen[str]) -> str:
    """Its first line, nothing if it ended without one."""
    assert process.stdout is not None
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_first, args=(process.stdout, lines), daemon=True).start()
    try:
        return lines.get(timeout=DEADLINE_S)
    except queue.Empty:
        return ""


def _read_first(pipe: IO[str], lines: queue.SimpleQueue[str]) -> None:
    lines.put(pipe.readline())


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def options(peers: Sequence[str] = (), advertise: str | None = None) -> list[str]:
    """The arguments of ``serve`` for these."""
    dialed = [word for peer in peers for word in ("--peer", peer)]
    return [*dialed, *(("--advertise", advertise) if advertise else ())]
