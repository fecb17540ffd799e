"""What the engine asks of a store: the edge between deciding and doing I/O. `gossamer.store` is one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

from gossamer.crdt import Cell, Dot, Vector


class Bootstrap(msgspec.Struct, frozen=True, array_like=True):
    """A full exchange that is being received: whose, within which vector, and how far it has come."""

    sender: bytes
    vector: bytes
    """The sender's delivered vector when it began, encoded: what is claimed at the end."""
    reached: bytes
    """Every path up to this one is done."""
    is_first: bool
    """The keyspace held nothing but events of its own before: there is nothing to read yet."""


class State(Protocol):
    """A keyspace beside its cells, as of one commit."""

    delivered: Vector
    digest: int
    horizon: Vector
    debt: Vector
    bootstrap: Bootstrap | None
    peers: dict[bytes, Vector]

    @property
    def is_whole(self) -> bool: ...


class View(Protocol):
    """A keyspace in one snapshot."""

    state: State

    def cell(self, cell_path: bytes) -> Cell: ...
    def cells(self, start: bytes, end: bytes | None = None) -> Iterator[tuple[bytes, Cell]]: ...
    def rows(self, replica: bytes, start: int) -> Iterator[tuple[int, bool, bytes]]: ...
    def first_row(self, key: bytes) -> Dot | None: ...
    def event_rows(self, dot: Dot) -> list[tuple[bool, bytes]]: ...
    def event_paths(self, dot: Dot) -> list[bytes]: ...
    def groups(self, cell_path: bytes) -> list[Dot]: ...


class Draft(View, Protocol):
    """A keyspace inside the writer's transaction: all of it commits, or none."""

    keeps_floors_of: frozenset[bytes]

    def put(self, cell_path: bytes, new: Cell, grouped: Iterable[Dot] = ()) -> None: ...
    def add_group(self, dot: Dot, paths: Iterable[bytes]) -> None: ...
    def drop_row(self, dot: Dot, grouped: bool, cell_path: bytes) -> None: ...
    def set_peer(self, replica: bytes, had: Vector | None) -> None: ...
    def touch(self) -> None: ...
