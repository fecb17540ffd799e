"""Do the examples in the core's docstrings do what they say?"""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import gossamer.crdt


def test_examples_in_docstrings() -> None:
    names = [found.name for found in pkgutil.iter_modules(gossamer.crdt.__path__, "gossamer.crdt.")]
    results = [doctest.testmod(importlib.import_module(name)) for name in names]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) > 0
