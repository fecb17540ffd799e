"""Rules of bounded counters whose removal oversells: each is removed here, and a scene that needs it must then fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from gossamer.crdt import RightsError, counter_bounded
from gossamer.errors import InsufficientRights
from gossamer.replication import limits, rights
from gossamer.replication.registry import Registry
from gossamer.simulation import Cluster, SimulatedNode

NAME, KEYSPACE = "stock", "default"


def spend_all(*nodes: SimulatedNode, keyspace: str = KEYSPACE) -> None:
    """Each spends one at a time for as long as it may, and 20 at most."""
    for node in nodes:
        stock = node.keyspace(keyspace).bounded_counter(NAME)
        for _ in range(20):
            try:
                stock.spend(1)
            except InsufficientRights:
                break


def check(*nodes: SimulatedNode, keyspace: str = KEYSPACE) -> None:
    """Nobody is oversold. The handle would show 0 at least."""
    for node in nodes:
        at = node.keyspace(keyspace).bounded_counter(NAME)._path
        total = counter_bounded.total(node.core.cell(keyspace, at))
        assert total >= 0, f"{node} is oversold: {total}"


@pytest.fixture(autouse=True)
def nothing_is_evened_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WATCHED_MAX", 0)


def two_sides_of_a_partition() -> None:
    with Cluster(2, seed=1) as cluster:
        a, b = cluster.nodes
        cluster.advance(2)
        a.bounded_counter(NAME).mint(10)
        a.bounded_counter(NAME).transfer("n1", 5)
        cluster.advance(3)
        cluster.partition([a], [b])
        spend_all(a, b)
        assert (a.bounded_counter(NAME).value(), b.bounded_counter(NAME).value()) == (5, 5)
        cluster.heal()
        cluster.settle()
        check(a, b)
        assert a.bounded_counter(NAME).value() == 0


def what_is_left_in_all_may_be_spent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(counter_bounded, "rights", lambda cell, holder: counter_bounded.total(cell))


def a_transfer_without_rights() -> None:
    with Cluster(3, seed=2) as cluster:
        a, b, c = cluster.nodes
        cluster.advance(2)
        a.bounded_counter(NAME).mint(10)
        cluster.advance(0.2)
        cluster.partition([a], [b, c])
        with pytest.raises(InsufficientRights):
            b.bounded_counter(NAME).transfer("n2", 10)
        spend_all(a, c)
        cluster.heal()
        cluster.settle()
        check(a, b, c)


def a_transfer_is_checked_against_the_value(patch: pytest.MonkeyPatch) -> None:
    def mutant(cell: object, event: object, args: tuple[bytes, int]) -> object:
        if args[1] > counter_bounded.total(cell):  # type: ignore[arg-type]
            raise RightsError(args[1], 0)
        own = counter_bounded._own(cell, event)  # type: ignore[arg-type]
        account = counter_bounded.Account(own.minted, own.consumed, {args[0]: args[1]})
        return counter_bounded._put(cell, event, account)  # type: ignore[arg-type]

    methods = {**counter_bounded.CounterBounded._methods, "transfer": mutant}
    patch.setattr(counter_bounded.CounterBounded, "_methods", methods)


def a_copy_beside_its_original() -> None:
    """The copy takes a new identity, and must wait for the seal of the one that goes on elsewhere."""
    with Cluster(2, seed=3) as cluster:
        a, b = cluster.nodes
        cluster.advance(2)
        a.bounded_counter(NAME).mint(10)
        a.bounded_counter(NAME).transfer("n1", 1)
        cluster.advance(0.2)
        copy = cluster.add()
        cluster.kill(copy)
        cluster.kill(a)
        shutil.rmtree(copy.directory)
        shutil.copytree(a.directory, copy.directory)
        cluster.restart(a)
        cluster.partition([a], [b, copy])
        copy._name, copy._identity = a.name, (b"the copy", [a.core.replica])
        cluster.restart(copy)
        cluster.advance(10)
        assert copy.bounded_counter(NAME).value() == 10, "it has the data, and the rights are another's"
        spend_all(a, copy)
        cluster.heal()
        cluster.advance(5)
        check(a, b, copy)


def an_heir_before_the_seal(patch: pytest.MonkeyPatch) -> None:
    def heirs(registry: Registry) -> dict[bytes, bytes]:
        found = {replica: registry.naming(replica) for replica in registry.old}
        return {replica: heir for replica, heir in found.items() if heir is not None}

    def mutant(registry: Registry, replica: bytes, keyspace: str, delivered: object) -> frozenset[bytes]:
        return frozenset({replica, *(old for old, heir in heirs(registry).items() if heir == replica)})

    patch.setattr(Registry, "heirs", property(heirs))
    patch.setattr(rights, "estate", mutant)


def a_backup_whose_last_spends_are_elsewhere() -> None:
    """The seal is known before the spends that it seals: the registry goes ways that the data does not."""
    with Cluster(3, seed=4) as cluster:
        a, b, between = cluster.nodes
        orders = [node.keyspace("orders") for node in (a, b)]
        cluster.advance(2)
        orders[0].bounded_counter(NAME).mint(10)
        cluster.advance(2)
        cluster.kill(a)
        backup = a.directory.with_name("backup")
        shutil.copytree(a.directory, backup)
        cluster.restart(a)
        cluster.advance(2)
        orders[0].bounded_counter(NAME).spend(9)
        cluster.advance(1)
        assert orders[1].bounded_counter(NAME).value() == 1
        cluster.kill(a)
        cluster.cut(a, b)
        shutil.rmtree(a.directory)
        backup.rename(a.directory)
        a.take_new_identity()
        cluster.restart(a)
        cluster.advance(700)
        assert a.core.engine.registry.sealed, "the old id is sealed, by way of the third node"
        spend_all(a, keyspace="orders")
        cluster.heal()
        cluster.advance(5)
        check(a, b, keyspace="orders")
        assert a.core.estate("orders")[1:], "now it is the heir"
        del between


def an_heir_that_has_not_all(patch: pytest.MonkeyPatch) -> None:
    honest = rights.estate

    class All:
        def covers(self, _: object) -> bool:
            return True

    def mutant(registry: Registry, replica: bytes, keyspace: str, delivered: object) -> frozenset[bytes]:
        return honest(registry, replica, keyspace, All())  # type: ignore[arg-type]

    patch.setattr(rights, "estate", mutant)


def a_map_is_cleared() -> None:
    with Cluster(2, seed=5) as cluster:
        a, b = cluster.nodes
        cluster.advance(2)
        a.map("m").bounded_counter(NAME).mint(10)
        a.map("m").bounded_counter(NAME).transfer("n1", 5)
        cluster.advance(3)
        b.map("m").bounded_counter(NAME).spend(5)
        cluster.advance(1)
        cluster.partition([a], [b])
        with pytest.raises(ValueError, match="cannot be removed"):
            a.map("m").clear()
        cluster.heal()
        cluster.settle()
        cell = a.core.cell(KEYSPACE, a.map("m").bounded_counter(NAME)._path)
        assert counter_bounded.total(cell) == 5


def it_can_be_removed(patch: pytest.MonkeyPatch) -> None:
    from gossamer.crdt import remove

    patch.setattr(counter_bounded.CounterBounded, "is_removable", True)
    methods = {**counter_bounded.CounterBounded._methods, "remove": remove}
    patch.setattr(counter_bounded.CounterBounded, "_methods", methods)


MUTANTS = [
    (what_is_left_in_all_may_be_spent, two_sides_of_a_partition),
    (a_transfer_is_checked_against_the_value, a_transfer_without_rights),
    (an_heir_before_the_seal, a_copy_beside_its_original),
    (an_heir_that_has_not_all, a_backup_whose_last_spends_are_elsewhere),
    (it_can_be_removed, a_map_is_cleared),
]


@pytest.mark.parametrize("scene", [scene for _, scene in MUTANTS], ids=lambda f: f.__name__)
def test_with_the_rule_nothing_is_oversold(scene: Callable[[], None]) -> None:
    scene()


@pytest.mark.parametrize(("mutant", "scene"), MUTANTS, ids=[mutant.__name__ for mutant, _ in MUTANTS])
def test_without_the_rule_the_scene_fails(
    mutant: Callable[[pytest.MonkeyPatch], None], scene: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        scene()
