"""A node as a collector of prometheus_client: asked at each scrape, it looks at the node and says what it saw.

What if the node cannot be asked any more? What was counted is said all the same, and that the disk failed; a closed
node has no metrics.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import cast

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..counts import BOUNDS_S, Histogram
from ..errors import Closed, StoreError
from ..node import Node
from ..replica import Replica
from . import catalogue, values
from .lag import Lag
from .values import Labels, Look, Sample

VERSION = metadata.version("gossamer")


class NodeCollector(Collector):
    """The metrics of one node."""

    def __init__(self, node: Node) -> None:
        self._backend = node.backend
        self._replica = cast(Replica, node.backend.core)
        self._lag = Lag()

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would otherwise collect at once, and hold no two nodes' metrics."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics, in the order of the catalogue. `Closed` once the node is closed."""
        samples: dict[str, list[tuple[Labels, float]]] = defaultdict(list)
        for name, labels, number in self._samples():
            samples[name].append((labels, float(number)))
        histograms = self._histograms()
        for metric in catalogue.METRICS:
            if metric.kind == "histogram":
                yield _histogram(metric, histograms[metric.name])
            else:
                yield _plain(metric, samples.pop(metric.name, []))
        if samples:
            raise AssertionError(f"not in the catalogue: {sorted(samples)}")

    def _samples(self) -> Iterator[Sample]:
        writer, replica = self._backend.writer, self._replica
        seen = self._look()
        yield "gossamer_info", (replica.engine.identity.name, replica.replica.hex(), VERSION), 1
        yield "gossamer_store_failed", (), seen is None
        yield "gossamer_write_queue", (), writer.queued
        yield "gossamer_waiting", (), writer.waiting
        yield from values.counted(replica.counts)
        if seen is not None:
            yield from values.seen(seen)

    def _look(self) -> Look | None:
        """None: the disk failed, and the node says nothing more of itself."""
        replica, lag, backend = self._replica, self._lag, self._backend
        try:
            ticket = backend.writer.submit(lambda: values.look(replica, lag, backend.instant()))
            return cast(Look, ticket.result())
        except Closed:
            raise
        except StoreError:
            return None

    def _histograms(self) -> dict[str, list[tuple[Labels, Histogram]]]:
        counts = self._replica.counts
        return {
            "gossamer_commit_seconds": [((), counts.commits)],
            "gossamer_merge_seconds": [((), counts.merges)],
            "gossamer_visibility_seconds": [((peer,), of) for peer, of in list(counts.visible.items())],
        }


def _plain(metric: catalogue.Metric, samples: list[tuple[Labels, float]]) -> Metric:
    family = (
        CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        if metric.kind == "counter"
        else GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    )
    for labels, number in samples:
        family.add_metric(labels, number)
    return family


def _histogram(metric: catalogue.Metric, of: list[tuple[Labels, Histogram]]) -> Metric:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, histogram in of:
        so_far, buckets = 0, []
        for bound, number in zip([*map(str, BOUNDS_S), "+Inf"], list(histogram.counts), strict=True):
            so_far += number
            buckets.append((bound, float(so_far)))
        family.add_metric(labels, buckets, histogram.total)
    return family


__all__ = ["NodeCollector"]
