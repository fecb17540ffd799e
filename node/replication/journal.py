"""Staged batches: kept in parts on disk until all of them are here, and then applied.

How does more come at once than may be held in memory, or in one commit? In parts, each checked as it comes. Those of an
exchange row by row are applied together, in one commit, since nobody may see half an event. Those of a full exchange,
which readers are kept from or warned of, are a *journal*: once its last part is here it is applied in as many commits as
it takes, whatever becomes of the sender, and a restart goes on with it. Until its end the keyspace is not whole.

A cell that is larger than a part comes in slices, each with some replicas' entries and the context of those alone. They
are put together before anything is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gossamer.crdt import EMPTY, Cell, MalformedError, Vector, join, vector

from ..errors import ProtocolError
from . import batch, limits
from .healing import has_all_of
from .link import Link, Shared
from .messages import Batch, Full, decode, encode, replica_ids
from .state import Bootstrap
from .view import Draft

if TYPE_CHECKING:
    from .engine import Engine

_FULL = b"full"  # no link's number begins so
_BEHIND_ALL = b"\xff"
"""After every path."""


class Unit(NamedTuple):
    """Parts that are applied together: one, or the slices of a cell and the part after them."""

    content: batch.Content
    full: Full | None
    parts: int
    size: int


class Journal:
    """Takes parts, and applies them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._begun: dict[tuple[str, bytes], int] = {}
        """Keyspace, and the key of parts -> the link that they come on."""
        self._told: set[str] = set()

    def tidy(self, drafts: Callable[[str], Draft], hosted: Container[str]) -> None:
        """Drop the parts whose rest no link will bring any more."""
        for (keyspace, key), link_id in list(self._begun.items()):
            if link_id in self._engine.links:
                continue
            draft = drafts(keyspace) if keyspace in hosted else None
            if draft is not None and draft.state.is_applying:
                continue
            if draft is None or not draft.unstage(key):  # that they are gone is seen once it is committed
                del self._begun[keyspace, key]

    # Row by row

    def stage(self, draft: Draft, link: Link, shared: Shared, message: Batch) -> None:
        """Keep one more part of a batch."""
        if message.staged != 0 and not shared.staged:
            raise ProtocolError("staged: a part without those before it")
        key = _key(link)
        if message.staged == 0:
            draft.unstage(key)
            shared.staged = 0
            self._begun[shared.name, key] = link.id
        draft.stage(key + shared.staged.to_bytes(8, "big"), encode(message))
        shared.staged += 1

    def apply(self, draft: Draft, link: Link, shared: Shared) -> list[bytes] | None:
        """Apply all parts, the last one among them; the quarantined cells.

        None if one of them touches a cell that was damaged since: then nothing was applied.
        """
        key, me = _key(link), self._engine.identity.replica
        if any(draft.is_damaged(at) for raw in draft.staged(key) for at in _batch(raw).cells[::2]):
            return None
        quarantined: list[bytes] = []
        for unit in units(draft.staged(key), link.peer, me):
            quarantined += batch.apply(draft, unit.content, is_part=True)
            draft.spill()
        draft.unstage(key)
        shared.staged = 0
        return quarantined

    # Full exchanges

    def take(self, draft: Draft, link: Link, shared: Shared, message: Batch, claim: Vector | None) -> None:
        """Keep one more part of a full exchange, which has begun; with the last one, all are applied in the next turns."""
        boot, key = draft.state.bootstrap, _FULL + link.peer
        if boot is None or boot.sender != link.peer:
            raise ProtocolError("staged: of a full exchange that another has taken the place of")
        if message.staged == 0:
            draft.unstage(key)
            shared.staged, shared.staged_upto = 0, boot.reached
            self._begun[shared.name, key] = link.id
        if not shared.staged and message.staged != 0:
            raise ProtocolError("staged: a part without those before it")
        if message.full is not None:
            if message.full.after != shared.staged_upto:
                raise ProtocolError("staged: a range that does not follow the one before")
            shared.staged_upto = message.full.after if message.sliced else message.full.upto
        draft.stage(key + shared.staged.to_bytes(8, "big"), encode(message))
        shared.staged += 1
        if claim is None:
            shared.acks_due += 1
            return
        if shared.staged_upto is not None or message.sliced:
            raise ProtocolError("staged: it ends before all cells are here")
        is_repair = (
            shared.is_repairing and shared.theirs is not None and shared.theirs.covers(draft.state.delivered)
        )
        draft.state.bootstrap = msgspec.structs.replace(
            boot,
            receiver=self._engine.identity.replica,
            claim=vector.encode(claim),
            parts=shared.staged,
            is_repair=is_repair,
        )
        draft.touch()
        shared.staged, shared.is_repairing, shared.is_ack_owed = 0, False, True

    def go_on(self, draft: Draft, keyspace: str) -> bool:
        """Apply some more of a journal: a bounded amount, so that others get their turns; False if damage holds it up.

        A part that is not what was kept holds it up for good, as nobody else need have what was in it.
        """
        boot = draft.state.bootstrap
        assert boot is not None
        room = limits.APPLY_BYTES
        while boot.applied < boot.parts and room > 0:
            try:
                unit = next(units(self._raws(draft, boot), boot.sender, boot.receiver))
            except MalformedError as error:
                self._tell(keyspace, str(error))
                return False
            if not self._apply(draft, keyspace, boot, unit):
                return False  # until what is damaged is replaced
            for at in range(boot.applied, boot.applied + unit.parts):
                draft.unstage(_part(boot, at))
            reached = boot.reached if unit.full is None else unit.full.upto or _BEHIND_ALL
            boot = msgspec.structs.replace(boot, applied=boot.applied + unit.parts, reached=reached)
            draft.state.bootstrap = boot
            draft.spill()
            room -= unit.size
        if boot.applied == boot.parts:
            self._end(draft, keyspace, boot)
        draft.touch()
        return True

    def _raws(self, draft: Draft, boot: Bootstrap) -> Iterator[bytes]:
        for at in range(boot.applied, boot.parts):
            raw = next(draft.staged(_part(boot, at)), None)
            if raw is None:
                raise MalformedError(f"part {at} of {boot.parts} is not there")
            yield raw

    def _tell(self, keyspace: str, why: str) -> None:
        """Have an operator told, once."""
        if keyspace not in self._told:
            self._told.add(keyspace)
            self._engine.alarm(
                f"keyspace {keyspace!r}: what a peer sent was damaged on this node's disk before it was applied ({why}); "
                "the keyspace cannot go on here: drop it and host it again, or begin with an empty directory"
            )

    def _apply(self, draft: Draft, keyspace: str, boot: Bootstrap, unit: Unit) -> bool:
        within = vector.decode(boot.vector)
        complete = None
        if unit.full is not None:
            complete = batch.Complete(
                unit.full.after, unit.full.upto, within, draft.state.debt, replaces=boot.replaces
            )
        healer = self._engine.healer
        damaged = healer.touched(draft, unit.content, None if boot.is_repair else unit.full)
        if not all(has_all_of(draft, at, within) for at in damaged):
            return False
        healer.replace(draft, boot.sender.hex(), keyspace, damaged)
        quarantined = batch.apply(
            draft, unit.content, complete, is_repair=boot.is_repair, is_part=True, replaced=damaged
        )
        self._engine.receiver.note_quarantined(keyspace, quarantined)
        return True

    def _end(self, draft: Draft, keyspace: str, boot: Bootstrap) -> None:
        draft.state.delivered.update(vector.decode(boot.claim))
        draft.state.bootstrap = None
        for link in self._engine.links.values():
            shared = link.shared.get(keyspace)
            if shared is not None and link.peer == boot.sender and shared.is_ack_owed:
                shared.is_ack_owed = False
                shared.acks_due += 1


def units(raws: Iterable[bytes], sender: bytes, receiver: bytes) -> Iterator[Unit]:
    """The parts in order, slices put together with the part that follows them."""
    slices: dict[bytes, Cell] = {}
    groups: dict[tuple[bytes, int], list[bytes]] = {}
    parts = size = 0
    for raw in raws:
        message = _batch(raw)
        content = batch.unpack(message, replica_ids(sender, receiver, message.replicas))
        parts, size = parts + 1, size + len(raw)
        for dot, paths in groups.items():
            content.groups[dot] = sorted({*paths, *content.groups.get(dot, ())})
        for at, cell in slices.items():
            content.cells[at] = join(cell, content.cells.get(at, EMPTY))
        if message.sliced:
            slices, groups = content.cells, content.groups
            continue
        yield Unit(content, message.full, parts, size)
        slices, groups, parts, size = {}, {}, 0, 0


def _key(link: Link) -> bytes:
    return link.id.to_bytes(8, "big")


def _part(boot: Bootstrap, at: int) -> bytes:
    return _FULL + boot.sender + at.to_bytes(8, "big")


def _batch(raw: bytes) -> Batch:
    message = decode(raw)
    assert isinstance(message, Batch), "what is staged was checked"
    return message
