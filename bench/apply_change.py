"""P8: how long does it take to apply one remote change to a map in memory, and does that depend on the map's size?

Ours is the CRDT itself, as `gossamer.crdt` has it: bytes of a path and its cell are decoded, joined with the cell in a
dict, late events are sorted out and the vector grows. Beside it: pycrdt and loro, which apply the update that they
made for the same change to a map of as many fields. None of them checks whether a peer may say so. Each change is a new
string of 64 bytes for a random field. Time is the processor's.

What a node does beyond that stands there too: the engine's message, every part of which is checked against a hostile
peer, taken into the same dict; and a whole turn of a replica, whose store lies in memory.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pycrdt

from gossamer.crdt import EMPTY, Cell, Vector, cell, codec, join
from gossamer.replica import DEFAULT
from gossamer.replication import batch
from gossamer.replication.messages import Batch, decode, plain, replica_ids
from measure import ROUNDS, Curve, Figure, Sample
from pair import Pair, field, fill, set_field

VALUE = "v" * 64
WANTED = 2.0
FLAT = 1.5
"""At most so much more in the largest map than in the smallest."""
MEMORY = Path("/dev/shm")
OURS, MESSAGE, TURN = "Gossamer", "Gossamer, a peer's message", "Gossamer, a turn"
_DELTA = msgspec.msgpack.Decoder(tuple[bytes, bytes])


def words() -> str:
    """Which libraries stand beside it."""
    loro = (
        f"loro {version('loro')}"
        if _has_loro()
        else "loro: skipped, it is not installed (pip install -e '.[bench]')"
    )
    return f"pycrdt {version('pycrdt')}, {loro}"


def measure(sizes: Sequence[int], changes: int, scratch: Path) -> Iterator[Figure | Curve]:
    """``changes`` a round in maps of each of some sizes; goals are about the one in the middle."""
    taken = {size: _at(size, changes, scratch / str(size)) for size in sizes}
    first, middle, last = sizes[0], sizes[len(sizes) // 2], sizes[-1]
    for name, sample in taken[middle].items():
        if name != OURS:
            yield Figure(
                goal="P8",
                what=f"apply one remote change, {middle:,} fields",
                ours=_rate(taken[middle][OURS]),
                against=name,
                theirs=_rate(sample),
                wanted=None if name in (MESSAGE, TURN) else WANTED,
            )
    for name in [name for name in taken[middle] if name not in (OURS, MESSAGE, TURN)]:
        yield Figure(
            goal="P8",
            what=f"take in a peer's message of one change, checked, {middle:,} fields",
            ours=_rate(taken[middle][MESSAGE]),
            against=name,
            theirs=_rate(taken[middle][name]),
        )
    yield Figure(
        goal="P8",
        what=f"apply one remote change, {last:,} fields",
        ours=taken[last][OURS],
        against=f"{first:,} fields",
        theirs=taken[first][OURS],
        less_is_better=True,
        wanted=FLAT,
    )
    yield Curve(
        name="apply",
        what="applying one remote change to a map",
        x="fields of the map",
        unit="µs",
        lines={name: [(size, taken[size][name].median) for size in sizes] for name in taken[middle]},
        formula="a change names its field: one lookup, one join, whatever the map holds",
    )


def _rate(sample: Sample) -> Sample:
    """Changes a second of microseconds each."""
    return Sample([1e6 / value for value in sample.values], "/s")


def _at(size: int, changes: int, scratch: Path) -> dict[str, Sample]:
    """Microseconds of each, in a map of ``size`` fields."""
    with ExitStack() as stack:
        home = stack.enter_context(TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None))
        pair = stack.enter_context(Pair(Path(home)))
        receiver = _filled(pair, size)
        cases: dict[str, Callable[[int], tuple[float, ...] | float]] = {
            OURS: lambda seed: _ours(pair, receiver, size, changes, seed),
            "pycrdt": _pycrdt(size, changes),
        }
        if _has_loro():
            cases["loro"] = _loro(size, changes)
        values: dict[str, list[float]] = {}
        for seed in range(ROUNDS):
            for name, case in cases.items():
                got = case(seed)
                for label, value in zip(
                    _labels(name), got if isinstance(got, tuple) else (got,), strict=True
                ):
                    values.setdefault(label, []).append(value * 1e6 / changes)
    return {name: Sample(found, "µs") for name, found in values.items()}


def _labels(case: str) -> tuple[str, ...]:
    return (OURS, MESSAGE, TURN) if case == OURS else (case,)


def _fields(size: int, changes: int, seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(size) for _ in range(changes)]


def _value(seed: int, index: int) -> str:
    return f"{seed}-{index}-{VALUE}"[:64]


class InMemory:
    """What a receiver holds, in a dict: its cells and its vector."""

    def __init__(self, ids: tuple[bytes, bytes], cells: dict[bytes, Cell], delivered: Vector) -> None:
        self.ids, self.cells, self.delivered = ids, cells, delivered

    def apply(self, delta: bytes) -> None:
        """Take a change in: a path and its cell."""
        at, encoded = _DELTA.decode(delta)
        incoming = codec.decode(encoded)
        self._join(at, incoming)
        for replica, seq in incoming.dots():
            self.delivered.add(replica, seq)

    def receive(self, body: bytes) -> None:
        """Take a peer's message in; one that carries no cells says nothing here."""
        message = plain(decode(body))
        if not isinstance(message, Batch):
            return
        sender, receiver = self.ids
        ids = replica_ids(sender, receiver, message.replicas)
        content = batch.unpack(message, ids)
        for at, incoming in content.cells.items():
            self._join(at, incoming)
        self.delivered.update(batch.gained_of(message, content, ids))

    def _join(self, at: bytes, incoming: Cell) -> None:
        local = self.cells.get(at, EMPTY)
        self.cells[at] = join(local, cell.arriving(incoming, local, self.delivered.has))

    def copy(self) -> InMemory:
        """Another that holds the same."""
        return InMemory(self.ids, dict(self.cells), self.delivered.copy())


def _filled(pair: Pair, size: int) -> InMemory:
    fill(pair, 0, size, "at first")
    pair.rest(0)
    pair.connect()
    pair.settle()
    pair.quieten()
    with pair.b.store.snapshot() as views:
        cells = dict(views(DEFAULT).cells(b""))
    return InMemory((pair.a.replica, pair.b.replica), cells, pair.b.state(DEFAULT).delivered.copy())


def _ours(pair: Pair, receiver: InMemory, size: int, changes: int, seed: int) -> tuple[float, ...]:
    """Seconds of changes in the dict, of messages in another, and of the replica's turns."""
    deltas: list[bytes] = []
    bodies: list[bytes] = []
    turns = 0.0
    for index in _fields(size, changes, seed):
        pair.write(0, set_field(index, _value(seed, index)))
        written = pair.a.store.cell(DEFAULT, field(index))
        deltas.append(msgspec.msgpack.encode((field(index), codec.encode(written))))
        sent = pair.outbox(0)
        bodies += sent
        began = time.process_time()
        pair.receive(1, sent)
        turns += time.process_time() - began
        if back := pair.outbox(1):
            pair.receive(0, back)
    twin = receiver.copy()
    spent = _timed(receiver.apply, deltas), _timed(twin.receive, bodies), turns
    for index in _fields(size, changes, seed):
        found = receiver.cells[field(index)], twin.cells[field(index)]
        if any(one != pair.b.store.cell(DEFAULT, field(index)) for one in found):
            raise AssertionError("a receiver in memory holds another cell than the replica")
    if receiver.delivered != twin.delivered:
        raise AssertionError("the changes and their messages do not say the same")
    return spent


def _pycrdt(size: int, changes: int) -> Callable[[int], float]:
    source: Any = pycrdt.Doc()
    inside: Any = pycrdt.Map()
    source["m"] = inside
    with source.transaction():
        for index in range(size):
            inside[f"field{index:05}"] = "at first"
    target: Any = pycrdt.Doc()
    target["m"] = pycrdt.Map()
    target.apply_update(source.get_update())
    sent: list[bytes] = []
    source.observe(lambda event: sent.append(event.update))

    def once(seed: int) -> float:
        sent.clear()
        for index in _fields(size, changes, seed):
            inside[f"field{index:05}"] = _value(seed, index)
        spent = _timed(target.apply_update, sent)
        _check("pycrdt", target.get("m", type=pycrdt.Map).to_py(), inside.to_py())
        return spent

    return once


def _has_loro() -> bool:
    try:
        version("loro")
    except PackageNotFoundError:
        return False
    return True


def _loro(size: int, changes: int) -> Callable[[int], float]:
    import loro

    make: Any = loro.LoroDoc
    source, target = make(), make()
    inside = source.get_map("m")
    for index in range(size):
        inside.insert(f"field{index:05}", "at first")
    source.commit()
    target.import_(source.export(loro.ExportMode.Snapshot()))

    def once(seed: int) -> float:
        sent = []
        for index in _fields(size, changes, seed):
            before = source.oplog_vv
            inside.insert(f"field{index:05}", _value(seed, index))
            source.commit()
            sent.append(source.export(loro.ExportMode.Updates(before)))
        spent = _timed(target.import_, sent)
        _check("loro", target.get_map("m").get_value(), inside.get_value())
        return spent

    return once


def _check(name: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise AssertionError(f"{name} has not applied what it was given")


def _timed(apply: Callable[[bytes], object], sent: Sequence[bytes]) -> float:
    began = time.process_time()
    for update in sent:
        apply(update)
    return time.process_time() - began
