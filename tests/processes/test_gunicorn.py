"""Worker processes of gunicorn, with and without ``--preload``: a node is of one process, and a client of any.

A node that was opened before the fork says in the child what to do, and neither hangs nor writes there; the directory keeps
its identity. Of workers that open one directory each, the second is told that it is in use.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gossamer
from gossamer.maintenance.verify import verify

from .process import Serve
from .waiting import DEADLINE_S, so

APP = """
import os
import gossamer
{opened}
def app(environ, start_response):
    try:
        {used}.counter("served").add(1)
        text = "%d %d" % (os.getpid(), {used}.counter("served").value())
        status = "200 OK"
    except gossamer.GossamerError as error:
        status, text = "503 Service Unavailable", type(error).__name__ + ": " + str(error)
    start_response(status, [("Content-Type", "text/plain")])
    return [text.encode()]
"""
NODE = 'node = gossamer.open("data"); node.counter("made").add(1)'
"""At the import, with a write, so that the node's thread runs."""


class Gunicorn:
    """One that runs."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self._log = process, log
        self.url = ""

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait(self) -> None:
        """Until it listens."""
        so(lambda: "Listening at: " in self.log, "gunicorn does not listen")
        self.url = self.log.split("Listening at: ")[1].split()[0]

    def ask(self) -> tuple[int, str]:
        """The status of an answer, and its text."""
        try:
            with urllib.request.urlopen(self.url, timeout=DEADLINE_S) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@contextmanager
def gunicorn(folder: Path, opened: str, used: str, *arguments: str) -> Iterator[Gunicorn]:
    (folder / "served.py").write_text(APP.format(opened=opened, used=used))
    log = folder / "gunicorn.log"
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--graceful-timeout", "5"]
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--no-control-socket", *arguments, "served:app"], cwd=folder, stderr=file, stdout=file, text=True
        )  # fmt: skip
    try:
        yield Gunicorn(process, log)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def identity(folder: Path) -> tuple[str, int]:
    """A directory's replica id as it is opened now, and how often the app was served; the store is sound."""
    report = verify(folder / "data")
    assert report.is_sound, report.findings
    with gossamer.open(folder / "data") as node:
        return node.status()["replica"], node.counter("served").value()


def test_a_node_that_was_preloaded_is_closed_in_the_workers_and_says_so(tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "data") as node:
        replica = node.status()["replica"]
    with gunicorn(tmp_path, NODE, "node", "--preload", "--workers", "2") as server:
        server.wait()
        for _ in range(6):
            status, text = server.ask()
            assert status == 503
            assert (
                text.startswith("Closed: ")
                and f"process {server.process.pid}" in text
                and "after the fork" in text
            )
    assert identity(tmp_path) == (replica, 0)


def test_without_preload_one_worker_has_the_node(tmp_path: Path) -> None:
    with gunicorn(tmp_path, NODE, "node", "--workers", "1") as server:
        server.wait()
        assert [server.ask()[1].split()[1] for _ in range(3)] == ["1", "2", "3"]
    assert identity(tmp_path)[1] == 3


def test_without_preload_a_second_worker_is_told_that_the_directory_is_in_use(tmp_path: Path) -> None:
    with gunicorn(tmp_path, NODE, "node", "--workers", "2") as server:
        so(lambda: "DirectoryInUse" in server.log, "no worker is told")
        assert "has it open; one node at a time" in server.log
        server.process.wait(DEADLINE_S)  # gunicorn gives up when a worker does not boot
    assert identity(tmp_path)[1] == 0


def test_a_worker_killed_in_the_middle_leaves_the_next_one_all_that_it_acknowledged(tmp_path: Path) -> None:
    with gunicorn(tmp_path, NODE, "node", "--workers", "1") as server:
        server.wait()
        first = server.ask()[1].split()
        os.kill(int(first[0]), signal.SIGKILL)
        so(lambda: server.log.count("Booting worker") == 2, "no second worker")
        second = server.ask()[1].split()
        assert (first[1], second[1]) == ("1", "2") and first[0] != second[0]
    assert identity(tmp_path)[1] == 2


def test_clients_of_one_node_work_in_any_worker(tmp_path: Path) -> None:
    """Made and used before the fork, with ``--preload``; and made by each worker, without."""
    with Serve("a", tmp_path) as node:
        node.start()
        made = f'client = gossamer.connect("{node.address}"); client.counter("made").value()'
        for at, arguments in enumerate((["--preload"], [])):
            (folder := tmp_path / f"{at}").mkdir()
            with gunicorn(folder, made, "client", "--workers", "2", *arguments) as server:
                server.wait()
                assert [server.ask()[0] for _ in range(10)] == [200] * 10
        assert node.client.counter("served").value() == 20
