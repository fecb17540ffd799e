"""The bugs, and what must notice each: scenes and tests that are there anyway, and random schedules.

A scene is called with what plants the bug in its middle, where it says so; a test is called with the bug in place. A pair
of kind and seed is a random schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ..crdt import test_arrival, test_join
from ..replication import test_evidence, test_exchange, test_hosting_rules, test_leaving, test_members
from ..simulation import test_bounded_mutants, test_idempotent, test_mutants
from . import scenes
from .planting import Mutant

Patcher = Callable[[Any], None]


class Caught(NamedTuple):
    """A bug and who notices it."""

    bug: Mutant | Patcher
    by: Callable[..., None] | tuple[str, int]

    @property
    def name(self) -> str:
        return self.bug.name if isinstance(self.bug, Mutant) else self.bug.__name__.replace("_", " ")

    @property
    def witness(self) -> str:
        if isinstance(self.by, tuple):
            return f"schedule {self.by[0]} {self.by[1]}"
        scene = self.by.func if isinstance(self.by, partial) else self.by
        return f"{scene.__module__.removeprefix('tests.')}:{scene.__name__}"


def _bug(name: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(name, f"gossamer.{module}", old, new)


SOURCE: list[tuple[Mutant, Callable[..., None] | tuple[str, int]]] = [
    (
        _bug(
            "gaps between rows are claimed with the rows",
            "replication.batch",
            "        return None\n    return of_flat(message.claim, ids)",
            "        shown = [c.context() for c in unpack(message, ids).cells.values()]\n        return Vector({r: (1, seq) for context in shown for r, seq in context.items()})\n    return of_flat(message.claim, ids)",
        ),
        test_mutants.gaps_between_rows,
    ),
    (
        _bug(
            "the vector at the end is claimed",
            "replication.sending",
            "claimed = claimable(exchange).minus(theirs)",
            "claimed = view.state.delivered.minus(theirs)",
        ),
        test_mutants.written_during_an_exchange,
    ),
    (
        _bug(
            "dead entries are stripped by their own age",
            "replication.stability",
            "for replica, seq in cell.context().items())",
            "for replica, seq in [(d.replica, d.seq) for d in cell.dead])",
        ),
        test_mutants.overwritten_while_one_is_away,
    ),
    (
        _bug(
            "what is delivered and lacking is not dead on arrival",
            "replication.batch",
            "incoming = cells.arriving(incoming, local, passed.has if cell_path <= upto else before.has)",
            "incoming = incoming",
        ),
        test_mutants.late_after_a_tombstone,
    ),
    (
        _bug(
            "a batch holds parts of events", "replication.batch", "yield from paths", "yield from paths[:0]"
        ),
        test_mutants.an_event_over_two_cells,
    ),
    (
        _bug(
            "the horizon is not inherited",
            "replication.state",
            "self.horizon.update(self.debt)",
            "self.horizon.update(Vector())",
        ),
        test_mutants.a_joiner_serves_another,
    ),
    (
        _bug(
            "unknown ids are not asked before collection",
            "replication.stability",
            "return (hosts | (found - gone) | linked) - {own}",
            "return hosts - {own}",
        ),
        test_mutants.a_member_nobody_registered,
    ),
    (
        _bug(
            "an acknowledged write is not committed",
            "store.store",
            "            txn.commit()",
            "            txn.abort()",
        ),
        scenes.a_write_before_a_kill,
    ),
    (
        _bug(
            "a number is left out between own events",
            "own_events",
            "draft.state.delivered.last(self._engine.identity.replica) + 1,",
            "draft.state.delivered.last(self._engine.identity.replica) + 2,",
        ),
        scenes.a_write_before_a_kill,
    ),
    (
        _bug(
            "a write leaves no row",
            "store.draft",
            "self._rows[index.key(replica, seq), row] = True",
            "self._rows[index.key(replica, seq), row] = False",
        ),
        test_mutants.gaps_between_rows,
    ),
    (
        _bug(
            "the digest does not follow the cells",
            "store.draft",
            "self.state.digest = (self.state.digest + change)",
            "self.state.digest = (self.state.digest + change + 1)",
        ),
        test_mutants.gaps_between_rows,
    ),
    (
        _bug(
            "the dots that a cell shows wait for the claim",
            "replication.batch",
            "for dot in () if is_part else shown(incoming):",
            "for dot in ():",
        ),
        test_mutants.gaps_between_rows,
    ),
    (
        _bug(
            "what the sender of all cells lacks stays alive",
            "crdt.cell",
            "return without(local, lambda e: seen.get(e.replica, 0) < e.seq and is_within(e.replica, e.seq))",
            "return local",
        ),
        test_arrival.test_a_full_exchange_kills_what_the_sender_had_and_lacks,
    ),
    (
        _bug(
            "a full exchange kills what was not sent yet",
            "crdt.cell",
            "seen.get(e.replica, 0) < e.seq and is_within(e.replica, e.seq))",
            "seen.get(e.replica, 0) < e.seq)",
        ),
        test_arrival.test_a_full_exchange_leaves_what_the_sender_never_had,
    ),
    (
        _bug(
            "a superseded entry stays alive in a join",
            "crdt.cell",
            "live = [e for e in a.live if e.seq > seen_b.get(e.replica, 0)]",
            "live = [e for e in a.live if e.seq >= seen_b.get(e.replica, 0)]",
        ),
        test_mutants.an_add_after_a_reset_that_was_seen,
    ),
    (
        _bug(
            "of two payloads under one dot one is dropped",
            "crdt.cell",
            "return Entry(a.replica, a.seq, first, a.generation, tuple(rivals))",
            "return Entry(a.replica, a.seq, first, a.generation)",
        ),
        test_join.test_where_generations_rival_no_floor_applies_and_both_payloads_show,
    ),
    (
        _bug(
            "a full exchange is resumed from another sender",
            "replication.receiving",
            "if message.resume and message.resume[0] == self._engine.identity.replica",
            "if message.resume",
        ),
        test_exchange.test_another_peer_finishes_what_one_that_is_gone_began,
    ),
    (
        _bug(
            "the last slice of a cell that has changed stands for all of it",
            "replication.sending",
            "            return not gathering.is_torn\n",
            "            return True\n",
        ),
        scenes.a_cell_that_changes_between_its_slices,
    ),
    (
        _bug(
            "events beyond a seal are taken",
            "replication.receiving",
            "        if keyspace == SYSTEM:\n            return\n        dots",
            "        if keyspace:\n            return\n        dots",
        ),
        test_members.test_what_goes_beyond_the_answers_is_refused_whole,
    ),
    (
        _bug(
            "who has not met its peers answers for a seal",
            "replication.duties",
            "        if self._engine.unmet():\n            return []  # nor who answers",
            "        if False:\n            return []  # nor who answers",
        ),
        test_leaving.test_members_that_have_yet_to_meet_do_not_agree_without_each_other,
    ),
    (
        _bug(
            "floors are not kept for removed members",
            "replication.batch",
            "return bool(may_return) and any(",
            "return not may_return and any(",
        ),
        partial(test_members.test_removing_is_reversible_and_loses_nothing, False),
    ),
    (
        _bug(
            "another event under an own dot proves nothing",
            "replication.receiving",
            "if evidence.contradicts(draft, self._engine.identity.replica, event):",
            "if evidence is None:",
        ),
        partial(
            test_evidence.test_another_event_under_one_of_our_dots_is_proof,
            next(iter(test_evidence.OTHERS.values())),
        ),
    ),
]
PATCHED: list[tuple[Patcher, Callable[..., None]]] = [
    (test_mutants.gossip_before_commit, test_mutants.a_crash_before_the_commit),
    (test_mutants.reuse_an_identity, test_mutants.a_restored_copy),
    (test_mutants.go_on_in_the_old_generation, test_mutants.an_add_after_a_reset_that_was_seen),
    *test_bounded_mutants.MUTANTS,
    *test_idempotent.MUTANTS,
    *((bug, scene) for scene, bug in test_hosting_rules.RULES),
]
_ALL: list[tuple[Mutant | Patcher, Callable[..., None] | tuple[str, int]]] = [*SOURCE, *PATCHED]
CATALOGUE = [Caught(bug, by) for bug, by in _ALL]
