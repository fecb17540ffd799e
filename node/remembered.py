"""How long a node remembers what it was asked with an ``op_id``, or by a remote client's attempt.

The question this answers: *when may a note go?* That of an ``op_id`` once its window is over, by each node's own clock, and
then by an event. That of an attempt is this node's alone, and goes after it has run for a turn or two.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from itertools import islice

from gossamer.crdt import Dot, path

from . import idempotent
from .errors import Damaged
from .limits import ATTEMPT_DROP_MAX, ATTEMPT_TURN_S, OP_SWEEP_MAX, OP_SWEEP_RETRY_S
from .store import Draft, is_pending
from .turns import Attempt


class Remembered:
    """The notes of one node. Its writer thread alone uses it."""

    def __init__(self, window_s: float) -> None:
        self.window = int(window_s * idempotent.MICROSECONDS)
        """Microseconds for which a write with an ``op_id`` is remembered."""
        self._turns: dict[str, int] = {}
        self._turned_at: float | None = None
        self._dropping: set[str] = set()

    def due_at(self, now: int) -> Callable[[bytes], int]:
        """When the note at a path may go if it is settled now."""

        def due(cell_path: bytes) -> int:
            return idempotent.due(path.decode(cell_path)[-1][1], now, self.window)

        return due

    def over(self, draft: Draft, now: int, may_go: Callable[[bytes], bool]) -> list[bytes]:
        """The paths of some notes whose window is over and that may go; what may not is looked at again later."""
        again = now + min(int(OP_SWEEP_RETRY_S * idempotent.MICROSECONDS), self.window // 4)
        gone = []
        for when, cell_path in list(islice(draft.due(now), OP_SWEEP_MAX)):
            try:
                cell = draft.cell(cell_path)
                is_over = not cell.live or is_pending(cell_path, cell)  # or used anew
                is_going = not is_over and may_go(cell_path)
            except Damaged:
                is_over = is_going = False
            draft.put_off(when, cell_path, None if is_over or is_going else again)
            if is_going:
                gone.append(cell_path)
        return gone

    def attempted(self, draft: Draft, attempt: Attempt) -> tuple[Dot | None] | None:
        """What came of an attempt that was made before, in a tuple."""
        return draft.attempt(self._turn(draft), attempt.id)

    def note_attempt(self, draft: Draft, attempt: Attempt, dot: Dot | None) -> None:
        """Note what came of it, in the transaction that writes it."""
        draft.note_attempt(self._turn(draft), attempt.id, dot)

    def _turn(self, draft: Draft) -> int:
        name = draft.tables.name
        if name not in self._turns:
            self._turns[name] = draft.last_turn()
        return self._turns[name]

    def turn(self, drafts: Callable[[str], Draft], hosted: Container[str], now: float) -> None:
        """Turn the notes of attempts when it is time, and drop those of the turn before the last."""
        self._turned_at = now if self._turned_at is None else self._turned_at
        if now - self._turned_at >= ATTEMPT_TURN_S:
            self._turned_at = now
            for name in self._turns:
                self._turns[name] += 1
                self._dropping.add(name)
        for name in [name for name in self._turns if name not in hosted]:
            del self._turns[name]  # the keyspace was let go
            self._dropping.discard(name)
        for name in sorted(self._dropping):
            if drafts(name).drop_attempts(self._turns[name] - 1, ATTEMPT_DROP_MAX) < ATTEMPT_DROP_MAX:
                self._dropping.discard(name)
