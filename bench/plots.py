"""The curves as pictures: SVG files, the same bytes for the same points, so that a commit shows what changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from measure import Curve

INCHES = (7.0, 3.6)
DECADES_RATIO = 100
"""From the least to the greatest value, from which on the powers of ten say enough; with less it needs ticks between."""


def draw(folder: Path, curves: Sequence[Curve]) -> dict[str, Path]:
    """One file a curve, by its name; other pictures in the folder go."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {curve.name: folder / f"{curve.name}.svg" for curve in curves}
    for old in set(folder.glob("*.svg")) - set(drawn.values()):
        old.unlink()
    with mpl.rc_context({"svg.hashsalt": "gossamer", "svg.fonttype": "none"}):
        for curve in curves:
            _figure(curve).savefig(drawn[curve.name], metadata={"Date": None})
    return drawn


def _figure(curve: Curve) -> Figure:
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    for name, points in curve.lines.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=name)
    axes.set_xscale("log")
    if all(y > 0 for points in curve.lines.values() for _, y in points):
        axes.set_yscale("log")
    measured = sorted({x for points in curve.lines.values() for x, _ in points})
    axes.set_xticks(measured, [f"{x:,.0f}" for x in measured])
    axes.xaxis.set_minor_locator(NullLocator())
    least, most = axes.get_ylim()
    if least > 0 and most / least >= DECADES_RATIO:
        axes.yaxis.set_minor_locator(NullLocator())  # they are half of the file's bytes
    axes.set_xlabel(curve.x)
    axes.set_ylabel(curve.unit)
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    return figure
