"""What must hold at a node after every step; the numbers are those of the list in ARCHITECTURE.md."""

from __future__ import annotations

from typing import Any

from gossamer import report
from gossamer.crdt import TYPES, Cell, Vector, codec, path, vector
from gossamer.crdt import cell as cells
from gossamer.replication.state import State
from gossamer.simulation import SimulatedNode
from gossamer.store import View, record

from .oracle import SPECS, Oracle

KEYSPACE = "default"


class Invariants:
    """Watches a cluster through its whole history."""

    def __init__(self, oracle: Oracle, keyspace: str = KEYSPACE) -> None:
        self.oracle, self.keyspace = oracle, keyspace
        self._delivered: dict[tuple[str, bytes], Vector] = {}
        self._digests: dict[bytes, int] = {}
        self._payloads: dict[tuple[bytes, int, bytes], bytes] = {}
        self._checked: dict[str, State] = {}
        self.checks = 0
        self.sweeps = 0
        self.unready = self.said_so = self.served_behind = 0
        """Checks at a node that raised NotReady, that was not whole and said so, and that served while others were ahead."""

        self.checks_values = True
        """Whether what a whole node reads is what its events say; not after a schedule in which that cannot be known."""

    def check(self, node: SimulatedNode) -> None:
        """`AssertionError` with the invariant's number."""
        state = node.core.state(self.keyspace)
        unfinished = state.is_applying or state.is_replacing
        if self._checked.get(node.name) is state:
            return  # nothing was committed since
        self._checked[node.name] = state
        self.checks += 1
        with node.core.store.snapshot() as views:
            view = views(self.keyspace)
            stored = dict(view.readable(b"") if self.damaged_at(node) else view.cells(b""))
            self._record_sweeps(node, view)
            self._own_events(node)
            self._never_shrinks(node)
            self._digest(node, stored)
            self._one_dot_one_event(stored)
            for cell_path, cell in stored.items():
                for dot in cell.dots():
                    is_known = dot in state.delivered or dot in state.debt or unfinished
                    assert is_known, f"2: {node} shows {dot} undelivered"
                for replica, seq in cell.context().items():
                    is_indexed = cell_path in [p for _, p in view.event_rows((replica, seq))]
                    is_known = seq <= state.horizon.last(replica) or state.debt.has(replica, seq)
                    is_known = is_known or (state.is_replacing and (replica, seq) not in state.delivered)
                    assert is_indexed or is_known, f"4: {node} has no row for {(replica, seq)}"
        self._half_events(node, stored)
        if state.is_whole:
            self._whole_events(node)
            if self.checks_values:
                self._values(node, stored)

    def damaged_at(self, node: SimulatedNode) -> set[bytes]:
        """Paths of cells that cannot be read there now, on purpose."""
        return set()

    def _record_sweeps(self, node: SimulatedNode, view: View) -> None:
        """Events that the node made by itself: it removes what is *off* for everybody."""
        me = node.core.replica
        last, made = node.core.state(self.keyspace).delivered.last(me), self.oracle.made.get(me, 0)
        before = self._delivered.get((node.name, me), Vector())
        for seq in range(made + 1, last + 1):
            writes = {cell_path: ("remove", None) for _, cell_path in view.event_rows((me, seq))}
            assert all(path.kind_of(p) in ("flag_dw", "set_rw") for p in writes)
            self.oracle.record((me, seq), writes, before, 0)
            self.sweeps += 1

    def _own_events(self, node: SimulatedNode) -> None:
        me = node.core.replica
        made = self.oracle.made.get(me, 0)
        has = node.core.state(self.keyspace).delivered.intervals(me)
        assert has == ((1, made) if made else ()), f"3, 10: {node} made {made} events and has {has}"

    def _never_shrinks(self, node: SimulatedNode) -> None:
        key, now = (node.name, node.core.replica), node.core.state(self.keyspace).delivered
        before = self._delivered.get(key)
        assert before is None or now.covers(before), f"6: {node} had {before} and has {now}"
        self._delivered[key] = now

    def _digest(self, node: SimulatedNode, stored: dict[bytes, Cell]) -> None:
        state = node.core.state(self.keyspace)
        if self.damaged_at(node) or not state.is_counted:
            return
        total = sum(record.weight(p, c) for p, c in stored.items()) % record.DIGEST_MOD
        assert total == state.digest, f"5: {node} stored a digest that its cells do not have"
        if state.is_whole and self.checks_values:
            known = self._digests.setdefault(vector.encode(state.delivered), total)
            assert known == total, f"5: {node} has {state.delivered} with another digest than was seen"

    def _one_dot_one_event(self, stored: dict[bytes, Cell]) -> None:
        for cell_path, cell in stored.items():
            assert codec.decode(codec.encode(cell)) == cell
            for entry in cell.live:
                key = (entry.replica, entry.seq, cell_path)
                known = self._payloads.setdefault(key, entry.payload)
                assert known == entry.payload and not entry.others, f"7: two payloads for {key}"

    def _half_events(self, node: SimulatedNode, stored: dict[bytes, Cell]) -> None:
        """By the cells alone: of an event that is not delivered none shows, unless the node says it is catching up."""
        state = node.core.state(self.keyspace)
        said = report.keyspace(node.core, self.keyspace, node._clock().mono)
        assert state.is_whole or said["catching_up"], f"10: {node} is not whole, and does not say so"
        if not said["ready"]:
            self.unready += 1
            return
        if not state.is_whole:
            self.said_so += 1
            return
        self.served_behind += said["catching_up"]
        for (replica, seq), paths in self.oracle.events.items():
            if len(paths) > 1 and (replica, seq) not in state.delivered:
                for cell_path in paths:
                    top = stored.get(cell_path, cells.EMPTY).context().get(replica, 0)
                    assert top < seq, f"10: readers of {node} see half of the event {(replica, seq)}"

    def _whole_events(self, node: SimulatedNode) -> None:
        delivered = node.core.state(self.keyspace).delivered
        for (replica, seq), paths in self.oracle.events.items():
            if len(paths) > 1 and (replica, seq) not in delivered:
                for cell_path in paths:
                    top = self.oracle.tops(cell_path, delivered).get(replica, 0)
                    assert top < seq, f"1, 10: {node} shows half of the event {(replica, seq)}"

    def _values(self, node: SimulatedNode, stored: dict[bytes, Cell]) -> None:
        delivered, damaged = node.core.state(self.keyspace).delivered, self.damaged_at(node)
        for cell_path in [at for at in self.oracle.by_path if at not in damaged]:
            kind = path.kind_of(cell_path)
            expected = SPECS[kind](self.oracle.visible(cell_path, delivered))
            actual = value_of(kind, stored.get(cell_path, cells.EMPTY))
            assert actual == expected, (
                f"1, 9: {node} reads {path.to_text(cell_path)} as {actual}, its events say {expected}"
            )


def value_of(kind: str, cell: Cell) -> Any:
    """What a node reads; a register with its siblings."""
    value = TYPES[kind].value(cell)
    if kind != "register":
        return value
    ordered = sorted(cell.live, key=lambda e: (e.payload[:8], e.replica), reverse=True)
    return value, [TYPES[kind].value(cells.make([entry], ())) for entry in ordered]
