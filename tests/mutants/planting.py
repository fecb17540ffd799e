"""Planting a bug: a few characters of the source are others, in the running process, and are put back afterwards.

The text that is replaced must be there exactly once. So a bug that fits the source no longer is an error, and not a bug
that nobody notices. The functions whose code it changes get that code; nothing is imported anew, so whoever has imported
them has the bug as well.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple


class Mutant(NamedTuple):
    """One bug."""

    name: str
    module: str
    old: str
    new: str


class MisfitError(Exception):
    """A bug that does not fit the source."""


def plant(mutant: Mutant, patch: Any) -> None:
    """The bug is there until the `pytest.MonkeyPatch` is undone."""
    for function, code in _changes(mutant, importlib.import_module(mutant.module)):
        patch.setattr(function, "__code__", code)


def _changes(mutant: Mutant, module: ModuleType) -> list[tuple[FunctionType, CodeType]]:
    assert module.__file__ is not None
    source = Path(module.__file__).read_text()
    found = source.count(mutant.old)
    if found != 1:
        raise MisfitError(f"{mutant.name}: its text is {found} times in {mutant.module}")
    honest = compile(source, module.__file__, "exec", dont_inherit=True)
    changed = compile(source.replace(mutant.old, mutant.new), module.__file__, "exec", dont_inherit=True)
    functions = [(_function(module, name), code) for name, code in _differing(honest, changed)]
    if not functions:
        raise MisfitError(f"{mutant.name}: it changes no function of {mutant.module}")
    return functions


def _differing(honest: CodeType, changed: CodeType) -> Iterator[tuple[str, CodeType]]:
    """The functions at the top of a module, and the methods of its classes, that are not the same."""
    before = {code.co_qualname: code for code in _outermost(honest)}
    for code in _outermost(changed):
        if _essence(code) != _essence(before[code.co_qualname]):
            yield code.co_qualname, code


def _outermost(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            is_class = "__module__" in inner.co_names and "__qualname__" in inner.co_names
            yield from _outermost(inner) if is_class else (inner,)


def _essence(code: CodeType) -> Any:
    """What a function does, without where it stands."""
    consts = [
        _essence(const) if isinstance(const, CodeType) else (type(const), const) for const in code.co_consts
    ]
    return code.co_code, code.co_names, code.co_varnames, consts


def _function(module: ModuleType, qualname: str) -> FunctionType:
    found: Any = module
    for part in qualname.split("."):
        found = vars(found)[part]
    found = getattr(found, "fget", None) or getattr(found, "__func__", None) or found
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    assert isinstance(found, FunctionType), qualname
    return found
