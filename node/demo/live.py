"""The live demonstration: a table of three replicas, and keys to write to them and to break them."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from ..errors import GossamerError
from ..limits import END_S_MAX
from . import keys
from .actions import Actions
from .load import Load
from .process import NodeProcess
from .screen import Seen, draw
from .trio import Trio
from .view import View, difference, view

LOOK_EVERY_S = 0.2
"""Between two looks at the replicas, which cost them a read of everything."""
KEY_WAIT_S = 0.1
"""How long a key may wait for the screen, and the screen for a key."""
TOLD = 6
"""Lines of what was done."""


class Observer:
    """Looks at the replicas in a thread of its own, so that one that does not answer holds up no key."""

    def __init__(self, trio: Trio, load: Load) -> None:
        self._trio, self._load = trio, load
        self._views: dict[str, View | None] = dict.fromkeys(trio.nodes)
        self._told: deque[str] = deque(maxlen=TOLD)
        self._done = threading.Event()
        self._changed_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="demo-observer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(END_S_MAX)

    def tell(self, what: str) -> None:
        """Show a line, and measure from now until all are equal."""
        self._told.append(what)
        self._changed_at = time.monotonic()

    def seen(self) -> Seen:
        """What there is to show now."""
        return Seen(dict(self._views), self._trio.is_cut, self._load.sold, tuple(self._told))

    def _run(self) -> None:
        while not self._done.is_set():
            asked_at = time.monotonic()
            self._views = {name: _look(node) for name, node in self._trio.nodes.items()}
            self._note_agreement(asked_at)
            self._done.wait(LOOK_EVERY_S)

    def _note_agreement(self, asked_at: float) -> None:
        changed, views = self._changed_at, [v for v in self._views.values() if v is not None]
        if changed is None or changed > asked_at or len(views) < len(self._views) or difference(views):
            return
        self._changed_at = None
        self._told.append(f"all equal {time.monotonic() - changed:.1f} s later")


def _look(node: NodeProcess) -> View | None:
    try:
        return view(node) if node.is_running else None
    except (GossamerError, ValueError):  # it was stopped meanwhile, and its client closed
        return None


def watch(deadline_s: float) -> None:
    """Run until ``q``, Ctrl-C or the end of the terminal. Standard input and output must be one."""
    console, load = Console(), Load()
    with ExitStack() as stack:
        with console.status("starting three nodes"):
            trio = stack.enter_context(Trio(deadline_s))
        observer = stack.enter_context(Observer(trio, load))
        actions = stack.enter_context(Actions(trio, load, observer.tell))
        actions.press("w")
        with suppress(KeyboardInterrupt):
            _show(console, observer, actions)


def _show(console: Console, observer: Observer, actions: Actions) -> None:
    with (
        keys.pressed(sys.stdin.fileno()) as key,
        Live(draw(observer.seen()), console=console, screen=True, auto_refresh=False) as live,
    ):
        while True:
            live.update(draw(observer.seen()), refresh=True)
            pressed = key(KEY_WAIT_S)
            if pressed in ("q", keys.EOF, "\x04"):
                return
            if pressed is not None:
                actions.press(pressed)
