"""Damaged cells are replaced by what a peer has.

When may a peer's cell take the place of one that cannot be read? When the peer has every event that ours included;
then its cell includes them too. What ours included is not known from the cell, but from the index: an event without a
row for the cell did not touch it. So a peer that lacks only events on other cells will do, and one that lacks an event
on this one will not, until it has it from somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from gossamer.crdt import MalformedError, Vector, check_cell, path, vector
from gossamer.crdt import cell as cells

from ..errors import Damaged, ProtocolError
from . import batch, limits
from .link import Link, Shared
from .messages import Batch, Fetch, Full
from .registry import SYSTEM
from .view import Draft, View

if TYPE_CHECKING:
    from .engine import Engine


class Healer:
    """Asks peers for cells that are damaged here, answers them, and says which batches replace some."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.suspects: set[str] = set()
        """Keyspaces whose index was found to be wrong: all of it is to be looked at."""
        self.healed: dict[str, int] = {}
        """Keyspace -> how many damaged cells were replaced."""

    # Asking

    def ask(self, link: Link, shared: Shared, view: View, now: float) -> Iterator[Fetch]:
        """Ask for what is damaged here, if the peer has all that was in it."""
        damaged = [at for at in view.damaged() if is_path(at)]
        if shared.is_deaf and self._can_go_on(shared, view, damaged):
            self._engine.close(link, "what was damaged is, or can be, replaced: the exchange begins anew")
        if not damaged or not shared.their_whole or now < shared.fetch_at:
            return
        shared.fetch_at = now + limits.FETCH_EVERY_S
        wanted = [at for at in damaged if has_all_of(view, at, shared.theirs)]
        if wanted:
            yield Fetch(0, shared.number, wanted[: limits.FETCH_PATHS_MAX])

    def _can_go_on(self, shared: Shared, view: View, damaged: list[bytes]) -> bool:
        """Whether the batch that was dropped would be taken now."""
        if self._engine.registry.is_damaged and shared.name != SYSTEM:
            return False
        if shared.is_deaf_to_parts:
            return not damaged
        return all(has_all_of(view, at, shared.theirs) for at in damaged)

    # Answering

    def on_fetch(self, shared: Shared, message: Fetch) -> None:
        for at in message.paths:
            path.decode(at)
            if not is_path(at):
                raise ProtocolError("fetch: of what is no cell")
        shared.fetches = list(message.paths)

    def answer(self, link: Link, shared: Shared, view: View) -> batch.Content | None:
        """The cells that the peer asked for, and what must come with them; None if none can be sent now.

        ``link``'s peer must have all that we have collected: else our cells may include what it cannot claim.
        """
        assert shared.theirs is not None
        content: batch.Content | None = None
        for at in shared.fetches:
            gathering = batch.Gathering(
                view, shared.theirs, size_max=limits.PARTS_BYTES_MAX // 2, begun=content, is_answer=True
            )
            try:
                gathering.add(at)
            except (Damaged, batch.TooLargeError):
                continue  # the others can be sent all the same
            content = gathering.content
            if content.size >= limits.BATCH_BYTES_TARGET:
                break
        return content

    # Replacing

    def touched(self, draft: Draft, content: batch.Content, full: Full | None) -> list[bytes]:
        """The damaged cells of ours that a batch is about: in it, or in the range that it says all of."""
        found = {at for at in content.cells if draft.is_damaged(at)}
        if full is not None:
            found.update(draft.damaged_in(full.after, full.upto))
        return sorted(found)

    def can_replace(
        self, draft: Draft, link: Link, shared: Shared, message: Batch, touched: Iterable[bytes]
    ) -> bool:
        """Whether the batch replaces them; if not, no batch of this exchange is taken any more."""
        if message.staged is None and all(has_all_of(draft, at, shared.theirs) for at in touched):
            return True  # not so the parts of a staged batch: each is older than the vector that comes with the last
        self.go_deaf(link, shared, message)
        return False

    def go_deaf(self, link: Link, shared: Shared, message: Batch) -> None:
        """Take no batch of this exchange any more."""
        if not shared.is_deaf:
            self._engine.alarm(
                f"keyspace {shared.name!r}: a batch from {link.name!r} waits, since a cell in it is damaged here"
            )
        if not message.asked:
            shared.is_deaf, shared.is_deaf_to_parts = True, message.staged is not None

    def replace(self, draft: Draft, source: str, keyspace: str, touched: Sequence[bytes]) -> None:
        """Make room for what comes from ``source``; in the same transaction it is put."""
        for at in touched:
            draft.drop_damaged(at)
            self.healed[keyspace] = self.healed.get(keyspace, 0) + 1
            self._engine.alarm(
                f"keyspace {keyspace!r}: {name_of(at)} was damaged, and is now as member {source!r} has it"
            )
        if touched:
            self.begin_anew(keyspace)

    def begin_anew(self, keyspace: str) -> None:
        """What was held up by damage goes on."""
        for link in self._engine.links.values():
            shared = link.shared.get(keyspace)
            if shared is not None:
                shared.blocked_until = 0.0
                link.stir(shared)


def has_all_of(view: View, cell_path: bytes, theirs: Vector | None) -> bool:
    """Whether one who has delivered ``theirs`` has every event that our cell at a path included.

    Read from the index: events that he lacks must have rows, none of them for this cell. At what is no path at all
    there is nothing to be had.
    """
    state = view.state
    if not is_path(cell_path):
        return True
    if theirs is None or not theirs.covers(state.debt):
        return False
    looked = 0
    lacking = state.delivered.minus(theirs)
    for replica in lacking.replicas():
        for start, end in vector.pairs(lacking.intervals(replica)):
            if start <= state.horizon.last(replica):
                return False
            for seq, _, touched in view.rows(replica, start):
                if seq > end:
                    break
                looked += 1
                if touched == cell_path or looked > limits.HEAL_ROWS_MAX:
                    return False
    return True


def name_of(cell_path: bytes) -> str:
    """A path as text; in hex if it is none."""
    return path.to_text(cell_path) if is_path(cell_path) else cell_path.hex()


def is_path(cell_path: bytes) -> bool:
    """Whether a cell can be at a path; if not, the key itself is damaged."""
    try:
        check_cell(cell_path, cells.EMPTY)
    except MalformedError:
        return False
    return True
