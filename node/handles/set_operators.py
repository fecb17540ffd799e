"""Python's set operators with one look at the set, where those of `collections.abc` ask for each element of the other.

What is equal? As with ``in``, elements are looked for by their cell, so ``1``, ``1.0`` and ``True`` are three. What an
operator gives is a Python set, in which they are one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any


class Looked:
    """What was in a set when it was looked at."""

    def __init__(self, cells: frozenset[bytes], path_of: Callable[[object], bytes | None]) -> None:
        self._cells, self._path_of = cells, path_of

    def __len__(self) -> int:
        return len(self._cells)

    def __contains__(self, element: object) -> bool:
        return self._path_of(element) in self._cells


class Operators:
    """Mixed into a handle that can be looked at, in front of the abstract set."""

    __slots__ = ()

    def _look(self) -> Looked:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError

    def __and__(self, other: Iterable[Any]) -> frozenset[Any]:
        return _those(other, self._look()) if isinstance(other, Iterable) else NotImplemented

    __rand__ = __and__

    def __sub__(self, other: Iterable[Any]) -> frozenset[Any]:
        return _those_not(self, _looked(other)) if isinstance(other, Iterable) else NotImplemented

    def __rsub__(self, other: Iterable[Any]) -> frozenset[Any]:
        return _those_not(other, self._look()) if isinstance(other, Iterable) else NotImplemented

    def __le__(self, other: AbstractSet[Any]) -> bool:
        if not isinstance(other, AbstractSet):
            return NotImplemented
        own, seen = list(self), _looked(other)
        return len(own) <= len(seen) and all(element in seen for element in own)

    def __ge__(self, other: AbstractSet[Any]) -> bool:
        if not isinstance(other, AbstractSet):
            return NotImplemented
        wanted, seen = list(other), self._look()
        return len(wanted) <= len(seen) and all(element in seen for element in wanted)

    def isdisjoint(self, other: Iterable[Any]) -> bool:
        """Whether none of ``other`` is in."""
        seen = self._look()
        return not any(element in seen for element in other)


def _looked(other: Iterable[Any]) -> Looked | AbstractSet[Any]:
    if isinstance(other, Operators):
        return other._look()
    return other if isinstance(other, AbstractSet) else frozenset(other)


def _those(of: Iterable[Any], seen: Container[Any]) -> frozenset[Any]:
    return frozenset(element for element in of if element in seen)


def _those_not(of: Iterable[Any], seen: Container[Any]) -> frozenset[Any]:
    return frozenset(element for element in of if element not in seen)
