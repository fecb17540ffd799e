"""A transaction: several writes as one event, everywhere all or nothing."""

from __future__ import annotations

from types import TracebackType
from typing import NoReturn, Self

from gossamer.crdt import Dot

from ..backend import NO_DOT, Backend
from ..errors import Closed
from ..op_id import check_op_id
from .overlay import Overlay
from .space import Space


class Transaction(Space):
    """The handles of a keyspace, whose writes wait for the end of the ``with`` (or ``async with``).

    A write is checked at once. Reads inside see the transaction's own writes. At the end all are committed as
    one event; an exception inside writes nothing. At most 1,000 cells and 512 KiB, else `LimitExceeded`. A
    transaction is used once, by one thread or task; before and after, its handles raise `Closed`.

    With an ``op_id`` that was used already it writes nothing, and ``dot`` is what it was then.

    It isolates nobody: what it read may have changed by the time it commits, and its writes merge with that.
    """

    def __init__(self, backend: Backend, keyspace: str, op_id: str | None = None) -> None:
        self._target = backend
        self._op_id = None if op_id is None else check_op_id(op_id)
        self._overlay = Overlay(backend)
        self._is_used = False
        self.dot: Dot | None = None
        """The event, once committed; None if nothing was written. For a retry, that of the first try."""
        super().__init__(self._overlay, keyspace)

    @property
    def name(self) -> str:
        """The keyspace's name."""
        return self._keyspace

    @property
    def cells(self) -> int:
        """How many cells it has written so far, during the ``with`` and after it; at most 1,000 are possible."""
        return self._overlay.cells

    def transaction(self) -> NoReturn:
        """`ValueError`: transactions do not nest."""
        raise ValueError("transaction: one cannot be begun inside another; use this one")

    def token(self) -> str:
        """A token of this transaction's event alone, once it is committed; of nothing if nothing was written.

        To wait until others have it (`wait_replicated`), or a node has it; it says nothing of what was read.
        """
        return self._target.make_token(self._keyspace, self._committed())

    async def atoken(self) -> str:
        """`token`, awaited."""
        return await self._target.amake_token(self._keyspace, self._committed())

    def _committed(self) -> Dot:
        if not self._is_used or self._overlay.is_open:
            raise Closed("transaction: it has a token once it is committed")
        return self.dot or NO_DOT

    def __enter__(self) -> Self:
        if self._is_used:
            raise Closed("transaction: used already; begin a new one")
        self._is_used = self._overlay.is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ops = self._overlay.take()
        if kind is None and ops:
            self.dot = self._target.write(self._keyspace, ops, self._op_id)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ops = self._overlay.take()
        if kind is None and ops:
            self.dot = await self._target.awrite(self._keyspace, ops, self._op_id)
