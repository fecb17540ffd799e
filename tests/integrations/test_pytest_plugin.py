"""The pytest plugin in runs of its own, as a user's: what do the fixtures give, does a failure replay, and does a run
that wants none of it import nothing?"""

from __future__ import annotations

import re

import pytest

pytest_plugins = ["pytester"]


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    quiet = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:asyncio")
    return pytester.runpytest_inprocess(*quiet, *args)


def test_three_nodes_that_have_met(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_trio(gossamer_trio):
            a, b, c = gossamer_trio.nodes
            a.counter("x").add(1)
            a.wait_replicated(a.token(), peers=2)
            gossamer_trio.partition([a], [b, c])
            b.counter("x").add(2)
            gossamer_trio.heal()
            gossamer_trio.settle()
            assert c.counter("x").value() == 3
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_clusters_are_made_as_wanted_and_closed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pathlib

        made = []

        def test_two(gossamer_cluster, gossamer_seed):
            one, two = gossamer_cluster(2), gossamer_cluster(1, keyspaces=["orders"], seed=7)
            assert [len(one.nodes), len(two.nodes)] == [2, 1]
            assert [one.seed, two.seed] == [gossamer_seed, 7]
            assert two.nodes[0].status()["keyspaces"].keys() == {"$system", "orders"}
            made.extend([*one.nodes, *two.nodes])

        def test_they_are_gone():
            assert len(made) == 3
            assert not any(node.is_alive or node.directory.exists() for node in made)
        """
    )
    run(pytester).assert_outcomes(passed=2)


FAILS = """
    def test_fails(gossamer_seed, gossamer_cluster):
        print("seed", gossamer_seed, gossamer_cluster(1).seed)
        assert gossamer_seed % 2 == 3
"""


def seeds(result: pytest.RunResult) -> list[str]:
    return re.findall(r"^seed (\d+ \d+)$", result.stdout.str(), re.MULTILINE)


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_failure_says_how_to_run_it_again(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makepyfile(test_it=FAILS)
    first = run(pytester, *workers)
    first.assert_outcomes(failed=1)
    said = re.search(
        r"^pytest (test_it.py::test_fails) (--gossamer-seed=\d+)$", first.stdout.str(), re.MULTILINE
    )
    assert said is not None, first.stdout.str()
    again = run(pytester, said[1], said[2])
    assert seeds(again) == seeds(first) != []
    assert seeds(run(pytester)) != seeds(first)


def test_a_test_keeps_its_seed_whichever_others_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=FAILS, test_other=FAILS)
    both = run(pytester, "--gossamer-seed=1")
    alone = run(pytester, "--gossamer-seed=1", "test_other.py")
    assert len(set(seeds(both))) == 2
    assert seeds(alone) == seeds(both)[1:]


def test_a_run_that_wants_no_cluster_imports_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_passes():
            assert "pytest_gossamer" in sys.modules
            assert not {"gossamer", "lmdb", "grpc", "msgspec"} & set(sys.modules)

        def test_fails():
            assert False
        """
    )
    result = pytester.runpytest_subprocess(
        "-p", "no:asyncio", "-W", "error", "--strict-markers", "--strict-config"
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*gossamer-seed*")


def test_the_options_and_fixtures_say_what_they_are(pytester: pytest.Pytester) -> None:
    run(pytester, "--help").stdout.fnmatch_lines(["*--gossamer-seed*"])
    run(pytester, "--fixtures").stdout.fnmatch_lines(
        ["gossamer_cluster*", "*Makes simulated clusters*", "gossamer_trio*"]
    )
