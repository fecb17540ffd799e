"""The application around the page: what it answers, whom it lets in, and that it ends with its node."""

from __future__ import annotations

import base64
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import gossamer
from gossamer import web
from gossamer.access import hash_of, new_key
from gossamer.certificates import Authority
from gossamer.integrations.fastapi import lifespan
from gossamer.web import site

from .stage import NAMES, staged


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_what_it_shows_as_data(tmp_path: Path) -> None:
    with staged(tmp_path) as node:
        shown = httpx.get(web.serve(node, "127.0.0.1:0") + "status.json").json()
        assert [member["name"] for member in shown["members"]] == list(NAMES)
        assert [keyspace["name"] for keyspace in shown["keyspaces"]] == ["default", "stock", "$system"]
        default = shown["keyspaces"][0]
        assert default["matrix"] == {
            "members": list(NAMES),
            "lacks": [[0, 0, 1], [0, 0, 1], [0, 0, 0]],
            "left_out": 0,
        }
        assert {one["path"]: one["open"] for one in shown["conflicts"]} == {
            "map:price/register:tea": 1,
            "map:price/register:salt": 1,
            "register:note": 1,
        }
        assert "written" not in str(shown)  # no values
        assert [one["about"] for one in shown["advice"]] == ["members"]


def test_mounted_in_an_application_that_opens_the_node_later(tmp_path: Path) -> None:
    application = FastAPI(lifespan=lifespan(tmp_path / "a", name="a"))
    application.mount("/gossamer", web.app(lambda: application.state.gossamer))
    with TestClient(application) as client:
        assert "<title>Gossamer</title>" in client.get("/gossamer").text
        assert client.get("/gossamer/status.json").json()["name"] == "a"


def test_the_policy_lets_nothing_run_but_the_pages_own(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a") as node, TestClient(web.app(node)) as client:
        answer = client.get("/")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert policy.count("'sha256-") == 2
        assert "unsafe" not in policy
        assert client.post("/").status_code == 405
        assert "http" not in answer.text.replace("http-equiv", ""), "a page that asks nobody else"


def test_a_node_that_is_closed_or_failed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = gossamer.open(tmp_path / "a")
    with TestClient(web.app(node)) as client:
        node.close()
        answer = client.get("/status.json")
        assert (answer.status_code, answer.json()) == (503, {"error": "Closed"})
        assert client.get("/events").text == "event: closed\ndata: \n\n"


def test_so_many_may_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "VIEWERS_MAX", 1)
    with gossamer.open(tmp_path / "a", name="a") as node:
        address = web.serve(node, "127.0.0.1:0")
        with httpx.stream("GET", f"{address}events") as one:
            lines = one.iter_lines()  # kept: without it the stream would be closed
            assert next(lines).startswith('data: {"name": "a"')
            assert httpx.get(f"{address}events").status_code == 503
            assert httpx.get(f"{address}status.json").status_code == 200


def test_it_ends_with_its_node(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", name="a") as node:
        address = web.serve(node, "127.0.0.1:0")
        with httpx.stream("GET", f"{address}events") as watching:
            lines = watching.iter_lines()
            next(lines)
            node.close()
            assert "event: closed" in list(lines)
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    with pytest.raises(gossamer.Closed):
        web.serve(node, "127.0.0.1:0")


def test_an_address_that_is_taken_or_none(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a") as node:
        address = web.serve(node, "127.0.0.1:0")
        with pytest.raises(gossamer.ListenError, match="cannot listen on"):
            web.serve(node, address.removeprefix("http://").rstrip("/"))
        with pytest.raises(ValueError, match="host:port"):
            web.serve(node, "7480")


@pytest.fixture
def secured(stack: ExitStack, tmp_path: Path) -> tuple[str, ssl.SSLContext, str]:
    """A page with certificates and keys: its address, a client's side of TLS, and a key."""
    authority = Authority.at(tmp_path)
    authority.issue("a", ["127.0.0.1"], days=1)
    authority.issue("ops", [], days=1, is_client=True)
    key = new_key()
    (tmp_path / "access.toml").write_text(f'[keys.looker]\nhash = "{hash_of(key)}"\n')
    mine = gossamer.TLS(ca=tmp_path / "ca.pem", certificate=tmp_path / "a.pem", key=tmp_path / "a-key.pem")
    node = stack.enter_context(
        gossamer.open(
            tmp_path / "na", name="a", listen="127.0.0.1:0", tls=mine, access=tmp_path / "access.toml"
        )
    )
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    return web.serve(node, "127.0.0.1:0"), context, key


def test_with_keys_only_who_has_one_may_look(
    secured: tuple[str, ssl.SSLContext, str], tmp_path: Path
) -> None:
    address, context, key = secured
    assert address.startswith("https://")
    with pytest.raises(httpx.HTTPError):  # no certificate
        httpx.get(address, verify=context)
    context.load_cert_chain(tmp_path / "ops.pem", tmp_path / "ops-key.pem")

    def status(authorization: str) -> int:
        headers = [(b"Authorization", authorization.encode("latin-1"))] if authorization else []
        return httpx.get(f"{address}status.json", verify=context, headers=headers).status_code

    def basic(name: str, password: str) -> str:
        return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()

    assert status(f"Bearer {key}") == status(basic("anybody", key)) == 200
    wrong = (
        "",
        "Bearer",
        f"Bearer {key}x",
        basic("anybody", "nothing"),
        f"Basic {key}",
        "Basic \xff",
        "Digest x",
    )
    assert [status(one) for one in wrong] == [401] * len(wrong)
    refused = httpx.get(address, verify=context)
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    assert "<script>" not in refused.text


def test_certificates_that_are_replaced_count_from_the_next_connection_on(
    secured: tuple[str, ssl.SSLContext, str], tmp_path: Path
) -> None:
    address, context, _ = secured
    context.load_cert_chain(tmp_path / "ops.pem", tmp_path / "ops-key.pem")
    assert httpx.get(address, verify=context).status_code == 401
    for old in ("ca.pem", "ca-key.pem"):
        (tmp_path / old).unlink()
    authority = Authority.at(tmp_path)
    authority.issue("a", ["127.0.0.1"], days=1)
    authority.issue("ops", [], days=1, is_client=True)
    with pytest.raises(httpx.HTTPError):  # it knows the old authority
        httpx.get(address, verify=context)
    renewed = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    renewed.load_cert_chain(tmp_path / "ops.pem", tmp_path / "ops-key.pem")
    assert httpx.get(address, verify=renewed).status_code == 401
    (tmp_path / "a.pem").write_text("no certificate")
    assert httpx.get(address, verify=renewed).status_code == 401


def served(folder: Path, *args: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "gossamer",
        "serve",
        "--data",
        str(folder),
        "--listen",
        "127.0.0.1:0",
        *args,
    ]
    return subprocess.Popen(
        [*command, "--until-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_serve_shows_the_page_and_the_metrics(tmp_path: Path) -> None:
    args = ("--name", "a", "--web", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--canary-s", "0.5")
    with served(tmp_path / "a", *args) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said: dict[str, Any] = {}
        for _ in range(3):
            what, _, address = process.stdout.readline().strip().partition(" on ")
            said[what] = address
        try:
            assert httpx.get(said["status page"] + "status.json").json()["name"] == "a"
            assert 'gossamer_info{name="a"' in httpx.get(said["metrics"]).text
        finally:
            process.stdin.close()
    assert process.returncode == 0


@pytest.mark.parametrize("args", [("--web", "here"), ("--metrics", "127.0.0.1:0", "--canary-s", "-1")])
def test_serve_names_a_wrong_argument(tmp_path: Path, args: tuple[str, ...]) -> None:
    command = [
        sys.executable,
        "-m",
        "gossamer",
        "serve",
        "--data",
        str(tmp_path / "a"),
        "--listen",
        "127.0.0.1:0",
    ]
    done = subprocess.run([*command, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert args[-1].removeprefix("-") in done.stderr
    assert "Traceback" not in done.stderr
