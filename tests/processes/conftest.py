"""Nodes for tests that leave them as they found them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .process import Serve
from .trio import Trio


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """Three linked nodes, for all tests of a file. Links go over the wires between them only."""
    with Trio(tmp_path_factory.mktemp("trio"), doors=False) as trio:
        yield trio


@pytest.fixture
def trio(running: Trio) -> Iterator[Trio]:
    """The three nodes, linked and equal before and after the test; none of them takes a new identity."""
    ids = [node.client.status()["replica"] for node in running.all]
    yield running
    running.wires.heal()
    running.linked()
    assert [node.client.status()["replica"] for node in running.all] == ids


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Serve]:
    """One node, not running yet."""
    with Serve("a", tmp_path) as serve:
        yield serve
