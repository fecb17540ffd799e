"""Conflicts: the beaten values of registers, listed, reinstated and dismissed.

What can be done about a value that lost? It may be written again, over what beat it, unless the register has moved on
since; or the note of it is dismissed. Each node has notes of what it merged itself, so two nodes' lists differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from gossamer.crdt import Cell, Dot, path, register_lww

from ..backend import Backend
from ..beaten import OPEN, Record, Written
from ..limits import CONFLICTS_AT_ONCE, CONFLICTS_PAGE
from .reading import Reading, reading
from .resolvers import Resolver

_STATES: tuple[Literal["open", "reinstated", "dismissed"], ...] = ("open", "reinstated", "dismissed")
Verb = Literal["reinstate", "dismiss"]


class Conflict(msgspec.Struct, frozen=True):
    """A beaten value in this node's ledger."""

    id: int
    """Counts up with each one noted on this node and in this keyspace."""
    keyspace: str
    path: str
    beaten: Reading
    """The value that lost, with its version, time and writer."""
    by: Reading
    """What stood when it was noted."""
    rule: Literal["stamp", "replica"]
    """What decided: the higher stamp, or between equal stamps the higher replica id."""
    seen_at: float
    """When it was noted here, in seconds since 1970 by this node's clock."""
    state: Literal["open", "reinstated", "dismissed"]


def conflict(keyspace: str, number: int, record: Record) -> Conflict:
    """A record as users see it."""
    beaten, by = record.beaten.entry(), record.by.entry()
    is_tie = register_lww.stamp_of(beaten) == register_lww.stamp_of(by)
    return Conflict(
        number,
        keyspace,
        path.to_text(record.path),
        _reading(record.beaten),
        _reading(record.by),
        "replica" if is_tie else "stamp",
        record.seen_at / 1e6,
        _STATES[record.state],
    )


def as_plain(one: Conflict) -> dict[str, Any]:
    """For programs: what JSON can say."""

    def reading(of: Reading) -> dict[str, Any]:
        assert of.version is not None, "a note has both dots"
        return {
            "value": of.value,
            "replica": of.version[0].hex(),
            "seq": of.version[1],
            "updated_at": of.updated_at,
        }

    plain = {name: getattr(one, name) for name in one.__struct_fields__}
    return plain | {"beaten": reading(one.beaten), "by": reading(one.by)}


def _path(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"at: a path as text is wanted, not {type(text).__name__}")
    return path.of_text(text)


def _reading(written: Written) -> Reading:
    entry = written.entry()
    return reading(Cell((entry,)), entry, register_lww.value_of(entry), register_lww.stamp_of(entry))


class Ledgers(Backend, Protocol):
    """A backend of a node, which keeps notes."""

    def explanation(self, keyspace: str, cell_path: bytes) -> dict[str, Any]:
        """Why a reader sees what is at a path."""

    async def aexplanation(self, keyspace: str, cell_path: bytes) -> dict[str, Any]:
        """`explanation`, awaited."""

    def notes(
        self, keyspace: str, prefix: str, limit: int, before: int | None, settled: bool
    ) -> list[tuple[int, Record]]:
        """Notes and their numbers, the newest first."""

    async def anotes(
        self, keyspace: str, prefix: str, limit: int, before: int | None, settled: bool
    ) -> list[tuple[int, Record]]:
        """`notes`, awaited."""

    def settle(self, keyspace: str, number: int, dot: Dot, verb: Verb, force: bool) -> Dot | None:
        """Write a beaten value again, or only note that it was looked at."""

    async def asettle(self, keyspace: str, number: int, dot: Dot, verb: Verb, force: bool) -> Dot | None:
        """`settle`, awaited."""


def listed(
    page: Callable[[int | None, int], list[tuple[int, Record]]],
    prefix: str,
    limit: int,
    before: int | None,
    settled: bool,
) -> list[tuple[int, Record]]:
    """Of a ledger, given a page at a time from the newest on, what was asked for."""
    found: list[tuple[int, Record]] = []
    while len(found) < limit and (notes := page(before, CONFLICTS_AT_ONCE)):
        found += [note for note in notes if _is_listed(note[1], prefix, settled)]
        before = notes[-1][0]
    return found[:limit]


def _is_listed(record: Record, prefix: str, settled: bool) -> bool:
    return (settled or record.state == OPEN) and path.to_text(record.path).startswith(prefix)


class HasConflicts:
    """What a keyspace of a node has beside its handles: its conflicts and its resolvers."""

    _backend: Backend
    _keyspace: str

    @property
    def _ledgers(self) -> Ledgers:
        raise NotImplementedError

    def explain(self, at: str) -> dict[str, Any]:
        """Why a reader sees what is at the path ``at``: plain data, which JSON can say.

        For a cell: its entries, each with its event, writer, time, value and expiry, and whether the value comes from
        it; the rule that decided, in words; what it has superseded; and of each event which members are known to have
        it, and whether all do. For a map or set: of each cell inside, up to 100. Resolvers are not looked at.
        `TypeError` or `ValueError` for what is no path.
        """
        return self._ledgers.explanation(self._keyspace, _path(at))

    async def aexplain(self, at: str) -> dict[str, Any]:
        """`explain`, awaited."""
        return await self._ledgers.aexplanation(self._keyspace, _path(at))

    def conflicts(
        self,
        prefix: str = "",
        *,
        limit: int = CONFLICTS_PAGE,
        before: int | None = None,
        settled: bool = False,
    ) -> list[Conflict]:
        """The register values that this node saw beaten, under paths that begin with ``prefix``, the newest first.

        ``before`` is the id of a conflict to go on from. ``settled`` lists the reinstated and dismissed ones too.
        """
        _check(prefix, limit, before, settled)
        found = self._ledgers.notes(self._keyspace, prefix, limit, before, settled)
        return [conflict(self._keyspace, number, record) for number, record in found]

    async def aconflicts(
        self,
        prefix: str = "",
        *,
        limit: int = CONFLICTS_PAGE,
        before: int | None = None,
        settled: bool = False,
    ) -> list[Conflict]:
        """`conflicts`, awaited."""
        _check(prefix, limit, before, settled)
        found = await self._ledgers.anotes(self._keyspace, prefix, limit, before, settled)
        return [conflict(self._keyspace, number, record) for number, record in found]

    def reinstate(self, conflict: Conflict, *, force: bool = False) -> Dot | None:
        """Write the beaten value again, over what is there now, and note that; the event.

        `VersionMismatch`, and nothing is written, if what stands is no longer what beat it; with ``force`` it is
        written all the same. `ValueError` for a conflict that this node has no note of.
        """
        return self._ledgers.settle(*_settles(self._keyspace, conflict), "reinstate", force)

    async def areinstate(self, conflict: Conflict, *, force: bool = False) -> Dot | None:
        """`reinstate`, awaited."""
        return await self._ledgers.asettle(*_settles(self._keyspace, conflict), "reinstate", force)

    def dismiss(self, conflict: Conflict) -> None:
        """Note that it was looked at: it is not listed any more, unless ``settled`` ones are asked for."""
        self._ledgers.settle(*_settles(self._keyspace, conflict), "dismiss", False)

    async def adismiss(self, conflict: Conflict) -> None:
        """`dismiss`, awaited."""
        await self._ledgers.asettle(*_settles(self._keyspace, conflict), "dismiss", False)

    def resolver(self, prefix: str, resolve: Resolver | None) -> None:
        """Read registers under paths that begin with ``prefix`` through ``resolve`` while concurrent values stand.

        It is given their readings, the one that would stand first, and returns the value. It must be a pure function,
        and the same on every node, or nodes read differently. It is called at each read, here and in this process
        only, and writes nothing; what it raises is `ResolverFailed` to the reader. The longest prefix counts; None
        takes a resolver away.
        """
        self._backend.resolvers.set(self._keyspace, prefix, resolve)


def _check(prefix: str, limit: int, before: int | None, settled: bool) -> None:
    if not isinstance(prefix, str):
        raise TypeError(f"prefix {prefix!r}: a str is wanted, not {type(prefix).__name__}")
    if not isinstance(settled, bool):
        raise TypeError(f"settled {settled!r}: true or false is wanted, not {type(settled).__name__}")
    for name, number in (("limit", limit), ("before", before)):
        if number is None and name == "before":
            continue
        if type(number) is not int:
            raise TypeError(f"{name} {number!r}: an int is wanted, not {type(number).__name__}")
        if not 0 < number < 2**31:
            raise ValueError(f"{name} {number}: not from 1 to 2^31 - 1")


def _settles(keyspace: str, of: Conflict) -> tuple[str, int, Dot]:
    if not isinstance(of, Conflict):
        raise TypeError(f"conflict {of!r}: one of conflicts() is wanted, not {type(of).__name__}")
    if of.keyspace != keyspace:
        raise ValueError(f"conflict {of.id}: it is of keyspace {of.keyspace!r}, not {keyspace!r}")
    assert of.beaten.version is not None, "a note has both dots"
    return keyspace, of.id, of.beaten.version
