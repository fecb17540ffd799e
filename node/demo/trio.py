"""The three nodes together, and what can be done to them: cut off, heal, kill, restart."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from .process import NodeProcess
from .wires import Wires

NAMES = ("a", "b", "c")
CUT_OFF = "c"
"""The node that a partition cuts off."""
KILLED = "b"
"""The node that is killed."""


class Trio:
    """A context manager: on every way out the processes are stopped and their directories removed."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._wires = Wires(NAMES)
        self._is_cut = False

    @property
    def is_cut(self) -> bool:
        """Whether `CUT_OFF` is cut off."""
        return self._is_cut

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="gossamer-demo-")
        self.nodes = {name: NodeProcess(name, Path(self._folder.name)) for name in NAMES}
        try:
            self._wires.__enter__()
            with ThreadPoolExecutor() as pool:
                list(pool.map(self.start, NAMES))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(NodeProcess.stop, self.nodes.values()))
        finally:
            self._wires.__exit__(None, None, None)
            self._folder.cleanup()

    @property
    def running(self) -> list[NodeProcess]:
        """The nodes whose process is there."""
        return [node for node in self.nodes.values() if node.is_running]

    def start(self, name: str) -> None:
        """Start a node on its directory, new or not."""
        others = [other for other in NAMES if other != name]
        address = self.nodes[name].start(
            [self._wires.address(name, other) for other in others], self._deadline_s
        )
        self._wires.lead(name, address)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.nodes[name].kill()

    def cut(self) -> None:
        """Cut `CUT_OFF` off from the others."""
        self._wires.cut(CUT_OFF)
        self._is_cut = True

    def heal(self) -> None:
        """All can reach each other again."""
        self._wires.heal()
        self._is_cut = False

    def unlinked(self) -> str:
        """What lacks until each running node is linked with those it can reach, and no other; nothing if so."""
        return "; ".join(filter(None, (self._unlinked(node) for node in self.running)))

    def _unlinked(self, node: NodeProcess) -> str:
        members = node.client.status()["members"]
        linked = {member["name"] for member in members if member["state"] == "linked"}
        wanted = set(self._reachable(node.name))
        return (
            "" if linked == wanted else f"{node.name} is linked with {_names(linked)}, not {_names(wanted)}"
        )

    def _reachable(self, name: str) -> Iterable[str]:
        for other in self.running:
            if other.name != name and not (self._is_cut and CUT_OFF in (name, other.name)):
                yield other.name


def _names(names: set[str]) -> str:
    return " and ".join(sorted(names)) or "none"
