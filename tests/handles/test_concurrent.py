"""What do users see after concurrent writes have met? The tricky cases, in the form of the API."""

import pytest

from gossamer.handles import Keyspace
from gossamer.memory import MemoryBackend


class Pair:
    """Two replicas, the clock of the first far ahead."""

    def __init__(self) -> None:
        self._backends = (
            MemoryBackend(b"replicaA", clock=lambda: 5_000_000),
            MemoryBackend(b"replicaB", clock=lambda: 1_000_000),
        )
        self.a, self.b = (Keyspace(backend) for backend in self._backends)

    def meet(self) -> None:
        first, second = self._backends
        first.merge(second)
        second.merge(first)
        assert dict(self.a.items()) == dict(self.b.items())


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_a_write_that_saw_another_beats_it_however_late_its_clock(pair: Pair) -> None:
    pair.a.register("r").set("first")
    pair.meet()
    pair.b.register("r").set("second")
    pair.meet()
    reading = pair.a.register("r").read()
    assert reading.value == "second"
    assert reading.version == (b"replicaB", 1)
    assert reading.replica == b"replicaB"
    assert reading.updated_at == 5.000001
    assert reading.context == {b"replicaA": 1, b"replicaB": 1}
    assert [sibling.value for sibling in pair.a.register("r").siblings()] == ["second"]


def test_between_concurrent_writes_the_clock_decides_and_both_can_be_seen(pair: Pair) -> None:
    pair.b.register("r").set("slow")
    pair.a.register("r").set("fast")
    pair.meet()
    assert pair.b.register("r").get() == "fast"
    siblings = pair.b.register("r").siblings()
    assert [(s.value, s.updated_at, s.replica) for s in siblings] == [
        ("fast", 5.0, b"replicaA"),
        ("slow", 1.0, b"replicaB"),
    ]


def test_concurrent_values_all_stand_until_resolved(pair: Pair) -> None:
    pair.a.mv_register("r").set("x")
    pair.b.mv_register("r").set("y")
    pair.meet()
    register = pair.a.mv_register("r")
    reading = register.read()
    assert (reading.value, reading.version) == (["x", "y"], None)
    pair.b.mv_register("r").set("late")
    pair.meet()
    register.resolve("settled")
    assert register.values() == ["late", "settled"]


async def test_an_awaited_resolve_reads_no_more_than_its_handle_did(pair: Pair) -> None:
    register = pair.a.mv_register("r")
    assert await register.avalues() == []
    pair.b.mv_register("r").set("late")
    pair.meet()
    await register.aresolve("settled")
    assert await register.avalues() == ["late", "settled"]


def test_equal_values_are_one_value_and_two_siblings(pair: Pair) -> None:
    pair.a.mv_register("r").set("x")
    pair.b.mv_register("r").set("x")
    pair.meet()
    assert pair.a.mv_register("r").values() == ["x"]
    assert [(s.value, s.replica) for s in pair.a.mv_register("r").siblings()] == [
        ("x", b"replicaA"),
        ("x", b"replicaB"),
    ]


@pytest.mark.parametrize(("policy", "wins"), [("enable-wins", True), ("disable-wins", False)])
def test_enable_beside_disable(pair: Pair, policy: str, wins: bool) -> None:
    pair.a.flag("f", policy).enable()
    pair.meet()
    pair.a.flag("f", policy).enable()
    pair.b.flag("f", policy).disable()
    pair.meet()
    assert pair.a.flag("f", policy).value() is wins


def test_two_beside_a_reset_of_four(pair: Pair) -> None:
    pair.a.counter("c").add(1)
    pair.b.counter("c").add(3)
    pair.meet()
    pair.a.counter("c").reset()
    pair.b.counter("c").add(2)
    pair.meet()
    assert pair.a.counter("c").value() == 2


@pytest.mark.parametrize(("policy", "is_in"), [("add-wins", True), ("remove-wins", False)])
def test_add_beside_remove(pair: Pair, policy: str, is_in: bool) -> None:
    pair.a.set("s", policy).add("x")
    pair.meet()
    pair.a.set("s", policy).add("x")
    pair.b.set("s", policy).remove("x")
    pair.meet()
    assert ("x" in pair.a.set("s", policy)) is is_in


@pytest.mark.parametrize("policy", ["add-wins", "remove-wins"])
def test_add_beside_clear(pair: Pair, policy: str) -> None:
    pair.a.set("s", policy).update(["x", "y"])
    pair.meet()
    pair.a.set("s", policy).clear()
    pair.b.set("s", policy).update(["x", "z"])
    pair.meet()
    assert pair.a.set("s", policy) == {"x", "z"}


def test_a_clear_does_not_undo_a_remove(pair: Pair) -> None:
    pair.a.set("s", "remove-wins").add("x")
    pair.meet()
    pair.a.set("s", "remove-wins").remove("x")
    pair.a.set("s", "remove-wins").clear()
    pair.b.set("s", "remove-wins").add("x")
    pair.meet()
    assert len(pair.a.set("s", "remove-wins")) == 0


def test_removing_a_map_beside_a_write_inside(pair: Pair) -> None:
    pair.a.map("m").map("n").register("X").set(1)
    pair.meet()
    pair.a.map("m").remove("n")
    pair.b.map("m").map("n").register("Y").set(2)
    pair.meet()
    assert pair.a.map("m").value() == {"n": {"Y": 2}}


def test_both_create_one_map(pair: Pair) -> None:
    pair.a.map("m").map("n").create()
    pair.b.map("m").map("n").register("r").set(1)
    pair.meet()
    assert pair.a.map("m").value() == {"n": {"r": 1}}


def test_a_transaction_merges_with_what_it_did_not_see(pair: Pair) -> None:
    with pair.a.transaction() as tx:
        tx.counter("c").add(1)
        tx.set("s").clear()
    pair.b.counter("c").add(2)
    pair.b.set("s").add("x")
    pair.meet()
    assert pair.a.counter("c").value() == 3
    assert pair.a.set("s") == {"x"}
