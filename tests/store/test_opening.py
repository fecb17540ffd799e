"""Opening a directory as a node: its name, its cluster, and its word about a new identity."""

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from gossamer.config import of as make_config
from gossamer.errors import DirectoryInUse, DirectoryUnusable, StoreFull
from gossamer.opening import open_replica
from gossamer.store import Directory

from .helpers import BOOT, NOW, OTHER_BOOT, crashed, op, opened, replica_in, write


def name_in(where: Path, **config: Any) -> str:
    with replica_in(where, **config) as replica:
        name: str = replica.engine.identity.name
        return name


def test_the_name_is_the_configured_one_or_the_address_or_the_id(tmp_path: Path) -> None:
    with replica_in(tmp_path / "a") as replica:
        assert replica.engine.identity.name == replica.replica.hex()
        assert replica.engine.identity.address == ""
    assert name_in(tmp_path / "b", listen="127.0.0.1:7400") == "127.0.0.1:7400"
    assert name_in(tmp_path / "c", listen="127.0.0.1:7400", name="carol") == "carol"


def test_arguments_stand_in_for_the_configuration(tmp_path: Path) -> None:
    replica = open_replica(make_config(tmp_path, name="config"), name="given", address="10.0.0.1:7400")
    assert replica.engine.identity[2:4] == ("given", "10.0.0.1:7400")
    replica.close()


def test_a_configured_name_is_kept_until_another_is_given(tmp_path: Path) -> None:
    assert name_in(tmp_path, name="alice") == "alice"
    assert name_in(tmp_path) == "alice"
    assert name_in(tmp_path, listen="127.0.0.1:7400") == "alice"
    assert name_in(tmp_path, name="bob") == "bob"
    assert name_in(tmp_path) == "bob"


def test_a_name_that_was_not_configured_is_not_kept(tmp_path: Path) -> None:
    assert name_in(tmp_path, listen="127.0.0.1:7400") == "127.0.0.1:7400"
    assert name_in(tmp_path, listen="127.0.0.1:7401") == "127.0.0.1:7401"


def test_another_cluster_is_refused_by_both_names(tmp_path: Path) -> None:
    with replica_in(tmp_path, cluster="blue"):
        pass
    with pytest.raises(DirectoryUnusable, match="'blue'.*'green'"):
        open_replica(make_config(tmp_path, cluster="green"))
    with replica_in(tmp_path, cluster="blue") as replica:
        assert replica.engine.identity.cluster == "blue"


def test_keyspaces_are_hosted_beside_the_default_one(tmp_path: Path) -> None:
    with replica_in(tmp_path, keyspaces=["orders"]) as replica:
        assert {"default", "orders"} <= set(replica.store.keyspaces())


def test_every_open_has_a_fingerprint_of_its_own(tmp_path: Path) -> None:
    seen = set()
    for _ in range(3):
        with replica_in(tmp_path) as replica:
            seen.add(replica.engine.identity.fingerprint)
    assert len(seen) == 3


def test_a_new_identity_is_logged_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = crashed(tmp_path)
    with caplog.at_level(logging.WARNING, "gossamer"):
        replica = open_replica(make_config(tmp_path), boot_id=OTHER_BOOT)
    assert replica.engine.old_ids == [old]
    replica.close()
    [line] = [record.getMessage() for record in caplog.records]
    assert old.hex() in line and replica.replica.hex() in line and "restarted" in line


def test_a_first_or_kept_identity_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        with replica_in(tmp_path):
            pass
    assert not caplog.records


def test_closing_the_replica_closes_the_directory_cleanly(tmp_path: Path) -> None:
    replica = open_replica(make_config(tmp_path), boot_id=BOOT)
    with pytest.raises(DirectoryInUse):
        opened(tmp_path)
    replica.close()
    directory = opened(tmp_path, boot=OTHER_BOOT)  # would be doubt, had it not been clean
    assert directory.doubt is None
    directory.close()


def test_an_identity_that_a_peer_disproved_is_replaced_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with replica_in(tmp_path) as replica:
        first = replica.replica
        assert write(replica, op("counter:c", "add", 1)) == (first, 1)
        replica.engine.is_disowned = "a peer proved it"
        replica.turn([], NOW)
        second = replica.replica
        assert second != first and replica.engine.old_ids == [first]
        assert write(replica, op("counter:c", "add", 1)) == (second, 1)
    assert "a peer proved it" in caplog.text
    with replica_in(tmp_path) as replica:
        assert (replica.replica, replica.engine.old_ids) == (second, [first])


def test_an_identity_that_cannot_be_stored_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed stands; nothing more is written until the new id is durable."""
    with replica_in(tmp_path) as replica:
        first = replica.replica
        keep = Directory.keep_identity

        def full(*_: Any) -> None:
            raise StoreFull("full")

        monkeypatch.setattr(Directory, "keep_identity", full)
        replica.engine.is_disowned = "a peer proved it"
        with pytest.raises(StoreFull):
            write(replica, op("counter:c", "add", 1))
        assert replica.replica == first
        assert replica.state("default").delivered.last(first) == 0
        monkeypatch.setattr(Directory, "keep_identity", keep)
        assert write(replica, op("counter:c", "add", 1)) == (replica.replica, 1)
        assert replica.replica != first


def test_a_failed_open_lets_go_of_the_directory(tmp_path: Path) -> None:
    with replica_in(tmp_path, cluster="blue"):
        pass
    for _ in range(2):
        with pytest.raises(DirectoryUnusable, match="cluster"):
            open_replica(make_config(tmp_path, cluster="green"))


def test_a_removed_directory_begins_anew(tmp_path: Path) -> None:
    with replica_in(tmp_path / "data") as replica:
        first = replica.replica
    shutil.rmtree(tmp_path / "data")
    with replica_in(tmp_path / "data") as replica:
        assert replica.replica != first
        assert replica.engine.old_ids == []
