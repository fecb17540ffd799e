"""How members come to agree on a seal, without a cluster: answers that reach the others late, and in any order.

The question this answers: *can two nodes, whatever they have seen, take different heirs for agreed on?*
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from gossamer import admin
from gossamer.backend import Op
from gossamer.replication import registry, seals
from gossamer.replication.registry import Member, Registry
from gossamer.replication.seals import Answer, Seal, Settlement

GONE = b"\xff" * 8
IDS = {name: bytes((n,)) * 8 for n, name in enumerate("abcdef", 1)}
NAMES = sorted(IDS)


class Gossip:
    """Members that answer, see some of each other's answers, and remove each other, but never the first one."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.members = NAMES[: self.rng.randint(2, 6)]
        self.remaining = {
            name: {n for n in self.members if self.rng.random() < 0.8} | {"a"} for name in self.members
        }
        self.heirs = {name: self.rng.choice([None, *IDS.values()]) for name in self.members}
        self.version: dict[str, int] = {}
        self.seen: dict[str, dict[str, tuple[int, Answer]]] = {name: {} for name in self.members}
        self.agreed: set[Settlement] = set()

    def seal(self, name: str) -> Seal:
        return Seal(GONE, answers={other: answer for other, (_, answer) in self.seen[name].items()})

    def answer(self, name: str) -> bool:
        seal = self.seal(name)
        found = seal.answer_of(name, IDS[name], self.remaining[name], self.heirs[name], {})
        if found.says_same(seal.answers.get(name, Answer())):
            return False
        self.version[name] = self.version.get(name, 0) + 1
        self.seen[name][name] = (self.version[name], found)
        self.look(name)
        return True

    def look(self, name: str) -> None:
        found = self.seal(name).agreed()
        if found is not None:
            self.agreed.add(found)

    def tell(self, teller: str, name: str, only: str | None = None) -> None:
        for other, held in self.seen[teller].items():
            if (only is None or other == only) and self.seen[name].get(other, (0, None))[0] < held[0]:
                self.seen[name][other] = held
        self.look(name)

    def step(self) -> None:
        name, other = self.rng.choice(self.members), self.rng.choice(self.members)
        what = self.rng.random()
        if what < 0.4:
            self.answer(name)
        elif what < 0.9:
            self.tell(other, name, self.rng.choice([None, *self.members]))
        elif what < 0.95:
            self.heirs[name] = self.rng.choice([None, *IDS.values()])  # its registry has moved on
        elif other != "a":
            self.remaining[name].discard(other)

    def finish(self) -> None:
        stay = [name for name in self.members if all(name in found for found in self.remaining.values())]
        for found in self.remaining.values():
            found &= set(stay)
        has_changed = True
        while has_changed:
            for teller in self.members:
                for name in self.members:
                    self.tell(teller, name)
            answered = [self.answer(name) for name in self.members]
            has_changed = True in answered


def run(seed: int) -> None:
    gossip = Gossip(seed)
    for _ in range(40):
        gossip.step()
    gossip.finish()
    assert len(gossip.agreed) == 1, f"seed {seed}: {gossip.agreed}"


def test_there_is_one_heir_whoever_has_seen_what_and_in_the_end_there_is_one() -> None:
    for seed in range(1000):
        run(seed)


def _take_what_the_registry_says_now(patch: pytest.MonkeyPatch) -> None:
    honest = Seal.answer_of

    def mutant(
        self: Seal, name: str, replica: bytes, remaining: set[str], heir: bytes | None, has: object
    ) -> Answer:
        found = honest(self, name, replica, remaining, heir, {})
        return Answer({}, found.view, heir or b"", found.lowest)

    patch.setattr(Seal, "answer_of", mutant)


def _be_content_with_answers_that_differ(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Seal) -> Settlement | None:
        for answer in self.answers.values():
            others = [self.answers[name] for name in answer.view if name in self.answers]
            if len(others) == len(answer.view) > 0:
                return Settlement(
                    *(
                        min((i for i in ids if i), default=b"")
                        for ids in zip(*[(o.heir, o.lowest) for o in others], strict=True)
                    )
                )
        return None

    patch.setattr(Seal, "agreed", mutant)


def _listen_to_those_outside_the_view(patch: pytest.MonkeyPatch) -> None:
    honest = Seal.answer_of

    def mutant(
        self: Seal, name: str, replica: bytes, remaining: set[str], heir: bytes | None, has: object
    ) -> Answer:
        found = honest(self, name, replica, remaining, heir, {})
        lowest = min((i for i in [*(a.heir for a in self.answers.values()), found.heir] if i), default=b"")
        return Answer({}, found.view, lowest, found.lowest)

    patch.setattr(Seal, "answer_of", mutant)


@pytest.mark.parametrize(
    "mutant",
    [
        _take_what_the_registry_says_now,
        _be_content_with_answers_that_differ,
        _listen_to_those_outside_the_view,
    ],
)
def test_without_each_of_the_rules_there_are_two(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        for seed in range(3000):
            gossip = Gossip(seed)
            for _ in range(60):
                gossip.step()
            assert len(gossip.agreed) <= 1


def test_an_answer_is_what_it_was_after_the_registry_has_kept_it() -> None:
    answer = Answer({"default": (1, 3, 5, 5)}, frozenset("ab"), IDS["b"], IDS["a"])
    assert seals.of_value(seals.to_value(answer)) == answer
    bare = Answer({"default": (1, 3)})
    assert seals.to_value(bare) == {"default": [1, 2]} and seals.of_value({"default": [1, 2]}) == bare
    assert seals.of_value({"$view": 3, "$heir": "x", "default": "y"}) == Answer({"default": ()})


# Estates.


def _sealed(replica: bytes, heir: bytes, lowest: bytes = IDS["a"], *, is_dead: bool = False) -> Seal:
    answers = {name: Answer({}, frozenset("ab"), heir, lowest) for name in "ab"}
    return Seal(
        replica, is_dead=is_dead, answers=answers, settled=Settlement(heir, lowest), bounds={"a": Answer()}
    )


def _registry(*sealed: Seal) -> Registry:
    members = {name: Member(name, IDS[name], {IDS[name]}) for name in "ab"}
    return Registry(members, {seal.replica: seal for seal in sealed})


def test_an_heir_that_is_sealed_passes_on_what_it_inherited() -> None:
    a, b, c, d = (IDS[name] for name in "abcd")
    found = _registry(_sealed(d, c), _sealed(c, b))
    assert found.heir(d) == c and found.heir(c) == b
    assert found.estate(b) == {b, c, d} and found.estate(c) == {c, d} and found.estate(a) == {a}
    assert found.executor(d) == found.executor(c) == found.executor(b) == b


def test_without_an_heir_the_rights_are_locked_until_the_node_is_confirmed_dead() -> None:
    a, b, d = IDS["a"], IDS["b"], IDS["d"]
    found = _registry(_sealed(d, b""))
    assert found.heir(d) is None and found.estate(a) == {a} and found.estate(b) == {b}
    assert found.executor(d) == a, "what must be finished is finished all the same"
    dead = _registry(_sealed(d, b"", is_dead=True))
    assert dead.heir(d) == a and dead.estate(a) == {a, d}


def test_nothing_is_inherited_while_a_removed_member_may_know_more() -> None:
    b, d = IDS["b"], IDS["d"]
    found = _registry(_sealed(d, b))
    seal = found.seals[d]
    seal.bounds.clear()
    found.members["x"] = Member("x", IDS["e"], {IDS["e"]}, is_removed=True)
    assert d in found.sealed and d not in found.closed and not found.can_close(seal)
    assert found.heir(d) is None and found.estate(b) == {b}
    assert found.executor(d) == b
    found.members["x"].is_forgotten = True
    assert found.can_close(seal)


def test_two_that_name_each_other_are_no_endless_chain() -> None:
    c, d = IDS["c"], IDS["d"]
    found = _registry(_sealed(c, d), _sealed(d, c))
    assert found.estate(c) == found.estate(d) == {c, d}
    assert found.executor(c) == d


def test_a_second_forget_confirms_that_the_node_is_dead() -> None:
    member = Member("d", IDS["d"], {IDS["d"]})
    assert len(registry.forget_ops(member)) == 1
    assert {op.path for op in registry.forget_ops(member)} < {
        op.path for op in registry.forget_ops(member, is_dead=True)
    }


async def test_an_operator_confirms_it_by_the_verb() -> None:
    done: list[Op] = []

    async def commit(ops: Sequence[Op]) -> None:
        done.extend(ops)

    member = {"name": "d", "state": "forgotten", "replica": IDS["d"].hex(), "old_replicas": [IDS["e"].hex()]}
    found = await admin.perform("members.forget", {"name": "d", "dead": True}, {"members": [member]}, commit)
    assert found["dead"] is True and found["replicas"] == [IDS["d"].hex(), IDS["e"].hex()]
    assert len(done) == 4
    with pytest.raises(TypeError, match="dead"):
        await admin.perform("members.forget", {"name": "d", "dead": "yes"}, {"members": [member]}, commit)
