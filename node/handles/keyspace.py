"""A keyspace: the handles of a named set of cells, and transactions over it."""

from __future__ import annotations

from typing import cast

from ..backend import Backend
from ..limits import KEYSPACE_NAME_BYTES_MAX
from .conflicts import HasConflicts, Ledgers
from .following import Subscribing
from .space import Space
from .transaction import Transaction
from .waits import Waits

DEFAULT = "default"
"""The keyspace that a node's own handles are in."""


def check_name(name: str) -> str:
    """The name itself. `TypeError` or `ValueError` says why a keyspace cannot be called so."""
    if not isinstance(name, str):
        raise TypeError(f"keyspace {name!r}: a str is wanted, not {type(name).__name__}")
    if not name:
        raise ValueError("keyspace: the name is empty")
    if not name.isprintable():
        raise ValueError(f"keyspace {name!r}: the name is not printable text")
    size = len(name.encode())
    if size > KEYSPACE_NAME_BYTES_MAX:
        raise ValueError(f"keyspace: a name of {size} bytes, at most {KEYSPACE_NAME_BYTES_MAX} are possible")
    return name


class Keyspace(Subscribing, Waits, Space, HasConflicts):
    """The handles of one keyspace."""

    def __init__(self, backend: Backend, name: str = DEFAULT) -> None:
        super().__init__(backend, check_name(name))

    def __repr__(self) -> str:
        return f"<Keyspace {self._keyspace}>"

    @property
    def name(self) -> str:
        """The keyspace's name."""
        return self._keyspace

    @property
    def _ledgers(self) -> Ledgers:
        if not hasattr(self._backend, "notes"):
            raise ValueError(
                "a backend in memory keeps no notes of beaten values, and has no members to explain"
            )
        return cast(Ledgers, self._backend)

    def transaction(self, *, op_id: str | None = None) -> Transaction:
        """Writes that stand or fall together: ``with keyspace.transaction() as tx``, or ``async with``."""
        return Transaction(self._backend, self._keyspace, op_id)
