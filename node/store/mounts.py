"""Which file system a path lies on, from the kernel's table of mounts.

Why refuse a network file system? LMDB maps its file into memory and locks with the kernel: over a network the
pages that two machines see are not the same, a lock may be held by both, and a write may come back as done that
another machine undoes. So the node does not begin there.
"""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "lustre", "ceph", "glusterfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.ceph"}
)
"""Types as the kernel names them. 9p is not among them: it is how virtual machines share a local disk."""


def network_type(table: str, path: str) -> str | None:
    """The type of the network file system that ``path``, absolute and without links, is on, or None.

    >>> network_type("36 35 98:0 / /srv rw shared:1 - nfs4 box:/export rw", "/srv/data")
    'nfs4'
    """
    found = file_system(table, path)
    return found if found in NETWORK else None


def file_system(table: str, path: str) -> str | None:
    """The type of the file system under ``path``: of the longest mount point above it, the last one mounted there."""
    best, kind = "", None
    for line in table.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split()
        if not dash or len(fields) < 5 or not right.split():
            continue
        mount = _unescaped(fields[4])
        if len(mount) >= len(best) and _is_under(path, mount):
            best, kind = mount, right.split()[0]
    return kind


def _is_under(path: str, mount: str) -> bool:
    return path == mount or path.startswith(mount.rstrip("/") + "/")


def _unescaped(field: str) -> str:
    """Blanks in names are written as ``\\040`` and the like, byte by byte."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def table() -> str:
    """The kernel's table; empty where there is none."""
    try:
        return MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
