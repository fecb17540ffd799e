"""A stream whose deadline passes while nobody reads it ends quietly."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import grpc
import pytest

import gossamer
from gossamer.proto import data_pb2 as pb
from gossamer.proto import data_pb2_grpc

from .standin import DEADLINE_S


def test_a_scan_past_its_deadline_leaves_no_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with gossamer.open(tmp_path / "a", listen="127.0.0.1:0", durability="relaxed") as node:
        for n in range(40):
            node.map("m").register(f"{n}").set("x" * 200_000)
        for _ in range(5):
            over = Event()
            with grpc.insecure_channel(str(node.address)) as channel:
                call = data_pb2_grpc.DataStub(channel).Scan(pb.ScanRequest(keyspace="default"), timeout=0.3)
                call.add_callback(over.set)
                assert over.wait(DEADLINE_S)
                assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
