"""Does the exposition say what the nodes do? Real nodes, parsed as Prometheus does."""

from __future__ import annotations

import math
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

import gossamer
from gossamer import Node, metrics
from gossamer.counts import BOUNDS_S, Histogram
from gossamer.metrics.canary import CANARIES
from gossamer.metrics.catalogue import BY_NAME
from gossamer.metrics.lag import STABLE, Lag
from gossamer.testing import Cluster

from ..rpc.proxy import Proxy
from ..rpc.standin import DEADLINE_S, FAST

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(stack: ExitStack, where: Path, **settings: Any) -> Node:
    settings = {"listen": "127.0.0.1:0", "name": where.name, "timing": FAST, **settings}
    return stack.enter_context(gossamer.open(where, **settings))


def samples(node: Node) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(metrics.exposition(node))
        for sample in family.samples
    }


def value(node: Node, name: str, **labels: str) -> float:
    return samples(node)[name, frozenset(labels.items())]


def until(is_so: Callable[[], bool]) -> None:
    """Look until it is so: it comes with time, from other threads."""
    deadline = monotonic() + DEADLINE_S
    while not is_so():
        assert monotonic() < deadline, "it never came to be"
        sleep(0.005)


def test_reads_and_writes_are_counted(stack: ExitStack, tmp_path: Path) -> None:
    node = opened(stack, tmp_path / "a")
    before = samples(node)
    for _ in range(3):
        node.counter("sold").add(1)
    with node.transaction() as tx:
        tx.counter("sold").add(1)
        tx.register("last").set("x")
    with pytest.raises(gossamer.InsufficientRights):
        node.bounded_counter("stock").spend(1)
    cells = value(node, "gossamer_reads_total", keyspace="default", kind="cell")
    for _ in range(5):
        node.register("last").get()
    assert value(node, "gossamer_writes_total", keyspace="default", outcome="ok") == 4
    assert value(node, "gossamer_writes_total", keyspace="default", outcome="error") == 1
    assert value(node, "gossamer_reads_total", keyspace="default", kind="cell") == cells + 5
    pages = samples(node).get(
        ("gossamer_reads_total", frozenset({("keyspace", "default"), ("kind", "page")})), 0
    )
    assert node.map("cart").value() == {}
    assert value(node, "gossamer_reads_total", keyspace="default", kind="page") > pages
    after, none = samples(node), frozenset[tuple[str, str]]()
    commits = after["gossamer_commit_seconds_count", none]
    assert commits >= before["gossamer_commit_seconds_count", none] + 4
    assert after["gossamer_commit_seconds_bucket", frozenset({("le", "+Inf")})] == commits
    assert value(node, "gossamer_events", keyspace="default") == 4
    used = node.status()["store_bytes"]
    assert used <= value(node, "gossamer_store_bytes") <= node.status()["store_bytes"]
    assert value(node, "gossamer_store_max_bytes") == 64 * 1024**3


def test_names_of_keyspaces_that_are_not_here_are_not_kept(stack: ExitStack, tmp_path: Path) -> None:
    """Anybody who may ask could fill the memory, and Prometheus, with them."""
    node = opened(stack, tmp_path / "a")
    client = stack.enter_context(gossamer.connect(node.address or ""))
    for number in range(5):
        elsewhere = client.keyspace(f"made-up-{number}")
        for ask in (elsewhere.register("x").get, elsewhere.map("m").value, elsewhere.counter("c").add):
            with pytest.raises(ValueError, match="does not host"):
                ask()
    assert "made-up" not in metrics.exposition(node)


def test_a_peer_is_linked_has_everything_and_is_not_behind(stack: ExitStack, tmp_path: Path) -> None:
    a = opened(stack, tmp_path / "a")
    b = opened(stack, tmp_path / "b", peers=[a.address])
    for node, other in ((a, b), (b, a)):
        node.counter("sold").add(1)
        node.wait_replicated(node.token(), peers=1, timeout=DEADLINE_S)
        other.wait_for(node.token(), timeout=DEADLINE_S)
        assert value(node, "gossamer_peer_linked", peer=other.status()["name"]) == 1
        assert value(node, "gossamer_lag_seconds", keyspace="default", peer=other.status()["name"]) == 0
        assert value(node, "gossamer_lag_events", keyspace="default", peer=other.status()["name"]) == 0
        assert value(node, "gossamer_members", state="linked") == 1
        assert value(node, "gossamer_received_bytes_total") > 0
        assert value(node, "gossamer_merge_seconds_count") > 0


def test_a_peer_that_is_cut_off_falls_behind_until_it_is_back(stack: ExitStack, tmp_path: Path) -> None:
    a = opened(stack, tmp_path / "a")
    proxy = stack.enter_context(Proxy(str(a.address)))
    b = opened(stack, tmp_path / "b", peers=[proxy.address])
    a.counter("sold").add(1)
    a.wait_replicated(a.token(), peers=1, timeout=DEADLINE_S)
    assert value(a, "gossamer_lag_seconds", keyspace="default", peer="b") == 0
    proxy.swallow()
    a.counter("sold").add(1)
    first = value(a, "gossamer_lag_seconds", keyspace="default", peer="b")
    second = value(a, "gossamer_lag_seconds", keyspace="default", peer="b")
    assert 0 < first < second
    assert 0 < value(a, "gossamer_collection_lag_seconds", keyspace="default")
    assert value(a, "gossamer_collection_held_back", keyspace="default", peer="b") == 1
    until(lambda: value(a, "gossamer_peer_linked", peer="b") == 0)
    assert value(a, "gossamer_lag_seconds", keyspace="default", peer="b") > second
    proxy.cut()
    proxy.forward()
    b.wait_for(a.token(), timeout=DEADLINE_S)
    until(lambda: value(a, "gossamer_lag_seconds", keyspace="default", peer="b") == 0)


def test_canaries_are_seen_and_late_ones_counted(stack: ExitStack, tmp_path: Path) -> None:
    a = opened(stack, tmp_path / "a")
    proxy = stack.enter_context(Proxy(str(a.address)))
    b = opened(stack, tmp_path / "b", peers=[proxy.address])
    for node in (a, b):
        metrics.start_canary(node, every_s=0.1)

    def seen(node: Node, peer: str) -> float:
        return samples(node).get(("gossamer_visibility_seconds_count", frozenset({("peer", peer)})), 0)

    until(lambda: seen(a, "b") >= 3 and seen(b, "a") >= 3)
    assert value(a, "gossamer_visibility_seconds_sum", peer="b") > 0
    assert list(a.keys()) == []  # canaries are nobody's data
    assert CANARIES in a.status()["keyspaces"]
    proxy.swallow()
    before = samples(a).get(("gossamer_canaries_late_total", frozenset({("peer", "b")})), 0)
    until(lambda: samples(a).get(("gossamer_canaries_late_total", frozenset({("peer", "b")})), 0) > before)
    proxy.cut()
    proxy.forward()
    again = seen(a, "b")
    until(lambda: seen(a, "b") > again)


def test_a_canary_ends_with_its_node_and_before(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a") as node:
        one, two = metrics.start_canary(node), metrics.start_canary(node, every_s=0.1)
        two.close()
        two.close()
        assert not two._thread.is_alive()
    assert not one._thread.is_alive()
    with pytest.raises(gossamer.Closed):
        metrics.start_canary(node)


@pytest.mark.parametrize(("every_s", "kind"), [(0, ValueError), (math.inf, ValueError), ("1", TypeError)])
def test_a_wrong_interval_is_named(tmp_path: Path, every_s: Any, kind: type[Exception]) -> None:
    with gossamer.open(tmp_path / "a") as node, pytest.raises(kind, match="every_s"):
        metrics.start_canary(node, every_s)


def test_damage_conflicts_operations_and_subscriptions_show(stack: ExitStack, tmp_path: Path) -> None:
    node = opened(stack, tmp_path / "a")
    with node.subscription("mailer", "counter:"):
        pass
    node.counter("sold").add(1, op_id="order-1")
    node.register("r").set(1, op_id="order-2")
    assert value(node, "gossamer_operations", keyspace="default", state="markers") == 1
    assert value(node, "gossamer_subscription_behind_changes", keyspace="default", subscription="mailer") > 0
    assert value(node, "gossamer_subscription_lag_seconds", keyspace="default", subscription="mailer") >= 0
    assert value(node, "gossamer_subscription_expired", keyspace="default", subscription="mailer") == 0
    assert value(node, "gossamer_damaged_cells", keyspace="default") == 0
    assert value(node, "gossamer_beaten_values_total", keyspace="default") == 0


def test_beaten_values_are_counted(stack: ExitStack, tmp_path: Path) -> None:
    alone = gossamer.open(tmp_path / "b", name="b")
    alone.register("r").set("here")
    alone.close()
    a = opened(stack, tmp_path / "a")
    a.register("r").set("there")
    b = opened(stack, tmp_path / "b", peers=[a.address])
    b.wait_for(a.token(), timeout=DEADLINE_S)
    a.wait_for(b.token(), timeout=DEADLINE_S)
    assert value(a, "gossamer_beaten_values_total", keyspace="default") == 1
    assert value(a, "gossamer_conflict_notes", keyspace="default") == 1


def test_names_are_escaped(stack: ExitStack, tmp_path: Path) -> None:
    name = 'a "b" \\ c'
    node = opened(stack, tmp_path / "a", name=name, keyspaces=['k"\\'])
    found = samples(node)
    labels = next(dict(labels) for metric, labels in found if metric == "gossamer_info")
    assert labels["name"] == name
    assert ("gossamer_events", frozenset({("keyspace", 'k"\\')})) in found


def test_each_node_has_a_registry_of_its_own(stack: ExitStack, tmp_path: Path) -> None:
    a, b = opened(stack, tmp_path / "a"), opened(stack, tmp_path / "b")
    a.counter("sold").add(1)
    assert metrics.registry(a) is metrics.registry(a)
    assert value(a, "gossamer_events", keyspace="default") == 1
    assert value(b, "gossamer_events", keyspace="default") == 0


def test_a_closed_node_has_no_metrics(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a") as node:
        metrics.exposition(node)
    with pytest.raises(gossamer.Closed):
        metrics.exposition(node)


async def test_the_awaited_twin(tmp_path: Path) -> None:
    async with gossamer.aopen(tmp_path / "a") as node:
        assert "gossamer_info" in await metrics.aexposition(node)


def test_a_failed_store_says_so(stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = opened(stack, tmp_path / "a")
    assert value(node, "gossamer_store_failed") == 0

    def fail(*_: Any) -> None:
        raise gossamer.StoreFailed("the disk is gone")

    monkeypatch.setattr(node.backend.core, "turn", fail)
    with pytest.raises(gossamer.StoreFailed):
        node.counter("sold").add(1)
    assert value(node, "gossamer_store_failed") == 1
    assert ("gossamer_events", frozenset({("keyspace", "default")})) not in samples(node)


def test_served_over_http_until_the_node_closes(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", name="a") as node:
        address = metrics.serve(node, "127.0.0.1:0")
        with urllib.request.urlopen(f"http://{address}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert b'gossamer_info{name="a"' in answer.read()
    with pytest.raises(gossamer.Closed):
        metrics.serve(node, "127.0.0.1:0")
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://{address}/metrics")


def test_everything_in_the_catalogue_keeps_the_conventions(stack: ExitStack, tmp_path: Path) -> None:
    for metric in metrics.METRICS:
        assert re.fullmatch(r"gossamer_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.help.endswith("."), metric.name
        assert metric.kind != "histogram" or metric.name.endswith("_seconds")
    assert len(BY_NAME) == len(metrics.METRICS)
    node = opened(stack, tmp_path / "a")
    families = {family.name: family for family in parse(metrics.exposition(node))}
    assert families.keys() == {metric.name.removesuffix("_total") for metric in metrics.METRICS}
    for metric in metrics.METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert family.type == metric.kind
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), metric.name


def test_a_histogram_counts_each_once() -> None:
    histogram = Histogram()
    for seconds in (0.0, BOUNDS_S[0], BOUNDS_S[0] * 1.01, 1e9):
        histogram.add(seconds)
    assert histogram.counts == [2, 1, *[0] * (len(BOUNDS_S) - 2), 1]


def test_lag_by_marks_in_simulated_time() -> None:
    """A write every second, and a member that is cut off for two minutes, by the simulation's clock."""
    with Cluster(3, seed=1) as cluster:
        a, b, c = cluster.nodes
        lag = Lag()

        def look() -> dict[str, float]:
            return lag.look(a.core.knowledge, "n0", "default", cluster.clock.now)

        def pass_writing(seconds: int) -> dict[str, float]:
            for _ in range(seconds):
                a.counter("x").add(1)
                cluster.advance(1.0)
                found = look()
            return found

        cluster.advance(5)
        assert max(pass_writing(10).values()) <= 2.0
        cluster.partition([a, b], [c])
        behind = pass_writing(120)
        assert behind["n1"] <= 2.0
        assert 115 <= behind["n2"] <= 125
        assert behind[STABLE] >= behind["n2"] - 1
        cluster.heal()
        cluster.advance(10)
        behind = pass_writing(10)
        assert max(behind["n1"], behind["n2"]) <= 2.0
        cluster.settle()
        cluster.advance(10)
        assert set(look().values()) == {0.0}
