"""The faults of the nemesis: what each does to a node, its disk, its lines or its clock, and how it ends.

A lasting fault stands until `heal`; one that is over at once may come in the middle of it; and some, which need a node's
last writes to be elsewhere first, or would be another fault's undoing, come alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from random import Random

import gossamer
from gossamer.maintenance.backup import backup, restore
from gossamer.maintenance.verify import verify

from . import disk
from .clocks import WallClock
from .disk import Boot, Disk
from .fleet import Fleet
from .inject import NO_STRACE, can_inject
from .load import Worker
from .membership import Membership
from .process import Serve, options
from .resting import at_rest, catch_up
from .waiting import so

COMMIT_CALLS = "pwrite64,pwritev,fdatasync"
"""The system calls of LMDB's commits."""
CALLS_MAX = 12
"""Of these until one is struck: some commits."""
STRUCK_S = 2.0
"""After which a node that made no such call is left alone."""
JUMPS_S = (-86_400, -3_600, -61, 0, 61, 3_600, 86_400)
CLONE_PORT = 7_500

Strike = Callable[[str], None]


class Strikes:
    """All of one run. ``workers`` are those that write to the nodes."""

    workers: Sequence[Worker] = ()

    def __init__(self, folder: Path, fleet: Fleet, rng: Random, stack: ExitStack) -> None:
        """Before the fleet is started: it gives its nodes clocks, and one a disk of its own."""
        self._folder, self._fleet, self._rng = folder, fleet, rng
        self._membership = Membership(fleet, rng, lambda: self.workers)
        self.skipped: dict[str, str] = {}
        """What this machine cannot do, and why."""
        self.cloned = self.cloned_maybe = 0
        """What clones added to their counter."""
        self._clocks = {name: WallClock(folder / f"{name}.clock") for name in fleet.names}
        self._disk: Disk | None = None
        self._boot: Boot | None = None
        self._backups: dict[str, Path] = {}
        self._frozen: set[str] = set()
        self._numbers = 0
        self._equip(stack)

    def _equip(self, stack: ExitStack) -> None:
        for name, clock in self._clocks.items():
            self._fleet.nodes[name].program = clock.program
        if not can_inject():
            self.skipped |= dict.fromkeys(("fail_disk", "kill_in_commit"), NO_STRACE)
        lack = disk.lacking("ext4")
        if lack:
            self.skipped |= dict.fromkeys(("cut_power", "fill_disk"), lack)
            return
        self._disk, self._boot = stack.enter_context(Disk(self._folder, "ext4")), Boot(self._folder)
        self._stored.data = self._disk.place / "data"
        self._stored.under = [*self._stored.under, *self._boot.under]

    @property
    def _stored(self) -> Serve:
        """The node that has a disk of its own."""
        return self._fleet.nodes[self._fleet.names[1]]

    # Which there are.

    @property
    def lasting(self) -> list[Strike]:
        """Faults that stand until `heal`."""
        return self._possible(
            self.cut,
            self.silence,
            self.deafen,
            self.split,
            self.slow,
            self.spoil,
            self.freeze,
            self.fill_disk,
        )

    @property
    def instant(self) -> list[Strike]:
        """Faults that are over at once; the commonest more than once."""
        return self._possible(
            self.kill, self.kill, self.kill, self.kill_in_commit, self.restart, self.fail_disk, self.jump
        )

    @property
    def alone(self) -> list[Strike]:
        """Faults that want everything else whole."""
        members = self._membership
        return self._possible(
            self.cut_power, self.cut_power, self.restore, self.clone, self.flap, members.exile, members.leave
        )

    def _possible(self, *strikes: Strike) -> list[Strike]:
        return [strike for strike in strikes if name_of(strike) not in self.skipped]

    def heal(self) -> None:
        """End all that lasts; every node runs."""
        self._fleet.net.heal()
        for name in self._frozen:
            self._fleet.nodes[name].thaw()
        self._frozen.clear()
        if self._disk is not None:
            self._ballast.unlink(missing_ok=True)
        for node in self._fleet.all:
            # One whose store has failed ends by itself, and not at once.
            so(partial(_is_settled, node), f"{node.name} neither ends nor writes")
            if node.has_ended:
                self._fleet.start(node.name)

    # Lasting.

    def cut(self, name: str) -> None:
        self._fleet.net.cut(name)

    def silence(self, name: str) -> None:
        self._fleet.net.silence(name)

    def deafen(self, name: str) -> None:
        self._fleet.net.deafen(name)

    def split(self, name: str) -> None:
        """A partition with two nodes on a side, if there are enough."""
        others = [other for other in self._fleet.names if other != name]
        self._fleet.net.split([name, *others[: len(others) // 2]] if len(others) > 2 else [name])

    def slow(self, name: str) -> None:
        self._fleet.net.slow(name)

    def spoil(self, name: str) -> None:
        delay, loss = self._rng.choice(((0.05, 0.0), (0.01, 0.05), (0.005, 0.2)))
        self._fleet.net.spoil(name, delay, loss, double=0.1, seed=self._rng.randrange(1 << 30))

    def freeze(self, name: str) -> None:
        self._fleet.nodes[name].freeze()
        self._frozen.add(name)

    def fill_disk(self, _name: str) -> None:
        """Of the one node whose disk is its own."""
        with self._ballast.open("wb") as file, suppress(OSError):
            for size in (2**24, 2**20, 2**16, 2**12):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)

    @property
    def _ballast(self) -> Path:
        assert self._disk is not None
        return self._disk.place / "ballast"

    # At once.

    def kill(self, name: str) -> None:
        self._fleet.nodes[name].kill()
        self._begin(name)

    def restart(self, name: str) -> None:
        if name in self._frozen:
            return
        if not self._fleet.nodes[name].has_ended:
            assert self._fleet.nodes[name].stop() == 0, self._fleet.nodes[name].log
        self._begin(name)

    def kill_in_commit(self, name: str) -> None:
        """SIGKILL at a system call of a commit."""
        self._trace(name, "signal=SIGKILL")
        self.kill(name)

    def fail_disk(self, name: str) -> None:
        """EIO from a system call of a commit. A store that failed for good ends its process; it is started again."""
        if name in self._frozen:
            return
        node = self._fleet.nodes[name]
        self._trace(name, "error=EIO")
        try:
            node.client.counter("probe").add(1)
        except gossamer.StoreFailed:
            so(lambda: node.has_ended, f"{name} goes on with a store that failed")
        except (gossamer.StoreError, gossamer.RemoteError):  # one write failed; it ends just now; a bad line
            pass
        if node.has_ended:
            self._begin(name)

    def jump(self, name: str) -> None:
        """The wall clock."""
        self._clocks[name].jump(self._rng.choice(JUMPS_S))

    def _begin(self, name: str) -> None:
        self._frozen.discard(name)
        self._fleet.nodes[name].kill()
        self._fleet.start(name)

    def _trace(self, name: str, what: str) -> None:
        """Do it to one call of a commit, under load, if the node makes one in time."""
        node = self._fleet.nodes[name]
        when = self._rng.randint(1, CALLS_MAX)
        inject = f"inject={COMMIT_CALLS}:{what}:when={when}"
        with subprocess.Popen(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject, "-p", str(node.pid)], stderr=subprocess.DEVNULL
        ) as tracer:  # fmt: skip
            with suppress(AssertionError):
                so(lambda: node.has_ended, "not struck", STRUCK_S)
            tracer.terminate()

    # Alone.

    def flap(self, name: str) -> None:
        """A line that comes and goes."""
        for _ in range(self._rng.randint(3, 8)):
            self._fleet.net.cut(name)
            pause(self._rng.uniform(0.05, 0.5))
            self._fleet.net.heal()
            pause(self._rng.uniform(0.05, 0.5))

    def cut_power(self, _name: str) -> None:
        """Of the one node whose disk is its own."""
        assert self._disk is not None and self._boot is not None
        node = self._stored
        self._disk.cut()
        node.kill()
        self._disk.again()
        self._boot.another()
        found = verify(node.data)
        assert found.is_sound, found.findings[:10]
        self._fleet.start(node.name)

    def restore(self, name: str) -> None:
        """An old backup takes the place of a node's directory; or, the first time, one is made."""
        node = self._fleet.nodes[name]
        if name not in self._backups:
            self._backups[name] = self._folder / f"{name}.backup"
            backup(node.data, self._backups[name])
            return
        with at_rest(node, self.workers):
            before, token = node.identities[-1], node.client.token()
            node.kill()
            shutil.rmtree(node.data)
            restore(self._backups[name], node.data)
            self._fleet.start(name)
            assert node.identities[-1] != before, node.log
            catch_up(node, token)
        if self._rng.random() < 0.5:
            shutil.rmtree(self._backups.pop(name))

    def clone(self, name: str) -> None:
        """A copy of a directory is started beside the original, and writes too."""
        original = self._fleet.nodes[name]
        self._numbers += 1
        copy = self._folder / f"clone{self._numbers}"
        with at_rest(original, self.workers):
            original.kill()
            subprocess.run(["cp", "-a", str(original.data), str(copy)], check=True)
            self._fleet.start(name)
        with Serve(f"clone{self._numbers}", self._folder, data=copy) as clone:
            clone.under, clone.program = self._fleet.net.under(name), original.program
            listen = f"{self._fleet.net.host(name)}:{CLONE_PORT + self._numbers}"
            clone.start(*options(self._fleet.net.peers(name)), listen=listen)
            assert clone.identities[-1] != original.identities[-1], clone.log
            try:
                clone.client.counter("cloned").add(1)
                self.cloned += 1
                clone.client.wait_replicated(clone.client.token(), peers=1)
            except gossamer.OutcomeUnknown:
                self.cloned_maybe += 1
            assert clone.stop() == 0, clone.log
        shutil.rmtree(copy)


def _is_settled(node: Serve) -> bool:
    """It has ended, or takes writes."""
    if node.has_ended:
        return True
    try:
        node.client.counter("probe").add(1)
    except gossamer.GossamerError:
        return False
    return True


def pause(seconds: float) -> None:
    """Let a fault stand for a while."""
    threading.Event().wait(seconds)


def name_of(strike: Strike) -> str:
    """As it is counted."""
    return strike.__name__
