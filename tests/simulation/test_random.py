"""Random schedules of the real engine on real stores, against the oracle. Seeds that once failed come first."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from .kinds import KINDS
from .run import run

ONCE_FAILED = {
    3: "a lone node collected an *off* before it had met the others",
    42: "an event that had lost rows to collection travelled as a whole one",
    49: "the same, seen by a joiner between two partial vectors",
    2175: "the last message before a silence was lost, and a node that was catching up never said another",
    2552: "a joiner with half a registry took a current replica id for an old one, and sealed it",
    10868: "a whole node waited for a peer that was half done to send first",
    40351: "data that a seal forbids ended each link before the registry, with the missing answer, was through",
    50058: "a pass of collection that a bootstrap or a joiner cut short was taken for done",
    60142: "a peer that had only said hello before it was cut off counted as met, and then for nothing",
    529: "an *off* dropped where it stood was still live on another node when a write arrived there",
}
CHUNKS = 30
SEEDS_EACH = int(os.environ.get("GOSSAMER_SCHEDULES", "1200")) // CHUNKS
"""GOSSAMER_SCHEDULES: how many in all; GOSSAMER_FIRST_SEED: where they begin."""
FIRST = int(os.environ.get("GOSSAMER_FIRST_SEED", "10000"))


@pytest.mark.parametrize("seed", ONCE_FAILED, ids=str)
def test_seeds_that_once_failed(seed: int) -> None:
    run(seed, "long")


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_schedules(chunk: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(FIRST + chunk * SEEDS_EACH, FIRST + (chunk + 1) * SEEDS_EACH):
        seen += Counter(run(seed).seen)
    if SEEDS_EACH >= 40:  # or the chunk is too small for the rarer ones
        for what in ("event", "transaction", "partition", "kill", "storm", "join", "settled", "new identity"):
            assert seen[what] > 0, f"no {what} in {SEEDS_EACH} schedules: they test nothing of it"


OTHER_KINDS = [kind for kind in KINDS if kind != "core"]
SEEDS_OF_A_KIND = int(os.environ.get("GOSSAMER_SCHEDULES_OF_A_KIND", "8"))
ONCE_FAILED_OF_A_KIND: dict[tuple[str, int], str] = {
    ("large", 82): "a row of an event was passed over, since one before it had been sent in slices",
    ("large", 186): "a cell that changed between its slices was taken for sent",
    ("large", 645): "a full exchange that was resumed claimed what had changed before it was",
    (
        "large",
        1000835,
    ): "a cell that came between two slices of the next one parted them, and the second was taken for all of it",
    (
        "feed",
        1535,
    ): "a cell that came in one part of a batch and went in the next was told as a change from nothing to nothing",
    (
        "expiry",
        1322,
    ): "a registry in staged parts never got through: data refused for want of its last part ended the link",
    (
        "expiry",
        1000985,
    ): "the oracle did not know that a node had seen its own last word, when it swept that as another replica (its own mistake)",
    (
        "documents",
        38,
    ): "a class without a field was let through or not by which of two records of it sorted first",
    (
        "leaving",
        5,
    ): "a node that left did not take a refusal for the word that others know, and went on telling for ever",
    (
        "swarm",
        5058,
    ): "two nodes that were set back sealed an old id before they had met the two that knew more of it",
    (
        "core",
        1006097,
    ): "the oracle forgot that a replica's highest value is carried on by its later sets (its own mistake)",
    (
        "core",
        1119571,
    ): "both ends' openings of the keyspaces were lost, and nothing was said on the link any more",
    (
        "damage",
        35,
    ): "parts of a batch over a damaged cell of the registry ended the link, and came again, before the cell was asked for",
    (
        "idempotent",
        1000287,
    ): "the oracle took it for a retry that a joiner was asked after the window, when it had got no note yet (its own mistake)",
    (
        "conflicts",
        1000052,
    ): "of two writes that came together one superseded a beaten value and the other said the same: taken for reinstated",
    (
        "damage",
        1000000,
    ): "rows were collected while a cell was damaged, and who had all of that could not be told any more",
    ("swarm", 1011942): "a joiner waited for ever for what all who had it had lost by going back",
    ("setbacks", 290): "the same, of a node that had been whole before",
    (
        "setbacks",
        2000571,
    ): "a node that had its own event back by a full exchange took the rows of others for another event",
    (
        "leaving",
        1000377,
    ): "members that had not met yet agreed twice, in two views, on who inherits from one that left at once",
    ("partial", 1035): "a host that was leaving did not count, and a floor that it needed was collected",
    (
        "partial",
        1000739,
    ): "a host that took a new id while it was leaving took everybody for knowing, and dropped the keyspace",
}
"""(kind, seed) -> what it was."""


@pytest.mark.parametrize(("kind", "seed"), ONCE_FAILED_OF_A_KIND, ids=str)
def test_seeds_of_a_kind_that_once_failed(kind: str, seed: int) -> None:
    run(seed, kind)


@pytest.mark.parametrize("chunk", range(4))
@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_random_schedules_of_a_kind(kind: str, chunk: int) -> None:
    each = SEEDS_OF_A_KIND // 4
    for seed in range(FIRST + chunk * each, FIRST + (chunk + 1) * each):
        run(seed, kind)


def test_a_seed_runs_the_same_twice() -> None:
    first, second = run(7), run(7)
    assert first.steps == second.steps
    assert first.trace == second.trace
