"""The gRPC surface of a real node under raw bytes: every method of every service, by a stub that knows no messages.

What is a finding? A call that ends as if the node had failed, a line in its log that says so, or a node that answers no more.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

import gossamer
from gossamer.limits import LinkTiming
from gossamer.proto import data_pb2 as pb
from gossamer.proto.replication_pb2 import Frame
from gossamer.rpc import credentials, wire
from tests.replication.bench import PEER, at
from tests.rpc.test_access import keys_file
from tests.rpc.test_tls import authority, tls

from .mutate import mutated
from .targets import sent

DEADLINE_S = 0.5
"""Of a call: some wait as long as they are told to."""
BRISK = LinkTiming(beat_s=0.05, hello_s=0.2)
_ONE, _SET = wire.pack_args((1,)), wire.pack_args(("x",))
_DOT = pb.Dot(replica=PEER, seq=1)
REQUESTS: dict[str, tuple[Any, ...]] = {
    "Read": (pb.ReadRequest(keyspace="default", paths=[at("counter:c"), at("register:r")]),),
    "Write": (
        pb.WriteRequest(keyspace="default", ops=[pb.Op(path=at("counter:c"), method="add", args=_ONE)]),
        pb.WriteRequest(
            keyspace="default", ops=[pb.Op(path=at("register:r"), method="set", args=_SET)], op_id="o"
        ),
        pb.WriteRequest(keyspace="default", wait_s=0.1, attempt=pb.Attempt(node=PEER, id=bytes(16))),
        pb.WriteRequest(
            keyspace="default", ops=[pb.Op(path=at("map:m"), method="clear", args=wire.pack_args(()))]
        ),
    ),
    "Estate": (pb.EstateRequest(keyspace="default", member="a"),),
    "Scan": (pb.ScanRequest(keyspace="default", prefix=at("map:m")), pb.ScanRequest(keyspace="default")),
    "Bind": (pb.BindRequest(keyspace="default", schema=b'{"name":"Cart","version":1,"fields":{}}'),),
    "Watch": (
        pb.WatchRequest(keyspace="default", prefix="counter:", snapshot=True, idle_s=0.0),
        pb.WatchRequest(keyspace="default", subscription="s", consumer=b"c", anew=True, idle_s=0.0),
    ),
    "Acknowledge": (
        pb.AcknowledgeRequest(keyspace="default", subscription="s", place=pb.Place(position=1), leaving=b"c"),
    ),
    "Token": (pb.TokenRequest(keyspace="default", dot=_DOT), pb.TokenRequest(keyspace="default")),
    "Wait": (
        pb.WaitRequest(keyspace="default", fresh=pb.WaitRequest.Fresh(max_staleness_s=1.0), timeout_s=0.01),
        pb.WaitRequest(keyspace="default", replicated=pb.WaitRequest.Replicated(token="x", share="all")),
    ),
    "Conflicts": (pb.ConflictsRequest(keyspace="default", prefix="register:", limit=3, before=9),),
    "Explain": (pb.ExplainRequest(keyspace="default", path=at("counter:c")),),
    "Settle": (pb.SettleRequest(keyspace="default", number=1, dot=_DOT, verb="dismiss"),),
    "Status": (pb.StatusRequest(),),
    "Admin": (
        pb.AdminRequest(verb="members.remove", arguments=b'{"name": "b"}'),
        pb.AdminRequest(verb="keyspaces.drop", arguments=b'{"name": "x", "force": true, "timeout": 0}'),
        pb.AdminRequest(verb="subscriptions.remove", arguments=b'{"keyspace": "default", "name": "s"}'),
        pb.AdminRequest(verb="leave", arguments=b'{"timeout": 0.0}'),
    ),
}
STREAMS = ("Scan", "Watch", "Conflicts")
FAILED = (
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
)
"""How no call of the Data service ends for what it was asked."""


class Failures(logging.Handler):
    """Lines of the log that say that the node failed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.name != "gossamer":
            self.lines.append(self.format(record))


class Surface:
    """One node, and what is sent to it."""

    def __init__(self, channel: grpc.Channel, is_open: bool, failures: Failures) -> None:
        """``is_open``: nobody has to show a key; else nobody who does not is answered."""
        self._raw: Any = channel  # its stubs know no methods without messages
        self._is_open, self._failures = is_open, failures
        self.codes: dict[str, int] = {}

    def call(self, method: str, data: bytes) -> str | None:
        """Raw bytes to a method of the Data service; what is wrong with how it ended."""
        path = f"/gossamer.v1.Data/{method}"
        before = len(self._failures.lines)
        try:
            if method in STREAMS:
                for _ in self._raw.unary_stream(path)(data, timeout=DEADLINE_S):
                    pass
            else:
                self._raw.unary_unary(path)(data, timeout=DEADLINE_S)
            code, details = grpc.StatusCode.OK, ""
        except grpc.RpcError as error:
            code, details = error.code(), error.details() or ""
        self.codes[code.name] = self.codes.get(code.name, 0) + 1
        if len(self._failures.lines) > before:
            return "\n".join(self._failures.lines[before:])
        if code in FAILED or "its log says how" in details:
            return f"{code.name}: {details}"
        if not self._is_open and code is grpc.StatusCode.OK:
            return "it was answered without a key"
        return None

    def exchange(self, frames: list[bytes]) -> str | None:
        """Raw frames on a link, which the node ends or goes on with; what was logged as a failure."""
        before = len(self._failures.lines)
        call = self._raw.stream_stream("/gossamer.v1.Replication/Exchange")
        try:
            for _ in call(iter(frames), timeout=DEADLINE_S):
                pass
        except grpc.RpcError as error:
            self.codes[error.code().name] = self.codes.get(error.code().name, 0) + 1
        said = self._failures.lines[before:]
        return "\n".join(said) if said else None


@contextmanager
def surface(folder: Path, *, guarded: bool = False) -> Iterator[tuple[Surface, Callable[[], int]]]:
    """A node that listens, with or without certificates and keys, and a legitimate client's question."""
    failures, log = Failures(), logging.getLogger()
    log.addHandler(failures)
    settings: dict[str, Any] = {"timing": BRISK}
    shown: dict[str, Any] = {}
    if guarded:
        authority(folder, "a", "ops")
        keys = keys_file(folder / "keys.toml", ops='read = ["*"]')
        settings |= {"tls": tls(folder, "a"), "access": folder / "keys.toml"}
        shown = {"tls": tls(folder, "ops"), "access_key": keys["ops"]}
    try:
        with gossamer.open(folder / "node", name="a", listen="127.0.0.1:0", **settings) as node:
            assert node.address is not None
            node.counter("legitimate").add(7)
            with _channel(node.address, shown) as channel, gossamer.connect(node.address, **shown) as client:
                yield Surface(channel, not guarded, failures), client.counter("legitimate").value
    finally:
        log.removeHandler(failures)


def _channel(address: str, shown: dict[str, Any]) -> grpc.Channel:
    """A channel with the client's certificate and without its key."""
    if not shown:
        return grpc.insecure_channel(address)
    return grpc.secure_channel(address, credentials.for_channel(shown["tls"]))


def run(inputs: int, seed: int, folder: Path, *, guarded: bool = False) -> tuple[list[str], dict[str, int]]:
    """So many calls with nearly valid requests; findings, and how the calls ended."""
    rng, found = random.Random(f"{seed} surface"), list[str]()
    corpus = {name: [one.SerializeToString() for one in ones] for name, ones in REQUESTS.items()}
    frames = [Frame(message=body).SerializeToString() for body in sent()]
    frames += [Frame(ping=3).SerializeToString(), Frame(part=b"x" * 40).SerializeToString()]
    hello = frames[0]
    everything = [data for datas in corpus.values() for data in datas]
    with surface(folder, guarded=guarded) as (node, question):
        for name, datas in corpus.items():
            found += [f"{name}, valid: {said}" for data in datas if (said := node.call(name, data))]
        for at_input in range(inputs):
            name = rng.choice(list(corpus))
            some = corpus[name] if rng.random() < 0.8 else everything
            data = mutated(rng, some)
            said = node.call(name, data)
            if said is not None:
                found.append(f"{name} {data[:2000].hex()}: {said}")
            if at_input % 50 == 0:
                words = [hello] * rng.randrange(2) + [
                    mutated(rng, frames) for _ in range(rng.randrange(1, 5))
                ]
                said = node.exchange(words)
                if said is not None:
                    found.append(f"Exchange {[word[:500].hex() for word in words]}: {said}")
        assert question() == 7, "a legitimate client is not answered as it should be"
        return found, node.codes
