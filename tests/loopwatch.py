"""A watch over the loops that nodes' networks run on: which of them blocks, and where?

A loop's thread is either in its selector, or it runs. One that sleeps, in the kernel's word, at one and the same line outside the
selector, look after look, is blocked: in a lock, a sleep, a disk. Not the time that passes is judged but what the
thread does, so a machine that is busy is no reason to fail.
"""

from __future__ import annotations

import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPS = "gossamer-rpc"
PERIOD_S, SAMPLES = 0.25, 8
"""Two seconds at one line: a commit of an ordinary disk, and the interpreter's lock on a busy machine, take far less."""


class LoopWatch:
    """A thread that looks at all loops of this process."""

    def __init__(self, period_s: float = PERIOD_S, samples: int = SAMPLES) -> None:
        self._period_s, self._samples = period_s, samples
        self._over = threading.Event()
        self._seen: dict[
            int, tuple[object, int, int]
        ] = {}  # thread -> frame, instruction, how often in a row
        self._looks = 0
        self.found: list[str] = []
        """Where loops were blocked: the stack of each."""
        self._thread = threading.Thread(target=self._run, name="loop-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(30)

    def looks_at_least(self, count: int) -> bool:
        """Wait until it has looked so often."""
        while self._looks < count:
            self._over.wait(self._period_s)
        return True

    def _run(self) -> None:
        while not self._over.wait(self._period_s):
            self._look()
            self._looks += 1

    def _look(self) -> None:
        frames = sys._current_frames()
        for thread in threading.enumerate():
            frame = frames.get(thread.ident or 0)
            if thread.name != LOOPS or frame is None or thread.native_id is None:
                continue
            is_idle = frame.f_code.co_name == "select" and "selectors" in frame.f_code.co_filename
            if is_idle or not _sleeps(thread.native_id):
                self._seen.pop(thread.native_id, None)
                continue
            before, at, times = self._seen.get(thread.native_id, (None, -1, 0))
            times = times + 1 if before is frame.f_code and at == frame.f_lasti else 1
            self._seen[thread.native_id] = frame.f_code, frame.f_lasti, times
            if times == self._samples:
                self.found.append("".join(traceback.format_stack(frame)))


def _sleeps(native_id: int) -> bool:
    """Whether the kernel says that a thread of this process neither runs nor could."""
    try:
        return Path(f"/proc/self/task/{native_id}/stat").read_text().rpartition(")")[2].split()[0] in "SD"
    except OSError:
        return False
