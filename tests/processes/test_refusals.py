"""What a node cannot start on: each is said in one sentence, with an exit code, and nothing is changed."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .process import Serve

FAILED, USAGE = 1, 2


def in_one_sentence(said: tuple[int, str], words: str) -> None:
    code, log = said
    assert code == FAILED, said
    assert words in log, said
    assert "Traceback" not in log, said
    assert len(log.strip().splitlines()) == 1, said


def test_a_taken_port_and_a_directory_in_use(tmp_path: Path) -> None:
    with Serve("a", tmp_path) as node, Serve("b", tmp_path) as other:
        node.start()
        in_one_sentence(other.refuses(listen=node.address), node.address)
        other.data = node.data
        in_one_sentence(other.refuses(), f"process {node.pid} has it open")
        node.client.counter("n").add(1)
        assert node.client.counter("n").value() == 1


def test_a_taken_port_costs_the_directory_nothing(tmp_path: Path) -> None:
    """It can be started elsewhere, as the replica that it was."""
    with Serve("a", tmp_path) as node, Serve("b", tmp_path) as other:
        other.start()
        other.client.counter("n").add(1)
        replica = other.client.status()["replica"]
        other.stop()
        node.start()
        in_one_sentence(other.refuses(listen=node.address), node.address)
        other.start()
        assert other.client.status()["replica"] == replica
        assert other.client.counter("n").value() == 1


def test_a_foreign_directory_is_left_as_it_is(node: Serve) -> None:
    node.data.mkdir()
    (node.data / "thesis.txt").write_text("all my work")
    in_one_sentence(node.refuses(), "thesis.txt")
    assert os.listdir(node.data) == ["thesis.txt"]


def test_a_file_is_no_directory(node: Serve) -> None:
    node.data.write_text("all my work")
    in_one_sentence(node.refuses(), "not a directory")
    assert node.data.read_text() == "all my work"


def test_an_address_of_another_machine(node: Serve) -> None:
    in_one_sentence(node.refuses(listen="192.0.2.1:7400"), "192.0.2.1:7400")


@pytest.fixture
def read_only(node: Serve) -> Iterator[Serve]:
    """A node that ran, and whose directory can now only be read."""
    node.start()
    node.client.counter("n").add(1)
    node.stop()
    if os.geteuid() != 0:
        node.data.chmod(0o500)
        yield node
        node.data.chmod(0o700)
        return
    if subprocess.run(["mount", "--bind", node.data, node.data], check=False, capture_output=True).returncode:
        pytest.skip("root may write anywhere, and has no right to mount a file system read-only here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", node.data], check=True)
        yield node
    finally:
        subprocess.run(["umount", node.data], check=True)


def test_a_directory_that_can_only_be_read(read_only: Serve) -> None:
    in_one_sentence(read_only.refuses(), str(read_only.data))
