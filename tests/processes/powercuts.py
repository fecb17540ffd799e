"""The power goes while a node writes, over and over: what was acknowledged before it must be on the disk after it.

``python -m tests.processes.powercuts --count 100``. The acknowledgements are kept by this process, so on no disk. Each
cut takes the file system away under a running node, under load; then its machine has another boot id.

Durability ``commit``: before the node has met anybody it holds every acknowledged write. ``relaxed``: the last commits
may be undone and none is torn, and with what its peer had received everything becomes equal again, each write counted
once. In both the store is sound, and the node goes on as another replica.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import gossamer
from gossamer.maintenance.verify import verify

from . import disk
from .disk import Boot, Disk
from .group import difference
from .inject import can_inject
from .load import Load
from .process import Serve, options
from .waiting import so, until

WRITES_MAX = 60
"""Acknowledged writes of one life, at most."""
LYING = ("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fdatasync:retval=0")
"""A command under which no flush of data reaches the disk, and each is said to have."""
LIES = 5
"""Cuts of a disk that lies, in a run."""
EQUAL_S = 5.0
"""From the moment that two nodes run again to equality."""


class Figures(NamedTuple):
    """What a run came to."""

    cuts: int
    acknowledged: int
    unknown: int
    gone: int
    """What was added to the counter, acknowledged, and is gone, as nobody had been told; only of a relaxed node."""
    equal_s: float
    """The longest time to equality with the peer; 0 without one."""

    def __str__(self) -> str:
        equal = f"; equal with the peer within {self.equal_s:.2f} s" if self.equal_s else ""
        gone = f"; {self.gone} added by a relaxed node that had told nobody are gone" if self.gone else ""
        return (
            f"{self.cuts} power cuts, {self.acknowledged} writes acknowledged and {self.unknown} with unknown "
            f"outcome, all found as they must be; every store sound, every time another replica{equal}{gone}"
        )


class Victim:
    """A node on a disk of its own, and how it lives through a cut."""

    def __init__(self, folder: Path, kind: str, durability: str) -> None:
        self.disk, self.boot = Disk(folder, kind), Boot(folder)
        self.node = Serve("b", folder, data=self.disk.place / "data")
        self.node.under = self.boot.under
        self._durability = durability

    def start(self, *arguments: str) -> None:
        """On the disk as it is."""
        self.node.start("--durability", self._durability, *arguments)

    def again(self) -> None:
        """The power, which was cut, comes back. The node is not started yet; its store is sound."""
        self.node.kill()
        self.disk.again()
        self.boot.another()
        found = verify(self.node.data)
        assert found.is_sound, found.findings[:10]


def alone(folder: Path, kind: str, count: int, seed: int = 1) -> Figures:
    """Cut a node in durability ``commit`` that knows nobody; after each cut all that was acknowledged is there."""
    rng, victim = Random(seed), Victim(folder, kind, "commit")
    loads: list[Load] = []
    with victim.disk, victim.node as node:
        victim.start()
        for _ in range(count):
            with Load([node], writers=3, seed=rng.randrange(1 << 30)) as load:
                load.reach("b", rng.randint(1, WRITES_MAX))
                victim.disk.cut()
            victim.again()
            victim.start()
            loads.append(load)
            load.check(node)
        for load in loads:
            load.check(node)
        assert len(set(node.identities)) == len(node.identities) == count + 1, node.log
    return _figures(loads)


def with_a_peer(folder: Path, kind: str, durability: str, count: int, seed: int = 1) -> Figures:
    """Cut a node that a peer is linked with; both write. What a relaxed node lost and told nobody is all that may lack."""
    rng, victim = Random(seed), Victim(folder, kind, durability)
    loads: list[Load] = []
    gone, equal_s = 0, 0.0
    with victim.disk, Serve("a", folder) as peer, victim.node as node:
        peer.start()
        victim.start(*options([peer.address]))
        for _ in range(count):
            so(lambda: difference([peer, node]) == "", "never equal")
            with Load([node, peer], writers=2, seed=rng.randrange(1 << 30)) as load:
                for each in (node, peer):
                    load.reach(each.name, rng.randint(1, WRITES_MAX))
                victim.disk.cut()
            victim.again()
            told = _held(peer, load)
            began = time.monotonic()
            victim.start(*options([peer.address]))
            until(lambda: difference([peer, node]), EQUAL_S + time.monotonic() - began)
            equal_s = max(equal_s, time.monotonic() - began)
            loads.append(load)
            if durability == "commit":
                load.check(peer)
                load.check(node)
            else:
                gone += _check_relaxed(load, [peer, node], told)
        assert len(set(node.identities)) == len(node.identities) == count + 1, node.log
    return _figures(loads)._replace(gone=gone, equal_s=equal_s)


def lying(folder: Path, kind: str, count: int, seed: int = 1) -> Counter[str]:
    """The same on a disk that says that it has flushed, and has not. What was on it may be gone, or in pieces: then it is
    refused in words, and an empty directory takes its place, as the words say. What the peer had been told, and
    acknowledged itself, is never lost. How often each came is returned."""
    rng, victim, came = Random(seed), Victim(folder, kind, "commit"), Counter[str]()
    with victim.disk, Serve("a", folder) as peer, victim.node as node:
        peer.start()
        victim.start(*options([peer.address]))
        for at in range(count):
            until(lambda: difference([peer, node]))
            assert node.stop() == 0
            node.under = [*victim.boot.under, *LYING]
            victim.start(*options([peer.address]))
            with Load([node, peer], seed=rng.randrange(1 << 30)) as load:
                for each in (node, peer):
                    load.reach(each.name, rng.randint(1, WRITES_MAX))
                victim.disk.cut()
            told = _held(peer, load)
            node.under = victim.boot.under
            came[_rise(victim, folder / f"broken {at}", *options([peer.address]))] += 1
            until(lambda: difference([peer, node]))
            _check_relaxed(load, [peer, node], told)
            assert len(set(node.identities[-3:])) == 2, node.log
    return came


def _rise(victim: Victim, away: Path, *arguments: str) -> str:
    """Start a node whose disk has lied; what was left of its store is said."""
    try:
        victim.again()
        found = "sound"
    except gossamer.StoreError as error:
        found = "refused"
        code, said = victim.node.refuses(*arguments)
        assert code != 0 and "Traceback" not in said, said
        assert "damaged" in str(error) and "damaged" in said, (str(error), said)
        shutil.move(victim.node.data, away)
    victim.start(*arguments)
    return found


def _held(node: Serve, load: Load) -> dict[str, Any]:
    """What a node holds of a load."""
    root = node.client.map(load.root)
    pair = {name: value for _, name, value in root.map("pair").items()}
    return {"all": root.counter("all").value(), **pair, "elements": set(root.set("elements"))}


def _check_relaxed(load: Load, nodes: list[Serve], told: dict[str, Any]) -> int:
    """Nothing is torn or counted twice, and nothing lacks that the peer was told or that it acknowledged itself. How
    much of the counter is gone for good is returned."""
    sure, maybe = load.sums()
    own, _ = load.sums("a")
    for node in nodes:
        held = _held(node, load)
        assert held.get("left") == held.get("right"), f"half a transaction: {held}"
        for name in ("all", "left", "right"):
            value = held.get(name, 0)
            least = max(told.get(name, 0), own[name])
            assert least <= value <= sure[name] + maybe[name], (name, least, value, sure[name], maybe[name])
        lost = (told["elements"] & load.elements()) - held["elements"]
        assert not lost, f"{node.name} lost what the peer had been told: {sorted(lost)[:10]}"
    return max(0, sure["all"] - nodes[0].client.map(load.root).counter("all").value())


def _figures(loads: list[Load]) -> Figures:
    return Figures(
        len(loads), sum(load.acknowledged() for load in loads), sum(load.unknown for load in loads), 0, 0.0
    )


def run(folder: Path, count: int, seed: int, tell: Callable[[str], None]) -> None:
    """Both file systems and both durabilities, as far as the machine can: ``count`` cuts in all, and a few of a disk that
    lies. ``tell`` is given a line about each part."""
    kinds = [kind for kind in disk.KINDS if not disk.lacking(kind)]
    assert kinds, disk.lacking("ext4")
    peered = count // 5 // len(kinds)
    for at, kind in enumerate(kinds):
        mine = count // len(kinds) + (at < count % len(kinds)) - 2 * peered
        (place := folder / kind).mkdir()
        tell(f"{kind}, commit, alone: {alone(_made(place / 'alone'), kind, mine, seed)}")
        for durability in ("commit", "relaxed") if peered else ():
            figures = with_a_peer(_made(place / durability), kind, durability, peered, seed)
            tell(f"{kind}, {durability}, with a peer: {figures}")
        if can_inject():
            came = lying(_made(place / "lying"), kind, LIES, seed)
            tell(f"{kind}, a disk that lies about flushing, with a peer: {LIES} power cuts, {dict(came)}")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="cuts in all")
    parser.add_argument("--seed", type=int, default=1, help="of the writes, and of when to cut")
    given = parser.parse_args()
    for kind in disk.KINDS:
        if lack := disk.lacking(kind):
            print(f"not on {kind}: {lack}")
    with tempfile.TemporaryDirectory(prefix="gossamer-powercuts-") as folder:
        run(Path(folder), given.count, given.seed, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
