"""With certificates: nodes and clients of the cluster's authority meet, and nobody else does, under no other name."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import gossamer
from gossamer import TLS, OutcomeUnknown, Unreachable
from gossamer.certificates import Authority

from .standin import FAST, free_port
from .test_node import eventually

LOOPBACK = ("127.0.0.1",)


def tls(folder: Path, name: str) -> TLS:
    return TLS(ca=folder / "ca.pem", certificate=folder / f"{name}.pem", key=folder / f"{name}-key.pem")


def authority(folder: Path, *nodes: str, client: str = "ops") -> Authority:
    made = Authority.at(folder)
    for name in nodes:
        made.issue(name, LOOPBACK, 1.0)
    made.issue(client, (), 1.0, is_client=True)
    return made


def opened(where: Path, name: str, shown: TLS, *peers: str, listen: str | None = None) -> gossamer.Node:
    address = listen or f"127.0.0.1:{free_port()}"
    return gossamer.open(where, name=name, listen=address, peers=peers, timing=FAST, tls=shown)


def linked(node: gossamer.Node) -> set[str]:
    return {m["name"] for m in node.status()["members"] if m["state"] == "linked"}


def test_nodes_and_clients_of_one_authority_meet(tmp_path: Path) -> None:
    authority(tmp_path, "a", "b", "c")
    with opened(tmp_path / "na", "a", tls(tmp_path, "a")) as a:
        assert a.address is not None
        with (
            opened(tmp_path / "nb", "b", tls(tmp_path, "b"), a.address) as b,
            opened(tmp_path / "nc", "c", tls(tmp_path, "c"), a.address) as c,
            gossamer.connect(a.address, tls=tls(tmp_path, "ops")) as client,
        ):
            client.counter("c").add(2)
            eventually(lambda: b.counter("c").value() == c.counter("c").value() == 2, "replicated")
            eventually(lambda: linked(b) == {"a", "c"}, "c is learned of from a, and dialed under its name")


@pytest.mark.parametrize("shown", ["nothing", "another authority's"])
def test_a_client_without_a_certificate_of_the_authority_gets_nowhere(tmp_path: Path, shown: str) -> None:
    authority(tmp_path / "ours", "a")
    authority(tmp_path / "theirs", "a")
    with opened(tmp_path / "na", "a", tls(tmp_path / "ours", "a")) as a:
        assert a.address is not None
        foreign = None if shown == "nothing" else tls(tmp_path / "theirs", "ops")
        with gossamer.connect(a.address, timeout=2, tls=foreign) as client:
            with pytest.raises(Unreachable):
                client.counter("c").value()
            with pytest.raises((Unreachable, OutcomeUnknown)):
                client.counter("c").add(1)
        assert a.counter("c").value() == 0


def test_a_client_is_not_led_to_a_node_of_another_authority(tmp_path: Path) -> None:
    authority(tmp_path / "ours", "a")
    authority(tmp_path / "theirs", "a")
    with opened(tmp_path / "na", "a", tls(tmp_path / "theirs", "a")) as a:
        assert a.address is not None
        with (
            gossamer.connect(a.address, timeout=2, tls=tls(tmp_path / "ours", "ops")) as client,
            pytest.raises(Unreachable),
        ):
            client.status()


@pytest.mark.parametrize("dialer", ["honest", "false"])
def test_a_node_under_a_name_that_its_certificate_is_not_for_is_refused(tmp_path: Path, dialer: str) -> None:
    """Whoever dials: the accepting side looks at the certificate itself, the dialing side has TLS check it."""
    authority(tmp_path, "a", "b", "c")
    places = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    honest_peers, false_peers = (places[1:], []) if dialer == "honest" else ([], places[:1])
    with (
        opened(tmp_path / "na", "a", tls(tmp_path, "a"), *honest_peers, listen=places[0]) as a,
        opened(tmp_path / "nb", "c", tls(tmp_path, "b"), *false_peers, listen=places[1]) as false,
    ):
        false.counter("c").add(100)
        a.counter("c").add(1)
        with opened(
            tmp_path / "nc", "b", tls(tmp_path, "b"), places[0]
        ) as b:  # b's name with b's certificate
            eventually(lambda: b.counter("c").value() == 1, "the honest ones meet meanwhile")
        assert a.counter("c").value() == 1 and false.counter("c").value() == 100
        assert linked(a) == linked(false) == set()


def test_a_clients_certificate_makes_nobody_a_member(tmp_path: Path) -> None:
    authority(tmp_path, "a")
    with opened(tmp_path / "na", "a", tls(tmp_path, "a")) as a:
        assert a.address is not None
        with opened(tmp_path / "nb", "ops", tls(tmp_path, "ops"), a.address) as b:
            b.counter("c").add(1)
            with opened(tmp_path / "nc", "b", _issued(tmp_path, "b"), a.address) as honest:
                honest.counter("d").add(1)
                eventually(lambda: a.counter("d").value() == 1, "an honest one gets through")
            assert a.counter("c").value() == 0


def _issued(folder: Path, name: str) -> TLS:
    Authority.at(folder).issue(name, LOOPBACK, 1.0)
    return tls(folder, name)


def serial(address: str, shown: TLS) -> int:
    """Of the certificate that a node shows now."""
    context = ssl.create_default_context(cafile=str(shown.ca))
    context.load_cert_chain(shown.certificate, shown.key)
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        found: Any = secure.getpeercert()
        return int(found["serialNumber"], 16)


def test_replaced_certificates_count_from_the_next_connection_on(tmp_path: Path) -> None:
    ours = authority(tmp_path, "a", "b")
    with opened(tmp_path / "na", "a", tls(tmp_path, "a")) as a:
        assert a.address is not None
        with (
            opened(tmp_path / "nb", "b", tls(tmp_path, "b"), a.address) as b,
            gossamer.connect(a.address, tls=tls(tmp_path, "ops")) as client,
        ):
            b.counter("c").add(1)
            eventually(lambda: a.counter("c").value() == 1, "linked")
            before = serial(a.address, tls(tmp_path, "ops"))
            ours.issue("a", LOOPBACK, 1.0)
            ours.issue("ops", (), 1.0, is_client=True)
            assert serial(a.address, tls(tmp_path, "ops")) != before
            client.counter("c").add(1)
            b.counter("c").add(1)
            eventually(
                lambda: a.counter("c").value() == 3 == b.counter("c").value(), "nothing was interrupted"
            )


def test_a_bad_replacement_is_not_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority(tmp_path, "a")
    with opened(tmp_path / "na", "a", tls(tmp_path, "a")) as a:
        assert a.address is not None
        before = serial(a.address, tls(tmp_path, "ops"))
        (tmp_path / "a.pem").write_text("not a certificate")
        assert serial(a.address, tls(tmp_path, "ops")) == before
        assert "stays as it was" in caplog.text


def test_a_client_goes_on_while_its_certificate_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority(tmp_path, "a")
    file, away = tmp_path / "ops.pem", tmp_path / "away"
    with opened(tmp_path / "na", "a", tls(tmp_path, "a")) as a:
        assert a.address is not None
        with gossamer.connect(a.address, tls=tls(tmp_path, "ops")) as client:
            file.rename(away)
            client.counter("c").add(1)
            client.counter("c").add(1)
            file.write_text("not a certificate")
            client.counter("c").add(1)
            away.replace(file)
            client.counter("c").add(1)
        assert a.counter("c").value() == 4
    assert caplog.text.count("stays as it was") == 2


def test_a_node_dials_again_after_its_certificate_was_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority(tmp_path, "a", "b")
    caplog.set_level("INFO", "gossamer")
    address = f"127.0.0.1:{free_port()}"
    with gossamer.open(
        tmp_path / "nb", name="b", peers=[address], timing=FAST, tls=tls(tmp_path, "b")
    ) as b:  # it does not listen, so that nobody else can dial
        (tmp_path / "b.pem").rename(tmp_path / "away")
        b.start()
        eventually(lambda: "b.pem: No such file" in caplog.text, "it was dialed without")
        (tmp_path / "away").replace(tmp_path / "b.pem")
        with opened(tmp_path / "na", "a", tls(tmp_path, "a"), listen=address):
            eventually(lambda: linked(b) == {"a"}, "dialed again")


def test_a_watch_from_before_a_rotation_ends_with_its_client(tmp_path: Path) -> None:
    ours = authority(tmp_path, "a")
    with opened(tmp_path / "na", "a", tls(tmp_path, "a")) as a:
        assert a.address is not None
        client = gossamer.connect(a.address, tls=tls(tmp_path, "ops"))
        client.counter("c").add(1)
        watch, ended = client.watch(), threading.Event()
        assert next(watch).new == 1

        def follow() -> None:
            with pytest.raises(gossamer.Closed):
                next(watch)
            ended.set()

        threading.Thread(target=follow, daemon=True).start()
        ours.issue("ops", (), 1.0, is_client=True)
        assert client.counter("c").value() == 1  # over another connection
        client.close()
        assert ended.wait(10)


@pytest.mark.parametrize(
    ("given", "error", "what"),
    [
        (1, TypeError, "tls: "),
        ({"ca": "x"}, ValueError, "tls: "),
        ({"ca": 1, "certificate": "x", "key": "x"}, TypeError, "tls: ca"),
        ({"ca": "x", "certificate": "x", "key": "x", "other": "x"}, ValueError, "other"),
        ({"ca": "/none", "certificate": "x", "key": "x"}, ValueError, "tls: ca: /none"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, given: Any, error: type[Exception], what: str) -> None:
    with pytest.raises(error, match=what):
        gossamer.open(tmp_path / "a", name="a", tls=given)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", [None, "with space", "-a", "a" * 64, "10.0.0.1:7400"])
def test_with_tls_a_name_is_a_host_name(tmp_path: Path, name: str | None) -> None:
    authority(tmp_path, "a")
    with pytest.raises(ValueError, match="name: "):
        gossamer.open(tmp_path / "na", name=name, tls=tls(tmp_path, "a"))


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "gossamer", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_the_commands(tmp_path: Path) -> None:
    done = command("certs", tmp_path, "--node", "a", "--client", "ops", "--host", "127.0.0.1")
    assert done.returncode == 0 and done.stdout.split() == [
        str(tmp_path / "a.pem"),
        str(tmp_path / "ops.pem"),
    ]
    assert (tmp_path / "a-key.pem").stat().st_mode & 0o077 == 0
    files = [f"--tls-{kind}={tmp_path / file}" for kind, file in (("ca", "ca.pem"), ("key", "ops-key.pem"))]
    with opened(tmp_path / "na", "a", tls(tmp_path, "a")) as a:
        whole = [*files, f"--tls-certificate={tmp_path / 'ops.pem'}", "--at", a.address]
        done = command("add", "counter:c", *whole)
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
        done = command("get", "counter:c", "--at", a.address)
        assert done.returncode == 4 and "Traceback" not in done.stderr
        done = command("get", "counter:c", *files, "--at", a.address)
        assert done.returncode == 2 and "tls_certificate" in done.stderr
