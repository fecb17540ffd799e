"""The oracle: what every node should hold, from the events alone.

It never looks at how the store or the engine works. An event is its writes and, for each, what its writer could
see of that cell. A cell's value at a node is a function of the events that the node has delivered there: of each
replica, everything up to the last one, since a replica's newer event on a cell stands for its older ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from gossamer.crdt import Dot, Vector


@dataclass(frozen=True)
class Did:
    """One write of one event to one cell."""

    dot: Dot
    op: str
    arg: Any
    stamp: int
    seen: dict[bytes, int]
    """Replica -> the last of its events on this cell that the writer had."""

    def saw(self, other: Did) -> bool:
        return other.dot[1] <= self.seen.get(other.dot[0], 0)


def live(history: Iterable[Did], ops: tuple[str, ...]) -> list[Did]:
    """The writes with one of ``ops`` that no other write has seen."""
    history = list(history)
    return [d for d in history if d.op in ops and not any(e.saw(d) for e in history if e is not d)]


def register(history: list[Did]) -> tuple[Any, list[Any]]:
    sets = sorted(live(history, ("set",)), key=lambda d: (d.stamp, d.dot[0]), reverse=True)
    return (sets[0].arg if sets else None), [d.arg for d in sets]


def mv_register(history: list[Did]) -> list[Any]:
    return sorted({d.arg for d in live(history, ("set",))})


def flag(history: list[Did]) -> bool:
    return bool(live(history, ("enable",)))


def flag_dw(history: list[Did]) -> bool:
    return bool(live(history, ("enable",))) and not live(history, ("disable",))


def counter(history: list[Did]) -> int:
    resets = [d for d in history if d.op in ("reset", "remove")]
    return sum(d.arg for d in history if d.op == "add" and not any(r.saw(d) for r in resets))


def set_(history: list[Did]) -> bool:
    return bool(live(history, ("add",)))


def set_rw(history: list[Did]) -> bool:
    return bool(live(history, ("add",))) and not live(history, ("discard",))


def max_register(history: list[Did]) -> Any:
    """The highest of what each replica carries: its last set that no remove saw, and what the set before that one
    carried, unless a remove that it knew of had seen it."""
    removes = [d for d in history if d.op == "remove"]
    best: list[Any] = []
    for replica in {d.dot[0] for d in history}:
        carried: list[Any] = []
        last: Did | None = None
        for did in sorted(
            (d for d in history if d.op == "set" and d.dot[0] == replica), key=lambda d: d.dot[1]
        ):
            if last is not None and any(did.saw(r) and r.saw(last) for r in removes):
                carried = []
            carried.append(did.arg)
            last = did
        if last is not None and not any(r.saw(last) for r in removes):
            best += carried
    return max(best, default=None)


NEVER_LIVE = ("remove", "reset")
"""Writes that leave no entry, but supersede some."""

SPECS = {
    "register": register,
    "mv_register": mv_register,
    "flag": flag,
    "flag_dw": flag_dw,
    "counter": counter,
    "set": set_,
    "set_rw": set_rw,
    "max_register": max_register,
}


class Oracle:
    """Every event there ever was, by the cell it touched."""

    def __init__(self) -> None:
        self.by_path: dict[bytes, list[Did]] = {}
        self.events: dict[Dot, list[bytes]] = {}
        self.made: dict[bytes, int] = {}
        """Replica -> how many events it has acknowledged to a writer."""

    def tops(self, path: bytes, delivered: Vector) -> dict[bytes, int]:
        """Replica -> the last of its delivered events on a cell."""
        tops: dict[bytes, int] = {}
        for did in self.by_path.get(path, ()):
            if did.dot in delivered:
                tops[did.dot[0]] = max(did.dot[1], tops.get(did.dot[0], 0))
        return tops

    def visible(self, path: bytes, delivered: Vector) -> list[Did]:
        """What a node with that vector has of a cell."""
        tops = self.tops(path, delivered)
        return [d for d in self.by_path.get(path, ()) if d.dot[1] <= tops.get(d.dot[0], 0)]

    def rebase(self, kept: Vector, live_at: Callable[[bytes], set[Dot]]) -> None:
        """A node gives up all but these events and what its new sender has, of which their writers count as having seen nothing.

        Of these events stays what ``live_at`` a path is still live there: what was superseded by one that is lost, is lost with it.
        """
        for path, dids in self.by_path.items():
            found = live_at(path)
            for at, did in enumerate(dids):
                if did.dot in kept:
                    seen = {r: seq for r, seq in did.seen.items() if r == did.dot[0] or kept.has(r, seq)}
                    op = did.op if did.dot in found or did.op in NEVER_LIVE else "superseded"
                    dids[at] = replace(did, seen=seen, op=op)

    def record(self, dot: Dot, writes: dict[bytes, tuple[str, Any]], before: Vector, now: int) -> None:
        """An event happened at a node whose vector was ``before``."""
        self.events[dot] = sorted(writes)
        self.made[dot[0]] = self.made.get(dot[0], 0) + 1
        for path, (op, arg) in writes.items():
            standing = live(self.visible(path, before), ("set",))
            stamp = max([now, *(d.stamp + 1 for d in standing)])
            did = Did(dot, op, arg, stamp, self.tops(path, before))
            self.by_path.setdefault(path, []).append(did)
