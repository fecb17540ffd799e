"""Random schedules of typed documents: what is read is of the class, or an error that says why it is not.

Programs of several builds write through typed handles, rightly and wrongly, alone and in transactions, under every
fault there is; strangers write into the same maps without a class. The oracle is told what each call must write, and
not what it did; every document is read at every node after every event. What a class may read of what others have
recorded is judged by the records that the node has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import msgspec

from gossamer import FieldUnset, InsufficientRights, InvalidValue, SchemaMismatch, UnfitData
from gossamer.backend import Op
from gossamer.crdt import Cell, Dot, Vector, path
from gossamer.documents.binding import record_path
from gossamer.own_events import OwnEvents
from gossamer.replica import Replica
from gossamer.replication.registry import SYSTEM
from gossamer.simulation import SimulatedNode
from gossamer.store import Draft
from gossamer.turns import Instant

from .bounded import MOVES, total
from .document_builds import BUILDS, PAIR, Build, Shelf
from .document_spec import Deed, Recorded, Seen, Unfit, Unset, at_text, both, reads, together
from .invariants import KEYSPACE, Invariants
from .oracle import Oracle, live
from .schedule import Action, Outcome, Schedule

ORDERS = ("order:1", "order:2")
SHELF = "map:shelf"
STOCK = f"{SHELF}/bounded_counter:left"
RECORD = record_path(KEYSPACE, "Order")
REMOVALS = ("remove", "disable", "discard")
STRANGE = {
    "note": 5,
    "code": "none",
    "size": "xl",
    "renamed": None,
    "due": "soon",
    "colour": "green",
    "gift": b"",
}
"""What a program without the class puts into registers of a document."""


def order_at(name: str) -> str:
    return path.to_text(path.encode((("map", name),)))


def accepted(new: Recorded, standing: Iterable[Recorded]) -> Recorded | None:
    """What is on record once a class is bound where these records stand; None: it is refused.

    It reads what each of them has written, and where they know more than it does, one of them reads all the others.
    """
    standing = list(standing)
    if any(record.version > new.version for record in standing):
        return None
    same = [record.fields for record in standing if record.version == new.version]
    if not all(reads(form, old[n]) for old in same for n, form in new.fields.items() if n in old):
        return None
    found = dict[str, Any]()
    for name in {name for old in same for name in old}:
        forms = [old[name] for old in same if name in old]
        widest = [form for form in forms if all(reads(form, other) for other in forms)]
        if not widest:
            return None
        found[name] = reduce(both, forms, widest[0])
    return Recorded(new.version, together(new.fields, found))


def typed(value: Any) -> Any:
    """A value that differs from those that Python takes for equal: 1, 1.0, True."""
    if isinstance(value, msgspec.Struct):
        return {name: typed(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {name: typed(one) for name, one in value.items()}
    if isinstance(value, frozenset):
        return frozenset(typed(one) for one in value)
    if isinstance(value, list):
        return [typed(one) for one in value]
    return type(value).__name__, value


def told(read: Callable[[], Any]) -> Any:
    """What a reader is told: the value, or what is wrong with it."""
    try:
        return typed(read())
    except (Unfit, UnfitData):
        return "unfit"
    except (Unset, FieldUnset):
        return "unset"


@contextmanager
def refused(errors: Any) -> Iterator[None]:
    """Around a call that must fail so."""
    try:
        yield
    except errors:
        return
    raise AssertionError(f"it was not refused with {errors}")


@dataclass
class Saying:
    """What the call that is under way must write."""

    replica: bytes
    writes: dict[str, tuple[str, Any]]
    wipes: list[str]
    dot: Dot | None = None
    others: int = 0
    """Events that the node made by itself in the same turn."""


class Documents(Schedule):
    """Its own writes only: documents are made of every type."""

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
        self.invariants = DocumentInvariants(self)
        self.cluster.after_event = self.invariants.check
        self.records = Oracle()
        self.running: dict[Replica, Build] = {}
        """Which build a process is of, once its class was let through."""
        self.saying: Saying | None = None
        self.builds = self.rng.sample(BUILDS, self.rng.randint(1, 4))

    def work(self) -> list[Action]:
        return [
            (self.declare, 12),
            (self.write, 20),
            (self.transact, 10),
            (self.write_pair, 8),
            (self.write_wrongly, 3),
            (self.clear, 2),
            (self.estrange, 2),
            (self.move_stock, 4),
            (self.clear_shelf, 1),
            (self.restart_one, 2),
        ]

    def run(self) -> Outcome:
        honest = OwnEvents.commit

        def commit(
            own: OwnEvents, draft: Draft, ops: Sequence[Op], now: Instant, *, is_gift: bool = False
        ) -> Dot | None:
            before = draft.state.delivered.copy()
            dot = honest(own, draft, ops, now, is_gift=is_gift)
            if dot is not None and draft.tables.name == KEYSPACE:
                self._record(draft, dot, ops, before, now.wall)
            return dot

        try:
            OwnEvents.commit = commit  # type: ignore[assignment, method-assign]  # until the end of this run
            return super().run()
        finally:
            OwnEvents.commit = honest  # type: ignore[method-assign]

    # What happened

    def _record(self, draft: Draft, dot: Dot, ops: Sequence[Op], before: Vector, now: int) -> None:
        saying = self.saying if self.saying is not None and self.saying.replica == dot[0] else None
        if saying is None or all(op.method == "transfer" for op in ops):
            if saying is not None:
                saying.others += 1
            self.oracle.record(dot, {op.path: _by_itself(op) for op in ops}, before, now)
            return
        writes: dict[bytes, tuple[str, Any]] = {}
        for text, (op, arg) in saying.writes.items():
            is_touched = dot in set(draft.cell(at_text(text)).dots())
            assert is_touched or op in REMOVALS, f"{text}: {op} {arg!r} was not written"
            if is_touched:
                writes[at_text(text)] = op, arg
        for prefix in map(at_text, saying.wipes):
            known = [at for at in self.oracle.by_path if at.startswith(prefix)]
            writes |= {
                at: ("remove", None) for at in known if at not in writes and dot in set(draft.cell(at).dots())
            }
        assert saying.dot is None, "one call made two events"
        saying.dot = dot
        self.oracle.record(dot, writes, before, now)

    @contextmanager
    def _said(self, node: SimulatedNode, deeds: Sequence[Deed]) -> Iterator[Saying]:
        """Around a call: no event but what it must write, and the event touches nothing else."""
        core, index = node.core, self.cluster.nodes.index(node)
        self.cluster.skew.setdefault(index, self.rng.choice((0.0, 0.0, -5.0, 3600.0)))
        before = core.state(KEYSPACE).delivered.last(core.replica)
        writes = {text: did for deed in deeds for text, did in deed.writes.items()}
        self.saying = saying = Saying(core.replica, writes, [deed.wipes for deed in deeds if deed.wipes])
        try:
            yield saying
        finally:
            self.saying = None
        if not node.is_alive:
            return
        made = core.state(KEYSPACE).delivered.last(core.replica) - before
        assert made == (saying.dot is not None) + saying.others, f"{node} made {made} events"
        if saying.dot is not None and not saying.others:  # or a gift of the same stock has its row by now
            with core.store.snapshot() as views:
                rows = sorted(at for _, at in views(KEYSPACE).event_rows(saying.dot))
            assert rows == self.oracle.events[saying.dot], f"{node} wrote {list(map(path.to_text, rows))}"
        must = [op for op, _ in writes.values() if op not in REMOVALS]
        assert saying.dot is not None or not must, f"{node} wrote nothing"
        self.invariants.check(node)
        self.cluster._schedule(index)

    # What is asked for

    def _ready(self) -> tuple[SimulatedNode, Build] | None:
        """A node that runs a build, and whose vector says all that it shows."""
        node = self.any_alive()
        if node is None or not self.may_write(node):
            return None
        build = self.running.get(node.core)
        return None if build is None else (node, build)

    def _do(self, node: SimulatedNode, build: Build, name: str, deed: Deed) -> None:
        doc = node.document(build.cls, name)
        read = told(lambda: deed.reads(self._seen(node)))
        wrong = UnfitData if read == "unfit" else (InvalidValue, TypeError) if deed.is_invalid else None
        shown = f"{node.name} {name} {deed.method} {deed.args} {list(deed.touches)}"
        self.note(shown, "event" if wrong is None else "invalid write")
        with self._said(node, [] if wrong else [deed]):
            if wrong is None:
                self._call(deed, doc)
            else:
                with refused(wrong):
                    self._call(deed, doc)
        assert read == "unfit" or all(typed(given) == read for given in deed.given), f"{shown}: {deed.given}"
        assert deed.gone is None or deed.gone(deed.get(doc)), f"{shown}: it is there still"

    def _seen(self, node: SimulatedNode) -> Seen:
        return Seen(self.oracle, node.core.state(KEYSPACE).delivered)

    def _call(self, deed: Deed, doc: Any) -> None:
        """The method, or its awaited twin."""
        handle = deed.get(doc)
        if self.rng.random() < 0.7:
            getattr(handle, deed.method)(*deed.args)
            return
        try:
            getattr(handle, f"a{deed.method}")(*deed.args).send(None)
        except StopIteration:
            return
        raise AssertionError(f"a{deed.method} waits, and nothing is to be waited for here")

    def _any_deed(self, build: Build, name: str) -> Deed:
        slot = self.rng.choice(list(build.slots.values()))
        return slot.deed(self.rng, slot.at(order_at(name)))

    def write(self) -> None:
        if (ready := self._ready()) is not None:
            for _ in range(self.rng.randint(1, 4)):
                name = self.rng.choice(ORDERS)
                self._do(*ready, name, self._any_deed(ready[1], name))

    def write_wrongly(self) -> None:
        """A transaction with a wrong write in it: all or nothing, or all but that one if the program goes on."""
        if (ready := self._ready()) is None:
            return
        node, build = ready
        name = self.rng.choice(ORDERS)
        deeds = self._several(node, build, name)
        wrong = next((d for d in (self._any_deed(build, name) for _ in range(30)) if d.is_invalid), None)
        if wrong is None:
            return
        goes_on = self.rng.random() < 0.5
        self.note(
            f"{node.name} {name} wrong {wrong.method}{wrong.args}, goes on: {goes_on}", "wrong transaction"
        )
        with self._said(node, deeds if goes_on else []):
            try:
                with node.transaction() as tx:
                    doc = tx.document(build.cls, name)
                    for deed in deeds:
                        self._call(deed, doc)
                    try:
                        self._call(wrong, doc)
                    except (InvalidValue, UnfitData, TypeError):
                        if not goes_on:
                            raise
            except (InvalidValue, UnfitData, TypeError):
                assert not goes_on

    def _several(self, node: SimulatedNode, build: Build, name: str) -> list[Deed]:
        """Deeds that are right, none under what another one touches."""
        deeds: list[Deed] = []
        taken: list[str] = []
        for _ in range(self.rng.randint(2, 5)):
            deed = self._any_deed(build, name)
            clashes = any(a.startswith(b) or b.startswith(a) for a in deed.touches for b in taken)
            is_unfit = told(lambda deed=deed: deed.reads(self._seen(node))) == "unfit"  # type: ignore[misc]
            if not deed.is_invalid and not clashes and not is_unfit:
                deeds.append(deed)
                taken += deed.touches
        return deeds

    def transact(self, *, dies: bool = False) -> None:
        """Over both documents, and a third one of another class."""
        if (ready := self._ready()) is None:
            return
        node, build = ready
        deeds = {name: self._several(node, build, name) for name in ORDERS}
        label = Deed(lambda d: d.label, "set", ("a",), {f"{SHELF}/register:label": ("set", "a")})
        both = [label, *(deed for some in deeds.values() for deed in some)]
        self.note(f"{node.name} {[d.touches for d in both]} dies: {dies}", "transaction")
        node.document(Shelf, "shelf")
        with self._said(node, both):
            if dies:
                node.turn = partial(SimulatedNode.turn, node, is_last=True)  # type: ignore[method-assign]  # this once
            try:
                with node.transaction() as tx:
                    self._call(label, tx.document(Shelf, "shelf"))
                    for name, some in deeds.items():
                        for deed in some:
                            self._call(deed, tx.document(build.cls, name))
                    for name, some in deeds.items():
                        for deed in some:
                            assert deed.gone is None or deed.gone(deed.get(tx.document(build.cls, name)))
            finally:
                node.__dict__.pop("turn", None)
        if dies:
            self.cluster._hang_up(self.cluster.nodes.index(node))

    def kill_before_sending(self) -> None:
        if len(self.alive()) > 1:
            self.transact(dies=True)

    def write_pair(self) -> None:
        if (ready := self._ready()) is None:
            return
        node, build = ready
        name, n = self.rng.choice(ORDERS), self.rng.randint(1, 99)
        deeds = [Deed(slot.handle, "set", (n,), {slot.at(order_at(name)): ("set", n)}) for slot in PAIR]
        self.note(f"{node.name} {name} both {n}", "pair")
        with self._said(node, deeds), node.transaction() as tx:
            for deed in deeds:
                self._call(deed, tx.document(build.cls, name))

    def clear(self) -> None:
        if (ready := self._ready()) is not None:
            name = self.rng.choice(ORDERS)
            deed = Deed(lambda d: d, "clear", (), wipes=order_at(name), gone=lambda d: not d.exists())
            self._do(*ready, name, deed)

    def estrange(self) -> None:
        """A program that has no class writes into the map."""
        node = self.any_alive()
        if node is None or not self.may_write(node):
            return
        name, (register, value) = self.rng.choice(ORDERS), self.rng.choice(list(STRANGE.items()))
        self.note(f"{node.name} {name} {register} = {value!r}", "stranger")
        at = f"{order_at(name)}/register:{register}"
        deed = Deed(lambda m: m.register(register), "set", (value,), {at: ("set", value)})
        with self._said(node, [deed]):
            self._call(deed, node.map(name))

    def move_stock(self) -> None:
        if (ready := self._ready()) is None:
            return
        node, _ = ready
        method, n = self.rng.choice((("mint", 5), ("spend", 1), ("spend", 3))), 0
        what, n = method
        deed = Deed(lambda d: d.left, what, (n,), {STOCK: (MOVES, ((what, (n,)),))})
        shelf = node.document(Shelf, "shelf")
        has = n if what == "mint" else shelf.left.available()
        self.note(f"{node.name} {what} {n} of {has}", "stock")
        with self._said(node, [deed] if has >= n else []):
            if has >= n:
                self._call(deed, shelf)
            else:
                with refused(InsufficientRights):
                    self._call(deed, shelf)

    def clear_shelf(self) -> None:
        """Not a cell of it may go once there is stock."""
        if (ready := self._ready()) is None:
            return
        node, _ = ready
        shelf, has = (
            node.document(Shelf, "shelf"),
            self.oracle.visible(at_text(STOCK), node.core.state(KEYSPACE).delivered),
        )
        deed = Deed(lambda d: d, "clear", (), wipes=SHELF)
        self.note(f"{node.name} clears the shelf", "clear refused" if has else "clear")
        with self._said(node, [] if has else [deed]):
            if not has:
                self._call(deed, shelf)
            else:
                with refused(ValueError):
                    self._call(deed, shelf)

    def restart_one(self) -> None:
        """A rolling upgrade: the next declaration may be of another build."""
        node = self.any_alive()
        if node is not None:
            self.note(f"{node.name} is stopped and started", "upgrade")
            self.cluster.kill(node)
            self.cluster.restart(node)

    # Declaring

    def declare(self) -> None:
        node = self.any_alive()
        if node is not None and node.core not in self.running and node.core.state(SYSTEM).is_whole:
            self._declare(node, self.rng.choice(self.builds))

    def _standing(self, node: SimulatedNode) -> list[Recorded]:
        return [
            d.arg for d in live(self.records.visible(RECORD, node.core.state(SYSTEM).delivered), ("set",))
        ]

    def _declare(self, node: SimulatedNode, build: Build) -> None:
        core, before, standing = node.core, node.core.state(SYSTEM).delivered.copy(), self._standing(node)
        wanted = accepted(build.recorded, standing)
        self.note(f"{node.name} declares {build.cls.__name__}", "refused" if wanted is None else "declared")
        in_transaction = self.rng.random() < 0.3
        try:
            if in_transaction:
                with node.transaction() as tx:
                    tx.document(build.cls, ORDERS[0])
            else:
                node.document(build.cls, ORDERS[0])
        except SchemaMismatch as error:
            assert wanted is None, f"{node} refuses {build.cls.__name__}, which reads all there is: {error}"
            assert core.state(SYSTEM).delivered.last(core.replica) == before.last(core.replica)
            return
        assert wanted is not None, f"{node} lets {build.cls.__name__} through over {standing}"
        self.running[core] = build
        own = [e for e in core.cell(SYSTEM, RECORD).live if e.seq > before.last(core.replica)]
        own = [e for e in own if e.replica == core.replica]
        assert bool(own) == (standing != [wanted]), f"{node} recorded {own} over {standing}"
        if own:
            self.records.record((core.replica, own[0].seq), {RECORD: ("set", wanted)}, before, node.now())
        self.cluster._schedule(self.cluster.nodes.index(node))

    # Reading

    def check_documents(self, node: SimulatedNode) -> None:
        """Each field and all of it, at a node that says all it has."""
        build = self.running.get(node.core)
        if build is not None:
            for name in ORDERS:
                self._check_document(node, build, name, self._seen(node))

    def _check_document(self, node: SimulatedNode, build: Build, name: str, seen: Seen) -> None:
        doc, fields = node.document(build.cls, name), dict[str, Any]()
        for slot in build.all:
            expected = told(lambda slot=slot: slot.read(seen, slot.at(order_at(name))))  # type: ignore[misc]  # the default binds the loop's slot
            actual = told(lambda slot=slot: slot.actual(slot.handle(doc)))  # type: ignore[misc]
            assert actual == expected, f"{node} reads {name}.{slot.attribute} as {actual}, not {expected}"
            fields[slot.attribute] = expected
        wrong = [what for what in fields.values() if what in ("unfit", "unset")]
        whole = told(doc.value)
        assert whole in wrong if wrong else whole == fields, f"{node} reads {name} as {whole}, not {fields}"
        assert fields["left"] == fields["right"], f"{node} shows half of a transaction"
        self.outcome.count("read unfit" if wrong else "read")

    def check_end(self) -> None:
        """The record is one on all nodes, and so is what each build reads, and whether it is let through."""
        for node in self.alive():
            if node.core not in self.running:
                for build in self.builds:
                    if node.core not in self.running:
                        self._declare(node, build)
        self.cluster.settle()
        standing = [self._standing(node) for node in self.alive()]
        assert all(one == standing[0] for one in standing), "records differ"
        for node in self.alive():
            self.check_documents(node)
        left = [node.document(Shelf, "shelf").left.value() for node in self.alive()]
        assert len(set(left)) == 1 and left[0] >= 0
        by_build: dict[str, list[Any]] = {}
        for node in self.alive():
            if (running := self.running.get(node.core)) is not None:
                values = [told(node.document(running.cls, name).value) for name in ORDERS]
                by_build.setdefault(running.cls.__name__, []).append(values)
        for name, found in by_build.items():
            assert all(one == found[0] for one in found), f"nodes of {name} differ: {found}"


def _by_itself(op: Op) -> tuple[str, Any]:
    """What a node writes that nobody asked it to: it sweeps what is *off*, and gives rights away."""
    if op.method == "transfer":
        return MOVES, ((op.method, op.args),)
    assert path.kind_of(op.path) in ("flag_dw", "set_rw"), f"{op}: nobody said that"
    return "remove", None


class DocumentInvariants(Invariants):
    """The others, and every document."""

    def __init__(self, schedule: Documents) -> None:
        super().__init__(schedule.oracle)
        self._schedule = schedule

    def _record_sweeps(self, node: SimulatedNode, view: Any) -> None:
        """They were recorded as they were made."""

    def _values(self, node: SimulatedNode, stored: dict[bytes, Cell]) -> None:
        super()._values(node, stored)
        seen = self.oracle.visible(at_text(STOCK), node.core.state(KEYSPACE).delivered)
        assert total(seen) >= 0, f"{node} is oversold"
        self._schedule.check_documents(node)
