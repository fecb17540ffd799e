"""The doctor names what is wrong, with what to do, and calls what is well well."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import gossamer
from gossamer.maintenance import doctor
from gossamer.maintenance.doctor import Advice

from ..rpc.standin import FAST, free_port
from ..rpc.test_node import eventually
from ..store.helpers import python, snapshot
from .test_backup import WRITER, filled
from .test_verify import gossamer_command


def graded(advice: list[Advice], grade: str) -> dict[str, Advice]:
    return {one.about: one for one in advice if one.grade == grade}


def test_a_sound_directory_is_well_and_left_as_it_is(tmp_path: Path) -> None:
    replica = filled(tmp_path / "a")
    before = snapshot(tmp_path / "a")
    advice = doctor.of_directory(tmp_path / "a")
    assert not graded(advice, "act") and replica in graded(advice, "ok")["identity"].what
    assert graded(advice, "ok")["node"].what == "it does not run"
    assert {k: v for k, v in snapshot(tmp_path / "a").items() if "lock.mdb" not in k} == {
        k: v for k, v in before.items() if "lock.mdb" not in k
    }
    with gossamer.open(tmp_path / "a") as node:
        assert node.status()["replica"] == replica


def test_a_copy_is_said_to_take_a_new_id(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert "copied" in graded(doctor.of_directory(tmp_path / "b"), "look")["identity"].what


def test_a_running_node_is_named_and_goes_on(tmp_path: Path) -> None:
    process = python(WRITER, str(tmp_path / "a"))
    try:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        advice = doctor.of_directory(tmp_path / "a")
        assert graded(advice, "ok")["node"].what == f"process {process.pid} has the directory open"
        assert process.stdout.readline() != ""
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("damage", ["empty", "cut short", "gone"])
def test_a_damaged_store_gets_a_remedy(tmp_path: Path, damage: str) -> None:
    filled(tmp_path / "a")
    data = tmp_path / "a" / "store" / "data.mdb"
    if damage == "gone":
        data.unlink()
    else:
        data.write_bytes(data.read_bytes()[: 0 if damage == "empty" else 6000])
    assert "backup" in graded(doctor.of_directory(tmp_path / "a"), "act")["store"].todo


def test_a_foreign_and_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "file").touch()
    assert graded(doctor.of_directory(tmp_path / "foreign"), "act")
    assert not graded(doctor.of_directory(tmp_path / "none"), "act")


def test_the_status_of_a_healthy_cluster_is_well(tmp_path: Path) -> None:
    here = f"127.0.0.1:{free_port()}"
    with (
        gossamer.open(tmp_path / "a", name="a", listen=here, timing=FAST) as a,
        gossamer.open(tmp_path / "b", name="b", peers=[here], timing=FAST) as b,
    ):
        a.counter("c").add(1)
        eventually(lambda: b.counter("c").value() == 1, "linked")
        eventually(lambda: not graded(doctor.of_status(b.status()), "look"), "nothing to look at")
        assert not graded(doctor.of_status(b.status()), "act")


def changed(status: dict[str, Any], **to: Any) -> list[Advice]:
    keyspace = status["keyspaces"]["default"] | {
        k: v for k, v in to.items() if k in status["keyspaces"]["default"]
    }
    rest = {k: v for k, v in to.items() if k in status}
    return doctor.of_status(status | rest | {"keyspaces": {"default": keyspace}})


def test_each_field_that_is_not_as_it_should_be_has_an_advice(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", name="a") as node:
        status = node.status()
    away = [*status["members"], {"name": "b", "state": "away"}]
    assert "another name" in graded(changed(status, forgotten=True), "act")["node"].todo
    assert "x:1" in graded(changed(status, unmet_peers=["x:1"]), "look")["peers"].what
    assert graded(changed(status, damaged=["default: register:r"]), "act")["store"].what.endswith(
        ": default: register:r"
    )
    assert "remove b" in graded(changed(status, members=away), "look")["members"].todo
    assert graded(changed(status, members=away), "act")["members"].what.startswith("not one")
    gone = [*status["members"], {"name": "b", "state": "removed"}, {"name": "c", "state": "forgotten"}]
    assert "members" not in graded(changed(status, members=gone), "act"), "nobody is left to be linked with"
    assert "copied" in graded(changed(status, quarantined=2), "act")["keyspace default"].todo
    assert "report" in graded(changed(status, digest_mismatches=1), "act")["keyspace default"].todo
    assert "NotReady" in graded(changed(status, ready=False), "look")["keyspace default"].what


def test_a_subscription_that_nobody_consumes_or_that_has_expired_has_an_advice(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", name="a") as node:
        with node.subscription("mailer", timeout=0):
            pass
        assert "subscription mailer" not in graded(doctor.of_status(node.status()), "look")
        node.counter("c").add(1)
        status = node.status()
    assert "1 changes behind" in graded(doctor.of_status(status), "look")["subscription mailer"].what
    feed = status["keyspaces"]["default"]["feed"]
    feed["subscriptions"][0]["is_expired"] = True
    assert "snapshot" in graded(changed(status, feed=feed), "act")["subscription mailer"].todo


def test_the_command(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    done = gossamer_command("doctor", tmp_path / "a")
    assert (done.returncode, done.stderr) == (0, "") and "identity" in done.stdout
    (tmp_path / "a" / "store" / "data.mdb").write_bytes(b"")
    done = gossamer_command("doctor", tmp_path / "a", "--json")
    assert done.returncode == 1 and {"act"} <= {one["grade"] for one in json.loads(done.stdout)}
    with gossamer.open(tmp_path / "b", name="b", listen="127.0.0.1:0") as node:
        done = gossamer_command("doctor", "--at", node.address)
        assert done.returncode == 0 and "b answers" in done.stdout
