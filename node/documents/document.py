"""Typed documents: a class declares what is inside a map, and its instances are handles of such maps.

::

    class Cart(Document):
        note: Register[str] = field(default="")
        items: Counter
        skus: Set[str]

    cart = node.document(Cart, "cart:42")
    cart.note.set("gift wrap")

What does a class change? Nothing in the store: the same cells are under ``node.map("cart:42")``. It says what may
be written here and what is read, to the program and to its type checker, and binding it (`binding`) says whether
it reads what other builds of it have written.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import get_annotations
from typing import Any, ClassVar, Generic, get_args, get_origin, get_type_hints

import msgspec

from gossamer.crdt import path

from ..backend import Backend
from ..handles import tree
from ..handles.typed import Reads, V_co
from . import types
from .fields import HANDLES, Field, Leaves, Options, children, of_annotation
from .schema import Schema, check_name, check_version
from .whole import Whole

_unfinished: set[type[Any]] = set()
"""Classes whose fields are being found."""


class _Access:
    """A field as an attribute: its handle."""

    def __init__(self, attribute: str) -> None:
        self._attribute = attribute

    def __get__(self, document: Document[Any] | None, cls: type[Document[Any]]) -> Any:
        if document is None:
            return cls.fields()[self._attribute]
        return document._handle(self._attribute)

    def __set__(self, document: Document[Any], value: object) -> None:
        name = f"{type(document).__name__}.{self._attribute}"
        raise AttributeError(f"{name}: a field is written through its handle, as in .set() or .add()")


class Document(Whole, Reads[V_co], Generic[V_co]):
    """Base of document classes, each field an annotated handle: `Register`, `Counter`, another document, …

    ``name`` is what the class is recorded as (its own name, if not given), ``version`` the version of its schema.
    ``Document[CartData]`` makes ``value()`` give a ``CartData``, a dataclass, msgspec Struct or TypedDict with the
    same fields; else it is a frozen Struct made up for the class. A mistake in the class is a `TypeError` or a
    `ValueError` when it is defined, or first used if it names what is defined later.
    """

    __slots__ = ("_backend", "_keyspace", "_path")

    _fields: ClassVar[dict[str, Field] | None] = None
    _options: ClassVar[dict[str, Options]] = {}
    _name: ClassVar[str] = ""
    _version: ClassVar[int] = 1
    _value_type: ClassVar[Any] = None

    def __init_subclass__(cls, *, name: str | None = None, version: int = 1, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        cls._name = check_name(cls.__name__ if name is None else name)
        cls._version = check_version(cls.__name__, version)
        cls._fields = cls._value_type = None
        cls._options = cls._options | {k: v for k, v in vars(cls).items() if isinstance(v, Options)}
        for attribute in get_annotations(cls):
            if not attribute.startswith("_"):
                _check_attribute(cls, attribute)
                setattr(cls, attribute, _Access(attribute))
        try:
            cls.fields()
        except NameError:  # it names what is defined later: the first use sees to it
            cls._fields = None

    def __init__(self, backend: Backend, keyspace: str, map_path: bytes) -> None:
        self._backend, self._keyspace, self._path = backend, keyspace, path.check(map_path)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {path.to_text(self._path)}>"

    # The class

    @classmethod
    def fields(cls) -> dict[str, Field]:
        """Attribute -> field, in the order of their declaration."""
        if cls._fields is None:
            if cls in _unfinished:
                raise TypeError(f"{cls.__name__} holds itself; a document that does has no schema to compare")
            _unfinished.add(cls)
            try:
                fields = dict(_fields(cls))
                cls._value_type = _value_type(cls, fields)
                cls._fields = fields
            finally:
                _unfinished.discard(cls)
        return cls._fields

    @classmethod
    def schema(cls) -> Schema:
        """What is recorded of the class."""
        return Schema(cls._name, cls._version, {f.name: f.schema() for f in cls.fields().values()})

    @classmethod
    def value_type(cls) -> Any:
        """The class of ``value()``."""
        cls.fields()
        return cls._value_type

    @classmethod
    def has_defaults(cls) -> bool:
        """Whether a document of which nothing is stored can be read."""
        return all(f.schema().default for f in cls.fields().values())

    @classmethod
    def of_leaves(cls, at: bytes, depth: int, found: Leaves) -> Any:
        """The plain value, from the cells under a path."""
        inside = {(kind, name): leaves for kind, name, leaves in children(depth, found)}
        return cls.value_type()(
            **{
                attribute: f.value(at + f.component(), depth + 1, inside.get((f.kind, f.name), []))
                for attribute, f in cls.fields().items()
            }
        )

    # One document

    def _handle(self, attribute: str) -> Any:
        found = self.fields()[attribute]
        return found.handle(self._backend, self._keyspace, self._path + found.component())

    def _value(self, leaves: Iterator[tree.Leaf]) -> Any:
        return self.of_leaves(self._path, len(path.decode(self._path)), list(leaves))

    def value(self) -> V_co:
        """All of it as a plain object. What is stored there beside its fields is left out."""
        value: V_co = self._value(
            tree.leaves(self._backend.scan(self._keyspace, self._path), self._backend, self._keyspace)
        )
        return value

    async def avalue(self) -> V_co:
        """`value`, awaited."""
        value: V_co = self._value(
            tree.leaves(await self._backend.ascan(self._keyspace, self._path), self._backend, self._keyspace)
        )
        return value

    def exists(self) -> bool:
        """Whether anything is stored there."""
        return any(True for _ in tree.leaves(self._backend.scan(self._keyspace, self._path), self._backend))

    async def aexists(self) -> bool:
        """`exists`, awaited."""
        return any(
            True for _ in tree.leaves(await self._backend.ascan(self._keyspace, self._path), self._backend)
        )


def _fields(cls: type[Document[Any]]) -> Iterator[tuple[str, Field]]:
    taken: dict[str, str] = {}
    for attribute, annotation in get_type_hints(cls, include_extras=True).items():
        if attribute.startswith("_") or get_origin(annotation) is ClassVar:
            continue
        label = f"{cls.__name__}.{attribute}"
        found = of_annotation(label, attribute, annotation, cls._options.get(attribute, Options()))
        if (other := taken.setdefault(found.name, attribute)) != attribute:
            raise TypeError(f"{label}: {other} is stored as {found.name!r} already")
        yield attribute, found
    for attribute in cls._options.keys() - set(taken.values()):
        raise TypeError(f"{cls.__name__}.{attribute}: no annotation; {HANDLES} is wanted")


def _value_type(cls: type[Document[Any]], fields: dict[str, Field]) -> Any:
    declared = _declared_value(cls)
    if declared is None:
        pairs = [(attribute, f.value_type) for attribute, f in fields.items()]
        return msgspec.defstruct(
            f"{cls.__name__}Value", pairs, frozen=True, kw_only=True, module=cls.__module__
        )
    hints = get_type_hints(declared, include_extras=True)
    if hints.keys() != fields.keys():
        raise TypeError(
            f"{cls.__name__}: its value {declared.__name__} has the fields {', '.join(hints) or 'none'}, "
            f"not {', '.join(fields) or 'none'}"
        )
    for attribute, f in fields.items():
        _check_value(f, declared, hints[attribute])
    return declared


def _declared_value(cls: type[Document[Any]]) -> Any:
    for base in getattr(cls, "__orig_bases__", ()):
        origin = get_origin(base)
        if isinstance(origin, type) and issubclass(origin, Document) and isinstance(get_args(base)[0], type):
            return get_args(base)[0]
    return None


def _check_value(f: Field, declared: type[Any], hint: Any) -> None:
    ours, theirs = types.describe(f.value_type), types.describe(hint)
    if not types.accepts(theirs, ours):
        raise TypeError(
            f"{f.label}: reads {types.text(ours)}, and {declared.__name__} has {types.text(theirs)}"
        )


def _check_attribute(cls: type[Document[Any]], attribute: str) -> None:
    if hasattr(Document, attribute):
        raise TypeError(
            f"{cls.__name__}.{attribute}: every document has a method of that name; "
            f"call the attribute otherwise and say field(name={attribute!r})"
        )
