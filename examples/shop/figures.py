"""What a run's findings come to: a line for each requirement, and a line for each phase.

When is a requirement met? `lines` says what was wanted beside what was measured; nothing here is timed anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from .course import Findings, Lag
from .load.desk import Sample
from .nemesis import CALM, Phase

UPDATES_PER_MINUTE = 100_000
"""Ten times what the shop's requirements ask for."""
HEALTHY_S, HEALED_S = 1.0, 10.0
ON_THE_WAY_S, RELINKED_S = 1.0, 5.0
LATENCY_S = 0.030
AVAILABLE = 0.999


class Line(msgspec.Struct, frozen=True):
    """One requirement."""

    name: str
    wanted: str
    measured: str
    is_met: bool


class Row(msgspec.Struct, frozen=True):
    """One phase, or several of a kind."""

    what: str
    requests: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    right: int

    @property
    def available(self) -> float:
        """Share of the requests that were answered right within a second."""
        return self.right / self.requests if self.requests else 1.0


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of 1 of them do not exceed; 0 of none."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def phase_of(phases: Sequence[Phase], at: float) -> Phase | None:
    """The phase that a moment is in."""
    return next((phase for phase in phases if phase.begin <= at < phase.end), None)


def measured(found: Findings) -> list[tuple[Phase, list[Sample]]]:
    """The samples of each phase, without the warm-up."""
    of_phase: dict[int, list[Sample]] = {}
    for sample in found.samples:
        phase = phase_of(found.phases, sample.meant_at)
        if phase is not None and phase.kind not in ("warm-up", "end"):
            of_phase.setdefault(id(phase), []).append(sample)
    return [
        (phase, of_phase.get(id(phase), [])) for phase in found.phases if phase.kind not in ("warm-up", "end")
    ]


def row(what: str, samples: Iterable[Sample]) -> Row:
    """A row of the table."""
    some = list(samples)
    took = [sample.took_s * 1e3 for sample in some]
    right = sum(sample.is_right for sample in some)
    p50, p99, p999 = (percentile(took, share) for share in (0.5, 0.99, 0.999))
    return Row(what, len(some), p50, p99, p999, max(took, default=0.0), right)


def rows(found: Findings) -> list[Row]:
    """A row for each phase."""
    return [row(f"{phase.kind} {phase.who}".strip(), samples) for phase, samples in measured(found)]


def kinds(found: Findings) -> list[Row]:
    """A row for each kind of phase."""
    grouped: dict[str, list[Sample]] = {}
    for phase, samples in measured(found):
        grouped.setdefault(phase.kind, []).extend(samples)
    return [row(kind, samples) for kind, samples in grouped.items()]


def requests(found: Findings) -> list[Row]:
    """A row for each kind of request."""
    grouped: dict[str, list[Sample]] = {}
    for _, samples in measured(found):
        for sample in samples:
            grouped.setdefault(sample.what, []).append(sample)
    return [row(what, samples) for what, samples in grouped.items()]


def cells_per_minute(found: Findings) -> tuple[float, dict[str, float]]:
    """Cells committed a minute, from the end of the warm-up to the end: in all, and by keyspace."""
    begin = next(phase.end for phase in found.phases if phase.kind == "warm-up")
    end = found.phases[-1].begin
    inside = [(at, counts) for at, counts in found.cells if begin <= at <= end]
    if len(inside) < 2:
        return 0.0, {}
    (first_at, first), (last_at, last) = inside[0], inside[-1]
    each = {k: (count - first.get(k, 0)) / (last_at - first_at) * 60 for k, count in last.items()}
    return sum(each.values()), each


def http_per_s(found: Findings) -> float:
    """Requests a second over the same time."""
    phases = measured(found)
    return sum(len(samples) for _, samples in phases) / (phases[-1][0].end - phases[0][0].begin)


def convergence(found: Findings) -> tuple[list[float], list[float]]:
    """Seconds from commit to visible elsewhere; and from the mending, where a change had to wait for one."""
    broken = [phase for phase in found.phases if phase.is_broken]
    healthy, healed = [], []
    for lag in found.lags:
        mended = _waited_for(broken, lag)
        if mended is None:
            healthy.append(lag.visible - lag.committed)
        else:
            healed.append(lag.visible - mended)
    return healthy, healed


def _waited_for(broken: Sequence[Phase], lag: Lag) -> float | None:
    """When that was mended which kept a change from its reader; None if nothing did.

    What was on its way when something broke waits, and so does what comes before all are linked again.
    """
    for phase in broken:
        is_between = (lag.by in phase.who) != (lag.instance in phase.who)
        until = max(phase.end, phase.mended + RELINKED_S)
        if is_between and phase.begin - ON_THE_WAY_S <= lag.committed < until and lag.visible >= phase.mended:
            return phase.mended
    return None


def lines(found: Findings) -> list[Line]:
    """Every requirement, with what was measured."""
    return [*_functional(found), *_other(found)]


def _functional(found: Findings) -> list[Line]:
    _, each = cells_per_minute(found)
    by_keyspace = ", ".join(f"{name} {count:,.0f}" for name, count in each.items())
    seen = len({lag.instance for lag in found.lags})
    apart = [row_ for row_ in kinds(found) if row_.what in ("cut off", "split")]
    settled = found.double
    return [
        Line(
            "FR1 several services update shared data",
            "3 services",
            f"cells a minute: {by_keyspace}",
            len(each) >= 5,
        ),
        Line(
            "FR2 every change reaches every service that hosts it",
            "equal digests, audit without a finding",
            f"{len(found.lags):,} arrivals on {seen} instances; {len(found.wrong)} findings",
            not found.wrong and seen == 6,
        ),
        Line(
            "FR3 services go on working on stale data",
            "requests answered while cut off",
            ", ".join(f"{one.what}: {one.right:,} of {one.requests:,}" for one in apart),
            bool(apart) and all(one.available >= AVAILABLE for one in apart),
        ),
        Line(
            "FR4 conflicts are found and resolved",
            "all of them",
            f"by a person: {found.found} of {found.contested} prices; by rule: {settled} orders reserved twice",
            found.contested > 0 and found.found == found.contested and not found.wrong,
        ),
        _while_synchronising(found),
    ]


def _while_synchronising(found: Findings) -> Line:
    after = row("", [s for phase, some in measured(found) if phase.kind.startswith("after") for s in some])
    return Line(
        "FR5 available and responsive while synchronising",
        f"{AVAILABLE:.1%} right, p99 < {LATENCY_S * 1e3:.0f} ms after each mending",
        f"{after.available:.3%} of {after.requests:,}, p99 {after.p99_ms:.1f} ms",
        after.available >= AVAILABLE and after.p99_ms < LATENCY_S * 1e3,
    )


def _other(found: Findings) -> list[Line]:
    cells, _ = cells_per_minute(found)
    healthy, healed = convergence(found)
    every = [row_ for row_ in kinds(found)]
    slowest = max(every, key=lambda one: one.p99_ms)
    broken = row("", [s for phase, some in measured(found) if phase.is_broken for s in some])
    p99, p99_healed = percentile(healthy, 0.99), percentile(healed, 0.99)
    return [
        Line(
            "NFR1 updates a minute",
            f"{UPDATES_PER_MINUTE:,}",
            f"{cells:,.0f} cells committed, with {http_per_s(found):,.0f} HTTP requests/s",
            cells >= UPDATES_PER_MINUTE,
        ),
        Line(
            "NFR2 consistent after an update",
            f"p99 within {HEALTHY_S:.0f} s healthy, within {HEALED_S:.0f} s of a heal",
            f"p99 {p99:.3f} s of {len(healthy):,}; {p99_healed:.2f} s of {len(healed):,} that waited for a heal",
            bool(healthy) and p99 <= HEALTHY_S and p99_healed <= HEALED_S,
        ),
        Line(
            "NFR3 latency",
            f"p99 < {LATENCY_S * 1e3:.0f} ms in each kind of phase",
            "; ".join(f"{one.what} {one.p99_ms:.1f}" for one in every) + " ms",
            slowest.p99_ms < LATENCY_S * 1e3,
        ),
        Line(
            "NFR4 availability while a node is down",
            f"{AVAILABLE:.1%}",
            f"{broken.available:.3%} of {broken.requests:,} requests",
            broken.available >= AVAILABLE,
        ),
    ]


def correct(found: Findings) -> bool:
    """Whether all that does not depend on the machine's speed is right: the audit, and the conflicts."""
    return not found.wrong and found.found == found.contested and bool(found.orders)


__all__ = ["CALM", "Line", "Row", "lines"]
