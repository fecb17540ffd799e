"""What a typed handle takes and gives: values of one Python type, kept in the store as plain ones.

What happens to a value that is not of the type? Written here, it is refused with the names of the class and the
field, and nothing is written. Found in the store, where another build or an untyped handle has put it, it is an
error that names the path. So a typed read gives a value of its type or raises; it never guesses.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

import msgspec
from msgspec import UNSET

from gossamer.crdt import path, values

from ..errors import FieldUnset, InvalidValue, UnfitData

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
    V_co = TypeVar("V_co", covariant=True, default=Any)
else:  # a default is for type checkers alone: a bare `Register` is a `Register[Any]`
    from typing import TypeVar

    T = TypeVar("T")
    V_co = TypeVar("V_co", covariant=True)

_BUILTIN = (bytes,)  # else msgspec takes bytes for base64 text, and any text for bytes

_show = reprlib.Repr()
_show.maxstring = _show.maxother = 80


class Reads(Generic[V_co]):
    """A handle that reads a ``V``: what `MapOf` knows of the values inside it."""

    __slots__ = ()


class Previous(NamedTuple):
    """How to read what was stored under an earlier type of a field."""

    type: Any
    convert: Callable[[Any], Any]


class Typed:
    """The type of a field's values, on their way in and out."""

    __slots__ = ("_default", "_type", "name", "previous")

    def __init__(
        self, name: str, type_: Any, default: Any = UNSET, previous: Sequence[Previous] = ()
    ) -> None:
        """``name`` is ``Class.field``. `InvalidValue` if the default is not of the type."""
        self.name, self._type, self.previous = name, type_, tuple(previous)
        if default is UNSET and _takes_none(type_):
            default = None
        self._default = UNSET if default is UNSET else self.plain(default)

    @property
    def has_default(self) -> bool:
        """Whether an absent value reads as something."""
        return self._default is not UNSET

    def plain(self, value: Any) -> Any:
        """What is stored for ``value``. `InvalidValue` for one that would not be read back as it is."""
        try:
            plain = _plain(value)
            values.encode(plain)
            found = self._convert(plain, self._type)
        except (TypeError, ValueError, msgspec.ValidationError, RecursionError) as error:
            raise self.refused(value, error) from None
        if found != value:
            raise InvalidValue(f"{self.name}: {_show.repr(value)} would be read as {_show.repr(found)}")
        return _plain(found)  # 3 for a float is stored as 3.0

    def refused(self, value: Any, error: Exception) -> InvalidValue:
        """The error for a value that the type, or the kind of the field, will not have."""
        return InvalidValue(f"{self.name}: {_show.repr(value)} is refused: {error}")

    def of_plain(self, plain: Any, at: bytes) -> Any:
        """The value that is stored as ``plain`` at a path. `UnfitData` if it is none of this type."""
        try:
            found = self._convert(plain, self._type)
            if type(plain) is int and found != plain:
                raise ValueError(f"as a float it is {found!r}")
            return found
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            for earlier in self.previous:
                found = self._of_previous(earlier, plain, at)
                if found is not UNSET:
                    return found
            raise UnfitData(
                f"{path.to_text(at)}: {_show.repr(plain)} does not fit {self.name}: {error}"
            ) from None

    def _of_previous(self, earlier: Previous, plain: Any, at: bytes) -> Any:
        try:
            before = self._convert(plain, earlier.type)
        except (msgspec.ValidationError, ValueError, TypeError):
            return UNSET
        try:
            return self._convert(self.plain(earlier.convert(before)), self._type)
        except (
            Exception
        ) as error:  # the hook is the application's: whatever it raises, this value is not read
            raise UnfitData(
                f"{path.to_text(at)}: {_show.repr(plain)} is not converted by the previous= of {self.name}: "
                f"{type(error).__name__}: {error}"
            ) from error

    def absent(self, at: bytes) -> Any:
        """What is read where nothing is stored. `FieldUnset` if the field has no default."""
        if self._default is UNSET:
            raise FieldUnset(f"{path.to_text(at)}: nothing was set, and {self.name} has no default")
        return self._convert(self._default, self._type)  # anew each time: a list must not be shared

    def _convert(self, plain: Any, to: Any) -> Any:
        return msgspec.convert(plain, to, strict=True, builtin_types=_BUILTIN, str_keys=True)


def _plain(value: Any) -> Any:
    return _listed(msgspec.to_builtins(value, builtin_types=_BUILTIN, str_keys=True, order="deterministic"))


def _listed(plain: Any) -> Any:
    """Tuples as the lists that they are stored as."""
    if isinstance(plain, (list, tuple)):
        return [_listed(item) for item in plain]
    if isinstance(plain, dict):
        return {key: _listed(item) for key, item in plain.items()}
    return plain


def _takes_none(type_: Any) -> bool:
    try:
        msgspec.convert(None, type_)
    except msgspec.ValidationError:
        return False
    return True
