"""Runs of many schedules of the set model, in one process or several, plain or compiled."""

from __future__ import annotations

import importlib
import multiprocessing
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import world as plain
from .violation import Violation

CHUNK = 2000
BUILD = Path("build/model")
COMPILED = ("history.py", "rules.py", "world.py")


def compiled() -> Any:
    """The model as a C extension. Its files are the same; the package has another name, so that both can be loaded."""
    here, package = Path(__file__).parent, BUILD / "gossamer_set_model"
    sources = {path.name: path.read_bytes() for path in sorted(here.glob("*.py")) if path.stem != "__main__"}
    stamp = package / "sources"
    if not stamp.exists() or stamp.read_bytes() != b"".join(sources.values()):
        shutil.rmtree(BUILD, ignore_errors=True)
        package.mkdir(parents=True)
        for name, source in sources.items():
            (package / name).write_bytes(source)
        files = [f"{package.name}/{name}" for name in COMPILED]
        subprocess.run([sys.executable, "-m", "mypyc", *files], cwd=BUILD, check=True, capture_output=True)
        stamp.write_bytes(b"".join(sources.values()))
    sys.path.insert(0, str(BUILD.resolve()))
    return importlib.import_module("gossamer_set_model.world")


def run(
    start: int, count: int, is_compiled: bool, mutants: int = 0
) -> tuple[int, Counter[str], dict[int, str]]:
    """A chunk of seeds: how many, what was seen how often, which failed and why."""
    world = compiled() if is_compiled else plain
    seen: Counter[int] = Counter()
    failed: dict[int, str] = {}
    for seed in range(start, start + count):
        steps = world.steps_of(seed)
        try:
            seen[world.sights(steps, mutants)] += 1
        except Exception as error:  # of the compiled twin: another class of the same name
            if type(error).__name__ != Violation.__name__:
                raise
            failed[seed] = str(error)
    names: Counter[str] = Counter()
    for sights, times in seen.items():
        for at, name in enumerate(plain.SIGHTS):
            names[name] += times * (sights >> at & 1)
    return count, names, failed


def chunks(start: int, count: int, processes: int, is_compiled: bool) -> Iterator[Any]:
    starts = range(start, start + count, CHUNK)
    sizes = [min(CHUNK, start + count - at) for at in starts]
    if processes == 1:
        yield from map(run, starts, sizes, [is_compiled] * len(sizes))
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        jobs = [
            pool.apply_async(run, (at, size, is_compiled)) for at, size in zip(starts, sizes, strict=True)
        ]
        for job in jobs:
            yield job.get()
