"""The processes of the airports as the bench sees them: started, listened to, killed, and surely ended.

How far is an airport? What it said last, on its standard output.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

END_S = 20.0
"""Seconds that a process gets to close its node before it is killed."""


class Airport:
    """One airport's node process, and a thread that reads what it says."""

    def __init__(self, scratch: Path, flights: int, settings: dict[str, Any]) -> None:
        self.name = str(settings["airport"])
        self.flights = flights
        """How many it has to take in."""
        self.address = ""
        self.resumed: list[int] = []
        """The position that each start found."""
        self.position = 0
        """The last that was acknowledged."""
        self.cells = 0
        """Written in acknowledged transactions."""
        self._settings = settings
        self._errors = scratch / f"{self.name}.stderr"
        self._listening = threading.Event()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it. It takes nothing in before `allow`."""
        self.address = ""
        self._listening.clear()
        with self._errors.open("a") as errors:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("flights_node.py")),
                    json.dumps(self._settings),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def wait(self) -> str:
        """Wait until it listens; its address."""
        self._listening.wait()
        if not self.address:
            raise RuntimeError(f"{self.name} did not start: {self.errors()}")
        return self.address

    def allow(self, upto: int) -> None:
        """Let it take in its flights up to a position, and then wait."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"{upto}\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL: nothing is closed, nothing is said."""
        assert self._process is not None
        self._process.kill()
        self._end()

    def stop(self) -> None:
        """End it in good order, or by force if that takes too long."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._end()

    def check(self) -> None:
        """`RuntimeError` if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}: {self.errors()}")

    def errors(self) -> str:
        """The end of what it wrote to its standard error."""
        return self._errors.read_text()[-4000:]

    def _end(self) -> None:
        process, self._process = self._process, None
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.wait()
        self._reader.join()
        process.stdin.close()
        process.stdout.close()

    def _listen(self, lines: IO[str]) -> None:
        for line in lines:
            if line.endswith("\n"):  # else it was killed in the middle of one
                self._note(json.loads(line))
        self._listening.set()

    def _note(self, said: dict[str, Any]) -> None:
        if "address" in said:
            self.resumed.append(said["resumed"])
            self.address = said["address"]
            self._listening.set()
        self.position = said.get("position", self.position)
        self.cells += said.get("cells", 0)
