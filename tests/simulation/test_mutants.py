"""Rules whose removal breaks the model: each is removed here, and a schedule that needs it must then fail.

The same schedule passes with the rule in place, so it is the rule that makes the difference.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from gossamer.crdt import Vector, counter_pn
from gossamer.crdt import cell as cells
from gossamer.replication import batch, sending, stability
from gossamer.replication.state import State
from gossamer.turns import Instant

from .script import Script, script

Scene = Callable[[pytest.MonkeyPatch], None]


def gaps_between_rows(mutate: Callable[[], None]) -> None:
    """The row of an overwritten cell is ahead; what lies before it must not be claimed with the rows between."""
    with script(2, BATCH_BYTES_TARGET=1, WINDOW_BATCHES=1) as run:
        a, b = run.nodes
        run.settle()
        run.cut([a], [b])
        run.wait(5)
        run.do(a, ("register:r", "set", 1))
        run.do(a, ("flag:f", "enable"))
        run.do(a, ("register:r", "set", 2))
        mutate()
        run.cluster.heal()
        run.settle()


def claim_gaps(patch: pytest.MonkeyPatch) -> None:
    def mutant(message: Any, ids: Any, gained: Vector) -> Vector | None:
        return honest(message, ids, gained) or everything_below(message, ids)

    def everything_below(message: Any, ids: list[bytes]) -> Vector:
        out = Vector()
        for cell in batch.unpack(message, ids).cells.values():
            for replica, seq in cell.context().items():
                out.add(replica, 1, seq)
        return out

    honest = batch.claim_of
    patch.setattr(batch, "claim_of", mutant)


def written_during_an_exchange(mutate: Callable[[], None]) -> None:
    """What is written behind the scan, while the exchange runs, is not sent in it."""
    with script(3, BATCH_BYTES_TARGET=1, WINDOW_BATCHES=1) as run:
        a, b, c = run.nodes
        run.settle()
        run.cut([a, c], [b])
        run.do(a, ("register:r", "set", 1))
        for text in ("flag:f", "flag_dw:d"):
            run.do(c, (text, "enable"))
        run.do(c, ("counter:c", "add", 1))
        run.wait(5)
        run.cluster.kill(c)
        mutate()
        run.cluster.heal()
        while not run.oracle.events.keys() & _delivered(b, c_events(run)):
            run.cluster.clock.step()
        run.do(a, ("max_register:m", "set", 7))
        run.settle()


def c_events(run: Script) -> set[tuple[bytes, int]]:
    return {dot for dot in run.oracle.events if dot[0] not in {n.core.replica for n in run.alive()}}


def _delivered(node: Any, dots: set[tuple[bytes, int]]) -> set[tuple[bytes, int]]:
    return {dot for dot in dots if dot in node.core.state("default").delivered}


def claim_the_vector_at_the_end(patch: pytest.MonkeyPatch) -> None:
    honest = sending.Sender._next_batch

    def mutant(self: Any, link: Any, shared: Any, view: Any) -> Any:
        shared.exchange.vector = view.state.delivered
        return honest(self, link, shared, view)

    patch.setattr(sending.Sender, "_next_batch", mutant)


def overwritten_while_one_is_away(mutate: Callable[[], None]) -> None:
    """The old entry is known to all, the event that killed it is not."""
    with script(3, COLLECT_EVERY_S=5) as run:
        a, b, c = run.nodes
        run.settle()
        run.wait(20.5)
        run.do(a, ("register:r", "set", 1))
        run.cluster.settle()
        run.cut([a, b], [c])
        mutate()
        run.do(b, ("register:r", "set", 2))
        run.wait(40)
        run.cluster.heal()
        run.settle()


def strip_by_age(patch: pytest.MonkeyPatch) -> None:
    def mutant(cell: Any, stable: Vector) -> bool:
        return all(dead.seq <= stable.last(dead.replica) for dead in cell.dead)

    patch.setattr(stability, "is_stable", mutant)


def late_after_a_tombstone(mutate: Callable[[], None]) -> None:
    """A message that was long on its way brings an element that was removed, and forgotten, meanwhile."""
    with script(3, COLLECT_EVERY_S=0.05, DIGEST_EVERY_S=0.5) as run:
        a, b, _ = run.nodes
        run.settle()
        run.wait(10)
        run.cut([a], [b])
        slow = _slow(run, 2, 1)
        run.do(a, ("set:s/str:x", "add"))
        run.wait(5)
        run.cluster.heal()
        run.wait(5)
        run.do(a, ("set:s/str:x", "remove"))
        run.wait(10)
        mutate()
        assert b.core.store.count("default")[0] == 0, "the removed element is collected at b"
        slow.clear()
        run.wait(20)
        run.settle()
        assert b.core.store.count("default")[0] == 0


def _slow(run: Script, sender: int, receiver: int) -> list[bool]:
    """Messages from one node to another take 20 s while the list holds something."""
    network, is_slow = run.cluster.network, [True]
    honest = network.send

    def send(wire: Any, end: int, deliver: Callable[[], None], size: int) -> None:
        if is_slow and wire.ends[end] == sender and wire.ends[1 - end] == receiver:
            wire.arrives_at[end] = max(wire.arrives_at[end], run.cluster.clock.now + 20)
        honest(wire, end, deliver, size)

    network.send = send  # type: ignore[method-assign]  # this network alone
    return is_slow


def drop_the_already_delivered_rule(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cells, "arriving", lambda incoming, local, is_delivered: incoming)


def an_event_over_two_cells(mutate: Callable[[], None]) -> None:
    """Another node wrote one cell of the event again, and sends that first: it shows half of the event."""
    with script(3, BATCH_BYTES_TARGET=1, WINDOW_BATCHES=1) as run:
        a, b, c = run.nodes
        run.do(a, ("flag:f", "enable"))
        run.settle()
        run.cut([a, b], [c])
        run.wait(5)
        run.do(a, ("counter:c", "add", 1), ("register:r", "set", 1))
        run.wait(5)
        run.do(b, ("counter:c", "add", 1))
        run.cluster.kill(a)
        mutate()
        run.cluster.heal()
        run.settle()


def split_an_event(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(batch.Gathering, "_closure", lambda self, cell_path: ())


def a_joiner_serves_another(mutate: Callable[[], None]) -> None:
    """What a joiner got without rows it cannot answer for row by row."""
    with script(2, COLLECT_EVERY_S=0.05) as run:
        a, b = run.nodes
        run.do(a, ("counter:c", "add", 3))
        run.settle()
        run.wait(20)
        assert a.core.store.count("default")[1] == 0, "the row is collected"
        mutate()
        c = run.cluster.add()
        run.settle()
        run.cluster.kill(a)
        run.cluster.kill(b)
        d = run.cluster.add()
        run.settle()
        assert d.counter("c").value() == c.counter("c").value() == 3


def do_not_inherit_the_horizon(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: State) -> None:
        if self.debt and self.is_whole:
            self.debt = Vector()

    patch.setattr(State, "adopt_debt", mutant)


def a_member_nobody_registered(mutate: Callable[[], None]) -> None:
    """A replica that is known by its events alone goes on adding while the others reset and collect."""
    with script(2, COLLECT_EVERY_S=0.05) as run:
        a, b = run.nodes
        c = run.cluster.add()
        c.core.engine.duties.due = lambda states, now: []  # type: ignore[method-assign]  # this node alone
        run.settle()
        run.do(c, ("counter:c", "add", 4))
        run.settle()
        run.wait(10)
        mutate()
        run.cut([a, b], [c])
        run.wait(5)
        run.do(c, ("counter:c", "add", 2))
        run.do(a, ("counter:c", "reset"))
        run.wait(20)
        run.cluster.heal()
        run.settle()
        assert a.counter("c").value() == 2


def collect_without_asking_unknown_ids(patch: pytest.MonkeyPatch) -> None:
    def mutant(state: Any, own: bytes, registry: Any, keyspace: str, linked: Any = frozenset()) -> set[bytes]:
        return {m.replica for m in registry.remaining if keyspace in m.keyspaces} - {own}

    patch.setattr(stability, "counted", mutant)


def a_crash_before_the_commit(mutate: Callable[[], None]) -> None:
    """Nothing of a transaction that was not committed has left the node."""
    with script(2) as run:
        a, b = run.nodes
        run.settle()
        mutate()
        _crash_in_a_turn(run, a)
        run.wait(5)
        run.cluster.restart(a)
        run.do(a, ("register:r", "set", "after"))
        run.settle()
        assert b.register("r").get() == "after"


_sends_early = False


def _crash_in_a_turn(run: Script, node: Any) -> None:
    from gossamer.backend import make_op
    from gossamer.crdt import path

    class Crash(Exception):
        pass

    core, now = node.core, Instant(0, run.cluster.clock.now)
    op = make_op(path.of_text("register:r"), "set", ("before",))
    with pytest.raises(Crash), core._drafts(now) as (drafts, _):
        draft = drafts("default")
        core._own.commit(draft, [op], now)
        if _sends_early:
            draft.flush()
            names = core.store.keyspaces()
            run.cluster._perform(node, core.engine.outbox(drafts, names, now.mono))
        raise Crash
    run.wait(0.02)
    run.cluster.kill(node)


def gossip_before_commit(patch: pytest.MonkeyPatch) -> None:
    import sys

    patch.setattr(sys.modules[__name__], "_sends_early", True)


def a_restored_copy(mutate: Callable[[], None]) -> None:
    """A node goes on from an older copy of its directory, cut off from those who know better."""
    with script(2) as run:
        a, b = run.nodes
        run.settle()
        run.cluster.kill(a)
        copy = a.directory.with_name("copy")
        shutil.copytree(a.directory, copy)
        run.cluster.restart(a)
        run.do(a, ("register:r", "set", "first"))
        run.settle()
        run.cluster.kill(a)
        run.cut([a], [b])
        shutil.rmtree(a.directory)
        copy.rename(a.directory)
        if not _reuses:
            a.take_new_identity()
        mutate()
        run.cluster.restart(a)
        run.do(a, ("register:r", "set", "second"))
        run.cluster.heal()
        run.settle()


_reuses = False


def reuse_an_identity(patch: pytest.MonkeyPatch) -> None:
    import sys

    patch.setattr(sys.modules[__name__], "_reuses", True)


def an_add_after_a_reset_that_was_seen(mutate: Callable[[], None]) -> None:
    """A floor met again on another replica is not subtracted from a sum that began after it."""
    with script(3) as run:
        a, b, away = run.nodes
        run.settle()
        run.cluster.kill(away)  # so that the floor is not collected
        mutate()
        run.do(a, ("counter:c", "add", 4))
        run.settle()
        run.do(b, ("counter:c", "reset"))
        run.settle()
        run.do(a, ("counter:c", "add", 6))
        run.settle()
        assert b.counter("c").value() == 6


def go_on_in_the_old_generation(patch: pytest.MonkeyPatch) -> None:
    honest = cells.accumulate

    def mutant(cell: Any, event: Any, payload: bytes, generation: int) -> Any:
        return honest(cell, event, payload, 1 if generation else 0)

    patch.setattr(counter_pn, "accumulate", mutant)


MUTANTS = [
    (claim_gaps, gaps_between_rows),
    (claim_the_vector_at_the_end, written_during_an_exchange),
    (strip_by_age, overwritten_while_one_is_away),
    (drop_the_already_delivered_rule, late_after_a_tombstone),
    (split_an_event, an_event_over_two_cells),
    (do_not_inherit_the_horizon, a_joiner_serves_another),
    (collect_without_asking_unknown_ids, a_member_nobody_registered),
    (gossip_before_commit, a_crash_before_the_commit),
    (reuse_an_identity, a_restored_copy),
    (go_on_in_the_old_generation, an_add_after_a_reset_that_was_seen),
]


@pytest.mark.parametrize("scene", [scene for _, scene in MUTANTS], ids=lambda f: f.__name__)
def test_with_the_rule_the_schedule_passes(scene: Callable[[Callable[[], None]], None]) -> None:
    scene(lambda: None)


@pytest.mark.parametrize(("mutant", "scene"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_without_the_rule_the_schedule_fails(
    mutant: Scene, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mutant in (gossip_before_commit, reuse_an_identity):
        mutant(monkeypatch)  # these two are faults of the scene itself
    with pytest.raises(AssertionError):
        scene(lambda: mutant(monkeypatch))
