"""Each rule of healing taken away once: the damaged cell is then lost, or is something that it never was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gossamer.crdt import path
from gossamer.errors import Damaged
from gossamer.replication import batch, healing
from gossamer.simulation import SimulatedNode
from gossamer.testing import Cluster

from .damage import flip
from .script import script

X = path.of_text("register:x")


def is_unreadable(node: SimulatedNode) -> bool:
    try:
        node.register("x").get()
    except Damaged:
        return True
    return False


def the_only_copy(mutate: Callable[[], None]) -> None:
    """A peer that lacks the last write to the cell cannot replace it, or an acknowledged write is gone."""
    with Cluster(2, seed=50) as cluster:
        a, b = cluster.nodes
        a.register("x").set(1)
        cluster.settle()
        cluster.partition([a], [b])
        a.register("x").set(2)
        flip(a.core.store, "default", X, 77)
        mutate()
        cluster.heal()
        cluster.advance(20)
        assert is_unreadable(a), "what only this node had is forgotten"


def take_it_from_anybody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(healing, "has_all_of", lambda view, cell_path, theirs: theirs is not None)


def written_at_a_peer_meanwhile(mutate: Callable[[], None]) -> None:
    """A batch that could not be taken must not be followed by one that claims it."""
    with script(2, BATCH_BYTES_TARGET=1) as run:
        cluster = run.cluster
        cluster.after_event = lambda node: None
        a, b = cluster.nodes
        a.register("x").set(1)
        cluster.settle()
        cluster.partition([a], [b])
        a.register("x").set(2)
        flip(a.core.store, "default", X, 77)
        b.register("x").set(3)
        b.register("y").set(4)
        mutate()
        cluster.heal()
        cluster.advance(20)
        assert (b.core.replica, 1) not in a.core.state("default").delivered or not is_unreadable(a)


def go_on_after_a_batch_that_was_not_taken(patch: pytest.MonkeyPatch) -> None:
    honest = healing.Healer.can_replace

    def mutant(self: Any, draft: Any, link: Any, shared: Any, message: Any, touched: Any) -> bool:
        able = honest(self, draft, link, shared, message, touched)
        shared.is_deaf = False
        return able

    patch.setattr(healing.Healer, "can_replace", mutant)


def superseded_and_collected(mutate: Callable[[], None]) -> None:
    """What stands in the peer's cell was delivered here long ago; that it is lacking now does not make it dead."""
    with Cluster(2, seed=52) as cluster:
        a, b = cluster.nodes
        b.register("x").set(1)
        cluster.settle()
        cluster.advance(20)
        flip(a.core.store, "default", X, 77)
        mutate()
        while is_unreadable(a):
            assert cluster.clock.step()
        assert a.register("x").get() == 1


def judge_what_replaces_as_if_nothing_was_there(patch: pytest.MonkeyPatch) -> None:
    honest = batch.apply

    def mutant(*args: Any, replaced: Any = (), **more: Any) -> Any:
        return honest(*args, **more)

    patch.setattr(batch, "apply", mutant)


def counted_anew(mutate: Callable[[], None]) -> None:
    """What a damaged cell weighed nobody knows: without another count the digests differ for ever."""
    with Cluster(2, seed=53) as cluster:
        a, b = cluster.nodes
        b.register("x").set(1)
        cluster.settle()
        flip(a.core.store, "default", X, 77)
        mutate()
        assert is_unreadable(a)
        cluster.advance(20)
        assert a.core.state("default").is_counted
        cluster.settle()
        b.register("x").set(2)
        cluster.settle()


def do_not_count_anew(patch: pytest.MonkeyPatch) -> None:
    from gossamer.store import Draft

    honest = Draft.drop_damaged

    def mutant(self: Any, cell_path: bytes) -> None:
        was_known = self.state.is_counted
        honest(self, cell_path)
        self.state.is_counted = was_known

    patch.setattr(Draft, "drop_damaged", mutant)
    patch.setattr(Draft, "recount", lambda self: False)


MUTANTS = [
    (take_it_from_anybody, the_only_copy),
    (go_on_after_a_batch_that_was_not_taken, written_at_a_peer_meanwhile),
    (judge_what_replaces_as_if_nothing_was_there, superseded_and_collected),
    (do_not_count_anew, counted_anew),
]


@pytest.mark.parametrize("scene", [scene for _, scene in MUTANTS], ids=lambda f: f.__name__)
def test_with_the_rule_the_scene_passes(scene: Callable[[Callable[[], None]], None]) -> None:
    scene(lambda: None)


@pytest.mark.parametrize(("mutant", "scene"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_without_the_rule_the_scene_fails(mutant: Any, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError):
        scene(lambda: mutant(monkeypatch))
