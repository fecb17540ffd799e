"""Real nodes over loopback: does who waits get what was promised, and is told what is missing otherwise?"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import gossamer
from gossamer import Closed, LimitExceeded, Node, TooStale, WaitTimeout, headers
from gossamer.cli.main import main
from gossamer.handles import Keyspace
from gossamer.writer import Writer

from .standin import DEADLINE_S, FAST, free_port

Pair = tuple[Node, Node]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(stack: ExitStack, where: Path, **settings: Any) -> Node:
    settings = {"listen": "127.0.0.1:0", "name": where.name, "timing": FAST, **settings}
    return stack.enter_context(gossamer.open(where, **settings))


@pytest.fixture
def pair(stack: ExitStack, tmp_path: Path) -> Pair:
    a = opened(stack, tmp_path / "a")
    return a, opened(stack, tmp_path / "b", peers=[a.address])


@pytest.fixture(params=["node", "client"])
def place(request: pytest.FixtureRequest, stack: ExitStack, pair: Pair) -> Keyspace:
    """The second node, here or at a distance."""
    if request.param == "node":
        return pair[1]
    return stack.enter_context(gossamer.connect(str(pair[1].address), timeout=DEADLINE_S))


def test_what_was_written_on_one_node_is_read_on_the_other(pair: Pair, place: Keyspace) -> None:
    for n in range(1, 20):
        pair[0].counter("sold").add(1)
        place.wait_for(pair[0].token(), DEADLINE_S)
        assert place.counter("sold").value() == n


async def test_the_awaited_twins_do_the_same(pair: Pair, place: Keyspace) -> None:
    await pair[0].counter("sold").aadd(1)
    token = await pair[0].atoken()
    await place.await_for(token, DEADLINE_S)
    assert await place.counter("sold").avalue() == 1
    await place.await_replicated(token, "all", DEADLINE_S)
    await place.await_fresh(5.0, DEADLINE_S)
    assert await place.fresh(5.0).counter("sold").avalue() == 1
    async with place.transaction() as tx:
        await tx.counter("sold").aadd(1)
    await place.await_replicated(await tx.atoken(), 1, DEADLINE_S)
    assert pair[0].counter("sold").value() == 2


def test_a_write_is_on_every_disk_once_that_was_waited_for(pair: Pair, place: Keyspace) -> None:
    with place.transaction() as tx:
        tx.counter("sold").add(1)
    for peers in (1, "majority", "all"):
        place.wait_replicated(tx.token(), peers, DEADLINE_S)
    assert pair[0].counter("sold").value() == 1


def test_a_time_out_says_who_has_it_and_that_the_write_stands(stack: ExitStack, tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    a = opened(stack, tmp_path / "a", peers=[nobody])
    b = opened(stack, tmp_path / "b", peers=[a.address], durability="relaxed")
    a.counter("sold").add(1)
    b.wait_for(a.token(), DEADLINE_S)
    a.wait_for(b.token(), DEADLINE_S)
    client = stack.enter_context(gossamer.connect(str(a.address), timeout=DEADLINE_S))
    for place in (a, client):
        with pytest.raises(WaitTimeout) as caught:
            while True:  # until the registration has arrived
                place.wait_replicated(a.token(), "all", 0.05)
        assert isinstance(caught.value, TimeoutError)
        assert "members are known to have it durably (a)" in str(caught.value)
        assert f"never met ({nobody})" in str(caught.value)
        assert "the write stands here" in str(caught.value)
    assert a.counter("sold").value() == 1
    until_said(a, "not durably (b)")


def until_said(node: Node, what: str) -> None:
    for _ in range(1000):
        try:
            node.wait_replicated(node.token(), "all", 0.02)
        except WaitTimeout as error:
            if what in str(error):
                return
    raise AssertionError(f"never: {what}")


def test_a_token_of_what_never_comes_is_timed_out_with_what_is_missing(
    stack: ExitStack, tmp_path: Path, place: Keyspace
) -> None:
    alone = opened(stack, tmp_path / "alone")
    alone.counter("sold").add(1)
    for timeout in (0, 0.05):
        with pytest.raises(
            WaitTimeout, match=r"keyspace 'default': not within .* s: 1 events \([0-9a-f]{6}:1\)"
        ):
            place.wait_for(alone.token(), timeout)


def test_tokens_are_of_one_keyspace(pair: Pair, place: Keyspace) -> None:
    orders = pair[0].keyspace("orders")
    orders.counter("open").add(1)
    token = orders.token()
    pair[1].keyspace("orders").wait_for(token, DEADLINE_S)
    with pytest.raises(ValueError, match="token: of another keyspace than 'default', or of another cluster"):
        place.wait_for(token, 1)
    with pytest.raises(ValueError, match="keyspace 'elsewhere': this node does not host it"):
        Keyspace(place._backend, "elsewhere").wait_for(token, 1)
    with pytest.raises(ValueError, match="keyspace 'elsewhere': this node does not host it"):
        Keyspace(place._backend, "elsewhere").token()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda k: k.wait_for("no token", 1), ValueError, "token: not base64url"),
        (lambda k: k.wait_for(None, 1), TypeError, "token: a str is wanted"),
        (lambda k: k.wait_for(k.token(), -1), ValueError, "timeout: -1 s is not between"),
        (lambda k: k.wait_for(k.token(), "1"), TypeError, "timeout: seconds are wanted"),
        (lambda k: k.wait_for(k.token(), float("nan")), ValueError, "timeout: not a number"),
        (lambda k: k.wait_replicated(k.token(), 0), ValueError, "peers: 0 is not 1 or more"),
        (lambda k: k.wait_replicated(k.token(), "most"), TypeError, "peers: an int"),
        (lambda k: k.wait_replicated("", 1), ValueError, "token: not one of this version"),
        (lambda k: k.wait_fresh(0), ValueError, "max_staleness: 0 s is not above 0"),
        (lambda k: k.wait_fresh(1, timeout=10**400), ValueError, "is not between 0 and"),
        (lambda k: k.fresh("x"), TypeError, "max_staleness: seconds are wanted"),
    ],
)
def test_a_wrong_argument_is_named(place: Keyspace, call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(place)


def test_a_node_alone_is_a_majority_and_is_fresh(stack: ExitStack, tmp_path: Path) -> None:
    alone = opened(stack, tmp_path / "alone")
    alone.counter("sold").add(1)
    alone.wait_replicated(alone.token(), "majority", DEADLINE_S)
    alone.wait_fresh(0.001, DEADLINE_S)
    with pytest.raises(
        WaitTimeout, match="0 of 1 members are known to have it durably; the write stands here"
    ):
        alone.wait_replicated(alone.token(), 1, 0)


def test_reads_are_as_fresh_as_was_asked_and_fail_once_a_member_is_away(
    stack: ExitStack, tmp_path: Path, pair: Pair, place: Keyspace
) -> None:
    a, _ = pair
    for n in range(1, 10):
        a.counter("sold").add(1)
        assert place.fresh(5.0, DEADLINE_S).counter("sold").value() <= n
    place.wait_fresh(0.5, DEADLINE_S)
    a.close()
    with pytest.raises(
        TooStale, match=r"keyspace 'default': older than 0.05 s, it may be: a was last caught up with"
    ):
        while True:
            place.wait_fresh(0.05, 0.01)
    reader = place.fresh(0.05, 0)
    with pytest.raises(TooStale):
        reader.counter("sold").value()
    with pytest.raises(TooStale):
        list(reader.keys())
    reader.counter("here").add(1)  # writing needs nobody
    assert place.counter("here").value() == 1


def test_what_was_acknowledged_before_the_bound_is_read(pair: Pair, place: Keyspace) -> None:
    a, b = pair
    b.wait_fresh(5.0, DEADLINE_S)
    for n in range(1, 6):
        a.counter("sold").add(1)
        threading.Event().wait(0.02)
        assert place.fresh(0.02, DEADLINE_S).counter("sold").value() >= n


def test_staleness_is_in_the_status(pair: Pair) -> None:
    a, b = pair
    b.wait_fresh(5.0, DEADLINE_S)
    found = b.status()["keyspaces"]["default"]
    assert 0 <= found["staleness_s"] < 5.5
    assert found["peers"]["a"]["staleness_s"] == found["staleness_s"]
    assert "staleness_s" in a.status()["keyspaces"]["default"]


def test_closing_ends_every_wait(stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, other = opened(stack, tmp_path / "alone"), opened(stack, tmp_path / "other")
    other.counter("sold").add(1)
    outcomes: list[BaseException] = []
    looking = threading.Event()
    lacks = alone.backend.core.lacks

    def looked(*args: Any) -> Any:
        looking.set()
        return lacks(*args)

    monkeypatch.setattr(alone.backend.core, "lacks", looked)

    def wait() -> None:
        try:
            alone.wait_for(other.token(), 600)
        except BaseException as error:  # noqa: BLE001  # looked at below
            outcomes.append(error)

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert looking.wait(DEADLINE_S)
    alone.close()
    for thread in threads:
        thread.join()
    assert [type(error) for error in outcomes] == [Closed] * 5
    with pytest.raises(Closed):
        alone.wait_for(other.token(), 1)


async def test_a_wait_that_is_cancelled_is_forgotten(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossamer.writer.WAITS_MAX", 3)
    alone, other = opened(stack, tmp_path / "alone"), opened(stack, tmp_path / "other")
    other.counter("sold").add(1)
    writer: Writer = alone.backend.writer
    for _ in range(10):
        waits = [asyncio.ensure_future(alone.await_for(other.token(), 600)) for _ in range(3)]
        while len(writer._untils) < 3:
            await asyncio.sleep(0)
        with pytest.raises(LimitExceeded, match="3 callers are waiting already"):
            await alone.await_for(other.token(), 600)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        alone.counter("turn").add(1)
        while writer._untils:
            await asyncio.sleep(0)


def test_a_wait_inside_an_update_is_refused(pair: Pair) -> None:
    a, b = pair
    a.counter("sold").add(1)
    with pytest.raises(ValueError, match="update: its function must not write or wait"):
        b.register("r").update(lambda _: b.wait_replicated(b.token(), 1, 1))


def test_a_transaction_has_a_token_once_it_is_committed(pair: Pair, place: Keyspace) -> None:
    with place.transaction() as tx:
        tx.counter("sold").add(1)
        with pytest.raises(Closed, match="it has a token once it is committed"):
            tx.token()
    pair[0].wait_for(tx.token(), DEADLINE_S)
    assert pair[0].counter("sold").value() == 1
    with place.transaction() as nothing:
        pass
    pair[0].wait_for(nothing.token(), 0)


def test_tokens_travel_in_headers() -> None:
    sent: dict[str, str] = {"Accept": "*/*"}
    headers.to_http(sent, "AAAA")
    headers.to_http(sent, "BBBB", "a, b=c")
    headers.to_http(sent, "CCCC")
    assert sent == {"Accept": "*/*", "Gossamer-Token": "default=CCCC, a%2C%20b%3Dc=BBBB"}
    asgi = [(k.lower().encode(), v.encode()) for k, v in sent.items()]
    for given in (sent, {k.upper(): v for k, v in sent.items()}, asgi, [*sent.items()]):
        assert headers.from_http(given) == "CCCC"
        assert headers.from_http(given, "a, b=c") == "BBBB"
        assert headers.from_http(given, "other") is None
    assert headers.from_http({}) is None
    for odd in ("", "=", "default", "default=", "=AAAA", ",,", "x=y=z", "\x00"):
        assert headers.from_http({"gossamer-token": odd}) is None
    metadata = headers.to_grpc(headers.to_grpc([("k", "v")], "AAAA"), "BBBB", "other")
    assert metadata == [("k", "v"), ("gossamer-token", "default=AAAA, other=BBBB")]
    assert headers.from_grpc(metadata, "other") == "BBBB"
    assert headers.from_grpc(None) is None


class Multidict:
    """Headers as Starlette has them: written like a dict, and no `MutableMapping`."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def get(self, key: str, default: str = "") -> str:
        return next((value for name, value in self.pairs if name == key), default)

    def __setitem__(self, key: str, value: str) -> None:
        self.pairs = [*(pair for pair in self.pairs if pair[0] != key), (key, value)]


def test_a_token_goes_into_a_frameworks_headers() -> None:
    sent = Multidict()
    headers.to_http(sent, "AAAA")
    headers.to_http(sent, "BBBB", "orders")
    assert sent.pairs == [("Gossamer-Token", "default=AAAA, orders=BBBB")]
    assert headers.from_http(sent.pairs, "orders") == "BBBB"


def test_the_command_line_prints_tokens_and_waits(pair: Pair) -> None:
    a, b = pair

    def run(node: Node, *args: str) -> Any:
        return CliRunner().invoke(main, [*args, "--at", str(node.address)])

    a.counter("sold").add(1)
    text = run(a, "token").output.strip()
    assert text == a.token()
    assert json.loads(run(a, "token", "--json").output) == {"keyspace": "default", "token": text}
    for more in ((), ("--replicated", "1"), ("--replicated", "all")):
        assert run(b, "wait", text, "--timeout", "20", *more).exit_code == 0
    assert json.loads(run(b, "wait", "--fresh", "5", "--json").output) == {
        "keyspace": "default",
        "reached": True,
    }
    late = run(b, "wait", text, "--replicated", "9", "--timeout", "0.05")
    assert late.exit_code == 1
    assert "1 of 9 members are known to have it durably" in late.output
    for wrong in (
        (),
        (text, "--fresh", "1"),
        ("--replicated", "1"),
        (text, "--replicated", "most"),
        ("bad",),
    ):
        assert run(b, "wait", *wrong).exit_code == 2, wrong


async def test_one_read_may_be_bounded(pair: Pair) -> None:
    a, b = pair
    a.register("r").set("x")
    b.wait_for(a.token(), DEADLINE_S)
    assert b.register("r").read(max_staleness=5.0, timeout=DEADLINE_S).value == "x"
    assert (await b.register("r").aread(max_staleness=5.0, timeout=DEADLINE_S)).value == "x"
    assert b.mv_register("v").read(max_staleness=5.0, timeout=DEADLINE_S).value == []
    with pytest.raises(ValueError, match="max_staleness: 0"):
        b.register("r").read(max_staleness=0)
    a.close()
    with pytest.raises(TooStale):
        b.register("r").read(max_staleness=0.001, timeout=0)
