"""A pytest plugin: fixtures with simulated clusters, whose seed is told with a failure, so that it can be run again.

Why is this not a module of `gossamer`? pytest imports the plugins of all that is installed at the start of every run, and to
import a module of a package imports the package. This one imports nothing until a test wants a cluster.
"""

from __future__ import annotations

import os
import shlex
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gossamer.testing import Cluster, ClusterFactory

SEED_BELOW = 2**32
FIXTURES = ("gossamer_cluster", "gossamer_seed", "gossamer_trio")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--gossamer-seed``."""
    parser.getgroup("gossamer").addoption(
        "--gossamer-seed",
        type=int,
        default=None,
        metavar="N",
        help="Seed of simulated clusters; a failure says which one it had. [a new one each run]",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed of this run, here, so that workers of pytest-xdist are given the same one."""
    if config.option.gossamer_seed is None:
        config.option.gossamer_seed = int.from_bytes(os.urandom(4), "big")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Say with a failure how to run it again."""
    report = yield
    if report.failed and set(FIXTURES).intersection(getattr(item, "fixturenames", ())):
        seed = item.config.option.gossamer_seed
        report.sections.append(("gossamer", f"pytest {shlex.quote(item.nodeid)} --gossamer-seed={seed}"))
    return report


@pytest.fixture
def gossamer_seed(request: pytest.FixtureRequest) -> int:
    """A seed of this test's own: it depends on ``--gossamer-seed`` and the test's name, not on which tests run."""
    said = f"{request.config.option.gossamer_seed} {request.node.nodeid}"
    return zlib.crc32(said.encode()) % SEED_BELOW


@pytest.fixture
def gossamer_cluster(gossamer_seed: int) -> Iterator[ClusterFactory]:
    """Makes simulated clusters, `gossamer.testing.Cluster`, that are closed when the test is over."""
    from gossamer.testing import Cluster

    made: list[Cluster] = []

    def make(
        count: int = 3, *, seed: int | None = None, keyspaces: Sequence[str] = ("default",), **settings: Any
    ) -> Cluster:
        chosen = (gossamer_seed + len(made)) % SEED_BELOW if seed is None else seed
        made.append(Cluster(count, seed=chosen, keyspaces=keyspaces, **settings))
        return made[-1]

    yield make
    for cluster in reversed(made):
        cluster.close()


@pytest.fixture
def gossamer_trio(gossamer_cluster: ClusterFactory) -> Cluster:
    """A simulated cluster of three nodes that have met."""
    cluster = gossamer_cluster(3)
    cluster.settle()
    return cluster
