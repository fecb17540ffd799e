"""The rules of letting go of a keyspace, each taken away once: a schedule by hand that passes with it and fails without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gossamer.hosting import Hosting
from gossamer.replication import limits, stability
from gossamer.replication.registry import SYSTEM
from gossamer.store import Store
from gossamer.testing import Cluster

Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def brisk(monkeypatch: Patch) -> None:
    for name, value in {"COLLECT_EVERY_S": 0.05, "DIGEST_EVERY_S": 0.5}.items():
        monkeypatch.setattr(limits, name, value)


def two_leave_at_once() -> None:
    with Cluster(2, seed=1) as cluster:
        a, b = cluster.nodes
        a.counter("c").add(1)
        cluster.advance(5)
        a.core.leave("default")
        b.core.leave("default")
        cluster.advance(30)
        assert a.core.hosts("default") or b.core.hosts("default")


def rely_on_those_who_do_not_know(patch: Patch) -> None:
    def mutant(self: Any, keyspace: str) -> bool:
        state = self._store.state(keyspace)
        return bool(state.is_whole and self._had_by_others(keyspace).covers(state.delivered))

    patch.setattr(Hosting, "may_go", mutant)


def it_is_hosted_again() -> None:
    """What it lacks then has been collected, and so would have to be sent whole."""
    with Cluster(2, seed=2) as cluster:
        a, b = cluster.nodes
        b.counter("c").add(3)
        b.register("r").set(1)
        cluster.advance(10)
        assert b.core.store.count("default")[1] == 0
        a.drop_keyspace("default")
        cluster.advance(1)
        a.keyspace("default")
        cluster.advance(10)
        cluster.settle()
        assert (a.counter("c").value(), a.register("r").get()) == (3, 1)
        assert a.status()["keyspaces"]["default"]["digest_mismatches"] == 0, "nothing had to be repaired"


def host_it_again_under_the_same_id(patch: Patch) -> None:
    patch.setattr(Store, "dropped", lambda self: {})


def it_goes_on_writing_while_it_leaves() -> None:
    with Cluster(3, seed=3) as cluster:
        a, b, c = cluster.nodes
        c.counter("c").add(1)
        cluster.settle()
        cluster.advance(10)
        c.core.leave("default")
        c.flush()
        cluster._schedule(2)
        while not a.core.engine.registry.members["n2"].leaving:
            cluster.clock.step()
        cluster.partition([a, b], [c])
        assert c.core.hosts("default"), "nobody has confirmed anything yet"
        c.counter("c").add(2)
        cluster.advance(5)
        a.counter("c").reset()
        cluster.advance(10)
        cluster.heal()
        cluster.advance(20)
        assert not c.core.hosts("default") and c.core.state(SYSTEM).is_whole
        assert [node.counter("c").value() for node in (a, b)] == [2, 2]


def count_it_no_more_from_then_on(patch: Patch) -> None:
    def mutant(state: Any, own: bytes, registry: Any, keyspace: str, linked: Any = frozenset()) -> set[bytes]:
        leaving = {m.replica for m in registry.members.values() if keyspace in m.leaving}
        return honest(state, own, registry, keyspace, linked) - leaving

    honest = stability.counted
    patch.setattr(stability, "counted", mutant)


RULES = [
    (two_leave_at_once, rely_on_those_who_do_not_know),
    (it_is_hosted_again, host_it_again_under_the_same_id),
    (it_goes_on_writing_while_it_leaves, count_it_no_more_from_then_on),
]


@pytest.mark.parametrize("scene", [scene for scene, _ in RULES], ids=lambda f: f.__name__)
def test_with_the_rule_it_passes(scene: Callable[[], None]) -> None:
    scene()


@pytest.mark.parametrize(("scene", "mutant"), RULES, ids=lambda f: f.__name__)
def test_without_the_rule_it_fails(
    scene: Callable[[], None], mutant: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        scene()
