"""Many real nodes on loopback: do they converge after a storm of writes, with few streams each, and notice a kill?

    python bench/many.py [--nodes 30] [--writes 20] [--json FILE]

Each node is a `gossamer serve` process in a directory of its own under /dev/shm, if there is one. The nodes know three of
them as peers. Then each takes some writes; one is killed; the others must take it for away, and have the same digest.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gossamer
from gossamer.rpc import Client

SEEDS = 3
WAIT_S = 600.0
LOOK_S = 1.0


def start(name: str, folder: Path, seeds: list[str]) -> tuple[subprocess.Popen[str], str]:
    """A node's process, and the address that it listens on."""
    peers = [part for seed in seeds for part in ("--peer", seed)]
    command = [
        sys.executable,
        "-P",
        "-m",
        "gossamer",
        "serve",
        "--until-eof",
        "--name",
        name,
        "--durability",
        "relaxed",
    ]
    process = subprocess.Popen(
        [*command, "--data", str(folder / name), "--listen", "127.0.0.1:0", *peers],
        stdin=subprocess.PIPE,  # closed with this process: then it ends too
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("listening on "):
        raise AssertionError(f"{name}: {line!r}")
    return process, line.removeprefix("listening on ").strip()


def until(what: str, is_so: Callable[[], bool]) -> float:
    """Wait; the seconds that took."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > WAIT_S:
            raise AssertionError(f"{what}: not within {WAIT_S:g} s")
        time.sleep(LOOK_S)  # another process's status tells nobody that it has changed
    return round(time.monotonic() - began, 1)


def state_of(status: dict[str, Any], name: str) -> str:
    """What one node says of another one."""
    return next((m["state"] for m in status["members"] if m["name"] == name), "unknown")


def links_of(client: Client) -> int:
    """How many streams a node has."""
    return sum(member["state"] == "linked" for member in client.status()["members"])


def run(count: int, writes: int, folder: Path) -> dict[str, Any]:
    """All of it; what was found."""
    processes: dict[str, subprocess.Popen[str]] = {}
    clients: dict[str, Client] = {}
    seeds: list[str] = []
    try:
        for n in range(count):
            name = f"node-{n}"
            processes[name], address = start(name, folder, seeds[:SEEDS])
            seeds.append(address)
            clients[name] = gossamer.connect(address, timeout=60)
        return observe(count, writes, processes, clients)
    finally:
        for client in clients.values():
            client.close()
        for process in processes.values():
            process.kill()
            process.wait()


def observe(
    count: int, writes: int, processes: dict[str, subprocess.Popen[str]], clients: dict[str, Client]
) -> dict[str, Any]:
    """Of a cluster that runs."""
    found: dict[str, Any] = {"nodes": count}

    def everybody(of: dict[str, Client]) -> list[dict[str, Any]]:
        return [client.status() for client in of.values()]

    found["all_known_s"] = until(
        "all known", lambda: all(len(s["members"]) == count for s in everybody(clients))
    )
    for client in clients.values():
        for _ in range(writes):
            client.counter("storm").add(1)
    found["converged_s"] = until(
        "converged", lambda: all(c.counter("storm").value() == count * writes for c in clients.values())
    )
    digests = until(
        "one digest", lambda: len({s["keyspaces"]["default"]["digest"] for s in everybody(clients)}) == 1
    )
    found["one_digest_s"] = digests
    links = [links_of(client) for client in clients.values()]
    found["links"] = {"min": min(links), "max": max(links), "mean": round(sum(links) / count, 1)}
    victim = f"node-{count - 1}"
    processes[victim].kill()
    alive = {name: client for name, client in clients.items() if name != victim}
    found["kill_seen_by_one_s"] = until(
        "seen", lambda: any(state_of(s, victim) == "away" for s in everybody(alive))
    )
    found["kill_seen_by_all_s"] = until(
        "seen by all", lambda: all(state_of(s, victim) == "away" for s in everybody(alive))
    )
    clients["node-0"].counter("storm").add(1)
    found["converged_without_it_s"] = until(
        "converged", lambda: all(c.counter("storm").value() == count * writes + 1 for c in alive.values())
    )
    return found


def main(arguments: list[str]) -> int:
    """What was found, as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=30)
    parser.add_argument("--writes", type=int, default=20)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="gossamer-many-", dir=memory if memory.is_dir() else None
    ) as folder:
        found = run(asked.nodes, asked.writes, Path(folder))
    text = json.dumps(found, indent=1)
    print(text)
    if asked.json:
        asked.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
