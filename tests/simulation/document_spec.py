"""What a typed document must read as, from its history alone: fields as data, and nothing of `gossamer.documents`.

A `Slot` is one field. It says what may be done to it, what that writes to which cells, and what a reader sees of a
history of such writes. What a class records of itself is a dict of slots' forms, compared here by sets of atoms.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from gossamer.crdt import Vector, path

from .oracle import SPECS, Did, Oracle, live, max_register

at_text = cache(path.of_text)
NAMES = ("x", "y")
Form = Any
"""What is recorded of a field: ``(kind, atoms)``, or ``("map", form of each)``, or ``("map", {name: form})``."""


class Unfit(Exception):
    """Something is stored that is not of the field's type."""


class Unset(Exception):
    """Nothing is stored, and the field has no default."""


def min_register(history: list[Did]) -> Any:
    """The highest of what is turned around."""
    turned = [replace(d, arg=-d.arg) if d.op == "set" else d for d in history]
    highest = max_register(turned)
    return None if highest is None else -highest


SPECS["min_register"] = min_register


def counts(history: list[Did]) -> bool:
    """Whether a counter is there: some replica's last addition was seen by no reset."""
    resets = [d for d in history if d.op == "remove"]
    last = {d.dot[0]: d for d in sorted(history, key=lambda d: d.dot[1]) if d.op == "add"}
    return any(not any(r.saw(d) for r in resets) for d in last.values())


@dataclass(frozen=True)
class Seen:
    """What a node with a vector has of every cell."""

    oracle: Oracle
    delivered: Vector

    def of(self, text: str) -> list[Did]:
        return self.oracle.visible(at_text(text), self.delivered)


@dataclass(frozen=True)
class Deed:
    """One call of a method of a handle, and what it must write."""

    get: Callable[[Any], Any]
    method: str
    args: tuple[Any, ...]
    writes: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    """Path -> what the oracle is told. All but removals must make an event there."""
    wipes: str | None = None
    """Everything at and under this path is removed."""
    is_invalid: bool = False
    gone: Callable[[Any], bool] | None = None
    """Of a removal: whether the handle says, right after it, that there is nothing."""

    reads: Callable[[Seen], Any] = lambda _seen: None
    """What the call reads first; `Unfit` if it cannot."""
    given: list[Any] = field(default_factory=list)
    """What it was given, then."""

    def inside(self, attribute: Callable[[Any], Any]) -> Deed:
        """The same, of a document further in."""
        inner = self.get
        return replace(self, get=lambda doc: inner(attribute(doc)))

    @property
    def touches(self) -> tuple[str, ...]:
        return (*self.writes, *((self.wipes,) if self.wipes else ()))


class Slot:
    """One field of a document: ``name`` as the store has it."""

    kind: str

    def __init__(self, attribute: str, name: str | None = None) -> None:
        self.attribute, self.name = attribute, name or attribute

    def form(self) -> Form:
        return self.kind, frozenset[str]()

    def at(self, base: str) -> str:
        return f"{base}/{self.kind}:{self.name}"

    def handle(self, doc: Any) -> Any:
        return getattr(doc, self.attribute)

    def read(self, seen: Seen, at: str) -> Any:
        """What it reads as; `Unfit` or `Unset`."""
        raise NotImplementedError

    def actual(self, handle: Any) -> Any:
        """What its handle reads."""
        return handle.value()

    def is_there(self, seen: Seen, at: str) -> bool:
        """Whether anything shows."""
        raise NotImplementedError

    def deed(self, rng: random.Random, at: str) -> Deed:
        """Something to do, chosen at random."""
        raise NotImplementedError


class Value(Slot):
    """A register, multi-value, highest or lowest: ``fits`` is stored value -> read value, or `Unfit`."""

    def __init__(
        self,
        kind: str,
        attribute: str,
        atoms: str,
        fits: Callable[[Any], Any],
        good: Mapping[Any, Any],
        bad: tuple[Any, ...],
        default: Any = Unset,
        name: str | None = None,
    ) -> None:
        """``good`` is what is given -> what is to be stored."""
        super().__init__(attribute, name)
        self.kind, self._atoms, self._fits = kind, frozenset(atoms.split()), fits
        self._good, self._bad, self._default = good, bad, default

    def form(self) -> Form:
        return self.kind, self._atoms

    def actual(self, handle: Any) -> Any:
        return handle.values() if self.kind == "mv_register" else handle.get()

    def read(self, seen: Seen, at: str) -> Any:
        found = SPECS[self.kind](seen.of(at))
        if self.kind == "mv_register":
            return [self._fits(one) for one in found]
        if not self.is_there(seen, at):
            if self._default is Unset:
                raise Unset
            return self._default
        return self._fits(found[0] if self.kind == "register" else found)

    def is_there(self, seen: Seen, at: str) -> bool:
        history = seen.of(at)
        found = SPECS[self.kind](history)
        return bool(live(history, ("set",))) if self.kind == "register" else found not in (None, [])

    def deed(self, rng: random.Random, at: str) -> Deed:
        chance = rng.random()
        if chance < 0.15:
            return Deed(self.handle, "set", (rng.choice(self._bad),), is_invalid=True)
        if chance < 0.3:
            read = "values" if self.kind == "mv_register" else "get"
            given = () if self.kind == "mv_register" else (None,)
            return Deed(
                self.handle, "remove", (), {at: ("remove", None)}, gone=lambda h: not getattr(h, read)(*given)
            )
        given, stored = rng.choice(list(self._good.items()))
        if chance < 0.45 and self.kind == "register":
            return self._update(at, given, {at: ("set", stored)})
        if chance < 0.55 and self.kind == "register":
            return self._update(at, rng.choice(self._bad), {})
        return Deed(self.handle, "set", (given,), {at: ("set", stored)})

    def _update(self, at: str, to: Any, writes: dict[str, tuple[str, Any]]) -> Deed:
        given = list[Any]()

        def change(before: Any) -> Any:
            given.append(before)
            return to

        def reads(seen: Seen) -> Any:
            return self.read(seen, at) if self.is_there(seen, at) else None

        return Deed(
            self.handle,
            "update",
            (change, None),
            writes,
            is_invalid=not writes,
            reads=reads,
            given=given,
        )


class Tally(Slot):
    kind = "counter"

    def read(self, seen: Seen, at: str) -> Any:
        return SPECS["counter"](seen.of(at))

    def is_there(self, seen: Seen, at: str) -> bool:
        return counts(seen.of(at))

    def deed(self, rng: random.Random, at: str) -> Deed:
        if rng.random() < 0.15:
            return Deed(self.handle, "reset", (), {at: ("remove", None)}, gone=lambda h: not h.value())
        n = rng.choice((-1, 1, 2, 3))
        return Deed(self.handle, "add", (n,), {at: ("add", n)})


class Switch(Slot):
    def __init__(self, attribute: str, kind: str) -> None:
        super().__init__(attribute)
        self.kind = kind

    def read(self, seen: Seen, at: str) -> Any:
        return SPECS[self.kind](seen.of(at))

    def is_there(self, seen: Seen, at: str) -> bool:
        return bool(live(seen.of(at), ("enable",)))

    def deed(self, rng: random.Random, at: str) -> Deed:
        if rng.random() < 0.5:
            return Deed(self.handle, "enable", (), {at: ("enable", None)})
        off = "remove" if self.kind == "flag" else "disable"
        return Deed(self.handle, "disable", (), {at: (off, None)}, gone=lambda h: not h.value())


class Elements(Slot):
    """A set of strs and ints."""

    def __init__(self, attribute: str, kind: str, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
        super().__init__(attribute)
        self.kind, self._good, self._bad = kind, good, bad

    def form(self) -> Form:
        return self.kind, frozenset(type(element).__name__ for element in self._good)

    def _at(self, at: str, element: Any) -> str:
        return f"{at}/{type(element).__name__}:{element}"

    def read(self, seen: Seen, at: str) -> Any:
        return frozenset(e for e in self._good if SPECS[self.kind](seen.of(self._at(at, e))))

    def is_there(self, seen: Seen, at: str) -> bool:
        return bool(self.read(seen, at))

    def deed(self, rng: random.Random, at: str) -> Deed:
        chance, element = rng.random(), rng.choice(self._good)
        if chance < 0.15:
            return Deed(self.handle, "add", (rng.choice(self._bad),), is_invalid=True)
        if chance < 0.2:
            bad = [element, rng.choice(self._bad)]
            return Deed(self.handle, "update", (bad,), is_invalid=True)
        if chance < 0.3:
            return Deed(self.handle, "clear", (), wipes=at, gone=lambda h: not len(h))
        if chance < 0.5:
            off = "remove" if self.kind == "set" else "discard"
            return Deed(
                self.handle,
                "discard",
                (element,),
                {self._at(at, element): (off, None)},
                gone=lambda h: element not in h,
            )
        if chance < 0.6:
            return Deed(
                self.handle,
                "update",
                (self._good[:2],),
                {self._at(at, one): ("add", None) for one in self._good[:2]},
            )
        return Deed(self.handle, "add", (element,), {self._at(at, element): ("add", None)})


class Inner(Slot):
    """A document inside."""

    kind = "map"

    def __init__(self, attribute: str, slots: tuple[Slot, ...]) -> None:
        super().__init__(attribute)
        self.slots = slots

    def form(self) -> Form:
        return "map", {slot.name: slot.form() for slot in self.slots}

    def read(self, seen: Seen, at: str) -> Any:
        return {slot.attribute: slot.read(seen, slot.at(at)) for slot in self.slots}

    def is_there(self, seen: Seen, at: str) -> bool:
        """By registers alone, of which it is made; those that only a later build knows count too."""
        under = at_text(at)
        inside = [cell_path for cell_path in seen.oracle.by_path if cell_path.startswith(under)]
        return any(live(seen.oracle.visible(p, seen.delivered), ("set",)) for p in inside)

    def deed(self, rng: random.Random, at: str) -> Deed:
        if rng.random() < 0.1:
            return Deed(self.handle, "clear", (), wipes=at, gone=lambda h: not h.exists())
        slot = rng.choice(self.slots)
        return slot.deed(rng, slot.at(at)).inside(self.handle)


class Each(Slot):
    """Free names of things of one kind."""

    kind = "map"

    def __init__(self, attribute: str, each: Slot) -> None:
        super().__init__(attribute)
        self._each = each

    def form(self) -> Form:
        return "map", ("each", self._each.form())

    def _at(self, at: str, name: str) -> str:
        return f"{at}/{self._each.kind}:{name}"

    def read(self, seen: Seen, at: str) -> Any:
        there = [n for n in NAMES if self._each.is_there(seen, self._at(at, n))]
        return {n: self._each.read(seen, self._at(at, n)) for n in there}

    def is_there(self, seen: Seen, at: str) -> bool:
        return any(self._each.is_there(seen, self._at(at, n)) for n in NAMES)

    def deed(self, rng: random.Random, at: str) -> Deed:
        chance, name = rng.random(), rng.choice(NAMES)
        if chance < 0.07:
            return Deed(self.handle, "clear", (), wipes=at, gone=lambda h: not h.keys())
        if chance < 0.2:
            where = self._at(at, name)
            return Deed(self.handle, "remove", (name,), wipes=where, gone=lambda h: name not in h)
        each = self._each.deed(rng, self._at(at, name))
        return replace(each, get=_named(each.get, self._each, self.handle, name))


def _named(
    get: Callable[[Any], Any], each: Slot, outer: Callable[[Any], Any], name: str
) -> Callable[[Any], Any]:
    """The handle of a thing that has a name, where its slot would look for an attribute."""

    class Holder:
        def __init__(self, doc: Any) -> None:
            self._doc = doc

        def __getattr__(self, _attribute: str) -> Any:
            return outer(self._doc)[name]

    return lambda doc: get(Holder(doc))


class Anything(Slot):
    """An untyped map with registers and counters in it."""

    kind = "map"

    def form(self) -> Form:
        return "map", None

    def _inside(self, seen: Seen, at: str) -> Iterator[tuple[str, str, Any]]:
        for name in NAMES:
            if live(history := seen.of(f"{at}/register:{name}"), ("set",)):
                yield "register", name, SPECS["register"](history)[0]
            if counts(history := seen.of(f"{at}/counter:{name}")):
                yield "counter", name, SPECS["counter"](history)

    def read(self, seen: Seen, at: str) -> Any:
        found = list(self._inside(seen, at))
        taken = [name for _, name, _ in found]
        return {n if taken.count(n) == 1 else f"{kind}:{n}": value for kind, n, value in found}

    def is_there(self, seen: Seen, at: str) -> bool:
        return any(True for _ in self._inside(seen, at))

    def deed(self, rng: random.Random, at: str) -> Deed:
        name = rng.choice(NAMES)
        if rng.random() < 0.5:
            return Deed(
                lambda doc: self.handle(doc).counter(name), "add", (2,), {f"{at}/counter:{name}": ("add", 2)}
            )
        return Deed(
            lambda doc: self.handle(doc).register(name),
            "set",
            ([name],),
            {f"{at}/register:{name}": ("set", [name])},
        )


# Records: which class reads what another one wrote


@dataclass(frozen=True)
class Recorded:
    """What a class leaves on record."""

    version: int
    fields: dict[str, Form]


def reads(new: Form, old: Form) -> bool:
    """Whether a field reads all that a field of the same name has written."""
    (kind, ours), (was, theirs) = new, old
    if kind != was or (kind == "map" and type(ours) is not type(theirs)):
        return False
    if isinstance(ours, dict):
        return all(reads(form, theirs[name]) for name, form in ours.items() if name in theirs)
    if isinstance(ours, tuple):
        return reads(ours[1], theirs[1])
    return ours is None or ours >= theirs


def both(new: Form, old: Form) -> Form:
    """What is on record of a field once ``new`` has come after ``old``."""
    (kind, ours), (_, theirs) = new, old
    if isinstance(ours, dict):
        return kind, together(ours, theirs)
    if isinstance(ours, tuple):
        return kind, ("each", both(ours[1], theirs[1]))
    return new


def together(new: Mapping[str, Form], old: Mapping[str, Form]) -> dict[str, Form]:
    return {**old, **{n: both(form, old[n]) if n in old else form for n, form in new.items()}}
