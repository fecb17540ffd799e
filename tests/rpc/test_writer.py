"""Does the writer thread commit groups, tell everyone his outcome, and lose nobody?"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import pytest

from gossamer.backend import make_op
from gossamer.crdt import path
from gossamer.errors import Closed, StoreFailed, StoreFull
from gossamer.limits import GROUP_MAX, QUEUED_MAX
from gossamer.turns import Effect, Input, Instant, Tick, Write
from gossamer.writer import Writer

from .standin import DEADLINE_S, StandIn, now

SOLD = path.of_text("counter:sold")
ADD = Write("default", [make_op(SOLD, "add", (1,))])


class Gate:
    """Holds turns up until it is opened."""

    def __init__(self, core: StandIn) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        core.hook = self

    def __call__(self, inputs: Sequence[Input]) -> None:
        self.entered.set()
        assert self.opened.wait(DEADLINE_S)


@pytest.fixture
def core() -> StandIn:
    return StandIn()


@pytest.fixture
def writer(core: StandIn) -> Iterator[Writer]:
    writer = Writer(core, now, lambda effects: None)
    yield writer
    writer.close()


def test_a_write_comes_back_with_its_dot(writer: Writer) -> None:
    assert writer.submit(ADD).result(DEADLINE_S) == (b"standin1", 1)


async def test_what_queues_up_during_a_commit_is_one_group(core: StandIn, writer: Writer) -> None:
    gate = Gate(core)
    first = writer.enqueue(ADD)
    assert await asyncio.to_thread(gate.entered.wait, DEADLINE_S)
    rest = [writer.enqueue(ADD) for _ in range(100)]
    gate.opened.set()
    await asyncio.gather(first, *rest)
    assert core.groups == [1, 100]
    assert [dot[1] for dot in await asyncio.gather(first, *rest)] == list(range(1, 102))


async def test_a_group_has_a_limit(core: StandIn, writer: Writer) -> None:
    gate = Gate(core)
    waiting = [writer.enqueue(ADD)]
    assert await asyncio.to_thread(gate.entered.wait, DEADLINE_S)
    waiting += [writer.enqueue(ADD) for _ in range(GROUP_MAX + 1)]
    gate.opened.set()
    await asyncio.gather(*waiting)
    assert core.groups == [1, GROUP_MAX, 1]


async def test_an_error_of_one_input_is_his_alone(writer: Writer) -> None:
    wrong = Write("default", [make_op(path.of_text("max_register:m"), "set", ("text",))])
    right = Write("default", [make_op(path.of_text("max_register:m"), "set", (1,))])
    outcomes = await asyncio.gather(*map(writer.enqueue, (right, wrong, right)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [tuple, TypeError, tuple]


async def test_a_failed_group_fails_all_of_it_and_the_next_one_works(core: StandIn, writer: Writer) -> None:
    def full(inputs: Sequence[Input]) -> None:
        raise StoreFull("no space")

    core.hook = full
    outcomes = await asyncio.gather(*(writer.asubmit(ADD) for _ in range(3)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes if isinstance(outcome, StoreFull)] == ["no space"] * 3
    core.hook = lambda inputs: None
    assert await writer.asubmit(ADD) == (b"standin1", 1)


def test_after_a_failed_store_nothing_is_written_any_more(core: StandIn, writer: Writer) -> None:
    def broken(inputs: Sequence[Input]) -> None:
        raise StoreFailed("EIO")

    core.hook = broken
    with pytest.raises(StoreFailed):
        writer.submit(ADD).result(DEADLINE_S)
    core.hook = lambda inputs: None
    with pytest.raises(StoreFailed, match="EIO"):
        writer.submit(ADD)
    writer.check_open()  # reads go on
    assert core.log == []


def test_close_finishes_what_was_accepted_and_refuses_the_rest(core: StandIn, writer: Writer) -> None:
    gate = Gate(core)
    tickets = [writer.submit(ADD) for _ in range(3 * GROUP_MAX)]
    closing = threading.Thread(target=writer.close)
    closing.start()
    while not writer.is_done_for:
        assert gate.entered.wait(DEADLINE_S)
    gate.opened.set()
    closing.join(DEADLINE_S)
    assert [ticket.result(DEADLINE_S)[1] for ticket in tickets] == list(range(1, 3 * GROUP_MAX + 1))
    with pytest.raises(Closed):
        writer.submit(ADD)
    writer.close()


def test_a_write_that_slips_in_as_the_thread_ends_is_refused_and_does_not_hang(core: StandIn) -> None:
    writer = Writer(core, now, lambda effects: None)
    writer.start()

    class Late(SimpleQueue[Any]):
        def put(self, item: Any, *_: object) -> None:
            if item is not None:  # accepted, and before it is queued the writer is closed
                writer.close()
            super().put(item)

    late = Late()
    first = writer._queue
    writer._queue = late
    first.put(None)  # have the thread look at the other queue
    with pytest.raises(Closed):
        writer.submit(ADD).result(DEADLINE_S)


def test_writers_that_race_with_close_all_get_an_outcome(core: StandIn) -> None:
    writer = Writer(core, now, lambda effects: None)
    written, refused = [], []

    def write() -> None:
        try:
            while True:
                written.append(writer.submit(ADD).result(DEADLINE_S))
        except Closed:
            refused.append(True)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    core.wait(lambda: len(core.log) > 200, "some writes")
    writer.close()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(refused) == 8
    assert len(core.log) == len(written)


def test_a_full_queue_holds_writers_up_and_then_lets_them_in(core: StandIn, writer: Writer) -> None:
    gate = Gate(core)

    async def flood() -> list[int]:
        first = writer.enqueue(ADD)
        assert await asyncio.to_thread(gate.entered.wait, DEADLINE_S)
        queued = [writer.enqueue(ADD) for _ in range(QUEUED_MAX)]
        late = asyncio.create_task(writer.asubmit(ADD))
        in_thread = asyncio.create_task(asyncio.to_thread(lambda: writer.submit(ADD).result(DEADLINE_S)))
        await asyncio.wait([late], timeout=0)
        assert writer._queue.qsize() == QUEUED_MAX
        gate.opened.set()
        return [dot[1] for dot in await asyncio.gather(first, *queued, late, in_thread)]

    assert sorted(asyncio.run(flood())) == list(range(1, QUEUED_MAX + 4))


async def test_a_cancelled_write_stands_or_not_and_others_are_not_touched(
    core: StandIn, writer: Writer
) -> None:
    gate = Gate(core)
    first = asyncio.create_task(writer.asubmit(ADD))
    assert await asyncio.to_thread(gate.entered.wait, DEADLINE_S)
    second = asyncio.create_task(writer.asubmit(ADD))
    third = asyncio.create_task(writer.asubmit(ADD))
    await asyncio.wait([third], timeout=0)
    second.cancel()
    gate.opened.set()
    assert await first == (b"standin1", 1)
    assert await third == (b"standin1", 3)
    with pytest.raises(asyncio.CancelledError):
        await second


def test_a_loop_that_is_gone_does_not_hurt_the_others(core: StandIn, writer: Writer) -> None:
    gate = Gate(core)

    async def abandon() -> None:
        writer.enqueue(ADD)

    asyncio.run(abandon())
    gate.opened.set()
    assert writer.submit(ADD).result(DEADLINE_S) == (b"standin1", 2)


def test_calls_run_on_the_writer_thread_and_raise_at_the_caller(writer: Writer) -> None:
    assert writer.submit(lambda: threading.current_thread().name).result(DEADLINE_S) == "gossamer-writer"
    with pytest.raises(ZeroDivisionError):
        writer.submit(lambda: 1 // 0).result(DEADLINE_S)


def test_the_core_is_woken_when_it_asked_for_it(core: StandIn, writer: Writer) -> None:
    core.wake_at = now().mono + 0.01
    writer.start()
    core.wait(lambda: Tick() in core.log, "a tick")


def test_a_core_that_is_always_due_does_not_keep_the_thread_spinning(core: StandIn) -> None:
    """A thousand ticks a second at most; the clock here moves a tenth of a millisecond in all."""
    instants = iter(range(1, 1000))
    core.wake_at = 0.0
    writer = Writer(core, lambda: Instant(0, next(instants) * 1e-7), lambda effects: None)
    for _ in range(10):
        writer.submit(ADD).result(DEADLINE_S)
    writer.close()
    assert core.log.count(Tick()) <= 1


def test_what_the_core_wants_sent_is_dispatched_until_there_is_no_more(core: StandIn) -> None:
    sent: list[Effect] = []
    rounds = iter([[b"one"], [b"two"], []])

    class Talkative(StandIn):
        def outbox(self, now: Instant) -> Sequence[Effect]:
            for body in next(rounds, []):
                self.send(1, body)
            return super().outbox(now)

    writer = Writer(Talkative(), now, sent.extend)
    writer.submit(ADD).result(DEADLINE_S)
    writer.close()
    assert [effect.body for effect in sent] == [b"one", b"two"]  # type: ignore[union-attr]  # all are sends


FORK = """
import os, sys, threading
from gossamer.errors import Closed
from tests_rpc import StandIn, make_node
node = make_node(StandIn(), listen="127.0.0.1:0")
stop = threading.Event()
def write():
    while not stop.is_set():
        node.counter("sold").add(1)
thread = threading.Thread(target=write)
thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for use in (lambda: node.counter("sold").add(1), node.counter("sold").value, node.start):
                try:
                    use()
                except Closed as error:
                    assert str(os.getppid()) in str(error), error
                else:
                    raise AssertionError("used in the child")
            node.close()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
stop.set()
thread.join()
node.counter("sold").add(1)
node.close()
print("fine")
"""


def test_a_forked_child_has_no_node_and_does_not_hang(tmp_path: object) -> None:
    here = os.path.dirname(__file__)
    script = FORK.replace(
        "from tests_rpc import", f"sys.path.insert(0, {os.path.dirname(here)!r})\nfrom rpc.standin import"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stdout) == (0, "fine\n"), run.stderr
