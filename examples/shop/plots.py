"""Three plots of a run: latency, convergence, and committed cells over time, with what was broken when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # after the backend is chosen

from . import figures
from .course import Findings

COLOURS = {"kill": "tab:red", "freeze": "tab:blue", "cut off": "tab:orange", "split": "tab:purple"}


def draw(found: Findings, folder: Path) -> None:
    """All three, as PNG files."""
    _latency(found, folder / "latency.png")
    _convergence(found, folder / "convergence.png")
    _updates(found, folder / "updates.png")


def _axes(found: Findings, title: str, unit: str) -> tuple[Any, Any, float]:
    figure, axes = plt.subplots(figsize=(11, 4), layout="constrained")
    begin = found.phases[0].end
    for phase in found.phases:
        if phase.is_broken and phase.kind in COLOURS:
            axes.axvspan(phase.begin - begin, phase.end - begin, color=COLOURS[phase.kind], alpha=0.15, lw=0)
            axes.text(
                phase.begin - begin, 1.01, f"{phase.kind}", transform=axes.get_xaxis_transform(), fontsize=7
            )
    axes.set_title(title, pad=16)
    axes.set_xlabel("seconds")
    axes.set_ylabel(unit)
    return figure, axes, begin


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _latency(found: Findings, path: Path) -> None:
    figure, axes, begin = _axes(found, "Latency of requests, as customers see it", "milliseconds")
    good = [s for s in found.samples if s.is_right and s.meant_at >= begin]
    bad = [s for s in found.samples if not s.is_right and s.meant_at >= begin]
    axes.scatter(
        [s.meant_at - begin for s in good], [s.took_s * 1e3 for s in good], s=1, alpha=0.4, label="right"
    )
    axes.scatter(
        [s.meant_at - begin for s in bad], [s.took_s * 1e3 for s in bad], s=12, c="red", label="not right"
    )
    axes.axhline(figures.LATENCY_S * 1e3, color="black", lw=0.7, ls="--")
    axes.set_yscale("log")
    axes.legend(loc="upper right")
    _save(figure, path)


def _convergence(found: Findings, path: Path) -> None:
    figure, axes, begin = _axes(found, "From commit to visible on another instance", "seconds")
    for keyspace in sorted({lag.keyspace for lag in found.lags}):
        some = [lag for lag in found.lags if lag.keyspace == keyspace and lag.committed >= begin]
        axes.scatter(
            [lag.committed - begin for lag in some],
            [max(1e-4, lag.visible - lag.committed) for lag in some],
            s=1,
            alpha=0.4,
            label=keyspace,
        )
    axes.axhline(figures.HEALTHY_S, color="black", lw=0.7, ls="--")
    axes.set_yscale("log")
    axes.legend(loc="upper right", markerscale=6)
    _save(figure, path)


def _updates(found: Findings, path: Path) -> None:
    figure, axes, begin = _axes(found, "Cells committed", "a second")
    times = [at for at, _ in found.cells]
    names = sorted({name for _, counts in found.cells for name in counts})
    rates = [
        [
            max(0.0, (b.get(name, 0) - a.get(name, 0)) / (later - earlier))
            for (earlier, a), (later, b) in zip(found.cells, found.cells[1:], strict=False)
        ]
        for name in names
    ]
    axes.stackplot([at - begin for at in times[1:]], rates, labels=names)
    axes.axhline(figures.UPDATES_PER_MINUTE / 60, color="black", lw=0.7, ls="--")
    axes.legend(loc="upper right")
    _save(figure, path)
