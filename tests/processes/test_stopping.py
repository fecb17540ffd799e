"""SIGTERM: whatever a node was doing, it ends with exit code 0 and has lost nothing."""

from .load import Load
from .process import Serve
from .trio import Trio

CONVERGED_S = 5.0


def test_a_node_told_to_stop_under_load_loses_nothing_and_stays_itself(trio: Trio) -> None:
    with Load(trio.all) as load:
        for name in ("a", "b", "c"):
            load.reach(name, 20)
            node = trio.nodes[name]
            replica = node.client.status()["replica"]
            assert node.stop() == 0
            trio.start(name)
            assert node.client.status()["replica"] == replica
            assert "reason=SIGTERM" in node.log
            load.reach(name, load.acknowledged(name) + 10)
    trio.equal(CONVERGED_S)
    for node in trio.all:
        load.check(node)
    assert all("Traceback" not in node.log for node in trio.all)


def test_a_lone_node_keeps_what_it_acknowledged_over_stops(node: Serve) -> None:
    for life in range(3):
        node.start()
        assert node.client.counter("lives").value() == life
        node.client.counter("lives").add(1)
        assert node.stop() == 0
    assert len(set(node.identities)) == 1
