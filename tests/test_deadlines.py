"""Nothing in the package waits without a deadline, and nothing of it blocks the loop that its network runs on.

The first is read off the source: each call that blocks a thread must be given a bound. What may wait for ever is listed, with why.
The second is watched while the tests run (`loopwatch`), and here it is shown that a blocked loop is noticed.
"""

from __future__ import annotations

import ast
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import gossamer
from gossamer.errors import WaitTimeout
from gossamer.limits import SETTLE_S_MAX
from gossamer.rpc.loop import LoopThread
from gossamer.ticket import Ticket

from .loopwatch import LoopWatch

PACKAGES = [Path(gossamer.__file__).parent, Path(gossamer.crdt.__file__).parent]
BLOCKING = ("wait", "join", "acquire", "communicate", "get", "select")
"""Methods that block a thread, or a task, until something happens, if they are given nothing."""
FOR_EVER = {
    (
        "fork.py",
        "acquire",
    ): "a fork waits for the transaction that is under way; half of one must not be inherited",
    ("ticket.py", "acquire"): "of a lock that was just made",
    ("notices.py", "wait"): "a thread of its own that waits for work; closing wakes it",
    ("rpc/link.py", "wait"): "a task that waits for something to send; the end of the link cancels it",
    ("rpc/link.py", "acquire"): "a task that waits for the engine; the end of the link cancels it",
    ("rpc/loop.py", "wait"): "the loop's own thread, until it is told to end",
    ("feed/hub.py", "wait"): "within wait_for, whose timeout is the consumer's",
    ("demo/actions.py", "get"): "a thread of its own that waits for keys; leaving it wakes it",
}


def waits(source: Path) -> Iterator[tuple[int, str]]:
    """Line and method of the calls that block and are given no bound."""
    for node in ast.walk(ast.parse(source.read_text())):
        if not isinstance(node, ast.Call) or node.args or node.keywords:
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in BLOCKING:
            if node.func.attr == "get" and "queue" not in ast.unparse(node.func.value):
                continue  # a handle's
            yield node.lineno, node.func.attr
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "result":
            made = node.func.value
            if isinstance(made, ast.Call) and "threadsafe" in ast.unparse(made.func):
                yield node.lineno, "result"


def unbounded() -> dict[tuple[str, str], list[int]]:
    found: dict[tuple[str, str], list[int]] = {}
    for package in PACKAGES:
        for source in package.rglob("*.py"):
            for line, method in waits(source):
                found.setdefault((source.relative_to(package).as_posix(), method), []).append(line)
    return found


def test_each_wait_has_a_deadline_or_a_reason() -> None:
    found = unbounded()
    assert not found.keys() - FOR_EVER.keys(), {key: found[key] for key in found.keys() - FOR_EVER.keys()}
    assert not FOR_EVER.keys() - found.keys(), "reasons for what is not there any more"


def test_a_wait_without_one_is_found(tmp_path: Path) -> None:
    source = tmp_path / "bad.py"
    source.write_text(
        "event.wait()\nevent.wait(3)\nthread.join()\n', '.join(x)\nlock.acquire(timeout=1)\nqueue.get()\n"
        "asyncio.run_coroutine_threadsafe(job, loop).result()\n"
    )
    assert [line for line, _ in waits(source)] == [1, 3, 6, 7]


def test_a_writer_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    with pytest.raises(WaitTimeout, match="may still be committed"):
        Ticket().result(0.01)
    assert Ticket.result.__defaults__ == (SETTLE_S_MAX,)


def test_a_blocked_loop_is_noticed_and_says_where() -> None:
    loop, over = LoopThread("gossamer-rpc"), threading.Event()
    with LoopWatch(period_s=0.05, samples=4) as watch:

        async def blocks() -> None:
            over.wait(5)  # as a handler would that waits for a thread

        def look() -> None:
            while not watch.found:
                time.sleep(0.01)
            over.set()

        looking = threading.Thread(target=look)
        looking.start()
        loop.run(blocks())
        looking.join(30)
    loop.close()
    assert "in blocks" in watch.found[0]


def test_an_idle_or_busy_loop_is_not() -> None:
    loop = LoopThread("gossamer-rpc")
    with LoopWatch(period_s=0.01, samples=4) as watch:

        async def works() -> int:
            return sum(n * n for n in range(400_000))

        for _ in range(5):
            loop.run(works())
        assert watch.looks_at_least(20)
    loop.close()
    assert not watch.found
