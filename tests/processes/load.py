"""Writers of every kind in many threads, and the ledger of what was acknowledged to them.

What must be there in the end? Every acknowledged write, once. A write whose outcome is unknown may be there or
not; so a counter lies between what was acknowledged and that with the unknown ones. No sum of a transaction's two
counters ever differs, for any reader.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from itertools import count
from random import Random
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

import gossamer
from gossamer.fork import ForkLock
from gossamer.handles.map import Map

from .process import Serve
from .waiting import LOOK_EVERY_S, so

CONTESTED = "contested"
"""A register that all writers write."""
REFUSED = (gossamer.Unreachable, gossamer.StoreFull)
"""Nothing was written: the ledger stays as it is."""
UNSURE = (gossamer.OutcomeUnknown, gossamer.StoreError)
"""The write may stand or not. A disk that fails says more than that while the node runs, but its power may be gone."""


def _is_unsure(error: gossamer.GossamerError) -> bool:
    return isinstance(error, UNSURE) and not isinstance(error, REFUSED)


_numbers = count(1)


class Ledger:
    """What one writer has been told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sure: Counter[str] = Counter()
        """Counter -> the sum of acknowledged additions."""
        self.maybe: Counter[str] = Counter()
        """Counter -> the sum of those with an unknown outcome."""
        self.added: set[str] = set()
        """Elements that are surely in the set."""
        self.added_maybe: set[str] = set()
        """Elements whose addition or removal has an unknown outcome."""
        self.last: int = -1
        """What its register was set to last."""
        self.last_maybe: set[int] = set()
        """Later settings of it, with an unknown outcome."""
        self.contested: set[str] = set()
        """All that it has tried to set `CONTESTED` to."""
        self.has_contested = False
        """Whether one of these was acknowledged."""
        self.acknowledged = 0
        self.unknown = 0


class Worker(Thread):
    """Takes steps on one node, which may be killed and started again at any time, until told to stop."""

    def __init__(self, node: Serve, name: str, pace_s: float = 0.0) -> None:
        """``pace_s``: between two steps."""
        super().__init__(name=name, daemon=True)
        self.node = node
        self.told = Event()
        self.gate = ForkLock()
        """Held, no step is taken: ``gate.hold()`` waits for the one under way, ``gate.release()`` lets it go on."""
        self._pace_s = pace_s
        self._failure: BaseException | None = None

    @abstractmethod
    def step(self) -> None:
        """One step."""

    def run(self) -> None:
        try:
            while not self.told.is_set():
                with self.gate:
                    self.step()
                if self._pace_s:
                    self.told.wait(self._pace_s)
        except BaseException as error:  # noqa: BLE001  # raised in the thread that calls `stop`
            self._failure = error

    def stop(self) -> None:
        """Finish the step under way, and end. Raises what went wrong in the thread."""
        self.told.set()
        self.join()
        if self._failure is not None:
            raise AssertionError(f"{self.name}: {self._failure!r}") from self._failure


class Writer(Worker):
    """Writes."""

    def __init__(self, node: Serve, root: str, name: str, seed: int, pace_s: float = 0.0) -> None:
        super().__init__(node, f"writer {name}", pace_s)
        self._root = root
        self.ledger = Ledger(name)
        self._rng = Random(seed)
        self._step = 0

    def step(self) -> None:
        self._step += 1
        kind = self._rng.choice((self._add, self._pair, self._element, self._register, self._map))
        try:
            kind(self.node.client.map(self._root), self.ledger)
            self.ledger.acknowledged += 1
        except REFUSED:  # no need to ask at full speed
            self.told.wait(LOOK_EVERY_S)
        except UNSURE:
            self.ledger.unknown += 1

    def _counted(self, write: Any, names: tuple[str, ...], n: int) -> None:
        """Keep the ledger of additions that are one event."""
        try:
            write()
        except gossamer.GossamerError as error:
            if _is_unsure(error):
                self.ledger.maybe.update(dict.fromkeys(names, n))
            raise
        self.ledger.sure.update(dict.fromkeys(names, n))

    def _add(self, root: Map, ledger: Ledger) -> None:
        n = self._rng.randint(1, 9)
        self._counted(lambda: root.counter("all").add(n), ("all",), n)

    def _pair(self, root: Map, ledger: Ledger) -> None:
        n = self._rng.randint(1, 9)

        def write() -> None:
            with self.node.client.transaction() as tx:
                pair = tx.map(self._root).map("pair")
                pair.counter("left").add(n)
                pair.counter("right").add(n)

        self._counted(write, ("left", "right"), n)

    def _element(self, root: Map, ledger: Ledger) -> None:
        """Add one, or remove one that is surely in."""
        if ledger.added and self._rng.random() < 0.2:
            self._remove(root, ledger, self._rng.choice(sorted(ledger.added)))
            return
        element = f"{ledger.name}-{self._step}"
        try:
            root.set("elements").add(element)
        except gossamer.GossamerError as error:
            if _is_unsure(error):
                ledger.added_maybe.add(element)
            raise
        ledger.added.add(element)

    def _remove(self, root: Map, ledger: Ledger, element: str) -> None:
        ledger.added.discard(element)
        try:
            root.set("elements").discard(element)
        except gossamer.GossamerError as error:
            (ledger.added_maybe if _is_unsure(error) else ledger.added).add(element)
            raise

    def _register(self, root: Map, ledger: Ledger) -> None:
        value = f"{ledger.name}-{self._step}"
        ledger.contested.add(value)
        root.register(CONTESTED).set(value)
        ledger.has_contested = True

    def _map(self, root: Map, ledger: Ledger) -> None:
        try:
            root.map("of").register(ledger.name).set(self._step)
        except gossamer.GossamerError as error:
            if _is_unsure(error):
                ledger.last_maybe.add(self._step)
            raise
        ledger.last = self._step
        ledger.last_maybe.clear()


class Reader(Worker):
    """Reads a transaction's two counters in one scan, over and over, and wants them equal."""

    def __init__(self, node: Serve, root: str) -> None:
        super().__init__(node, f"reader of {node.name}")
        self._root = root
        self.reads = 0

    def step(self) -> None:
        self.told.wait(LOOK_EVERY_S)
        try:
            values = _pair(self.node.client.map(self._root))
        except (gossamer.Unreachable, gossamer.StoreError):
            return
        assert values["left"] == values["right"], f"half a transaction: {values}"
        self.reads += 1


class Load:
    """Writers and a reader on each node, all in a map of their own. A context manager: all are stopped, and their failures raised."""

    def __init__(self, nodes: list[Serve], writers: int = 2, seed: int = 1, pace_s: float = 0.0) -> None:
        self.root = f"load {next(_numbers)}"
        self.writers = [
            Writer(node, self.root, f"{node.name}{i}", seed * 1000 + 10 * at + i, pace_s)
            for at, node in enumerate(nodes)
            for i in range(writers)
        ]
        self.readers = [Reader(node, self.root) for node in nodes]
        self.workers: list[Worker] = [*self.writers, *self.readers]

    def __enter__(self) -> Self:
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop all threads. Again: does nothing but raise the same."""
        for worker in self.workers:
            worker.told.set()
        for worker in self.workers:
            worker.stop()

    def acknowledged(self, name: str | None = None) -> int:
        """Writes acknowledged so far, on one node or all."""
        return sum(w.ledger.acknowledged for w in self.writers if name in (None, w.node.name))

    def reach(self, name: str, writes: int) -> None:
        """Wait until so many writes were acknowledged on a node."""
        so(lambda: self.acknowledged(name) >= writes, f"{name} acknowledges no {writes} writes")

    def write_everywhere(self, times: int) -> None:
        """Wait until each node has acknowledged so many more writes."""
        wanted = {writer.node.name: self.acknowledged(writer.node.name) + times for writer in self.writers}
        for name, writes in wanted.items():
            self.reach(name, writes)

    @property
    def unknown(self) -> int:
        """Writes whose outcome is unknown."""
        return sum(writer.ledger.unknown for writer in self.writers)

    def check(self, node: Serve) -> None:
        """That all that was acknowledged is there, once. After `stop`, on nodes that are equal."""
        root, ledgers = node.client.map(self.root), [writer.ledger for writer in self.writers]
        self._check_counters({"all": root.counter("all").value()} | _pair(root))
        elements = set(root.set("elements"))
        for ledger in ledgers:
            mine = {element for element in elements if element.startswith(f"{ledger.name}-")}
            lost = ledger.added - mine
            assert not lost, f"{node.name} lost elements: {sorted(lost)[:10]}"
            risen = mine - ledger.added - ledger.added_maybe
            assert not risen, f"{node.name} has what was removed: {sorted(risen)[:10]}"
            last = root.map("of").register(ledger.name).get(-1)
            assert last == ledger.last or last in ledger.last_maybe, (last, ledger.last, ledger.last_maybe)
        contested = root.register(CONTESTED).get()
        written = set().union(*(ledger.contested for ledger in ledgers))
        is_set = any(ledger.has_contested for ledger in ledgers)
        assert contested in written or (contested is None and not is_set), contested

    def sums(self, name: str | None = None) -> tuple[Counter[str], Counter[str]]:
        """Of all counters: what was acknowledged, on one node or all, and what has an unknown outcome."""
        sure: Counter[str] = Counter()
        maybe: Counter[str] = Counter()
        for writer in self.writers:
            if name in (None, writer.node.name):
                sure.update(writer.ledger.sure)
                maybe.update(writer.ledger.maybe)
        return sure, maybe

    def elements(self) -> set[str]:
        """Those that were added, and that nobody has tried to remove."""
        return set().union(*(writer.ledger.added for writer in self.writers))

    def _check_counters(self, values: dict[str, int]) -> None:
        sure, maybe = self.sums()
        for name, value in values.items():
            assert sure[name] <= value <= sure[name] + maybe[name], (name, value, sure[name], maybe[name])
        assert values["left"] == values["right"], values


def _pair(root: Map) -> dict[str, int]:
    """Read in one scan."""
    values = {name: value for _, name, value in root.map("pair").items()}
    return {"left": values.get("left", 0), "right": values.get("right", 0)}
