"""Which file systems are refused, by samples of the kernel's table."""

from pathlib import Path

import pytest

from gossamer.errors import DirectoryUnusable
from gossamer.store import mounts

from .helpers import opened

TABLE = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 0:50 / /mnt/share rw,relatime shared:5 master:2 - nfs4 10.0.0.1:/export rw,vers=4.2
41 40 7:0 / /mnt/share/local rw - xfs /dev/loop0 rw
42 27 0:51 / /mnt/with\040blank rw - cifs //box/share rw
43 27 0:52 / /mnt/twice rw - ext4 /dev/vdb rw
44 43 0:53 / /mnt/twice rw - fuse.sshfs me@box: rw
45 27 0:54 / /mnt/vm rw - 9p share rw
a line of no sense
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/data", None),
        ("/mnt/share", "nfs4"),
        ("/mnt/share/deep/in", "nfs4"),
        ("/mnt/shared", None),  # another name with the same beginning
        ("/mnt/share/local/data", None),  # a local disk mounted inside
        ("/mnt/with blank/data", "cifs"),
        ("/mnt/twice/data", "fuse.sshfs"),  # the one mounted last is what is seen
        ("/mnt/vm/data", None),
    ],
)
def test_a_network_file_system_is_known_by_the_longest_mount_point(path: str, kind: str | None) -> None:
    assert mounts.network_type(TABLE, path) == kind


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "fuse.sshfs", "glusterfs", "ceph", "lustre"]
)
def test_every_network_type_is_refused(kind: str | None) -> None:
    assert mounts.network_type(f"1 0 0:1 / / rw - {kind} there rw", "/data") == kind


def test_without_a_table_nothing_is_refused() -> None:
    assert mounts.network_type("", "/data") is None


def test_opening_there_says_why_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 0:1 / {tmp_path} rw - nfs4 box:/export rw\n")
    monkeypatch.setattr(mounts, "MOUNTS", table)
    with pytest.raises(DirectoryUnusable, match=r"network file system \(nfs4\)"):
        opened(tmp_path / "data")
    assert not (tmp_path / "data").exists()
