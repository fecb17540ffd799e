"""One airport as a process: a node that listens, gossips, and takes its flights in.

What does it tell the program that started it? One JSON object a line: ``address`` (where it listens) and
``resumed`` (the position it found), then ``position`` and ``cells`` after each acknowledged commit. What is it
told? A number a line on its standard input: how far it may go. When that input ends, it closes the node and
ends, so it never outlives the program that started it.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import gossamer
from flights_data import of_airport, rows
from flights_ingest import ingest


class Leave:
    """How far the flights may be taken in."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._upto = 0
        self._is_over = False
        threading.Thread(target=self._listen, daemon=True).start()

    def wait(self, position: int) -> bool:
        """Wait until the flight after ``position`` may be taken in; False if there is nothing more to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over or position < self._upto)
            return not self._is_over

    def _listen(self) -> None:
        for line in sys.stdin:
            self._set(int(line), False)
        self._set(0, True)

    def _set(self, upto: int, is_over: bool) -> None:
        with self._changed:
            self._upto, self._is_over = upto, is_over
            self._changed.notify_all()


def main() -> None:
    """The settings are the one argument, as JSON: airport, rows, batch, data, advertise, peers."""
    settings = json.loads(sys.argv[1])
    airport = settings["airport"]
    leave = Leave()
    flights = of_airport(airport, rows(settings["rows"]))
    with gossamer.open(
        settings["data"],
        listen="127.0.0.1:0",
        advertise=settings["advertise"],
        peers=settings["peers"],
        name=airport,
    ) as node:
        position = int(node.map("position").register(airport).get(0))
        say(address=node.address, resumed=position)
        going = leave.wait(position)
        for position, cells in ingest(node, airport, flights, settings["batch"]) if going else ():
            say(position=position, cells=cells)
            if not leave.wait(position):
                return
        while leave.wait(position):
            position = sys.maxsize  # all are in: wait for the end alone


def say(**facts: Any) -> None:
    """One line to whoever started this."""
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
