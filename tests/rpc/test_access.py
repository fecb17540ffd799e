"""Access keys: a client may do what the file says of its key, and what it does not say is refused."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # has no types

import gossamer
from gossamer import Denied
from gossamer.access import hash_of, new_key
from gossamer.proto import data_pb2_grpc
from gossamer.rpc import credentials, guard

from .test_tls import authority, command, opened, tls


def keys_file(where: Path, **rights: str) -> dict[str, str]:
    """A file with a key for each name; the keys."""
    keys = {name: new_key() for name in rights}
    text = "".join(
        f'[keys.{name}]\nhash = "{hash_of(keys[name])}"\n{said}\n' for name, said in rights.items()
    )
    draft = where.with_suffix(".new")
    draft.write_text(text)
    os.replace(draft, where)
    return keys


@pytest.fixture
def place(tmp_path: Path) -> Path:
    authority(tmp_path, "a", "b")
    return tmp_path


def node(place: Path) -> gossamer.Node:
    return gossamer.open(
        place / "na",
        name="a",
        listen="127.0.0.1:0",
        keyspaces=["orders"],
        tls=tls(place, "a"),
        access=place / "keys.toml",
    )


def connect(place: Path, a: gossamer.Node, key: str | None) -> Any:
    assert a.address is not None
    return gossamer.connect(a.address, tls=tls(place, "ops"), access_key=key)


def test_a_key_may_do_what_the_file_says_and_nothing_else(place: Path) -> None:
    keys = keys_file(
        place / "keys.toml", r='read = ["orders"]', w='write = ["orders"]', all='read = ["*"]\nadmin = true'
    )
    with node(place) as a, connect(place, a, keys["r"]) as r, connect(place, a, keys["w"]) as w:
        w.keyspace("orders").counter("c").add(2)
        assert r.keyspace("orders").counter("c").value() == w.keyspace("orders").counter("c").value() == 2
        assert dict(r.keyspace("orders").items()) == {"counter:c": 2}
        refused: list[Callable[[], Any]] = [
            lambda: r.keyspace("orders").counter("c").add(1),
            lambda: r.counter("c").value(),
            lambda: list(r.items()),
            lambda: w.counter("c").add(1),
            lambda: w.admin("members.remove", name="b"),
            lambda: w.keyspace("$system").register("x").get(),
        ]
        for call in refused:
            with pytest.raises(Denied, match="may not"):
                call()
        assert a.keyspace("orders").counter("c").value() == 2 and a.counter("c").value() == 0
        assert r.status()["name"] == "a"
        with connect(place, a, keys["all"]) as everything:
            assert everything.counter("c").value() == 0
            with pytest.raises(ValueError, match="no member is called so|no member is called"):
                everything.admin("members.remove", name="b")
            with pytest.raises(Denied):
                everything.counter("c").add(1)


@pytest.mark.parametrize("key", [None, "wrong", ""])
def test_without_a_key_there_is_nothing_but_health(place: Path, key: str | None) -> None:
    keys_file(place / "keys.toml", r='read = ["*"]')
    with node(place) as a, connect(place, a, key) as client:
        for call in (client.status, client.counter("c").value, lambda: client.counter("c").add(1)):
            with pytest.raises(Denied, match="key"):
                call()
        assert a.address is not None
        with grpc.secure_channel(a.address, credentials.for_channel(tls(place, "ops"))) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            assert health.Check(health_pb2.HealthCheckRequest(), timeout=5).status == 1


async def test_the_awaited_calls_show_the_key_too(place: Path) -> None:
    keys = keys_file(place / "keys.toml", w='write = ["default"]')
    async with gossamer.aopen(
        place / "na", name="a", listen="127.0.0.1:0", tls=tls(place, "a"), access=place / "keys.toml"
    ) as a:
        with connect(place, a, keys["w"]) as client:
            await client.counter("c").aadd(3)
            assert await client.counter("c").avalue() == 3


def test_a_changed_file_counts_at_once_and_a_wrong_one_does_not(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = keys_file(place / "keys.toml", r='read = ["*"]')
    with node(place) as a, connect(place, a, before["r"]) as old:
        assert old.counter("c").value() == 0
        after = keys_file(place / "keys.toml", s='read = ["*"]')
        with pytest.raises(Denied):
            old.counter("c").value()
        with connect(place, a, after["s"]) as new:
            assert new.counter("c").value() == 0
            (place / "keys.toml").write_text("[keys")
            assert new.counter("c").value() == 0
            (place / "keys.toml").unlink()
            assert new.counter("c").value() == 0
    assert caplog.text.count("stay as they were") == 2


def test_a_changed_file_counts_though_it_says_that_it_is_as_old(place: Path) -> None:
    file = place / "keys.toml"
    before = keys_file(file, r='read = ["*"]')
    os.utime(file, (1, 1))
    with node(place) as a, connect(place, a, before["r"]) as old:
        assert old.counter("c").value() == 0
        keys_file(place / "other.toml", s='read = ["*"]')
        os.utime(place / "other.toml", (1, 1))
        os.replace(place / "other.toml", file)
        with pytest.raises(Denied):
            old.counter("c").value()


def test_nodes_need_no_key(place: Path) -> None:
    keys_file(place / "keys.toml", r='read = ["*"]')
    from .test_node import eventually

    with node(place) as a:
        assert a.address is not None
        with opened(place / "nb", "b", tls(place, "b"), a.address) as b:
            b.counter("c").add(1)
            eventually(lambda: a.counter("c").value() == 1, "replicated")


def test_every_method_of_the_service_is_thought_of() -> None:
    methods = {name for name in vars(data_pb2_grpc.DataServicer) if not name.startswith("_")}
    assert guard.RIGHTS.keys() <= methods
    assert methods - guard.RIGHTS.keys() == {"Admin"}, "what is not in the table needs an operator's rights"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[keys", "keys.toml"),
        ("", "keys"),
        ('[keys.r]\nhash = "abc"', "hash"),
        (f'[keys.r]\nhash = "{"0" * 64}"\nwrites = ["x"]', "writes"),
        (f'[keys.r]\nhash = "{"0" * 64}"\nread = "x"', "read"),
    ],
)
def test_a_wrong_file_is_named(place: Path, text: str, what: str) -> None:
    (place / "keys.toml").write_text(text)
    with pytest.raises(ValueError, match=what):
        node(place)


def test_keys_are_for_tls_only(place: Path) -> None:
    keys_file(place / "keys.toml", r='read = ["*"]')
    with pytest.raises(ValueError, match="access: "):
        gossamer.open(place / "na", name="a", access=place / "keys.toml")


def test_the_commands(place: Path) -> None:
    made = command("access-key").stdout.split()
    assert made[0] == "key" and made[2] == "hash" and hash_of(made[1]) == made[3]
    (place / "keys.toml").write_text(f'[keys.ops]\nhash = "{made[3]}"\nwrite = ["default"]\n')
    files = [
        f"--tls-{k}={place / f}"
        for k, f in (("ca", "ca.pem"), ("key", "ops-key.pem"), ("certificate", "ops.pem"))
    ]
    with node(place) as a:
        done = command("add", "counter:c", "--at", a.address, *files, "--access-key", made[1])
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
        done = command("add", "counter:c", "--at", a.address, *files)
        assert done.returncode == 1 and "access key" in done.stderr and "Traceback" not in done.stderr


def test_who_may_read_may_follow(place: Path) -> None:
    keys = keys_file(place / "keys.toml", r='read = ["orders"]', other='write = ["default"]')
    with node(place) as a, connect(place, a, keys["r"]) as r, connect(place, a, keys["other"]) as other:
        a.keyspace("orders").counter("c").add(1)
        assert [change.new for change in r.keyspace("orders").watch(timeout=0)] == [1]
        with r.keyspace("orders").subscription("s", timeout=0, auto_ack=True) as feed:
            assert [change.new for change in feed] == [1]

        async def follow() -> list[Any]:
            return [change.new async for change in r.keyspace("orders").awatch(timeout=0)]

        assert asyncio.run(follow()) == [1]
        for follows in (other.keyspace("orders").watch, other.keyspace("orders").subscription("s").__enter__):
            with pytest.raises(Denied, match="may not read keyspace 'orders'"):
                follows()
        with pytest.raises(Denied):
            r.keyspace("orders").unsubscribe("s")
