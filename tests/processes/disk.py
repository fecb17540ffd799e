"""A disk of its own, whose power can be cut: a file system on a loop file, under a folder of the test.

What does a cut leave? What was written and flushed. The file system is shut down without its log being flushed, as the
power does it: what lies in memory never reaches the file, and the next mount replays what does. This is Linux's own
``shutdown`` call of ext4 and XFS. The loop file itself survives, so it is a disk that says the truth about a flush;
`lying` makes it one that does not.

A machine that was without power has another boot id as well; `Boot` gives a process one of its choice.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

KINDS = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}
"""File systems, and how they are made."""
BYTES = 320 * 1024**2
"""Sparse. XFS is made no smaller."""
SHUTDOWN, WITHOUT_LOG_FLUSH = 0x8004587D, 2
"""``_IOR('X', 125, u32)``: the ioctl of XFS, which ext4 has too."""
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Disk:
    """A context manager: mounted at `place` inside, and gone afterwards."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._base = folder / f"{kind}-disk"
        self.place = self._base / "on"
        self._file, self._kind = folder / f"{kind}.image", kind

    def __enter__(self) -> Self:
        self._is_mounted = False
        self.place.mkdir(parents=True)
        # Other processes may have mount namespaces of their own, with a copy of this mount, which would keep the file
        # system alive over a cut. From a shared mount, an unmount reaches the copies too.
        _run("mount", "--bind", str(self._base), str(self._base))
        _run("mount", "--make-shared", str(self._base))
        with self._file.open("wb") as file:
            file.truncate(BYTES)
        _run(*KINDS[self._kind], str(self._file))
        self.mount()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_mounted:
            _run("umount", str(self.place))
        _run("umount", str(self._base))
        self._file.unlink()

    def mount(self) -> None:
        """Power on."""
        _run("mount", "-t", self._kind, "-o", "loop", str(self._file), str(self.place))
        self._is_mounted = True

    def cut(self) -> None:
        """Power off, at once. Processes that use it go on, and get errors."""
        handle = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", WITHOUT_LOG_FLUSH))
        finally:
            os.close(handle)

    def again(self) -> None:
        """Power on, after a cut, when no process uses it any more."""
        _run("umount", str(self.place))
        self._is_mounted = False
        self.mount()


class Boot:
    """The boot ids of a machine, for one of its processes."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "boot_id"
        self.another()

    def another(self) -> None:
        """The machine was started anew."""
        self._file.write_text(f"{uuid.uuid4()}\n")

    @property
    def under(self) -> list[str]:
        """A command under which a process sees this boot id, and keeps its process id."""
        script = 'mount --bind "$0" "$1" && shift && exec "$@"'
        apart = ["unshare", "-m", "--propagation", "slave"]
        return [*apart, "sh", "-c", script, str(self._file), BOOT_ID]


def lacking(kind: str) -> str:
    """What this machine lacks for a disk of this kind and for a boot id, in words; nothing if it can."""
    make = KINDS[kind][0]
    if os.geteuid() != 0:
        return "loop files are mounted by root only"
    if shutil.which(make) is None:
        return f"{make} is not installed"
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    if not _can("unshare", "-m", "true"):
        return "no mount namespaces here"
    return "" if Path("/dev/loop-control").exists() else "no loop devices here"


def _can(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
