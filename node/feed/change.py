"""A change as a consumer sees it, made from the two cells that it lies between.

How is a value read? By the same rule as a handle's, in one place (`shown`). A cell that cannot be read, since two
payloads stand under one dot in it or its bytes are damaged, is a change with an ``error`` and not the end of the feed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from gossamer.crdt import EMPTY, Cell, Dot, codec, path, tally, type_at

from ..apply import shows
from ..errors import Damaged, GossamerError, Quarantined, ResolverFailed
from ..handles.reading import readable
from ..handles.resolvers import Resolvers
from ..store import record
from ..store.feed import Place
from ..store.feedpage import Item
from . import cursor
from .scope import Scope


class Shown(NamedTuple):
    """What a reader of a cell sees."""

    is_there: bool
    value: Any
    error: GossamerError | None = None


def shown(cell_path: bytes, cell: Cell, source: Source) -> Shown:
    """A cell as a handle reads it: the value of what is not there is what a handle gives for it."""
    cell_type = type_at(cell_path)
    try:
        seen = source.resolvers.cell(source.keyspace, cell_path, readable(cell_path, cell))
        value = None if cell_type is None else cell_type.value(seen)
    except (Quarantined, ResolverFailed) as error:
        return Shown(True, None, error)
    return Shown(shows(cell_path, cell), value)


class Acknowledging(Protocol):
    """What a change of a subscription leads back to."""

    def ack(self, change: Change) -> None: ...
    async def aack(self, change: Change) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One cell that one commit changed on this node."""

    path: str
    """As text, as ``keys()`` has it. An element of a set is a path of its own."""
    kind: str
    """The type: ``register``, ``counter``, ``set`` for an element, and so on."""
    old: Any
    """What a reader saw before the commit. If nothing was there, what a handle gives for that: None, 0, False, []."""
    new: Any
    """What a reader sees after it, likewise; None if ``error`` says why it cannot be read."""
    was_there: bool
    """Whether it was there before: tells a stored None from nothing."""
    is_there: bool
    """Whether it is there now."""
    dots: tuple[Dot, ...]
    """``(replica, seq)`` of the writes that are new in it; in a snapshot, of those that stand."""
    members: tuple[str | None, ...]
    """Who made each of them, by the member's name; None if this node does not know it."""
    visible_at: float | None
    """When it became visible on this node, in seconds since 1970; None in a snapshot."""
    is_snapshot: bool
    """It tells what there is, and not what happened."""
    id: str
    """The same whenever this change is delivered: to handle it once, remember the ids of what was handled."""
    cursor: str
    """``watch(since=change.cursor)`` goes on after this change."""
    error: GossamerError | None = None
    """`Quarantined`, `ResolverFailed` or `Damaged`: the cell cannot be read."""
    place: Place = field(repr=False, compare=False)
    subscription: Acknowledging | None = field(default=None, repr=False, compare=False)

    @property
    def names(self) -> tuple[Any, ...]:
        """The names in ``path``, outermost first; of an element of a set the last one is the element itself."""
        return tuple(name for _, name in path.decode(path.of_text(self.path)))

    @property
    def is_new(self) -> bool:
        """It was not there, and is."""
        return self.is_there and not self.was_there

    @property
    def is_removed(self) -> bool:
        """It was there, and is not."""
        return self.was_there and not self.is_there

    def ack(self) -> None:
        """Acknowledge it, and all before it, to its subscription: it is not delivered again."""
        self._subscription().ack(self)

    async def aack(self) -> None:
        """`ack`, awaited."""
        await self._subscription().aack(self)

    def _subscription(self) -> Acknowledging:
        if self.subscription is None:
            raise ValueError(
                "ack: this change comes from watch(), which remembers nothing; use a subscription"
            )
        return self.subscription


class Source(NamedTuple):
    """Where changes come from, as far as it shows in them."""

    keyspace: str
    replica: bytes
    scope: Scope
    names: Mapping[bytes, str]
    """Replica id -> the member that has, or had, it."""
    resolvers: Resolvers


Namer = Callable[[bytes], str | None]
Acker = Callable[[Change], Awaitable[None]]


def change_of(item: Item, source: Source) -> Change:
    """The change that an item is."""
    old, new = _decoded(item.old), _decoded(item.new)
    before, after = shown(item.path, old, source), shown(item.path, new, source)
    if item.damage is not None:
        after = Shown(True, None, Damaged(item.damage))
    dots = tuple(sorted({*_new_dots(old, new), *item.dots}))
    return Change(
        path=path.to_text(item.path),
        kind=path.kind_of(item.path),
        old=before.value,
        new=after.value,
        was_there=before.is_there,
        is_there=after.is_there,
        dots=dots,
        members=tuple(source.names.get(replica) for replica, _ in dots),
        visible_at=None if item.wall is None else item.wall / 1e6,
        is_snapshot=item.wall is None,
        id=_id(item, new, source),
        cursor=cursor.encode(source.keyspace, source.replica, item.after, source.scope),
        error=after.error,
        place=item.after,
    )


def _decoded(data: bytes) -> Cell:
    return codec.decode(data) if data else EMPTY


def _new_dots(old: Cell, new: Cell) -> list[Dot]:
    seen = {**old.context(), tally.SHARE: 1}  # what operations add is no event of its own
    return [(replica, seq) for replica, seq in sorted(new.context().items()) if seq > seen.get(replica, 0)]


def _id(item: Item, new: Cell, source: Source) -> str:
    # A cell of a snapshot is known by what stands in it, which collection does not change; its place in the log
    # would be another one when the snapshot is resumed.
    if item.wall is None:
        what = f"{record.weight(item.path, new):032x}" if new.live else f"damaged-{item.path.hex()}"
    else:
        what = str(item.after.position)
    return f"{source.keyspace}/{source.replica.hex()}/{what}"
