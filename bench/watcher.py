"""A program beside the bench that watches a store, and says of each number put there when it saw it.

How do the two agree on time? They run on one machine, and read one monotonic clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

END_S = 20.0
PAD = b"v" * 64
"""Behind the number, in what is put."""


def value(n: int) -> bytes:
    """What is put for a number."""
    return b"%d %s" % (n, PAD)


def say(value: bytes, seen_at: float) -> None:
    """In the watcher: one line to the bench."""
    print(json.dumps({value.split()[0].decode(): seen_at}), flush=True)


def end_with_input() -> None:
    """In the watcher: end the process when its standard input ends, so that it never outlives the bench."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def seen(lines: IO[str], n: int) -> float:
    """In the bench: when the watcher saw a number, once it has said so."""
    for line in lines:
        said: dict[str, float] = json.loads(line)
        if str(n) in said:
            return said[str(n)]
    raise RuntimeError("the watcher has ended")


@contextmanager
def beside(program: str, *arguments: str) -> Iterator[IO[str]]:
    """The watcher in ``program``; its lines."""
    command = [sys.executable, program, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
