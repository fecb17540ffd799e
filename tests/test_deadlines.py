"""Nothing in the package waits without a deadline, and nothing of it blocks the loop that its network runs on.

The first is read off the source: each call that blocks a thread must be given a bound, and each await must be of a coroutine of the
package itself, whose own awaits are read too, or of something with a bound. Everything else is listed, with why it ends.
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

APART = (
    "asyncio.sleep",
    "asyncio.wait_for",
    "asyncio.timeout",
    "aclosing",
    "AsyncExitStack",
    "PlainTextResponse",
)
"""What is given its time, or waits for nothing of its own."""
WRITERS = "the writer's, which `overdue` watches"
PASSED_IN = "the package's own, passed in: "
GRPCS = "gRPC hands it to the connection, and the end of the call, or of the connection, cancels it"
APPLICATIONS = "the application's that it stands before"
LINKS = "the end of the link cancels it, and it ends when nothing is heard of the peer, or when the engine has no word of it"
AWAITED = {
    "asked": PASSED_IN + "`Writer.asubmit`",
    "asyncio.gather": "of what is awaited elsewhere in the package",
    "asyncio.get_running_loop().run_in_executor": "what a thread does, which has its deadlines",
    "asyncio.open_connection": "the demonstration's wires, on this machine",
    "asyncio.shield": "what a thread does, which has its deadlines",
    "asyncio.start_server": "the demonstration's wires, on this machine",
    "asyncio.to_thread": "what a thread does, which has its deadlines",
    "call.wait_for_connection": "within `asyncio.timeout`",
    "commit": PASSED_IN + "`LocalBackend._register`",
    "connected": WRITERS,
    "context.abort": GRPCS,
    "context.send_initial_metadata": GRPCS,
    "context.write": GRPCS,
    "continuation": "gRPC looks the method up",
    "done": "of a call with a timeout of its own",
    "faults.answering": "it makes answers of errors, and waits for nothing",
    "feeds.aperform": PASSED_IN + "`LocalBackend._aperform`",
    "found": "the method of the service",
    "future": "within `asyncio.timeout`",
    "handler.unary_stream": "the method of the service",
    "handler.unary_unary": "the method of the service",
    "healths.set": "it keeps a word",
    "job": PASSED_IN + "`Link._read`, `Link._send`, `Link._beat`",
    "pages": "of the feed, as the client reads them; the end of the call cancels it",
    "refusal": APPLICATIONS,
    "room": "within `asyncio.timeout`",
    "self": "the set's own iterator, of a scan",
    "self._app": APPLICATIONS,
    "self._call.read": "who follows a feed waits as long as he asked; a dead connection is noticed by its keepalive",
    "self._channel": "gRPC closes a channel at once",
    "self._ended": LINKS,
    "self._feeds.aperform": PASSED_IN + "`LocalBackend._aperform`",
    "self._server.stop": "it is given its time",
    "self._stream.read": LINKS,
    "self._stream.write": LINKS,
    "self._turn": "who has it looks at the node, which has its deadlines",
    "self._untaken.acquire": LINKS,
    "self._wanted": PASSED_IN + "`Shell._is_wanted`",
    "self._writer.enqueue": "a link that is over: nobody waits for it, and its number is among `LINKS_MAX` until the engine has heard of it",
    "self.aperform": PASSED_IN + "`LocalBackend._aperform`",
    "self.enqueue": WRITERS,
    "send": APPLICATIONS,
    "server.start": "it has its port already",
    "sink.drain": "the demonstration's wires, on this machine",
    "source.read": "the demonstration's wires, on this machine",
    "stack.enter_async_context": APPLICATIONS,
}
"""What is awaited that is none of the package's own coroutines -> why it ends."""


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


def called(expression: ast.expr) -> str:
    """The name of what is called there, or the whole of it if nothing is."""
    return ast.unparse(expression.func if isinstance(expression, ast.Call) else expression)


def coroutines(tree: ast.Module) -> Iterator[str]:
    """Names of those that are written there; a protocol's are another's."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    protocols = [one for one in classes if "Protocol" in map(ast.unparse, one.bases)]
    others = {method for one in protocols for method in one.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef) and node not in others:
            yield node.name


def awaits(tree: ast.Module, own: set[str]) -> Iterator[str]:
    """What is awaited that is neither one of ``own`` nor bounded."""
    for node in ast.walk(tree):
        found: list[ast.expr] = []
        if isinstance(node, ast.Await):
            found = [node.value]
        elif isinstance(node, ast.AsyncFor):
            found = [node.iter]
        elif isinstance(node, ast.AsyncWith):
            found = [item.context_expr for item in node.items]
        for text in map(called, found):
            if text.rpartition(".")[2] not in own and not text.startswith(APART):
                yield text


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


def test_each_await_ends_by_itself_or_for_a_reason() -> None:
    trees = [ast.parse(source.read_text()) for package in PACKAGES for source in package.rglob("*.py")]
    own = {name for tree in trees for name in coroutines(tree)}
    found = {text for tree in trees for text in awaits(tree, own)}
    assert not found - AWAITED.keys(), found - AWAITED.keys()
    assert not AWAITED.keys() - found, "reasons for what is not there any more"


def test_an_await_without_one_is_found() -> None:
    source = ast.parse(
        "class P(Protocol):\n async def read(self): ...\nasync def own():\n await own()\n await x.read()\n"
        " await event\n await asyncio.sleep(1)\n async with lock: ...\n async for y in z(): ...\n"
    )
    assert sorted(awaits(source, set(coroutines(source)))) == ["event", "lock", "x.read", "z"]


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
    with LoopWatch(period_s=0.05, samples=4) as watch:

        async def works() -> int:
            return sum(n * n for n in range(100_000))

        for _ in range(20):
            loop.run(works())
        assert watch.looks_at_least(20)
    loop.close()
    assert not watch.found
