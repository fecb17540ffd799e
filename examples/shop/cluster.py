"""The six processes: started, killed, frozen, cut off, and surely ended.

How does none of them outlive the run? Each is stopped by its own process id on every way out of the ``with``, and
should the run itself be killed, the end of its standard input tells it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from .ports import free_ports
from .services.model import INSTANCES
from .services.setting import Setting
from .wires import Wires

START_S = 60.0
STOP_S = 10.0
LOOK_S = 0.05


class Cluster:
    """An async context manager. All instances are started by it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wires = Wires(INSTANCES)
        self._processes: dict[str, Process] = {}
        self.ports = dict(zip(INSTANCES, free_ports(len(INSTANCES)), strict=True))
        """Instance -> where it serves HTTP."""

    async def __aenter__(self) -> Self:
        self._wires.__enter__()
        try:
            await asyncio.gather(*(self.start(name) for name in INSTANCES))
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        self.thaw_all()
        await asyncio.gather(*(self._stop(name) for name in tuple(self._processes)))
        self._wires.__exit__()

    async def start(self, name: str) -> None:
        """Start an instance on its directory; it serves when this returns."""
        setting = Setting(
            instance=name,
            data=str(self._folder / name),
            listen="127.0.0.1:0",
            peers=self._wires.peers(name),
            http_port=self.ports[name],
        )
        with open(self.log_of(name), "ab") as log:  # noqa: ASYNC230  # nothing else is to go on meanwhile
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "examples.shop.services",
                msgspec.json.encode(setting).decode(),
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the run, which then stops them
            )
        self._processes[name] = process
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), START_S)).decode()
        if not line.startswith("node "):
            raise RuntimeError(f"{name} did not start: {self.log_of(name).read_text()[-2000:]}")
        self._wires.lead(name, line.removeprefix("node ").strip())
        await self._serving(name)

    async def _serving(self, name: str) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.ports[name])
            except OSError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{name} does not serve") from None
                await asyncio.sleep(LOOK_S)
            else:
                writer.close()
                return

    async def kill(self, name: str) -> None:
        """SIGKILL: nothing is closed, nothing is said."""
        process = self._processes.pop(name)
        process.kill()
        await process.wait()

    def freeze(self, name: str) -> None:
        """SIGSTOP: it is there, and does nothing."""
        os.kill(self._processes[name].pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """It goes on as if nothing had been."""
        os.kill(self._processes[name].pid, signal.SIGCONT)

    def thaw_all(self) -> None:
        """So that all can be ended."""
        for name in self._processes:
            with suppress(ProcessLookupError):  # one that has ended by itself
                self.thaw(name)

    def cut(self, names: list[str]) -> None:
        """Cut some off from the others."""
        self._wires.cut(names)

    def heal(self) -> None:
        """Connect all again."""
        self._wires.heal()

    def pids(self) -> dict[str, int]:
        """Of those that run."""
        return {name: process.pid for name, process in self._processes.items()} | {"wires": self._wires.pid}

    def ended(self) -> list[str]:
        """Those that have ended by themselves."""
        return [name for name, process in self._processes.items() if process.returncode is not None]

    def log_of(self, name: str) -> Path:
        """Where it writes its standard error."""
        return self._folder / f"{name}.log"

    async def _stop(self, name: str) -> None:
        process = self._processes.pop(name)
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        assert process.stdin is not None
        process.stdin.close()
