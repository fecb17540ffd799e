"""A core in memory, with a replication of the simplest kind: hello first, then every changed cell to everyone.

It is driven by the production writer and shell, so that what is tested is those and nothing else.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from gossamer import Node
from gossamer.beaten import Record
from gossamer.config import of as make_config
from gossamer.counts import Counts
from gossamer.crdt import EMPTY, Cell, Dot, codec, join
from gossamer.errors import AnotherNode, ProtocolError
from gossamer.feed import Hub
from gossamer.limits import LinkTiming
from gossamer.memory import MemoryBackend
from gossamer.store.feed import Place, Subscribed
from gossamer.store.feedpage import Page, Scope
from gossamer.turns import (
    Close,
    Connected,
    Disconnected,
    Effect,
    Input,
    Instant,
    Received,
    Result,
    Send,
    Tick,
    Write,
)
from gossamer.waiting import Covered, Wait

FAST = LinkTiming(
    beat_s=0.05,
    beats_missed_max=4,
    hello_s=0.5,
    connect_s=1.0,
    backoff_base_s=0.01,
    backoff_max_s=0.1,
    healthy_s=5,
)
HELLO = b"hello"
"""The first message of each side; everything before it is an error, everything after it msgpack."""
DEADLINE_S = 20.0


class StandIn:
    """A `Core`. ``log`` has every input it was given, ``hook`` may replace a turn's outcome."""

    wake_at = math.inf

    def __init__(self, replica: bytes = b"standin1") -> None:
        self.replica = replica
        self.attempts: dict[bytes, Dot | None] = {}
        self.memory = MemoryBackend(replica)
        self.changed = threading.Condition()
        self.log: list[Input] = []
        self.groups: list[int] = []
        self.greeted: set[int] = set()
        self.open_links: set[int] = set()
        self.dialed: list[str] = []
        self.hook: Callable[[Sequence[Input]], None] = lambda inputs: None
        self.configured: Sequence[str] = ()
        self.to_dial: list[str] = []
        self.hosted: set[str] = {"default"}
        self.counts = Counts()
        self.on_beaten: Callable[[], None] | None = None
        self.is_closed = False
        self.hub = Hub()
        self.replica = replica
        self.names: dict[bytes, str] = {}
        self._out: list[Effect] = []

    def turn(self, inputs: Sequence[Input], now: Instant) -> Sequence[Result]:
        self.hook(inputs)
        results = [self._one(given) for given in inputs]
        with self.changed:
            self.log.extend(inputs)
            self.groups.append(len(inputs))
            self.changed.notify_all()
        return results

    def take_settled(self) -> list[tuple[Write, Result]]:
        return []

    def outbox(self, now: Instant) -> Sequence[Effect]:
        out, self._out = self._out, []
        return out

    def addresses(self) -> list[str]:
        return [*self.configured, *self.to_dial]

    def wants(self, address: str) -> bool:
        return True

    def host(self, keyspace: str) -> None:
        self.hosted.add(keyspace)

    def hosts(self, keyspace: str) -> bool:
        return keyspace in self.hosted

    def leave(self, keyspace: str, force: bool = False) -> None:
        self.hosted.discard(keyspace)

    def depart(self) -> None:
        pass

    def remain(self) -> str | None:
        return None

    def lacks_to_go(self) -> str | None:
        return None

    def stay(self, keyspace: str) -> str:
        return ""

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        return self.memory.cell(keyspace, cell_path)

    def page(
        self, keyspace: str, prefix: bytes, after: bytes | None, limit: int, bytes_max: int | None = None
    ) -> list[tuple[bytes, Cell]]:
        found = self.memory.scan(keyspace, prefix)
        return [pair for pair in found if after is None or pair[0] > after][:limit]

    def keyspaces(self) -> list[str]:
        return sorted(self.hosted)

    def explain(self, keyspace: str, cell_path: bytes, now: Instant) -> dict[str, Any]:
        raise NotImplementedError

    def notes(self, keyspace: str, below: int | None, limit: int) -> list[tuple[int, Record]]:
        return []

    def notes_above(self, keyspace: str, number: int, limit: int) -> list[tuple[int, Record]]:
        return []

    def estate(self, keyspace: str, member: str) -> tuple[bytes, ...]:
        return self.memory.estate(keyspace, member)

    def feed_page(self, keyspace: str, place: Place, scope: Scope) -> Page | None:
        raise NotImplementedError

    def subscriptions(self, keyspace: str) -> dict[str, Subscribed]:
        raise NotImplementedError

    def feed_status(self, keyspace: str) -> dict[str, Any]:
        raise NotImplementedError

    def token(self, keyspace: str, dot: Dot | None) -> str | None:
        return self.memory.make_token(keyspace, dot)

    def short_token(self, keyspace: str) -> str:
        raise AssertionError("a token of one replica fits")

    def has(self, keyspace: str, token: str) -> bool:
        return self.lacks(keyspace, Covered(token), now()) is None

    def lacks(self, keyspace: str, wait: Wait, now: Instant) -> str | None:
        return self.memory._lacks(keyspace, wait)

    def status(self, now: Instant) -> dict[str, Any]:
        return {"links": len(self.open_links)}

    def name_at(self, address: str) -> str | None:
        return None

    def copy_to(self, folder: Path) -> None:
        raise AssertionError("there is no store")

    def close(self) -> None:
        self.is_closed = True

    def send(self, link: int, body: bytes) -> None:
        """Have a message sent with the next turn. Call it on the writer thread."""
        self._out.append(Send(link, body))

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Until ``condition`` holds, looked at after each turn."""
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE_S), f"never: {what}"

    def received(self) -> list[bytes]:
        """The message bodies so far."""
        return [given.body for given in self.log if isinstance(given, Received)]

    def _one(self, given: Input) -> Result:
        try:
            match given:
                case Write():
                    return self._attempt(given) if given.attempt else self._write(given)
                case Connected(link, dialed):
                    self.open_links.add(link)
                    self.dialed += [dialed] if dialed else []
                    self._out.append(Send(link, HELLO))
                case Disconnected(link):
                    self.open_links.discard(link)
                    self.greeted.discard(link)
                case Received(link, body):
                    self._received(link, body)
                case Tick():
                    pass
        except Exception as error:  # noqa: BLE001  # it is the input's outcome
            return error
        return None

    def _attempt(self, given: Write) -> Dot | None:
        assert given.attempt is not None
        if given.attempt.id not in self.attempts:
            if given.attempt.node != self.replica:
                raise AnotherNode(self.replica)
            self.attempts[given.attempt.id] = self._write(given)
        return self.attempts[given.attempt.id]

    def _write(self, given: Write) -> Dot | None:
        keyspace, ops = given.keyspace, given.ops
        dot = self.memory.write(keyspace, ops, given.op_id)
        cells = [(op.path, codec.encode(self.memory.cell(keyspace, op.path))) for op in ops]
        body = msgspec.msgpack.encode((keyspace, cells))
        self._out += [Send(link, body) for link in self.greeted]
        return dot

    def _received(self, link: int, body: bytes) -> None:
        if body == HELLO:
            self.greeted.add(link)
        elif link not in self.greeted:
            self._out.append(Close(link, "a batch before hello"))
        else:
            self._merge(body)

    def _merge(self, body: bytes) -> None:
        try:
            keyspace, cells = msgspec.msgpack.decode(body, type=tuple[str, list[tuple[bytes, bytes]]])
        except msgspec.DecodeError as error:
            raise ProtocolError(f"batch: {error}") from None
        table = self.memory._table(keyspace)
        for cell_path, data in cells:
            table.put(cell_path, join(table.cells.get(cell_path, EMPTY), codec.decode(data)))


def now() -> Instant:
    return Instant(time.time_ns() // 1000, time.monotonic())


def make_node(core: StandIn, **settings: Any) -> Node:
    """A node on a stand-in, not started."""
    config = make_config("unused", **{"timing": FAST, "seed": 7, **settings})
    core.configured = config.peers
    return Node(config, core)


@contextmanager
def pair(**settings: Any) -> Iterator[tuple[Node, StandIn, Node, StandIn]]:
    """Two nodes with one link between them, up."""
    a, b = StandIn(b"standinA"), StandIn(b"standinB")
    with ExitStack() as stack:
        node_a = stack.enter_context(make_node(a, listen="127.0.0.1:0", **settings))
        node_b = stack.enter_context(make_node(b, peers=[node_a.address], **settings))
        a.wait(lambda: len(a.greeted) == 1, "the accepted link")
        b.wait(lambda: len(b.greeted) == 1, "the dialed link")
        yield node_a, a, node_b, b


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return int(it.getsockname()[1])
