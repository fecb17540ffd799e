"""One real replica on a bench: links to it are made by hand, message by message.

The question this answers: *what does a replica make of these bytes?* Nothing stands in for the store or the
engine; only the peers are the test's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from gossamer.backend import make_op
from gossamer.crdt import Cell, Dead, Entry, Vector, path, vector
from gossamer.crdt.register_lww import STAMP_BYTES
from gossamer.replica import Replica
from gossamer.replication import batch, messages
from gossamer.replication.engine import Identity
from gossamer.replication.messages import Ack, Batch, Full, Hello, Message, Numbering, Open
from gossamer.store import Store, View
from gossamer.turns import Close, Connected, Input, Instant, Received, Send, Tick, Write

ME, PEER, HONEST, THIRD = (bytes((n,)) * 8 for n in (5, 9, 2, 7))
HOSTILE_LINK, HONEST_LINK = 1, 2
SYSTEM, DEFAULT = 0, 1
"""Numbers of the keyspaces in a peer's messages."""
NO_DIGEST = bytes(16)


def at(text: str) -> bytes:
    return path.of_text(text)


def packed(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


def register(value: Any, seq: int = 1, replica: bytes = PEER, stamp: int = 1, raw: bytes = b"") -> Cell:
    """A register as ``replica`` left it."""
    payload = stamp.to_bytes(STAMP_BYTES, "big", signed=True) + (raw or packed(value))
    return Cell((Entry(replica, seq, payload),))


def dead(seq: int, replica: bytes = PEER) -> Cell:
    return Cell((), (Dead(replica, seq),))


def upto(seq: int, replica: bytes = PEER) -> Vector:
    return Vector({replica: (1, seq)})


def batch_of(
    cells: dict[bytes, Cell],
    gained: Vector | None = None,
    *,
    claim: bool = False,
    groups: dict[tuple[bytes, int], list[bytes]] | None = None,
    full: Full | None = None,
    sender: bytes = PEER,
) -> Batch:
    """A batch as the engine would pack it."""
    numbering = Numbering(sender, ME)
    flat, packed_groups = batch.pack(batch.Content(cells, groups or {}), numbering)
    flat_gain = numbering.flat(gained or Vector())
    return Batch(0, DEFAULT, flat_gain, claim, flat, numbering.table(), packed_groups, full)


def tell(gained: list[int], table: bytes = b"", **more: Any) -> messages.Tell:
    return messages.Tell(0, DEFAULT, table, gained, **more)


class Bench:
    """A replica, and what it has sent on each link."""

    def __init__(self, where: Path, **more: Any) -> None:
        self.store = Store(where, map_bytes=64 * 1024 * 1024, sync=False)
        self.ids = [ME]
        identity = Identity(ME, b"f" * 8, "me", "me:1", "test")
        self.replica = Replica(self.store, identity, new_id=self._new_id, **more)
        self.mono = 100.0
        self.sent: dict[int, list[Message]] = {}
        self.closed: dict[int, str] = {}
        self._numbers: dict[int, int] = {}
        self.turn(Tick())

    def _new_id(self) -> bytes:
        self.ids.append(bytes((0x50 + len(self.ids),)) * 8)
        return self.ids[-1]

    def turn(self, *inputs: Input) -> list[Any]:
        """One turn, and all that it wants sent."""
        results = self.replica.turn(inputs, Instant(1_700_000_000_000_000, self.mono))
        self.flush()
        return list(results)

    def flush(self) -> None:
        while effects := self.replica.outbox(Instant(1_700_000_000_000_000, self.mono)):
            for effect in effects:
                if isinstance(effect, Send):
                    self.sent.setdefault(effect.link, []).append(messages.plain(messages.decode(effect.body)))
                elif isinstance(effect, Close):
                    self.closed[effect.link] = effect.reason

    def body(self, link: int, message: Message) -> bytes:
        """The message with its number on that link."""
        number = self._numbers.get(link, 0)
        self._numbers[link] = (number + 1) % messages.NUMBERS
        return messages.encode(msgspec.structs.replace(message, number=number))

    def say(self, link: int, message: Message) -> list[Any]:
        return self.turn(Received(link, self.body(link, message)))

    def connect(self, link: int, replica: bytes, name: str, **other: Any) -> None:
        self._numbers.pop(link, None)
        self.turn(Connected(link, None))
        hello = Hello(0, messages.VERSION, "test", name, f"{name}:1", replica, b"x" * 8)
        self.say(link, msgspec.structs.replace(hello, **other))

    def open(self, link: int, delivered: Vector | None = None) -> None:
        """Share both keyspaces; the peer has ``delivered`` of the default one."""
        for name, has in (("$system", Vector()), ("default", delivered or Vector())):
            self.say(link, Open(0, name, vector.encode(has), vector.encode(Vector()), NO_DIGEST, True))

    def honest_word(self, seq: int = 1) -> bytes:
        """The next message of the honest peer: one write of its own."""
        cell = register("honest", seq, HONEST)
        message = batch_of({at("register:honest"): cell}, upto(seq, HONEST), claim=True, sender=HONEST)
        return self.body(HONEST_LINK, message)

    def write(self, text: str, method: str, *args: Any) -> Write:
        return Write("default", [make_op(at(text), method, args)])

    def held(self) -> dict[str, Any]:
        """Everything that is stored: states, cells, rows."""
        out: dict[str, Any] = {}
        with self.store.snapshot() as views:
            for name in self.store.keyspaces():
                view: View = views(name)
                state = view.state
                out[name] = (
                    *(vector.encode(v) for v in (state.delivered, state.horizon, state.debt)),
                    state.digest,
                    state.bootstrap,
                    {r: vector.encode(v) for r, v in state.peers.items()},
                    dict(view.cells(b"")),
                    list(view.txn.cursor(db=view.tables.changes)),
                    list(view.txn.cursor(db=view.tables.groups)),
                )
        return out

    def acks(self, link: int) -> int:
        """Batches that were acknowledged on a link."""
        return sum(m.batches for m in self.sent.get(link, []) if isinstance(m, Ack))


@contextmanager
def bench(*, opened: bool = True, **more: Any) -> Iterator[Bench]:
    """A replica with one value, and two links; the peer at the hostile one has delivered 3 events of its own."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as where:
        found = Bench(Path(where), **more)
        try:
            found.turn(found.write("register:mine", "set", "kept"))
            if opened:
                found.connect(HOSTILE_LINK, PEER, "hostile")
                found.connect(HONEST_LINK, HONEST, "honest")
                found.open(HOSTILE_LINK, upto(3))
                found.open(HONEST_LINK)
            yield found
        finally:
            found.replica.close()
