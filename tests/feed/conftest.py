"""A node of its own for each test, and what its followers are asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import gossamer
from gossamer import Node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with gossamer.open(tmp_path / "data", name="a") as node:
        yield node
