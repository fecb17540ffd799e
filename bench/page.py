"""The page of the figures: a table a bench and its plots, between two marks of a Markdown file.

    python bench/page.py RESULTS.json PAGE.md

What of the page is its writer's, and what is generated? All outside of the marks stays as it is. Plots go into a folder
beside the page, of its name; plots of former runs that are not drawn any more are taken away.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import plots
import results
from measure import Curve, Figure, Sample, number
from results import Result, Results

BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def write(page: Path, taken: Results) -> None:
    """Put the results into a page. `ValueError` if it has not both marks, in order."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page}: it lacks the marks {BEGIN} and {END}")
    folder = page.with_suffix("")
    drawn = plots.draw(folder, [curve for result in taken.values() for curve in result.curves])
    lines: list[str] = []
    for name, result in taken.items():
        lines += section(
            name, result, {curve: path.relative_to(page.parent) for curve, path in drawn.items()}
        )
    page.write_text(before + begin + "\n\n" + "\n".join(lines).rstrip() + "\n\n" + end + after)


def section(name: str, result: Result, drawn: dict[str, Path]) -> Iterator[str]:
    """The lines of one bench."""
    yield from (f"### {name}: {result.about}", "")
    if result.is_smoke:
        yield from ("Of small sizes: it runs, and how fast it is says nothing.", "")
    if result.figures:
        yield "| | what | Gossamer | beside it | its figure | ratio | goal | |"
        yield "|---|---|---|---|---|---|---|---|"
        yield from map(row, result.figures)
        yield ""
    for curve in result.curves:
        yield from plot(curve, drawn[curve.name])
    yield from (f"{result.at}, in {result.seconds:.0f} s. " + "; ".join(result.machine) + ".", "")


def row(figure: Figure) -> str:
    """A figure as a row of its table."""
    wanted = (
        "" if figure.wanted is None else f"{'≤' if figure.less_is_better else '≥'} {number(figure.wanted)}"
    )
    met = {None: "", True: "met", False: "not met"}[figure.is_met]
    theirs = _spread(figure.theirs) if figure.theirs else ""
    ratio = number(figure.ratio) if figure.theirs else ""
    cells = (figure.goal, figure.what, _spread(figure.ours), figure.against, theirs, ratio, wanted, met)
    return "| " + " | ".join(cells) + " |"


def plot(curve: Curve, drawn: Path) -> Iterator[str]:
    """A curve: its picture, its formula, its points."""
    what = curve.what[0].upper() + curve.what[1:]
    yield from (f"![{what}]({drawn})", "", f"{what}. Expected: {curve.formula}.", "")
    names = list(curve.lines)
    yield f"| {curve.x} | " + " | ".join(f"{name}, {curve.unit}" for name in names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    points = [dict(curve.lines[name]) for name in names]
    for x in sorted({x for line in points for x in line}):
        yield f"| {x:,.0f} | " + " | ".join(number(line[x]) if x in line else "" for line in points) + " |"
    yield ""


def _spread(sample: Sample) -> str:
    return str(sample).replace("|", "/")


if __name__ == "__main__":
    write(Path(sys.argv[2]), results.load(Path(sys.argv[1])))
