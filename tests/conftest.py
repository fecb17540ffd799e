"""How much chance the random tests are given.

``pytest --hypothesis-profile=thorough`` runs twenty times as many examples. A failing random test prints the
example it has shrunk to, and a line ``@reproduce_failure(…)`` that replays it when put above the test.
"""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from .loopwatch import LoopWatch

settings.register_profile("moderate", deadline=None, max_examples=40, print_blob=True)
settings.register_profile("thorough", settings.get_profile("moderate"), max_examples=2000)
if not any(argument.startswith("--hypothesis-profile") for argument in sys.argv):
    settings.load_profile("moderate")


@pytest.fixture(scope="session")
def _loop_watch() -> Iterator[LoopWatch]:
    with LoopWatch() as watch:
        yield watch


@pytest.fixture(autouse=True)
def _no_loop_is_blocked(_loop_watch: LoopWatch) -> Iterator[None]:
    """A test in which a node's network loop was blocked by our own code fails."""
    before = len(_loop_watch.found)
    yield
    assert len(_loop_watch.found) == before, f"the loop was blocked here:\n{_loop_watch.found[-1]}"
