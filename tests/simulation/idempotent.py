"""Writes with an ``op_id`` under faults: additions tried on any node, transactions, resets whole and in parts.

The oracle knows an operation by its tries alone. It counts once, unless a reset saw it; how it is folded meanwhile, by
whom, and when its note is swept, must not show.
"""

from __future__ import annotations

from typing import Any

import pytest

from gossamer import apply
from gossamer.backend import CANCEL, CLEAR, Op, make_op
from gossamer.crdt import EMPTY, Cell, Dot, Vector, operation, path, tally
from gossamer.limits import OP_WINDOW_S
from gossamer.simulation import SimulatedNode
from gossamer.store import View, operations
from gossamer.turns import Write

from .invariants import KEYSPACE, Invariants, value_of
from .oracle import SPECS, Did, Oracle
from .schedule import Action, Schedule

COUNTERS = tuple(path.of_text(text) for text in ("counter:i", "map:q/counter:i"))
REGISTER, MAP = path.of_text("register:i"), path.of_text("map:q")
NAMES = tuple(f"o{number}" for number in range(6))
TRANSACTIONS = ("t0", "t1", "t2")
AMOUNT: dict[str, int] = {name: 3 ** (number + 2) for number, name in enumerate((*NAMES, *TRANSACTIONS))}
"""No two sets of operations have one sum; plain additions are of 1."""


def at(counter: bytes, name: str) -> bytes:
    return counter + path.component("op", name)


class IdempotentInvariants(Invariants):
    """The same, with what operations add, and what is derived from them."""

    def __init__(self, oracle: Oracle) -> None:
        super().__init__(oracle)
        self.known_at: dict[Dot, set[str]] = {}
        """Of the events that removed notes: the nodes that the one that made it knew, which all had the note."""

    def _record_sweeps(self, node: SimulatedNode, view: View) -> None:
        me = node.core.replica
        last, made = node.core.state(KEYSPACE).delivered.last(me), self.oracle.made.get(me, 0)
        before = self._delivered.get((node.name, me), Vector())
        for seq in range(made + 1, last + 1):
            paths = [cell_path for _, cell_path in view.event_rows((me, seq))]
            assert paths, f"{node} made event {seq} over nothing"
            is_fold = any(cell_path in COUNTERS for cell_path in paths)
            op = ("fold", [p for p in paths if path.is_operation(p)]) if is_fold else ("remove", None)
            self.oracle.record((me, seq), dict.fromkeys(paths, op), before, 0)
            self.sweeps += not is_fold
            if not is_fold:
                linked = {link.hello.name for link in node.core.engine.links.values() if link.hello}
                self.known_at[me, seq] = {node.name, *linked, *node.core.engine.registry.members}

    def _values(self, node: SimulatedNode, stored: dict[bytes, Cell]) -> None:
        delivered = node.core.state(KEYSPACE).delivered
        for cell_path in self.oracle.by_path:
            kind = path.kind_of(cell_path)
            if kind in path.OPERATIONS:
                continue
            if cell_path in COUNTERS:
                expected: Any = self.counter(cell_path, delivered)
            else:
                expected = SPECS[kind](self.oracle.visible(cell_path, delivered))
            actual = value_of(kind, node.core.store.cell(KEYSPACE, cell_path))
            assert actual == expected, (
                f"1, 9: {node} reads {path.to_text(cell_path)} as {actual}, its events say {expected}"
            )
        self._derived(node, stored)

    def counter(self, counter: bytes, delivered: Vector) -> int:
        history = self.oracle.visible(counter, delivered)
        plain = [d for d in history if d.op != "fold"]
        counted = [amount for n, amount in AMOUNT.items() if self.counts(counter, n, delivered, history)]
        return int(SPECS["counter"](plain)) + sum(counted)

    def counts(self, counter: bytes, name: str, delivered: Vector, history: list[Did]) -> bool:
        """Tried, and seen by no reset: neither while it was pending, nor once it was folded."""
        tries = self.oracle.visible(at(counter, name), delivered)
        folds = [d for d in history if d.op == "fold" and at(counter, name) in d.arg]
        resets = [d for d in history if d.op in ("reset", "remove")]
        is_cancelled = any(d.op == "cancel" for d in tries)
        is_reset = any(r.saw(fold) for r in resets for fold in folds)
        return any(d.op == "add" for d in tries) and not is_cancelled and not is_reset

    def _derived(self, node: SimulatedNode, stored: dict[bytes, Cell]) -> None:
        """The table *operations* is what one would make anew from the cells."""
        tallies: dict[bytes, tally.Tally] = {}
        counts = [0, 0, 0]
        pending = []
        for cell_path, cell in stored.items():
            if not path.is_operation(cell_path):
                continue
            sort = operations.sort_of(cell_path, cell)
            if sort is not None:
                counts[sort] += 1
            if path.kind_of(cell_path) == "op":
                counter = path.counter_of(cell_path)
                was = tallies.get(counter, tally.NONE)
                tallies[counter] = was.changed(cell_path[len(counter) :], EMPTY, cell)
                pending += [cell_path] if operation.is_pending(cell) else []
        with node.core.store.snapshot() as views:
            view = views(KEYSPACE)
            assert list(view.operation_counts()) == counts
            assert list(view.pending_after(b"")) == pending
            for counter in COUNTERS:
                known = operations.read_tally(view.txn, view.tables.operations, counter)
                made = tallies.get(counter, tally.NONE)
                assert known == (None if made.is_empty else made), (
                    f"{node}: another tally than its cells have"
                )


class Idempotent(Schedule):
    """Its own writes beside those of the core, which keep the exchanges busy."""

    window_s: float
    invariants: IdempotentInvariants

    def __init__(self, seed: int, steps: int = 40) -> None:
        super().__init__(seed, steps)
        self.window_s = self.rng.choice((OP_WINDOW_S, 4.0, 4.0))
        for node in self.cluster.nodes:
            self._with_window(node)
        self.invariants = IdempotentInvariants(self.oracle)
        self.cluster.after_event = self.invariants.check
        self.dots: dict[str, set[Dot]] = {}
        self.seen_by_resets: list[tuple[Dot, bytes, set[str]]] = []

    def _with_window(self, node: SimulatedNode) -> None:
        node.op_window_s = self.window_s
        node.core.remembered.window = int(self.window_s * 1e6)

    def join(self) -> None:
        before = len(self.cluster.nodes)
        super().join()
        for node in self.cluster.nodes[before:]:
            self._with_window(node)

    def work(self) -> list[Action]:
        return [
            (self.write, 2),
            (self.transact, 1),
            (self.add, 14),
            (self.add_plainly, 3),
            (self.add_in_a_transaction, 5),
            (self.reset, 3),
            (self.reset_in_parts, 2),
            (self.die_in_a_reset, 1),
        ]

    # Writes

    def add(self) -> None:
        counter, name = self.rng.choice(COUNTERS), self.rng.choice(NAMES)
        self.do([make_op(counter, "add", (AMOUNT[name],))], name)

    def add_plainly(self) -> None:
        self.do([make_op(self.rng.choice(COUNTERS), "add", (1,))])

    def add_in_a_transaction(self) -> None:
        name = self.rng.choice(TRANSACTIONS)
        some = self.rng.randint(1, AMOUNT[name])
        ops = [make_op(REGISTER, "set", (name,))]
        ops += [make_op(c, "add", (n,)) for c in COUNTERS for n in (some, AMOUNT[name] - some)]
        self.do(ops, name)

    def reset(self) -> None:
        op = self.rng.choice([make_op(MAP, CLEAR), *(make_op(c, "reset") for c in COUNTERS)])
        node = self.do([op])
        if node is not None:
            self._is_empty(node, [c for c in COUNTERS if c.startswith(op.path)])

    def _is_empty(self, node: SimulatedNode, counters: list[bytes]) -> None:
        for counter in counters:
            left = value_of("counter", node.core.store.cell(KEYSPACE, counter))
            assert left == 0, f"{node} has reset {path.to_text(counter)}, which is {left}"

    def reset_in_parts(self, *, dies: bool = False) -> None:
        """As a reset of thousands: one operation an event, the counter last, and others have their say in between."""
        node, counter = self.any_ready(), self.rng.choice(COUNTERS)
        parts = self.rng.randint(0, 3)
        for _ in range(parts):
            if node is None or not node.is_alive or not self.is_ready(node):
                return
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(apply, "TRANSACTION_CELLS_MAX", 1)
                self.do([make_op(counter, CANCEL)], node=node)
            self.cluster.advance(self.rng.choice((0.0, 0.01, 0.3)))
        if node is None or not node.is_alive or not self.is_ready(node):
            return
        if dies:
            self.note(f"{node.name} dies in a reset", "kill in a reset")
            self.cluster.kill(node)
        elif self.do([make_op(counter, "reset")], node=node):
            self._is_empty(node, [counter])

    def die_in_a_reset(self) -> None:
        if len(self.alive()) > 1:
            self.reset_in_parts(dies=True)

    def is_ready(self, node: SimulatedNode) -> bool:
        is_founder = self.cluster.nodes.index(node) < self.founders
        return node.core.state(KEYSPACE).is_whole and (is_founder or not node.core.engine.unmet())

    def any_ready(self) -> SimulatedNode | None:
        ready = [node for node in self.alive() if self.is_ready(node)]
        return self.rng.choice(ready) if ready else None

    def _is_swept(self, node: SimulatedNode, paths: list[bytes]) -> bool:
        """After its window an operation may count again: that is no retry any more.

        Whoever was a member when the note was removed had it, and learns of its removal. One that joined later may have
        got neither yet.
        """
        delivered, known_at = node.core.state(KEYSPACE).delivered, self.invariants.known_at
        seen = [d for p in paths for d in self.oracle.visible(p, delivered)]
        there_are = [d for p in paths for d in self.oracle.by_path.get(p, ())]
        has_joined_since = any(d.dot in known_at and node.name not in known_at[d.dot] for d in there_are)
        return has_joined_since or any(d.op == "remove" for d in seen)

    def do(
        self, ops: list[Op], name: str | None = None, *, node: SimulatedNode | None = None
    ) -> SimulatedNode | None:
        """One write, recorded as what the asker meant by it. The node, if it was asked."""
        node = node or self.any_ready()
        if node is None:
            return None
        notes = [path.component("op_id", name), *(at(c, name) for c in COUNTERS)] if name else []
        if self._is_swept(node, notes):
            self.outcome.count("retry after the window")
            return None
        before, replica = node.core.state(KEYSPACE).delivered, node.core.replica
        known = self._known(before, [op.path for op in ops])
        now = node._clock().wall
        (result,) = node.core.turn([Write(KEYSPACE, ops, op_id=name)], node._clock())
        assert not isinstance(result, Exception), result
        dot = (replica, before.last(replica) + 1)
        is_event = dot in node.core.state(KEYSPACE).delivered
        if is_event:
            writes = self._writes(node, dot, ops, name)
            self.oracle.record(dot, writes, before, now)
            for counter, names in known.items():
                if writes.get(counter, ("", None))[0] in ("reset", "remove"):
                    self.seen_by_resets.append((dot, counter, names))
        if name is not None:
            self._same_outcome(name, result, dot, is_event)
        texts = ", ".join(f"{path.to_text(op.path)}.{op.method}{op.raw}" for op in ops)
        self.note(
            f"{node.name} {name} {texts} -> {dot[1] if is_event else 'nothing'}",
            "operation" if is_event else "retry" if name else "nothing",
        )
        self.invariants.check(node)
        node.flush()
        self.cluster._schedule(self.cluster.nodes.index(node))
        return node

    def _known(self, delivered: Vector, paths: list[bytes]) -> dict[bytes, set[str]]:
        """Counter under one of the paths -> the operations that the node knows to have been tried."""
        return {
            c: {n for n in AMOUNT if any(d.op == "add" for d in self.oracle.visible(at(c, n), delivered))}
            for c in COUNTERS
            if any(c.startswith(p) for p in paths)
        }

    def _writes(
        self, node: SimulatedNode, dot: Dot, ops: list[Op], name: str | None
    ) -> dict[bytes, tuple[str, Any]]:
        with node.core.store.snapshot() as views:
            paths = [cell_path for _, cell_path in views(KEYSPACE).event_rows(dot)]
        return {cell_path: self._meant(cell_path, ops, name) for cell_path in paths}

    def _meant(self, cell_path: bytes, ops: list[Op], name: str | None) -> tuple[str, Any]:
        if path.kind_of(cell_path) == "op":
            return ("add" if name is not None else "cancel"), None
        if path.kind_of(cell_path) == "op_id":
            return "note", None
        found = next((op for op in ops if op.path == cell_path), None)
        return (found.method, found.raw[0] if found.raw else None) if found else ("remove", None)

    def _same_outcome(self, name: str, result: Any, dot: Dot, is_event: bool) -> None:
        """A transaction's retry answers as a try did; an addition's with some event of the operation."""
        tries = self.dots.setdefault(name, set())
        if is_event:
            assert result == dot
            tries.add(dot)
        elif name in TRANSACTIONS:
            assert result in tries, f"a retry of {name} answers {result}, its tries were {tries}"
        else:
            assert result in self.oracle.events

    # The end

    def check_end(self) -> None:
        """By the tries and resets alone: each operation that no reset knew of counts once."""
        for node in self.alive():
            delivered = node.core.state(KEYSPACE).delivered
            for counter in COUNTERS:
                expected = self._expected(counter, delivered)
                actual = value_of("counter", node.core.store.cell(KEYSPACE, counter))
                plain = [d for d in self.oracle.visible(counter, delivered) if d.op != "fold"]
                assert actual - SPECS["counter"](plain) == expected
        self._is_swept_at_the_end()

    def _expected(self, counter: bytes, delivered: Vector) -> int:
        total = 0
        for name, amount in AMOUNT.items():
            tries = self.oracle.visible(at(counter, name), delivered)
            is_known = any(
                dot in delivered and name in names for dot, c, names in self.seen_by_resets if c == counter
            )
            is_tried = any(d.op == "add" for d in tries)
            if is_tried and not is_known and not any(d.op == "cancel" for d in tries):
                total += amount
        return total

    def _is_swept_at_the_end(self) -> None:
        """With nobody away nothing is pending for long, and nothing is noted after its window, but what is contested."""
        if self.window_s > 1000:
            return
        for _ in range(120):
            self.cluster.advance(0.5)
            if all(self._is_tidy(node) for node in self.alive()):
                self.outcome.count("tidy")
                return
        if any(node.core.engine.duties.may_return() for node in self.alive()):
            self.outcome.count("notes held back")
            return
        raise AssertionError([node.core.store.operation_counts(KEYSPACE) for node in self.alive()])

    def _is_tidy(self, node: SimulatedNode) -> bool:
        with node.core.store.snapshot() as views:
            cells = dict(views(KEYSPACE).cells(b""))
        notes = {p: c for p, c in cells.items() if path.is_operation(p) and c.live}
        return all(operation.is_contested(cell) and path.kind_of(p) == "op" for p, cell in notes.items())
