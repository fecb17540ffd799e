"""The short form of ``make fuzz``, and what it once found."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from gossamer import maintenance
from gossamer.errors import DirectoryUnusable
from gossamer.store import Directory, witness
from tests.store.helpers import made

from . import surface
from .run import Fuzz, fuzz
from .targets import Target

INPUTS, CALLS, SEED = 6_000, 150, 7


def test_no_decoder_answers_with_an_error_that_is_not_documented() -> None:
    ran = fuzz(INPUTS, SEED)
    assert not ran.findings, f"python -m tests.fuzz.run --inputs {INPUTS} --seed {SEED}: {ran.findings[:3]}"
    assert len(ran.counts) >= 19 and all(ran.counts.values())
    assert all(ran.taken[name] for name in ran.counts), "what is always refused is not tried"


@pytest.mark.parametrize("guarded", [False, True], ids=["open", "guarded"])
def test_no_call_to_a_real_node_ends_as_its_failure(tmp_path: Path, guarded: bool) -> None:
    found, codes = surface.run(CALLS, SEED, tmp_path, guarded=guarded)
    assert not found, found[:3]
    assert codes["PERMISSION_DENIED" if guarded else "INVALID_ARGUMENT"] > CALLS / 2


def test_a_finding_is_found() -> None:
    def fails(data: bytes) -> None:
        if len(data) % 2:
            raise KeyError(data)

    ran = Fuzz(1, [Target("fails", fails, (), [b"ab"])])
    ran.run(200)
    assert ran.findings and "KeyError" in ran.findings[0].what
    kept: list[bytes] = []
    ran = Fuzz(1, [Target("hoards", lambda data: kept.append(b"x" * 256 * 1024 * 1024), (), [b"ab"])])
    ran.run(2)
    assert any("the process grew by" in finding.what for finding in ran.findings)


@pytest.mark.parametrize("bad", [b"{\xdb", b'{"gossamer": "d\xff", "format": 1}'], ids=["cut", "flipped"])
def test_a_marker_whose_text_is_broken_is_damaged_and_the_witness_is_none(tmp_path: Path, bad: bytes) -> None:
    made(tmp_path / "a")
    (tmp_path / "a" / "gossamer").write_bytes(bad)
    with pytest.raises(DirectoryUnusable, match="not what was written"):
        Directory.open(tmp_path / "a")
    (tmp_path / "witness").write_bytes(bad)
    assert witness.read(tmp_path / "witness") is None
    (tmp_path / "manifest.json").write_bytes(bad)
    with pytest.raises(DirectoryUnusable, match="damaged or not of a backup"):
        maintenance.read_manifest(tmp_path)


def test_what_is_no_protobuf_is_a_wrong_argument_and_no_traceback(tmp_path: Path) -> None:
    with surface.surface(tmp_path) as (node, question):
        for method in surface.REQUESTS:
            assert node.call(method, b"\xff" * 9) is None
        assert node.codes == {grpc.StatusCode.INVALID_ARGUMENT.name: len(surface.REQUESTS)}
        assert node.exchange([b"\xff" * 9]) is None
        assert question() == 7
