"""What a path on the command line stands for, and what can be done with it.

What does each verb mean for each kind? The tables below say so; a kind that is not in one has no such verb.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from gossamer.crdt import Expiring, expiry, operation, path, type_at

from ..apply import current, shows
from ..backend import CLEAR, Op, make_op
from ..handles import (
    BoundedCounter,
    Counter,
    Flag,
    Map,
    MaxRegister,
    MinRegister,
    MVRegister,
    Reading,
    Register,
    Set,
    expiring,
    ranges,
)
from ..op_id import check_op_id

if TYPE_CHECKING:
    from ..rpc import Client

_Read = Callable[[Any], Any]

_READ: dict[str, tuple[type[Any], _Read]] = {
    "register": (Register, Register.get),
    "mv_register": (MVRegister, MVRegister.values),
    "flag": (Flag, Flag.value),
    "flag_dw": (Flag, Flag.value),
    "counter": (Counter, Counter.value),
    "bounded_counter": (BoundedCounter, BoundedCounter.value),
    "max_register": (MaxRegister, MaxRegister.get),
    "min_register": (MinRegister, MinRegister.get),
}
_SET = ("register", "mv_register", "max_register", "min_register")
_FLAGS = ("flag", "flag_dw")
BOUNDED = "bounded_counter"
_SETS = ("set", "set_rw")


class Found(NamedTuple):
    """A value, and what else is known of it."""

    value: Any
    about: dict[str, Any]


class Target:
    """A path in a keyspace of a remote node."""

    def __init__(self, client: Client, keyspace: str, text: str, op_id: str | None = None) -> None:
        """`ValueError` if ``text`` is no path. What is written is written with ``op_id``."""
        self._op_id = None if op_id is None else check_op_id(op_id)
        self._backend = client.backend
        self._keyspace = client.keyspace(keyspace).name
        self._path = path.of_text(text)
        components = path.decode(self._path)
        self.text = path.to_text(self._path)
        self.kind = components[-1][0]
        self._is_element = self.kind in path.ELEMENTS

    # Reading

    def get(self) -> Found | None:
        """What is there; None if nothing is. A flag that nobody touched is off, not absent."""
        if self.kind == "map":
            return self._map()
        if self.kind in _SETS:
            elements = list(self._handle(Set))
            return Found(elements, {}) if elements else None
        if not self._is_there() and self.kind not in _FLAGS:
            return None
        return self._cell()

    def _map(self) -> Found | None:
        value = self._handle(Map).value()
        if not value and not self._is_there():
            return None
        return Found(value, {})

    def _is_there(self) -> bool:
        cell = self._backend.cell(self._keyspace, self._path)
        return shows(self._path, current(self._path, cell, self._backend.now()))

    def _cell(self) -> Found | None:
        if self._is_element:
            return Found(True, {})
        if self.kind not in _READ:
            raise ValueError(f"{self.text}: a {self.kind} cannot be read from the command line")
        handle, read = _READ[self.kind]
        if self.kind == "register":
            return self._register()
        if self.kind == BOUNDED:
            return self._stock()
        return Found(read(self._handle(handle)), {})

    def _register(self) -> Found | None:
        siblings = self._handle(Register).siblings()
        if not siblings:  # it was removed between two reads
            return None
        first, *beaten = map(_provenance, siblings)
        value = first.pop("value")
        return Found(value, first | {"beaten": beaten})

    def _stock(self) -> Found:
        handle = self.stock()
        return Found(handle.value(), {"available": handle.available()})

    # Writing

    def stock(self) -> BoundedCounter:
        """The bounded counter that this is. `ValueError` for anything else."""
        if self.kind != BOUNDED:
            raise ValueError(f"{self.text}: a {self.kind} is neither minted nor spent; a {BOUNDED} is")
        found: BoundedCounter = self._handle(BoundedCounter)
        return found

    def set(self, value: Any, ttl: float | None = None) -> None:
        """Make it ``value``. `ValueError` if this kind is not set, or not to that."""
        until = self._until(ttl)
        if self.kind in _FLAGS:
            if not isinstance(value, bool):
                raise ValueError(f"{self.text}: a flag is set to true or false, not {value!r}")
            if until and not value:
                raise ValueError(f"{self.text}: what is off does not expire")
            self._write("enable" if value else "disable", *until)
        elif self.kind == "register" and until:
            self._write("set", value, None, *until)
        elif self.kind in _SET:
            self._write("set", value, *until)
        else:
            raise ValueError(f"{self.text}: a {self.kind} cannot be set; see gossamer add")

    def _until(self, ttl: float | None) -> tuple[expiry.Expiry, ...]:
        if ttl is not None and not isinstance(type_at(self._path), Expiring) and self.kind not in _SETS:
            raise ValueError(f"{self.text}: a {self.kind} cannot expire")
        return expiring.given(ttl, None)

    def add(self, value: Any = None, *, is_given: bool = True, ttl: float | None = None) -> None:
        """Add a number to a counter (1 if none is given), or an element to a set."""
        until = self._until(ttl)
        if self.kind == "counter":
            if is_given and type(value) is not int:
                raise ValueError(f"{self.text}: an integer is added to a counter, not {value!r}")
            self._write("add", value if is_given else 1)
        elif self.kind in _SETS and is_given:
            self._element("add", value, *until)
        elif self.kind in _SETS:
            raise ValueError(f"{self.text}: which element? gossamer add {self.text} ELEMENT")
        elif self._is_element and not is_given:
            self._write("add", *until)
        elif self.kind == BOUNDED:
            raise ValueError(f"{self.text}: a {BOUNDED} is not added to; see gossamer mint and spend")
        else:
            raise ValueError(f"{self.text}: nothing can be added to a {self.kind}")

    def remove(self) -> bool:
        """Remove it with all that is in it; False if nothing is there, nor was when this was done before."""
        if self.kind not in ("map", "counter", *_SETS):
            return self._backend.write(self._keyspace, [make_op(self._path, CLEAR)], self._op_id) is not None
        is_there = self._was_done() or self.get() is not None
        ranges.clear(self._backend, self._keyspace, (self._path,), self._op_id)  # any number of cells
        return is_there

    def _was_done(self) -> bool:
        """Whether a write with this ``op_id`` has changed something already."""
        if self._op_id is None:
            return False
        note = self._backend.cell(self._keyspace, path.component("op_id", self._op_id))
        return bool(note.live) and operation.outcome(note) is not None

    def discard(self, element: Any) -> bool:
        """Take an element out of a set; False if it is not in."""
        if self.kind not in _SETS:
            raise ValueError(f"{self.text}: a {self.kind} has no elements")
        return self._element("discard", element)

    def _handle(self, kind: type[Any]) -> Any:
        return kind(self._backend, self._keyspace, self._path)

    def _write(self, method: str, *args: Any) -> bool:
        return self._commit(make_op(self._path, method, args))

    def _element(self, method: str, element: Any, *args: Any) -> bool:
        return self._commit(make_op(self._path + path.element(element), method, args))

    def _commit(self, op: Op) -> bool:
        return self._backend.write(self._keyspace, [op], self._op_id) is not None


def _provenance(reading: Reading) -> dict[str, Any]:
    return {
        "value": reading.value,
        "updated_at": reading.updated_at,
        "expires_at": reading.expires_at and reading.expires_at.isoformat(),
        "replica": reading.replica and reading.replica.hex(),
    }
