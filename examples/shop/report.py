"""The report of a run: Markdown for people, and plots beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import figures
from .course import Findings
from .figures import Line, Row

Say = Callable[[str], None]


def markdown(found: Findings, with_plots: bool = True) -> str:
    """All of it."""
    lines = figures.lines(found)
    parts = [
        "# The shop: a run",
        found.machine,
        _plan(found),
        "## Requirements",
        _table(["requirement", "wanted", "measured", ""], [_line(one) for one in lines]),
        "## The audit",
        _audit(found),
        "## Latency and availability by phase",
        "Milliseconds from the moment a request was meant to be sent to its right answer, retries included.",
        _rows(figures.rows(found)),
        "## By kind of phase",
        _rows(figures.kinds(found)),
        "## By request",
        _rows(figures.requests(found)),
        "## Convergence",
        _convergence(found),
        "## Tries that failed",
        _reasons(found),
    ]
    if with_plots:
        parts += [
            "## Plots",
            "![latency](latency.png)",
            "![convergence](convergence.png)",
            "![updates](updates.png)",
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _plan(found: Findings) -> str:
    seconds = found.phases[-1].begin - found.phases[0].begin if found.phases else 0.0
    rate = found.orders / max(1.0, seconds)
    ends = ", ".join(f"{count:,} {stage}" for stage, count in sorted(found.stages.items()))
    cpu = ", ".join(f"{name} {cores:.2f}" for name, cores in found.cpu.items())
    return (
        f"{found.orders:,} orders acknowledged in {seconds:.0f} s ({rate:.1f} a second): {ends}. "
        f"{found.double} were reserved twice, by both instances, and given back once."
        + (f"\n\nCores used, on average over the run: {cpu}." if cpu else "")
    )


def _line(one: Line) -> list[str]:
    return [one.name, one.wanted, one.measured, "met" if one.is_met else "**missed**"]


def _audit(found: Findings) -> str:
    if found.wrong:
        return "\n".join(f"- {line}" for line in found.wrong[:50])
    return (
        "No order lost or doubled, stock exact and never negative, both read models equal to the orders, every saga "
        f"completed or compensated. All at rest {found.rested_s:.2f} s after the last answer."
    )


def _rows(rows: list[Row]) -> str:
    head = ["", "requests", "p50", "p99", "p99.9", "max", "answered right"]
    return _table(
        head,
        [
            [
                one.what,
                f"{one.requests:,}",
                *(f"{ms:.1f}" for ms in (one.p50_ms, one.p99_ms, one.p999_ms, one.max_ms)),
                f"{one.available:.3%}",
            ]
            for one in rows
        ],
    )


def _convergence(found: Findings) -> str:
    healthy, healed = figures.convergence(found)
    rows = []
    for what, values in (("from commit to visible elsewhere", healthy), ("from a heal to visible", healed)):
        shown = [f"{figures.percentile(values, share):.3f}" for share in (0.5, 0.99, 1.0)]
        rows.append([what, f"{len(values):,}", *shown])
    return _table(["seconds", "changes", "p50", "p99", "max"], rows)


def _reasons(found: Findings) -> str:
    counts = sorted(found.reasons.items(), key=lambda item: -item[1])[:20]
    return (
        _table(["what", "times"], [[reason, f"{count:,}"] for reason, count in counts]) if counts else "None."
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    every = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in every)


def write(found: Findings, folder: Path) -> Path:
    """Write the report and its plots into a folder; the report's path."""
    from . import plots  # matplotlib takes long to import, and a smoke run wants none

    folder.mkdir(parents=True, exist_ok=True)
    plots.draw(found, folder)
    path = folder / "report.md"
    path.write_text(markdown(found))
    return path
