"""Real nodes: are conflicts told on a thread of its own, and listed, reinstated and resolved over the wire?"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

import gossamer
from gossamer import Conflict
from gossamer.cli import main
from gossamer.limits import CONFLICTS_AT_ONCE
from gossamer.proto import data_pb2 as pb
from gossamer.proto import data_pb2_grpc

DEADLINE_S = 30.0


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[gossamer.Node, gossamer.Node]]:
    """Two nodes that wrote one register before they met; the first has been told of the conflict."""
    told = threading.Event()
    with gossamer.open(tmp_path / "a", name="a", listen="127.0.0.1:0") as a:
        a.register("price").set(1)
        a.on_conflict(lambda conflict: told.set())
        with gossamer.open(tmp_path / "b", name="b", peers=[str(a.address)]) as b:
            b.register("price").set(2)
            assert told.wait(DEADLINE_S)
            yield a, b


def test_a_listener_is_told_on_a_thread_of_its_own(tmp_path: Path) -> None:
    told: list[tuple[Conflict, str]] = []
    done, may_go_on = threading.Event(), threading.Event()

    def listener(conflict: Conflict) -> None:
        may_go_on.wait(DEADLINE_S)  # however slow it is, nobody waits for it
        told.append((conflict, threading.current_thread().name))
        done.set()

    with gossamer.open(tmp_path / "a", name="a", listen="127.0.0.1:0") as a:
        a.register("price").set(1)
        a.on_conflict(listener)
        with gossamer.open(tmp_path / "b", name="b", peers=[str(a.address)]) as b:
            b.register("price").set(2)
            second = threading.Event()
            a.on_conflict(lambda conflict: second.set())
            a.register("other").set(3)  # a write is committed while the listener waits
            may_go_on.set()
            assert done.wait(DEADLINE_S)
            assert second.wait(DEADLINE_S)
    ((conflict, thread),) = told
    assert {conflict.beaten.value, conflict.by.value} == {1, 2}
    assert thread == "gossamer-conflicts"
    assert not [t for t in threading.enumerate() if t.name == "gossamer-conflicts"]


def test_a_client_lists_reinstates_and_dismisses(pair: tuple[gossamer.Node, gossamer.Node]) -> None:
    a, _ = pair
    assert a.address is not None
    with gossamer.connect(a.address) as client:
        assert client.conflicts() == a.conflicts() == asyncio.run(client.aconflicts())
        (found,) = client.conflicts("register:p")
        assert client.conflicts("register:z") == []
        assert client.status()["keyspaces"]["default"]["beaten"] == 1
        client.reinstate(found)
        assert a.register("price").get() == found.beaten.value
        with pytest.raises(gossamer.VersionMismatch):
            asyncio.run(client.areinstate(found))
        asyncio.run(client.areinstate(found, force=True))
        client.dismiss(found)
        assert [c.state for c in client.conflicts(settled=True)] == ["dismissed"]
        with pytest.raises(ValueError, match="does not host it"):
            client.keyspace("nowhere").conflicts()


def test_a_client_has_resolvers_of_its_own(pair: tuple[gossamer.Node, gossamer.Node]) -> None:
    a, _ = pair
    assert a.address is not None
    with gossamer.connect(a.address) as client:
        client.resolver("register:price", lambda readings: sum(r.value for r in readings))
        assert client.register("price").get() == 3
        assert dict(client.items()) == {"register:price": 3}
        assert a.register("price").get() in (1, 2)
        assert client.register("price").settle() == 3
        assert a.register("price").get() == 3


def test_bad_requests_are_refused(pair: tuple[gossamer.Node, gossamer.Node]) -> None:
    a, _ = pair
    with grpc.insecure_channel(str(a.address)) as channel:
        stub = data_pb2_grpc.DataStub(channel)
        for request in (
            pb.SettleRequest(keyspace="default", number=1, verb="shred"),
            pb.SettleRequest(keyspace="default", number=2**63, verb="dismiss"),
            pb.SettleRequest(keyspace="default", number=1, dot=pb.Dot(replica=b"x", seq=1), verb="dismiss"),
            pb.SettleRequest(keyspace="$system", number=1, verb="dismiss"),
        ):
            with pytest.raises(grpc.RpcError) as raised:
                stub.Settle(request, timeout=DEADLINE_S)
            assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        for wanted in (
            pb.ConflictsRequest(keyspace="default", limit=2**32 - 1, before=2**64 - 1),
            pb.ConflictsRequest(keyspace="default"),
        ):
            assert len(list(stub.Conflicts(wanted, timeout=DEADLINE_S))) <= 1
    assert len(a.conflicts()) == 1


def test_the_command_line(pair: tuple[gossamer.Node, gossamer.Node]) -> None:
    a, _ = pair
    at = ["--at", str(a.address)]

    def run(*args: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, [*args, *at])
        return done.exit_code, done.output

    code, shown = run("conflicts", "register:", "--json")
    ((found,),) = (json.loads(shown),)
    assert code == 0
    assert (found["id"], found["path"], found["rule"], found["state"]) == (
        1,
        "register:price",
        "stamp",
        "open",
    )
    assert {found["beaten"]["value"], found["by"]["value"]} == {1, 2}
    assert "register:price" in run("conflicts")[1]
    assert run("reinstate", "7")[0] == 3
    assert run("reinstate", "1") == (0, f"register:price: {found['beaten']['value']}\n")
    assert run("reinstate", "1")[0] == 1
    assert run("reinstate", "1", "--force", "--json")[0] == 0
    assert run("dismiss", "1", "--json")[0] == 0
    assert json.loads(run("conflicts", "--json")[1]) == []
    assert json.loads(run("conflicts", "--json", "--all")[1])[0]["state"] == "dismissed"


def test_a_long_list_comes_in_several_answers_of_a_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for side in ("data", "remote"):
        monkeypatch.setattr(f"gossamer.rpc.{side}.REPLY_BYTES_MAX", 1_000)
    told = threading.Semaphore(0)
    with gossamer.open(tmp_path / "a", name="a", listen="127.0.0.1:0") as a:
        for n in range(50):
            a.register(f"r{n}").set("a" * 100)
        a.on_conflict(lambda conflict: told.release())
        with gossamer.open(tmp_path / "b", name="b") as b:
            for n in range(50):
                b.register(f"r{n}").set("b" * 100)
        with gossamer.open(tmp_path / "b", name="b", peers=[str(a.address)]):
            assert all(told.acquire(timeout=DEADLINE_S) for _ in range(50))
        assert a.address is not None
        with gossamer.connect(a.address) as client:
            assert client.conflicts(limit=2**31 - 1) == a.conflicts()
            assert client.conflicts("register:r1", limit=7) == a.conflicts("register:r1", limit=7)
        with grpc.insecure_channel(a.address) as channel:
            request = pb.ConflictsRequest(keyspace="default", limit=2**31)
            assert len(list(data_pb2_grpc.DataStub(channel).Conflicts(request))) == CONFLICTS_AT_ONCE
