"""The fields of a document class: from an annotation to a handle, a schema, and a part of the plain value.

What may an annotation say? One handle class: ``Register[str]``, ``Counter``, ``Set[str]``, another document, a
`MapOf` one of these, or a bare ``Map`` for whatever is inside. `field` adds what an annotation cannot say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, get_args, get_origin, overload

import msgspec
from msgspec import UNSET

from gossamer.crdt import path

from ..backend import Backend
from ..handles import (
    BoundedCounter,
    Counter,
    Flag,
    Map,
    MaxRegister,
    MinRegister,
    MVRegister,
    Register,
    Set,
    flag,
    set,
    tree,
)
from ..handles.extreme import ExtremeRegister
from ..handles.typed import Previous, T, Typed
from . import types
from .schema import FieldSchema

if TYPE_CHECKING:
    from .document import Document

    class _Defaulted(Register[T], MaxRegister[T], MinRegister[T]):
        """A field of any kind that has a default, so that a wrong default is found before the program runs."""


Leaves = list[tree.Leaf]
_TYPED: dict[type[Any], str] = {
    Register: "register",
    MVRegister: "mv_register",
    MaxRegister: "max_register",
    MinRegister: "min_register",
}
_COUNTERS: dict[type[Any], str] = {Counter: "counter", BoundedCounter: "bounded_counter"}
_POLICIES: dict[type[Any], dict[str, str]] = {Flag: flag.KINDS, Set: set.KINDS}
HANDLES = "Register, MVRegister, Counter, BoundedCounter, Flag, Set, MaxRegister, MinRegister, Map, MapOf or a Document"


class Options(msgspec.Struct, frozen=True):
    """What `field` was told."""

    default: Any = UNSET
    policy: str | None = None
    name: str | None = None
    previous: tuple[Previous, ...] = ()


@overload
def field(
    *, default: T, name: str | None = None, previous: Mapping[Any, Callable[[Any], T]] | None = None
) -> _Defaulted[T]: ...
@overload
def field(
    *,
    policy: str | None = None,
    name: str | None = None,
    previous: Mapping[Any, Callable[[Any], Any]] | None = None,
) -> Any: ...
def field(
    *,
    default: Any = UNSET,
    policy: str | None = None,
    name: str | None = None,
    previous: Mapping[Any, Callable[[Any], Any]] | None = None,
) -> Any:
    """What the annotation of a document's field cannot say.

    ``default`` is what a register reads where nothing was set; without one that is `FieldUnset`, or None where
    the type has it. ``policy`` is that of a flag or a set. ``name`` is the name in the store, if it is not the
    attribute's. ``previous``, of a register, is earlier type -> function: what was stored under that type, and
    does not fit the present one, is read through the function.
    """
    return Options(default, policy, name, tuple(Previous(t, f) for t, f in (previous or {}).items()))


class Field:
    """One field. ``kind`` and ``name`` are its component of a path; ``label`` is ``Class.field``, for messages."""

    def __init__(self, label: str, kind: str, name: str, value_type: Any) -> None:
        self.label, self.kind, self.name = label, kind, name
        self.value_type = value_type
        """The type of its part of the plain value."""

    def component(self, name: str | None = None) -> bytes:
        """Its component of a path; in a `MapOf` each thing has a ``name`` of its own."""
        return path.component(self.kind, self.name if name is None else name)

    def handle(self, backend: Backend, keyspace: str, cell_path: bytes) -> Any:
        """Its handle."""
        raise NotImplementedError(self.kind)

    def value(self, at: bytes, depth: int, found: Leaves) -> Any:
        """Its part of the plain value, from the cells that are there at and under it, ``depth`` components deep."""
        raise NotImplementedError(self.kind)

    def schema(self) -> FieldSchema:
        """What is recorded of it."""
        return FieldSchema(self.kind)


class Leaf(Field):
    """A field whose value is one cell, or a set: with ``typed``, of values of a type."""

    def __init__(
        self,
        label: str,
        kind: str,
        name: str,
        value_type: Any,
        cls: type[Any],
        typed: Typed | None,
        type_: Any,
    ) -> None:
        super().__init__(label, kind, name, value_type)
        self._cls, self._typed, self._type = cls, typed, type_

    def handle(self, backend: Backend, keyspace: str, cell_path: bytes) -> Any:
        if self._typed is None:
            return self._cls(backend, keyspace, cell_path)
        return self._cls(backend, keyspace, cell_path, self._typed)

    def value(self, at: bytes, depth: int, found: Leaves) -> Any:
        if not found:
            return self._absent(at)
        if self._cls is Set:
            return frozenset(self._given(element, leaf) for element, leaf in tree.elements(depth, found))
        raw = tree.value(self.kind, depth, iter(found))
        if self._cls is MVRegister:
            return [self._given(item, found[0]) for item in raw]
        return self._given(raw, found[0])

    def _given(self, plain: Any, leaf: tree.Leaf) -> Any:
        return plain if self._typed is None else self._typed.of_plain(plain, leaf[1])

    def _absent(self, at: bytes) -> Any:
        if self._cls in _EMPTY:
            return _EMPTY[self._cls]()
        return None if self._typed is None else self._typed.absent(at)

    def schema(self) -> FieldSchema:
        if self._typed is None:
            return FieldSchema(self.kind)
        reads = [types.describe(t) for t in (self._type, *(p.type for p in self._typed.previous))]
        return FieldSchema(self.kind, tuple(reads), self._cls in _EMPTY or self._typed.has_default)


_EMPTY: dict[type[Any], Callable[[], Any]] = {
    Counter: int,
    BoundedCounter: int,
    Flag: bool,
    Set: frozenset,
    MVRegister: list,
}


class Nested(Field):
    """A document inside a document."""

    def __init__(self, label: str, name: str, cls: type[Document[Any]]) -> None:
        super().__init__(label, "map", name, cls.value_type())
        self._cls = cls

    def handle(self, backend: Backend, keyspace: str, cell_path: bytes) -> Any:
        return self._cls(backend, keyspace, cell_path)

    def value(self, at: bytes, depth: int, found: Leaves) -> Any:
        return self._cls.of_leaves(at, depth, found)

    def schema(self) -> FieldSchema:
        return FieldSchema("map", default=self._cls.has_defaults(), fields=self._cls.schema().fields)


class Each(Field):
    """A map of things of one kind, whose names are free."""

    def __init__(self, label: str, name: str, each: Field) -> None:
        super().__init__(label, "map", name, dict[str, each.value_type])  # type: ignore[name-defined]  # a type made at run time
        self._each = each

    def handle(self, backend: Backend, keyspace: str, cell_path: bytes) -> Any:
        from .mapof import MapOf  # which is made of fields

        return MapOf(backend, keyspace, cell_path, self._each)

    def value(self, at: bytes, depth: int, found: Leaves) -> Any:
        each = self._each
        return {
            name: each.value(at + each.component(name), depth + 1, leaves)
            for kind, name, leaves in children(depth, found)
            if kind == each.kind
        }

    def schema(self) -> FieldSchema:
        return FieldSchema("map", each=self._each.schema())


class Free(Field):
    """A map of whatever is inside."""

    def __init__(self, label: str, name: str) -> None:
        super().__init__(label, "map", name, dict[str, Any])

    def handle(self, backend: Backend, keyspace: str, cell_path: bytes) -> Any:
        return Map(backend, keyspace, cell_path)

    def value(self, at: bytes, depth: int, found: Leaves) -> Any:
        return tree.as_dict(tree.items(depth, found))


def children(depth: int, found: Leaves) -> Iterator[tuple[str, Any, Leaves]]:
    """``(kind, name, cells)`` of each thing at ``depth``."""
    inside = (leaf for leaf in found if len(leaf[0]) > depth)
    for (kind, name), group in groupby(inside, key=lambda leaf: leaf[0][depth]):
        yield kind, name, list(group)


def of_annotation(label: str, name: str, annotation: Any, options: Options) -> Field:
    """The field that an annotation declares. `TypeError` says what is wrong with it."""
    from .document import Document
    from .mapof import MapOf

    cls = get_origin(annotation) or annotation
    name = options.name or name
    if not isinstance(cls, type):
        raise TypeError(f"{label}: {annotation!r} is no field; {HANDLES} is wanted")
    if cls in _TYPED or cls is Set:
        return _typed(label, cls, name, (get_args(annotation) or (Any,))[0], options)
    _refuse(label, options, "default", "previous", *(() if cls is Flag else ("policy",)))
    if cls in _COUNTERS:
        return Leaf(label, _COUNTERS[cls], name, int, cls, None, None)
    if cls is Flag:
        return Leaf(label, _policy(label, cls, options), name, bool, cls, None, None)
    if issubclass(cls, Document):
        return Nested(label, name, cls)
    if cls is MapOf:
        if not get_args(annotation):
            raise TypeError(f"{label}: a MapOf of what? MapOf[Counter], say")
        return Each(label, name, of_annotation(f"{label}[…]", name, get_args(annotation)[0], Options()))
    if cls is Map:
        return Free(label, name)
    raise TypeError(f"{label}: {annotation!r} is no field; {HANDLES} is wanted")


def _typed(label: str, cls: type[Any], name: str, type_: Any, options: Options) -> Field:
    _check_type(label, cls, [type_, *(p.type for p in options.previous)])
    _refuse(label, options, *(("policy",) if cls in _TYPED else ()))
    _refuse(label, options, *(("default",) if cls in _EMPTY else ()))
    _refuse(label, options, *(() if cls is Register else ("previous",)))
    kind = _TYPED[cls] if cls in _TYPED else _policy(label, cls, options)
    typed = Typed(label, type_, options.default, options.previous)
    value_type = {Set: frozenset[type_], MVRegister: list[type_]}.get(cls, type_)
    return Leaf(label, kind, name, value_type, cls, typed, type_)


def _check_type(label: str, cls: type[Any], all_of: list[Any]) -> None:
    for type_ in all_of:
        try:
            form = types.describe(type_)
        except (TypeError, NotImplementedError) as error:
            raise TypeError(f"{label}: {error}") from None
        if cls is Set and type_ is not Any and not types.is_scalar(form):
            raise TypeError(f"{label}: elements of a set are scalars, not {types.text(form)}")
        if issubclass(cls, ExtremeRegister) and type_ is not Any and not types.is_ordered(form):
            raise TypeError(f"{label}: {types.text(form)} has no order that its stored form keeps")


def _policy(label: str, cls: type[Any], options: Options) -> str:
    kinds = _POLICIES[cls]
    policy = options.policy or next(iter(kinds))
    if policy not in kinds:
        raise ValueError(f"{label}: policy {policy!r}: {' or '.join(kinds)} is wanted")
    return kinds[policy]


def _refuse(label: str, options: Options, *names: str) -> None:
    for name in names:
        if getattr(options, name) != getattr(Options(), name):
            raise TypeError(f"{label}: {name}= is not for a field of this kind")
