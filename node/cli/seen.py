"""The other node of ``gossamer bench``, a process of its own: it says when it first saw each number.

Why a process? Two nodes in one would share an interpreter, which no two services do. Both run on one machine, and read
one monotonic clock. It ends when its standard input does, so it never outlives the bench.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import suppress

from .. import open as open_node
from ..errors import NotReady

NAME = "bench:n"
LOOK_S = 0.0001
"""Between two looks: a part of the figure."""


def main(directory: str, address: str) -> None:
    """Look at the register until the input ends; one line for the first value, and one for each that is higher."""
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    with open_node(directory, peers=[address]) as node:
        register, last = node.register(NAME), -1
        while not ended.is_set():
            with suppress(NotReady):  # it is taking over what there is
                number = register.get((-1, ""))[0]
                if number > last:
                    print(json.dumps([number, time.monotonic()]), flush=True)
                    last = number
            ended.wait(LOOK_S)


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main(*sys.argv[1:])
