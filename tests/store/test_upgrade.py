"""A directory of an older format: upgraded in place, the old one kept, and whole whenever it is interrupted.

There has been one format so far. So format 0 is made up here: its keyspaces have a table ``cell`` where format 1 says ``cells``,
and its node says ``title`` for its name.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import pytest

from gossamer import maintenance
from gossamer.errors import DirectoryUnusable, StoreFull
from gossamer.maintenance import doctor
from gossamer.store import directory as layout
from gossamer.store import identity, upgrade, witness

from .helpers import op, replica_in, snapshot, value, write

MAP_BYTES = 1 << 30


def held(where: Path) -> dict[str, str]:
    """Every file but the locks, by a hash: a difference must be readable."""
    files = {name: what for name, what in snapshot(where).items() if "lock" not in name}
    return {name: hashlib.blake2b(what, digest_size=16).hexdigest() for name, what in files.items()}


def step(env: lmdb.Environment) -> None:
    """From format 0 to 1."""
    with env.begin(write=True) as txn:
        node = env.open_db(b"node", txn=txn)
        txn.put(b"name", txn.pop(b"title", db=node) or b"", db=node)
        for keyspace in (txn.get(b"keyspaces", db=node) or b"").split(b"\n"):
            old = env.open_db(keyspace + b"/cell", txn=txn)
            new = env.open_db(keyspace + b"/cells", txn=txn)
            for key, cell in txn.cursor(db=old):
                txn.put(key, cell, db=new)
            txn.drop(old)


def make_old(where: Path) -> bytes:
    """A directory of format 0 that holds something, closed cleanly; its replica id."""
    with replica_in(where, name="alice") as replica:
        for n in range(50):
            write(replica, op("counter:c", "add", 1), op(f"register:r{n}", "set", "x" * n))
        name = replica.replica
    with lmdb.open(str(where / "store"), max_dbs=64, map_size=MAP_BYTES) as env, env.begin(write=True) as txn:
        node = env.open_db(b"node", txn=txn)
        txn.put(b"title", txn.pop(b"name", db=node) or b"", db=node)
        for keyspace in (txn.get(b"keyspaces", db=node) or b"").split(b"\n"):
            new = env.open_db(keyspace + b"/cells", txn=txn)
            old = env.open_db(keyspace + b"/cell", txn=txn)
            for key, cell in txn.cursor(db=new):
                txn.put(key, cell, db=old)
            txn.drop(new)
    settle(where)
    return name


def settle(where: Path) -> None:
    """The sentinel says format 0, and the witness and the store that nothing was changed after the close."""
    mark = json.loads((where / "gossamer").read_text())
    witness.replace(where / "gossamer", json.dumps(mark | {"format": 0}).encode())
    data = where / "store" / "data.mdb"
    with lmdb.open(str(where / "store"), max_dbs=64, map_size=MAP_BYTES) as env:
        with env.begin(write=True) as txn:
            node = env.open_db(b"node", txn=txn)
            kept = msgspec.msgpack.decode(txn.get(b"identity", db=node) or b"", type=identity.Kept)
            facts = identity.facts(where / "gossamer", data)
            txn.put(b"identity", msgspec.msgpack.encode(msgspec.structs.replace(kept, facts=facts)), db=node)
        last = env.info()["last_txnid"]
    found = witness.read(where / "witness")
    assert found is not None
    changed = msgspec.structs.replace(found, txn=last, changed_at=data.stat().st_ctime_ns)
    witness.write(where / "witness", changed)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(upgrade.STEPS, 0, step)
    yield


@pytest.mark.usefixtures("steps")
def test_it_is_upgraded_in_place_under_its_id_and_the_old_one_is_kept(tmp_path: Path) -> None:
    where = tmp_path / "a"
    replica_id = make_old(where)
    before = held(where)
    advice = {one.about: one for one in doctor.of_directory(where)}
    assert "its format is 0; the next open brings it to 1" in advice["format"].what
    with pytest.raises(DirectoryUnusable, match="its format is 0, not 1"):
        maintenance.verify(where)
    with replica_in(where) as replica:
        assert replica.replica == replica_id and replica.engine.identity.name == "alice"
        assert value(replica, "counter:c") == 50 and value(replica, "register:r49") == "x" * 49
        write(replica, op("counter:c", "add", 1))
    assert maintenance.verify(where).is_sound
    (kept,) = upgrade.kept(where)
    assert kept.name.startswith("format-0-20")
    old = held(kept)
    assert {name: old[name] for name in old} == {name: before[name] for name in old}
    assert sorted(old) == ["gossamer", "store/data.mdb", "witness"]
    assert any(str(kept) in one.what for one in doctor.of_directory(where))
    with replica_in(where) as replica:  # no second time
        assert replica.replica == replica_id and value(replica, "counter:c") == 51
    assert len(upgrade.kept(where)) == 1
    shutil.copytree(
        kept, tmp_path / "back"
    )  # an older version opens a copy of it; here that is the same upgrade again
    with replica_in(tmp_path / "back") as replica:
        assert value(replica, "counter:c") == 50 and replica.replica != replica_id


@pytest.mark.usefixtures("steps")
def test_without_space_for_it_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_old(tmp_path)
    before = held(tmp_path)
    monkeypatch.setattr(upgrade, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(StoreFull, match="its format is 0, and to bring it to 1 takes"):
        layout.Directory.open(tmp_path)
    assert held(tmp_path) == before
    assert any(one.grade == "act" and one.about == "format" for one in doctor.of_directory(tmp_path))


@pytest.mark.usefixtures("steps")
def test_a_step_that_fails_changes_nothing_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old(tmp_path)
    before = held(tmp_path)

    def fails(env: lmdb.Environment) -> None:
        step(env)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(DirectoryUnusable):
        patch.setitem(upgrade.STEPS, 0, fails)
        layout.Directory.open(tmp_path)
    assert {name: what for name, what in held(tmp_path).items() if "upgrading" not in name} == before
    with replica_in(tmp_path) as replica:
        assert value(replica, "counter:c") == 50
    assert not (tmp_path / "store.upgrading").exists()


def test_what_no_step_leads_from_is_refused_and_so_is_a_newer_one_by_both_numbers(tmp_path: Path) -> None:
    make_old(tmp_path)
    with pytest.raises(DirectoryUnusable, match="its format is 0 and this version knows 1 only"):
        layout.Directory.open(tmp_path)
    mark = json.loads((tmp_path / "gossamer").read_text())
    (tmp_path / "gossamer").write_text(json.dumps(mark | {"format": 7}))
    with pytest.raises(DirectoryUnusable, match="its format is 7 and this version knows 1: a newer version"):
        layout.Directory.open(tmp_path)


@pytest.mark.usefixtures("steps")
def test_an_older_backup_is_restored(tmp_path: Path) -> None:
    make_old(tmp_path / "a")
    with replica_in(tmp_path / "b", name="b"):
        pass
    maintenance.backup(tmp_path / "b", tmp_path / "backup")
    manifest = tmp_path / "backup" / "manifest.json"
    data = tmp_path / "a" / "store" / "data.mdb"
    shutil.copyfile(data, tmp_path / "backup" / "data.mdb")
    said = json.loads(manifest.read_text())
    changed = {
        "format": 0,
        "data_bytes": data.stat().st_size,
        "data_blake2b": hashlib.blake2b(data.read_bytes(), digest_size=32).hexdigest(),
    }
    manifest.write_text(json.dumps(said | changed))
    with pytest.raises(DirectoryUnusable, match="restore it"):
        maintenance.verify(tmp_path / "backup")
    maintenance.restore(tmp_path / "backup", tmp_path / "c")
    with replica_in(tmp_path / "c") as replica:
        assert value(replica, "counter:c") == 50
    assert upgrade.kept(tmp_path / "c") == []


def dying(call: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    """``call``, for as long as there is something left."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)

    return wrapped


def upgraded_until(where: Path, calls: int) -> int:
    """The exit code of a process that opens a directory and is killed at its ``calls``-th call of any that changes it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        left = [calls]
        for name in ("fsync", "link", "mkdir", "rename", "replace", "unlink"):
            setattr(os, name, dying(getattr(os, name), left))
        upgrade.STEPS[0] = dying(step, left)
        vars(upgrade)["_mark"] = dying(vars(upgrade)["_mark"], left)
        layout.Directory.open(where).close()
    except BaseException:  # noqa: BLE001  # it must not go on as a second test run
        os._exit(3)
    os._exit(0)


@pytest.mark.usefixtures("steps")
def test_killed_at_each_of_its_steps_it_is_old_or_new_and_whole(tmp_path: Path) -> None:
    make_old(tmp_path / "old")
    seen = set()
    for at in range(200):
        where = tmp_path / str(at)
        shutil.copytree(tmp_path / "old", where)
        settle(where)
        code = upgraded_until(where, at)
        assert code in (0, -9)
        seen.add(layout.inspect(where))
        with replica_in(where) as replica:
            assert value(replica, "counter:c") == 50
            assert value(replica, "register:r49") == "x" * 49
        assert maintenance.verify(where).is_sound
        assert not (where / "store.upgrading").exists()
        kept = upgrade.kept(where)
        assert len(kept) == 1, kept

        if code == 0:
            break
    else:
        raise AssertionError("it never came through")
    assert at > 10 and seen == {layout.Condition.OLDER, layout.Condition.READY}
