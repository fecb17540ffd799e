"""A writer that does not answer: does whoever awaits it get an answer in time, and is nothing lost or out of order by that?"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from gossamer.backend import make_op
from gossamer.crdt import path
from gossamer.errors import WaitTimeout
from gossamer.limits import GROUP_MAX, QUEUED_MAX
from gossamer.proto.replication_pb2 import Frame
from gossamer.rpc.link import Link
from gossamer.turns import Connected, Disconnected, Input, Received, Write
from gossamer.writer import Writer
from tests.processes.inject import NO_STRACE, can_inject

from .standin import DEADLINE_S, FAST, StandIn, now

ADD = Write("default", [make_op(path.of_text("counter:sold"), "add", (1,))])
LATE_S, LOOK_S = 0.3, 0.02
"""In place of a minute, and of two seconds."""


class Hanging:
    """A core whose first turn hangs, until it is told to go on."""

    def __init__(self) -> None:
        self.core, self.entered, self.goes_on = StandIn(), threading.Event(), threading.Event()
        self.core.hook = self._hang
        self.writer = Writer(self.core, now, lambda effects: None)

    def _hang(self, inputs: Sequence[Input]) -> None:
        self.entered.set()
        assert self.goes_on.wait(DEADLINE_S)

    async def hung(self) -> None:
        """Wait until it hangs."""
        assert await asyncio.to_thread(self.entered.wait, DEADLINE_S)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    for module in ("overdue", "writer"):
        monkeypatch.setattr(f"gossamer.{module}.SETTLE_S_MAX", LATE_S)
    monkeypatch.setattr("gossamer.writer.OVERDUE_LOOK_S", LOOK_S)
    hanging = Hanging()
    yield hanging
    hanging.goes_on.set()
    hanging.writer.close()


async def test_what_is_under_way_and_what_is_queued_behind_it_ends_in_time(hanging: Hanging) -> None:
    first = asyncio.create_task(hanging.writer.asubmit(ADD))
    await hanging.hung()
    rest = [asyncio.create_task(hanging.writer.asubmit(ADD)) for _ in range(50)]
    for outcome in await asyncio.gather(first, *rest, return_exceptions=True):
        assert isinstance(outcome, WaitTimeout) and "may still be committed" in str(outcome), outcome


async def test_it_is_committed_all_the_same_in_order_and_nobody_is_told_twice(hanging: Hanging) -> None:
    """Messages of one link among what is set aside, what comes later, and what is more than a group."""
    first = hanging.writer.enqueue(Connected(1, None))
    await hanging.hung()
    bodies = [str(n).encode() for n in range(2 * GROUP_MAX + 10)]
    early = [hanging.writer.enqueue(Received(1, body)) for body in bodies[:-5]]
    assert isinstance((await asyncio.gather(first, *early, return_exceptions=True))[-1], WaitTimeout)
    assert hanging.writer.queued == len(early)
    late = [hanging.writer.enqueue(Received(1, body)) for body in bodies[-5:]]
    hanging.core._merge = lambda body: None  # type: ignore[method-assign]  # they are no batches
    hanging.goes_on.set()
    await asyncio.gather(*late)
    assert hanging.core.received() == bodies
    assert max(hanging.core.groups) <= GROUP_MAX and hanging.writer.queued == 0


async def test_one_who_waits_for_room_is_told_that_nothing_was_written(hanging: Hanging) -> None:
    first = hanging.writer.enqueue(ADD)
    await hanging.hung()
    queued = [hanging.writer.enqueue(ADD) for _ in range(QUEUED_MAX)]
    awaited = hanging.writer.asubmit(ADD)
    in_thread = asyncio.to_thread(hanging.writer.submit, ADD)
    for outcome in await asyncio.gather(awaited, in_thread, return_exceptions=True):
        assert isinstance(outcome, WaitTimeout) and "nothing was written" in str(outcome), outcome
    assert not hanging.writer._waiting_for_room, "who has gone is forgotten"
    await asyncio.gather(first, *queued, return_exceptions=True)
    hanging.goes_on.set()
    await asyncio.to_thread(hanging.core.wait, lambda: len(hanging.core.log) > QUEUED_MAX, "the backlog")
    assert await hanging.writer.asubmit(ADD) == (b"standin1", QUEUED_MAX + 2), "there is room again"


async def test_a_spend_that_may_wait_for_rights_has_so_much_longer(hanging: Hanging) -> None:
    first = hanging.writer.enqueue(ADD)
    await hanging.hung()
    patient, other = hanging.writer.enqueue(ADD._replace(wait=3600.0)), hanging.writer.enqueue(ADD)
    await asyncio.wait([first, other])
    assert not patient.done()
    hanging.goes_on.set()
    assert await patient == (b"standin1", 2)


async def test_a_link_ends_and_the_engine_is_told_of_it_once(hanging: Hanging) -> None:
    class Silent:
        async def read(self) -> Any:
            return grpc.aio.EOF

        async def write(self, frame: Frame) -> None:
            pass

    running = asyncio.create_task(Link(1, Silent(), hanging.writer, FAST).run(None, None))
    await hanging.hung()
    other = await asyncio.gather(hanging.writer.asubmit(ADD), return_exceptions=True)
    assert isinstance(other[0], WaitTimeout)
    hanging.goes_on.set()
    assert "no answer of the writer" in await running
    await hanging.writer.asubmit(ADD)
    assert hanging.core.log.count(Disconnected(1)) == 1


async def test_a_turn_that_takes_its_time_disturbs_nobody(hanging: Hanging) -> None:
    """Looked at while it is under way, and answered before it is too late."""
    first = hanging.writer.enqueue(ADD)
    await hanging.hung()
    second = hanging.writer.enqueue(ADD)
    await asyncio.sleep(5 * LOOK_S)
    hanging.goes_on.set()
    assert [dot[1] for dot in await asyncio.gather(first, second)] == [1, 2]


HANGS = """
import asyncio, sys
import gossamer, gossamer.overdue, gossamer.writer
gossamer.overdue.SETTLE_S_MAX = 1.0
gossamer.writer.OVERDUE_LOOK_S = 0.1
async def main():
    node = gossamer.open(sys.argv[1])
    outcomes = await asyncio.gather(
        node.counter("c").aadd(1), node.register("r").aset(1), node.astatus(), return_exceptions=True)
    print(*(type(outcome).__name__ for outcome in outcomes), flush=True)
    print(node.counter("c").value(), flush=True)
asyncio.run(main())
"""


@pytest.mark.skipif(not can_inject(), reason=NO_STRACE)
def test_a_disk_that_hangs_holds_up_no_awaited_call(tmp_path: Path) -> None:
    """A real one, whose flushes take an hour from the first on: the directory is there already."""
    made = subprocess.run(
        [sys.executable, "-c", "import gossamer, sys; gossamer.open(sys.argv[1]).close()", str(tmp_path)],
        check=False,
    )
    assert made.returncode == 0
    inject = "inject=fdatasync:delay_enter=3600000000"
    command = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        inject,
        sys.executable,
        "-c",
        HANGS,
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "WaitTimeout WaitTimeout WaitTimeout\n"
            assert process.stdout.readline() == "0\n", "reads go on"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
