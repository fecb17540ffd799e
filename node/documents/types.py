"""Types of values as plain data, so that a node can compare its own with one that another node wrote down.

Which type reads everything that another has written? `accepts` says yes only where it is sure: a member of a
union, a looser bound, an int where a float is wanted, a structure whose fields are there. What it does not know
(a form of a later build, say) is accepted only if it is equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

Form = dict[str, Any]
"""A type: ``{"type": "int", "ge": 0}``, ``{"type": "list", "of": …}``, ``{"type": "union", "of": […]}``."""

_PLAIN = (
    "any",
    "none",
    "bool",
    "int",
    "float",
    "str",
    "bytes",
    "uuid",
    "decimal",
    "date",
    "time",
    "timedelta",
)
_TIGHTER_IF_MORE = ("ge", "gt", "min_length")
_TIGHTER_IF_LESS = ("le", "lt", "max_length")
_BOUNDS = (*_TIGHTER_IF_MORE, *_TIGHTER_IF_LESS, "multiple_of", "pattern", "tz")
SCALARS = (
    "none",
    "bool",
    "int",
    "float",
    "str",
    "bytes",
    "uuid",
    "decimal",
    "date",
    "time",
    "timedelta",
    "datetime",
)
ORDERED = ("int", "float", "str", "bytes")
"""Types whose stored form sorts as the values do."""


EXACT_MAX = 2**53
"""Whole numbers up to this one are exact as floats."""


def describe(type_: Any) -> Form:
    """The form of a Python type. `TypeError` for one that cannot be kept in the store and read back."""
    return _form(inspect.type_info(type_), ())


def _form(info: inspect.Type, inside: tuple[type, ...]) -> Form:
    name = type(info).__name__.removesuffix("Type").lower()
    bounds = {b: getattr(info, b) for b in _BOUNDS if getattr(info, b, None) is not None}
    match info:
        case inspect.Metadata():
            return _form(info.type, inside)
        case inspect.LiteralType():
            return {"type": "literal", "of": _sorted(info.values)}
        case inspect.EnumType():
            return {"type": "literal", "of": _sorted(member.value for member in info.cls)}
        case inspect.UnionType():
            return {"type": "union", "of": _sorted(_form(one, inside) for one in info.types)}
        case inspect.CollectionType():
            return {"type": _collection(name), "of": _form(info.item_type, inside)} | bounds
        case inspect.TupleType():
            return {"type": "tuple", "of": [_form(one, inside) for one in info.item_types]}
        case inspect.DictType():
            return {
                "type": "dict",
                "key": _form(info.key_type, inside),
                "of": _form(info.value_type, inside),
            } | bounds
        case (
            inspect.StructType()
            | inspect.DataclassType()
            | inspect.TypedDictType()
            | inspect.NamedTupleType()
        ):
            return _structure(info, inside)
    if name == "datetime" or name in _PLAIN:
        return {"type": name} | bounds
    raise TypeError(f"{_name_of(info)} is no type that can be stored and read back")


def _structure(
    info: inspect.StructType | inspect.DataclassType | inspect.TypedDictType | inspect.NamedTupleType,
    inside: tuple[type, ...],
) -> Form:
    if info.cls in inside:
        raise TypeError(f"{info.cls.__name__} holds itself; a type that does has no form to compare")
    fields = [
        {"name": f.encode_name, "required": f.required, "of": _form(f.type, (*inside, info.cls))}
        for f in info.fields
    ]
    is_array = isinstance(info, inspect.NamedTupleType) or getattr(info, "array_like", False)
    form: Form = {"type": "array" if is_array else "object", "fields": fields}
    if not is_array:
        form["fields"] = sorted(fields, key=lambda f: str(f["name"]))
    if getattr(info, "tag", None) is not None:
        form["tag"] = [getattr(info, "tag_field", None), getattr(info, "tag", None)]
    if getattr(info, "forbid_unknown_fields", False):
        form["closed"] = True
    return form


def _collection(name: str) -> str:
    """Lists, sets and tuples of any length are stored as lists; a set reads one as well as a list does."""
    return "set" if name in ("set", "frozenset") else "list"


def _name_of(info: inspect.Type) -> str:
    cls = getattr(info, "cls", None)
    return cls.__name__ if cls is not None else type(info).__name__.removesuffix("Type")


def _sorted(items: Any) -> list[Any]:
    return sorted(items, key=lambda item: msgspec.json.encode(item, order="deterministic"))


# Comparing


def accepts(new: Any, old: Any) -> bool:
    """Whether a reader of type ``new`` reads whatever was written as ``old``. Forms may come from elsewhere."""
    if new == old:
        return True
    if not isinstance(new, dict) or not isinstance(old, dict):
        return False
    if new.get("type") == "any":
        return True
    if old.get("type") == "union":
        return _all(old.get("of"), lambda one: accepts(new, one))
    if old.get("type") == "literal" and new.get("type") != "literal":
        return _all(old.get("of"), lambda value: accepts(new, _form_of(value)))
    if new.get("type") == "union":
        return any(accepts(one, old) for one in _list(new.get("of")))
    compare = _COMPARED.get(str(new.get("type")), _plain)
    return compare(new, old)


def _plain(new: Form, old: Form) -> bool:
    same = new.get("type") == old.get("type") or (new.get("type") == "float" and _is_exact(old))
    return same and new.get("type") in (*_PLAIN, "datetime") and _within(new, old)


def _is_exact(old: Form) -> bool:
    """Whether it is a whole number that a float holds exactly."""
    low, high = old.get("ge", old.get("gt")), old.get("le", old.get("lt"))
    return (
        old.get("type") == "int"
        and isinstance(low, int)
        and isinstance(high, int)
        and -EXACT_MAX <= low
        and high <= EXACT_MAX
    )


def _within(new: Form, old: Form) -> bool:
    """Whether every bound of ``new`` also held for what ``old`` let through."""
    for bound in _BOUNDS:
        if bound not in new or new[bound] == old.get(bound):
            continue
        if bound not in old or bound not in (*_TIGHTER_IF_MORE, *_TIGHTER_IF_LESS):
            return False
        if not _is_as_tight(bound, new[bound], old[bound]):
            return False
    return True


def _is_as_tight(bound: str, ours: Any, theirs: Any) -> bool:
    try:
        return bool(theirs >= ours if bound in _TIGHTER_IF_MORE else theirs <= ours)
    except TypeError:  # a form from elsewhere may have anything there
        return False


def _literal(new: Form, old: Form) -> bool:
    known = [(type(value), value) for value in _list(new.get("of"))]
    return old.get("type") == "literal" and _all(old.get("of"), lambda value: (type(value), value) in known)


def _items(new: Form, old: Form) -> bool:
    if old.get("type") == "tuple":
        size = len(_list(old.get("of")))
        counted = {"min_length": size, "max_length": size}
        return _all(old.get("of"), lambda one: accepts(new.get("of"), one)) and _within(new, counted)
    if old.get("type") not in ("list", "set"):
        return False
    # A set drops what a list holds twice, and then has another length.
    is_as_long = new.get("type") == "list" or old.get("type") == "set" or "min_length" not in new
    return is_as_long and accepts(new.get("of"), old.get("of")) and _within(new, old)


def _tuple(new: Form, old: Form) -> bool:
    ours, theirs = _list(new.get("of")), _list(old.get("of"))
    return old.get("type") == "tuple" and len(ours) == len(theirs) and all(map(accepts, ours, theirs))


def _dict(new: Form, old: Form) -> bool:
    return (
        old.get("type") == "dict"
        and accepts(new.get("key"), old.get("key"))
        and accepts(new.get("of"), old.get("of"))
        and _within(new, old)
    )


def _object(new: Form, old: Form) -> bool:
    if old.get("type") != "object" or new.get("tag") != old.get("tag"):
        return False
    theirs = {f["name"]: f for f in _fields(old)}
    ours = {f["name"]: f for f in _fields(new)}
    if new.get("closed") and not theirs.keys() <= ours.keys():
        return False
    return all(_field(ours[name], theirs.get(name)) for name in ours)


def _array(new: Form, old: Form) -> bool:
    ours, theirs = _fields(new), _fields(old)
    if old.get("type") != "array" or new.get("tag") != old.get("tag"):
        return False
    if new.get("closed") and len(theirs) > len(ours):
        return False
    return all(_field(f, theirs[i] if i < len(theirs) else None) for i, f in enumerate(ours))


def _field(new: Form, old: Form | None) -> bool:
    if old is None:
        return new.get("required") is False
    is_there = new.get("required") is False or old.get("required") is True
    return is_there and accepts(new.get("of"), old.get("of"))


def _form_of(value: Any) -> Form:
    if type(value) is int:
        return {"type": "int", "ge": value, "le": value}
    return {"type": "none" if value is None else type(value).__name__}


def _list(of: Any) -> list[Any]:
    return of if isinstance(of, list) else []


def _fields(form: Form) -> list[Form]:
    found = _list(form.get("fields"))
    return found if all(isinstance(f, dict) and isinstance(f.get("name"), str) for f in found) else []


def _all(of: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(of, list) and all(holds(one) for one in of)


_COMPARED = {
    "literal": _literal,
    "list": _items,
    "set": _items,
    "tuple": _tuple,
    "dict": _dict,
    "object": _object,
    "array": _array,
}


def text(form: Any) -> str:
    """A form for people: ``int | str``, ``list[int]``, ``object(street, city)``."""
    if not isinstance(form, dict):
        return "unknown"
    kind, of = form.get("type"), form.get("of")
    if kind == "union":
        return " | ".join(sorted(text(one) for one in _list(of)))
    if kind == "literal":
        return f"one of {', '.join(map(repr, _list(of)))}"
    if kind == "dict":
        return f"dict[{text(form.get('key'))}, {text(of)}]"
    if kind == "tuple":
        return f"tuple[{', '.join(map(text, _list(of)))}]"
    if kind in ("list", "set"):
        return f"{kind}[{text(of)}]{_bounds_text(form)}"
    if kind in ("object", "array"):
        fields = (
            f"{f['name']}: {text(f.get('of'))}{'' if f.get('required') else ' = …'}" for f in _fields(form)
        )
        return f"{kind}({', '.join(fields)})"
    return f"{kind}{_bounds_text(form)}"


def _bounds_text(form: Form) -> str:
    bounds = [f"{b}={form[b]}" for b in _BOUNDS if b in form]
    return f"({', '.join(bounds)})" if bounds else ""


def is_scalar(form: Form) -> bool:
    """Whether its values are stored as scalars: what a set's elements must be."""
    if form["type"] == "union":
        return all(is_scalar(one) for one in form["of"])
    return form["type"] in (*SCALARS, "literal")


def is_ordered(form: Form) -> bool:
    """Whether its stored values compare as the values do: what highest and lowest need."""
    kind = form["type"]
    if kind == "union":  # None is what an absent one reads as, and never stored
        some = [one for one in form["of"] if one["type"] != "none"]
        return all(one["type"] in ("int", "float") for one in some) or (
            len(some) == 1 and is_ordered(some[0])
        )
    if kind == "literal":
        return len({type(value) for value in form["of"]}) == 1 and None not in form["of"]
    if kind == "tuple":
        return all(is_ordered(one) for one in form["of"])
    return kind in ORDERED or (kind == "list" and is_ordered(form["of"]))
