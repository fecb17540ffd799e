"""Who has a directory open: one node in one process.

Why a lock of its own, beside LMDB's? LMDB lets several processes in, and this node keeps facts in memory. The
kernel's lock on a file (``lockf``) is gone with its process, however it ends. It does not hold against the same
process, and any other descriptor of the file that is closed here drops it, so what is open in this process is
remembered as well, by inode, which sees through links and bind mounts.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..errors import DirectoryInUse, DirectoryUnusable

_PREFIX = b"gossamer "
_SIGNATURE_BYTES = 31
_FLOCK = struct.Struct("hhqqi4x")
"""The kernel's ``struct flock``, with 64-bit words: type, whence, start, length, process."""
LOCK = "lock"
"""The file's name in the directory."""


class _Claim(NamedTuple):
    pid: int
    """Of the process that opened it: a forked child finds its parent's claims here."""
    token: object


_claims: dict[tuple[int, int], _Claim] = {}


class DirectoryLock:
    """Held from construction to `release`. `DirectoryInUse` if another node has it."""

    def __init__(self, directory: Path, file: Path) -> None:
        found = directory.stat()
        self._key = (found.st_dev, found.st_ino)
        self._claim = _Claim(os.getpid(), object())
        holder = _claims.setdefault(self._key, self._claim)  # atomic: two threads may come here at once
        if holder is not self._claim:
            raise DirectoryInUse(_claimed(directory, holder))
        try:
            self._handle = _take(directory, file)
        except BaseException:
            del _claims[self._key]
            raise

    def sign(self) -> None:
        """Say in the file who has it, for those who find it taken."""
        with suppress(OSError):  # of a full disk: it is a courtesy
            os.pwrite(self._handle, (_PREFIX + b"%d" % os.getpid()).ljust(_SIGNATURE_BYTES) + b"\n", 0)

    def release(self) -> None:
        """Let others in. In a forked child nothing is held and nothing happens."""
        if self._claim.pid == os.getpid() and _claims.get(self._key) is self._claim:
            os.close(self._handle)
            del _claims[self._key]


def is_open_here(directory: Path) -> bool:
    """Whether a node of this process has it open; then nobody else here may open LMDB's files in it."""
    try:
        found = directory.stat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) in _claims


def holder(directory: Path) -> str | None:
    """Which process has it open, without trying to. None: no other one. Not for a directory that is open here."""
    assert not is_open_here(directory), "looking at the lock file would let go of this process's own lock"
    try:
        handle = os.open(directory / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(handle, fcntl.F_GETLK, asked))
    finally:
        os.close(handle)
    return None if kind == fcntl.F_UNLCK else f"process {pid}"


def _claimed(directory: Path, holder: _Claim) -> str:
    if holder.pid == os.getpid():
        return f"{directory}: another node in this process (pid {holder.pid}) has it open"
    return (
        f"{directory}: process {holder.pid} had it open when it forked this one; "
        "close it before the fork, or open it after the fork and in one process only"
    )


def _take(directory: Path, file: Path) -> int:
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(handle)
        os.close(handle)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise DirectoryInUse(f"{directory}: {holder} has it open; one node at a time") from None
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL):
            raise DirectoryUnusable(f"{directory}: its file system has no locks ({error.strerror})") from None
        raise
    except BaseException:
        os.close(handle)
        raise
    return handle


def _holder(handle: int) -> str:
    text = os.pread(handle, _SIGNATURE_BYTES, 0)
    pid = text.removeprefix(_PREFIX).strip()
    return f"process {pid.decode()}" if text.startswith(_PREFIX) and pid.isdigit() else "another process"
