"""What each type means: its value as a function of the events seen, in a few lines, with no cell in sight.

An event is *live* if no event seen has observed it. The style is that of antidote_crdt's properties.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .harness import REPLICAS, Did, History


def live(history: History, by: Callable[[Did], bool] = lambda e: True) -> list[Did]:
    """The events that no event of the kind ``by`` observed, in no particular order."""
    return [e for e in history if not any(by(f) and e in f.saw for f in history)]


def is_remove(event: Did) -> bool:
    return event.method in ("remove", "reset")


# Last writer wins: causality first, then (stamp, replica); the stamp is past every stamp that it supersedes.
# A set may name what it has seen, and supersedes that alone, and what its own replica wrote.


def replaces(by: Did, event: Did) -> bool:
    if len(by.args) < 2 or event.replica == by.replica:
        return event in by.saw
    return event in by.saw and event.seq <= dict(by.args[1]).get(event.replica, 0)


def sets_standing(history: History) -> list[Did]:
    return [e for e in history if e.method == "set" and not any(replaces(f, e) for f in history)]


@lru_cache(maxsize=10_000)
def stamp(event: Did) -> int:
    stood = [stamp(e) for e in sets_standing(event.saw) if replaces(event, e)]
    return max(event.now, max(stood, default=0) + 1)


def register(history: History) -> Any:
    sets = sets_standing(history)
    return max(sets, key=lambda e: (stamp(e), e.replica)).args[0] if sets else None


def would_lose_own(replica: bytes, history: History, seen: dict[bytes, int]) -> bool:
    """Whether a set over ``seen`` is refused: a value of its own replica stands that it has not seen."""
    return any(e.replica == replica and e.seq > seen.get(replica, 0) for e in sets_standing(history))


# Multi-value: what a resolve had not read of its own replica moves along in its entry.


def supersedes(by: Did, event: Did) -> bool:
    if by.method != "resolve" or event.replica == by.replica:
        return event in by.saw
    return event in by.saw and event.seq <= dict(by.args[1]).get(event.replica, 0)


def standing(history: History) -> list[Did]:
    return [e for e in history if not any(supersedes(f, e) for f in history)]


@lru_cache(maxsize=10_000)
def values_of(event: Did) -> frozenset[Any]:
    if event.method == "remove":
        return frozenset()
    unread = [
        e
        for e in standing(event.saw)
        if event.method == "resolve"
        and e.replica == event.replica
        and e.seq > dict(event.args[1]).get(e.replica, 0)
    ]
    return frozenset(event.args[:1]).union(*map(values_of, unread))


def mv_register(history: History) -> list[Any]:
    return sorted(frozenset().union(*map(values_of, standing(history))))


# Flags and sets.


def is_on(event: Did) -> bool:
    return event.method in ("enable", "add", "create")


def any_on(history: History) -> bool:
    return any(is_on(e) for e in live(history))


def on_and_no_off(history: History) -> bool:
    standing = [e for e in live(history) if e.method != "remove"]
    return any(is_on(e) for e in standing) and all(is_on(e) for e in standing)


# Counter: an add counts until a reset has observed it.


def counter(history: History) -> int:
    return sum(e.args[0] for e in live(history, is_remove) if e.method == "add")


# Bounded counter: a replica spends what it minted and was given, and no more.


def bounded_counter(history: History) -> int:
    return amounts(history, "mint") - amounts(history, "spend")


def amounts(history: Iterable[Did], method: str) -> int:
    return sum(int(e.args[-1]) for e in history if e.method == method)


def rights(history: History, replica: bytes) -> int:
    own = frozenset(e for e in history if e.replica == replica)
    got = amounts((e for e in history if e.args[0] == replica), "transfer")
    return bounded_counter(own) + got - amounts(own, "transfer")


def lacks_rights(history: History, replica: bytes, method: str, args: tuple[Any, ...]) -> bool:
    return method in ("spend", "transfer") and args[-1] > rights(history, replica)


# Max and min: an entry carries its replica's own extreme since that replica last had none.


def extreme(pick: Callable[..., Any]) -> Callable[[History], Any]:
    @lru_cache(maxsize=10_000)
    def carried(event: Did) -> Any:
        before = [e for e in frontier(event.saw) if e.replica == event.replica]
        return pick([event.args[0], *map(carried, before)])

    def frontier(history: History) -> list[Did]:
        """Sets that no remove and no later set of the same replica observed."""
        sets = [e for e in live(history, is_remove) if e.method == "set"]
        return [e for e in sets if not any(e.replica == f.replica and e in f.saw for f in sets)]

    return lambda history: pick(map(carried, frontier(history)), default=None)


# An operation: its amount while nobody who saw it pending has folded or cancelled it. A marker: that it was written.


def standing_op(history: History) -> list[Did]:
    return [e for e in live(history) if e.method != "remove"]


def is_only_pending(history: History) -> bool:
    return bool(standing_op(history)) and all(e.method == "add" for e in standing_op(history))


def op(history: History) -> int:
    lowest = min(standing_op(history), key=lambda e: e.replica, default=None)
    return lowest.args[0] if lowest is not None and is_only_pending(history) else 0


# When has a write nothing to say?

Says = Callable[[History], bool]


def none_live(*methods: str) -> Says:
    return lambda history: not any(e.method in methods for e in live(history))


def all_removed(history: History) -> bool:
    return not any(not is_remove(e) for e in live(history, is_remove))


def no_values(history: History) -> bool:
    return not mv_register(history)


@dataclass(frozen=True)
class Spec:
    """A type's meaning, and the writes that a random schedule makes."""

    value: Callable[[History], Any]
    writes: tuple[tuple[str, tuple[Any, ...]], ...]
    silent: dict[str, Says]
    """Method -> whether one who has seen this history has nothing to write. Other methods always write."""
    refuses: Callable[[History, bytes, str, tuple[Any, ...]], bool] = lambda *_: False
    """Whether a replica that has seen this history may not make a write."""


def sets(*arguments: Any) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    return (*(("set", (a,)) for a in arguments), ("remove", ()))


def plain(*methods: str) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    return tuple((method, ()) for method in methods)


FLAG, SET = plain("enable", "disable", "remove"), plain("add", "discard", "remove")
STOCK = (
    *(("mint", (n,)) for n in (1, 5)),
    *(("spend", (n,)) for n in (1, 1, 3)),
    *(("transfer", (replica, n)) for replica in REPLICAS for n in (1, 2)),
)
COUNTER = (("add", (1,)), ("add", (-3,)), ("add", (10,)), *plain("reset"))

SPECS = {
    "register": Spec(register, sets("a", "b"), {"remove": lambda history: not sets_standing(history)}),
    "mv_register": Spec(mv_register, sets("a", "b"), {"remove": no_values}),
    "flag": Spec(any_on, FLAG, {"disable": none_live("enable"), "remove": none_live("enable")}),
    "flag_dw": Spec(on_and_no_off, FLAG, {"remove": none_live("enable", "disable")}),
    "set": Spec(any_on, SET, {"discard": none_live("add"), "remove": none_live("add")}),
    "set_rw": Spec(on_and_no_off, SET, {"discard": none_live("add"), "remove": none_live("add", "discard")}),
    "counter": Spec(counter, COUNTER, {"reset": all_removed, "remove": all_removed}),
    "bounded_counter": Spec(bounded_counter, STOCK, {}, lacks_rights),
    "max_register": Spec(extreme(max), sets(1, 2, 3), {"remove": all_removed}),
    "min_register": Spec(extreme(min), sets(1, 2, 3), {"remove": all_removed}),
    "op": Spec(
        op,
        (("add", (5,)), ("add", (-300,)), ("fold", (1,)), *plain("cancel", "remove")),
        {
            "add": lambda history: bool(standing_op(history)),
            "fold": lambda history: not is_only_pending(history),
            "cancel": lambda history: not is_only_pending(history),
            "remove": lambda history: not standing_op(history),
        },
    ),
    "op_id": Spec(
        lambda history: bool(standing_op(history)),
        plain("wrote", "silent", "remove"),
        {"remove": lambda history: not standing_op(history)},
    ),
    "map": Spec(lambda history: {}, plain("create", "remove"), {"remove": none_live("create")}),
}
"""Kind -> spec."""
