"""The handle of a bounded counter."""

from __future__ import annotations

from gossamer.crdt import Cell, counter_bounded, type_at

from ..backend import Op, make_op
from ..limits import SPEND_WAIT_S_MAX
from .handle import Handle, checked


class BoundedCounter(Handle[int]):
    """A stock that is never oversold: a node spends only what it has the rights to, so it asks nobody first.

    Who mints holds the rights, and nodes even them out in the background. It is never removed, nor is a map
    that holds one.

    An ``op_id`` is known to a node that has the first try. Two nodes that are asked at the same time both spend, or mint.
    """

    __slots__ = ()

    def _total(self, cell: Cell) -> int:
        cell_type = type_at(self._path)
        assert cell_type is not None, self._path
        return int(cell_type.value(cell))

    def _rights(self, cell: Cell, estate: tuple[bytes, ...]) -> int:
        return max(0, counter_bounded.rights(cell, frozenset(estate)))

    def value(self) -> int:
        """What is left: all that was minted less all that was spent, as far as this node knows. Never below 0."""
        return self._total(self._read())

    async def avalue(self) -> int:
        """`value`, awaited."""
        return self._total(await self._aread())

    def available(self) -> int:
        """What can be spent here at once: the rights of this node; in a transaction, after its own writes."""
        estate = self._backend.estate(self._keyspace)  # first: a later cell can only give it more
        return self._rights(self._read(), estate)

    async def aavailable(self) -> int:
        """`available`, awaited."""
        estate = await self._backend.aestate(self._keyspace)
        return self._rights(await self._aread(), estate)

    def mint(self, n: int, *, op_id: str | None = None) -> None:
        """Add ``n``, from 1 to 2^63 - 1, to the stock; this node has the rights to it."""
        self._write("mint", n, op_id=op_id)

    async def amint(self, n: int, *, op_id: str | None = None) -> None:
        """`mint`, awaited."""
        await self._awrite("mint", n, op_id=op_id)

    def spend(self, n: int, wait: float | None = None, *, op_id: str | None = None) -> None:
        """Take ``n`` out of the stock. `InsufficientRights` at once, and nothing written, if ``available()`` is less.

        With ``wait``, peers are asked for what is lacking, and there are so many seconds for it to arrive.
        """
        if wait is None:
            self._write("spend", n, op_id=op_id)
        else:
            self._backend.write_within(self._keyspace, self._spending(n), _seconds(wait), checked(op_id))

    async def aspend(self, n: int, wait: float | None = None, *, op_id: str | None = None) -> None:
        """`spend`, awaited. Cancelled while it waits, it may be spent all the same."""
        if wait is None:
            await self._awrite("spend", n, op_id=op_id)
        else:
            await self._backend.awrite_within(
                self._keyspace, self._spending(n), _seconds(wait), checked(op_id)
            )

    def transfer(self, to: str, n: int, *, op_id: str | None = None) -> None:
        """Give the rights to ``n`` to the member called ``to``. `InsufficientRights` if there are not so many here.

        `ValueError` for a member that is unknown, removed, or does not host the keyspace.
        """
        counter_bounded.amount(n)
        heir = self._backend.estate(self._keyspace, _member(to))[0]
        self._write("transfer", heir, n, op_id=op_id)

    async def atransfer(self, to: str, n: int, *, op_id: str | None = None) -> None:
        """`transfer`, awaited."""
        counter_bounded.amount(n)
        heir = (await self._backend.aestate(self._keyspace, _member(to)))[0]
        await self._awrite("transfer", heir, n, op_id=op_id)

    def _spending(self, n: int) -> tuple[Op]:
        return (make_op(self._path, "spend", (n,)),)


def _member(to: str) -> str:
    if not isinstance(to, str):
        raise TypeError(f"to {to!r}: a member's name is wanted, not {type(to).__name__}")
    if not to:
        raise ValueError("to: a member's name is wanted, and this is empty")
    return to


def _seconds(wait: float) -> float:
    if isinstance(wait, bool) or not isinstance(wait, (int, float)):
        raise TypeError(f"wait: seconds are wanted, not {type(wait).__name__}")
    if not 0 <= wait <= SPEND_WAIT_S_MAX:
        raise ValueError(f"wait: {wait} is not from 0 to {SPEND_WAIT_S_MAX:g} s")
    return float(wait)
