"""The results of the benches in one JSON file: bench -> its latest result, with the state of the machine.

Why a result a bench? Each is a run of its own, and only what ran in turns within one may be compared.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import msgspec

from measure import Curve, Figure


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one bench gave."""

    about: str
    at: str
    """When it began to be kept, in local time."""
    seconds: float
    """That it took."""
    is_smoke: bool
    """Of small sizes: it says whether the bench runs, and nothing of speed."""
    machine: list[str]
    """What it ran on, the disk's floor, the load, the peers."""
    figures: list[Figure]
    curves: list[Curve]


Results = dict[str, Result]


def load(file: Path) -> Results:
    """The results of a file; none if it is not there."""
    if not file.exists():
        return {}
    return msgspec.json.decode(file.read_bytes(), type=File).benches


def keep(file: Path, name: str, result: Result) -> None:
    """Put a bench's result in place of its last one; those of others stay."""
    kept = File(benches=load(file) | {name: result})
    shown: Any = msgspec.to_builtins(kept)
    for one, bench in kept.benches.items():
        for figure, plain in zip(bench.figures, shown["benches"][one]["figures"], strict=True):
            plain.update(median=figure.ours.median, ratio=figure.ratio, met=figure.is_met)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(shown)) + b"\n")


class File(msgspec.Struct, frozen=True):
    """What is written; besides, each figure has its median, its ratio and whether it met its goal."""

    benches: Results


def hardware() -> str:
    """Processor, cores, memory, kernel, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
