"""A network of its own: a namespace for each name, joined by a bridge, whose lines can be cut, slowed and spoiled.

What does a fault look like here? As a broken switch does: packets are dropped between the nodes and nobody is told, so a
connection stays until somebody gives it up. Clients are in the machine's own namespace, on the bridge itself, and no
partition lies between them and a node: what a node does when it is alone can be asked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from .waiting import DEADLINE_S

PREFIX = "gsm"
PORT = 7400
"""On which every node listens, in its own namespace."""
WHOLE_FRAMES = """
import array, fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    for checksums_or_segments in (0x17, 0x1F, 0x24):
        off = array.array("B", struct.pack("II", checksums_or_segments, 0))
        fcntl.ioctl(any_socket, 0x8946, struct.pack("16sP", b"eth0", off.buffer_info()[0]))
"""
"""Run in a namespace, to leave nothing of a frame to the device (``ethtool -K eth0 tx off tso off gso off``, with what is
here): a frame is to be whole where it is relayed."""
FREE_NETS = range(1, 255)


class Net:
    """A context manager: there inside, and gone afterwards. Made by root."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._mark = f"{PREFIX}{os.getpid()}"
        self._number = 0
        self._relays: dict[str, subprocess.Popen[str]] = {}
        self._slow: set[str] = set()

    def __enter__(self) -> Self:
        _sweep()
        try:
            self._make()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _make(self) -> None:
        self._number = _free_net()
        _run("ip", "link", "add", self._mark, "type", "bridge")
        _run("ip", "addr", "add", f"10.213.{self._number}.1/24", "dev", self._mark)
        _run("ip", "link", "set", self._mark, "up")
        for name in self._names:
            self._join(name)
        _run("nft", "add", "table", "bridge", self._mark)
        chain = "{ type filter hook forward priority 0; }"
        _run("nft", f"add chain bridge {self._mark} passing {chain}")

    def _join(self, name: str) -> None:
        space, port = self._space(name), self._port(name)
        _run("ip", "netns", "add", space)
        _run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
        _run("ip", "link", "set", port, "master", self._mark, "up")
        _run("ip", "-n", space, "addr", "add", f"{self.host(name)}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _run("ip", "-n", space, "link", "set", device, "up")
        _run(*self.under(name), sys.executable, "-c", WHOLE_FRAMES)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._relays):
            self._end_relay(name)
        for name in self._names:
            _try("ip", "netns", "del", self._space(name))
        _try("ip", "link", "del", self._mark)
        _try("nft", "delete", "table", "bridge", self._mark)

    def host(self, name: str) -> str:
        """A node's address, without the port."""
        return f"10.213.{self._number}.{2 + self._names.index(name)}"

    def address(self, name: str) -> str:
        """Where a node listens, for other nodes and for clients."""
        return f"{self.host(name)}:{PORT}"

    def peers(self, name: str) -> list[str]:
        """What a node dials to reach the others."""
        return [self.address(other) for other in self._names if other != name]

    def under(self, name: str) -> list[str]:
        """A command under which a process lives in a namespace, and keeps its process id and its mounts."""
        return ["nsenter", f"--net=/run/netns/{self._space(name)}"]

    def cut(self, name: str) -> None:
        """Nothing gets from a node to the others, and nothing back."""
        self.silence(name)
        self.deafen(name)

    def silence(self, name: str) -> None:
        """Nothing gets from a node to the others."""
        self._drop([name], self._others(name))

    def deafen(self, name: str) -> None:
        """Nothing gets from the others to a node."""
        self._drop(self._others(name), [name])

    def split(self, some: Sequence[str]) -> None:
        """Nothing gets between these and the others."""
        rest = [name for name in self._names if name not in some]
        self._drop(some, rest)
        self._drop(rest, some)

    def slow(self, name: str, kbit: int = 1_000) -> None:
        """A line of so many kbit/s, in both directions. Clients feel it too."""
        shape = ["root", "tbf", "rate", f"{kbit}kbit", "burst", "16kb", "latency", "400ms"]
        _run("tc", "qdisc", "replace", "dev", self._port(name), *shape)
        _run("tc", "-n", self._space(name), "qdisc", "replace", "dev", "eth0", *shape)
        self._slow.add(name)

    def spoil(self, name: str, delay: float, loss: float, double: float, seed: int) -> None:
        """A line on which frames come so many seconds late, one more than another, are lost, and come twice."""
        port, tap = self._port(name), f"{self._port(name)}t"
        relay = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.processes.relay",
                port,
                tap,
                *map(str, (delay, loss, double, seed)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._relays[name] = relay
        assert relay.stdout is not None
        assert relay.stdout.readline() == "ready\n", "no relay"
        _run("ip", "link", "set", tap, "master", self._mark, "up")
        _run("ip", "link", "set", port, "nomaster")

    def heal(self) -> None:
        """All lines are whole again."""
        _run("nft", "flush", "chain", "bridge", self._mark, "passing")
        for name in self._slow:
            _run("tc", "qdisc", "del", "dev", self._port(name), "root")
            _run("tc", "-n", self._space(name), "qdisc", "del", "dev", "eth0", "root")
        self._slow.clear()
        for name in list(self._relays):
            self._end_relay(name)
            _run("ip", "link", "set", self._port(name), "master", self._mark)

    def _end_relay(self, name: str) -> None:
        relay = self._relays.pop(name)
        relay.communicate(timeout=DEADLINE_S)

    def _drop(self, sources: Sequence[str], ends: Sequence[str]) -> None:
        for source in sources:
            for end in ends:
                way = f"ether saddr {self._hardware(source)} ether daddr {self._hardware(end)}"
                _run("nft", f"add rule bridge {self._mark} passing {way} drop")

    def _hardware(self, name: str) -> str:
        shown = _run("ip", "-n", self._space(name), "link", "show", "eth0")
        return shown.split("link/ether ")[1].split()[0]

    def _others(self, name: str) -> list[str]:
        return [other for other in self._names if other != name]

    def _space(self, name: str) -> str:
        return f"{self._mark}-{name}"

    def _port(self, name: str) -> str:
        return f"{self._mark}{name}"


def lacking() -> str:
    """What this machine lacks for a network of one's own, in words; nothing if it can."""
    if os.geteuid() != 0:
        return "network namespaces are made by root only"
    for command in ("ip", "nft", "tc", "nsenter"):
        if shutil.which(command) is None:
            return f"{command} is not installed"
    if not Path("/dev/net/tun").exists():
        return "no TAP devices here"
    mark = f"{PREFIX}{os.getpid()}"
    can = (
        _try("ip", "netns", "add", f"{mark}-try")
        and _try("ip", "link", "add", mark, "type", "bridge")
        and _try("nft", "add", "table", "bridge", mark)
        and _try("tc", "qdisc", "add", "dev", mark, "root", "tbf", "rate", "1mbit", "burst", "16kb", "latency", "1ms")
    )  # fmt: skip
    _try("nft", "delete", "table", "bridge", mark)
    _try("ip", "link", "del", mark)
    _try("ip", "netns", "del", f"{mark}-try")
    return "" if can else "namespaces, bridges, nftables or tbf may not be used here"


def _free_net() -> int:
    """A third byte of an address that no network here has. Two that look at once are told apart by the kernel."""
    taken = {int(n) for n in re.findall(r"10\.213\.(\d+)\.", _run("ip", "-4", "addr"))}
    first = os.getpid() % len(FREE_NETS)
    order: list[int] = [*FREE_NETS[first:], *FREE_NETS[:first]]
    return next(number for number in order if number not in taken)


def _sweep() -> None:
    """Take away what a process left that was killed."""
    found = re.findall(rf"\b{PREFIX}(\d+)-\w+", _run("ip", "netns", "list"))
    for pid in set(found):
        if not Path(f"/proc/{pid}").exists():
            mark = f"{PREFIX}{pid}"
            for space in re.findall(rf"\b{mark}-\w+", _run("ip", "netns", "list")):
                _try("ip", "netns", "del", space)
            _try("ip", "link", "del", mark)
            _try("nft", "delete", "table", "bridge", mark)


def _try(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.stdout
