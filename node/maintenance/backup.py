"""Backups: one consistent copy of a node's store with a manifest, and directories made from one.

What is in a backup, and may it be used twice? The copy is one LMDB snapshot: every write acknowledged before it
began is in it, whole, and no half of any other. A directory restored from it takes a new replica id before it says a
word, so one backup may be restored as often as one likes: each is another replica that holds the same events. It then
meets the others as any member does that was away: what it lacks comes, what it alone holds goes out, and nothing
counts twice.

::

    BACKUP/data.mdb         the store, without free pages
    BACKUP/manifest.json    of which node, what it held, and a hash of the file; written last
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import lmdb
import msgspec

from ..errors import DirectoryInUse, DirectoryUnusable, StoreFull
from ..store import environment, upgrade, witness
from ..store.directory import FORMAT, Directory, lay_out
from ..store.identity import Kept
from ..store.lock import is_open_here
from . import snapshot

MANIFEST, PARTIAL = "manifest.json", ".partial"
_OURS = frozenset(
    (environment.DATA, "lock.mdb", MANIFEST, "gossamer", "gossamer.creating", "lock", "store", "witness")
)
HASH_BYTES = 1 << 20
"""Read at a time while hashing."""


class KeyspaceHeld(msgspec.Struct, frozen=True):
    """What a keyspace held."""

    events: int
    cells: int
    digest: str


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest says."""

    gossamer: str = "backup of one node"
    format: int = FORMAT
    made_at: str
    """UTC, ISO 8601."""
    name: str
    """Empty if it was given none."""
    cluster: str
    replica: str
    """The id that the node had, in hex; a restored directory has another."""
    keyspaces: dict[str, KeyspaceHeld]
    data_bytes: int
    data_blake2b: str


def backup(
    source: Path,
    target: Path,
    *,
    copy: Callable[[Path], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Backup:
    """Copy the node in directory ``source``, running or not, to ``target``, which must be absent or empty.

    ``copy`` copies the store where it is open in this process. Writers are not held up; the file may grow meanwhile, as
    pages that the copy reads are not used again. Raises `DirectoryUnusable` or `StoreFull`; then ``target`` is not there.
    """
    target = target.resolve()  # "." has no name
    _check_target(target)
    partial = target.with_name(target.name + PARTIAL)
    _clear(partial)
    partial.mkdir(parents=True)
    try:
        (copy or _copy_of(source))(partial)
        made = _describe(partial, now())
        witness.replace(partial / MANIFEST, msgspec.json.format(msgspec.json.encode(made)) + b"\n")
        _take_place(partial, target)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        _explain(error, target)
        raise
    return made


def read_manifest(where: Path) -> Backup:
    """What a backup says of itself. `DirectoryUnusable` if ``where`` is none, or one of a newer version."""
    try:
        found = msgspec.json.decode((where / MANIFEST).read_bytes(), type=Backup)
    except FileNotFoundError:
        raise DirectoryUnusable(f"{where}: no backup: it holds no {MANIFEST}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise DirectoryUnusable(f"{where / MANIFEST}: damaged or not of a backup ({error})") from None
    if not upgrade.reaches(found.format):
        raise DirectoryUnusable(
            f"{where}: its format is {found.format} and this version knows {FORMAT}: use the version that made it"
        )
    return found


def check(where: Path) -> Backup:
    """The manifest of a backup whose file is what was written. `DirectoryUnusable` says what is wrong."""
    found, data = read_manifest(where), where / environment.DATA
    if not data.exists():
        raise DirectoryUnusable(f"{data}: missing, so the backup cannot be used")
    if data.stat().st_size != found.data_bytes or _hash(data) != found.data_blake2b:
        raise DirectoryUnusable(f"{data}: not the file that was backed up: it is damaged or was exchanged")
    return found


def restore(where: Path, directory: Path) -> tuple[Backup, str]:
    """Make a data directory from a backup; what the backup says, and the new replica id in hex.

    ``directory`` must be absent or empty, and is there only once it is whole.
    """
    found = check(where)
    directory = directory.resolve()
    _check_target(directory)
    partial = directory.with_name(directory.name + PARTIAL)
    _clear(partial)
    try:
        lay_out(
            partial,
            lambda folder: shutil.copyfile(where / environment.DATA, folder / environment.DATA),
            found.format,
        )
        opened = Directory.open(partial)
        replica = opened.replica.hex()
        opened.close()
        if opened.upgraded is not None:
            shutil.rmtree(opened.upgraded)  # it is in the backup
        _take_place(partial, directory)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        _explain(error, directory)
        raise
    assert replica != found.replica, "a restored directory must not go on under the id of its original"
    return found, replica


def _copy_of(source: Path) -> Callable[[Path], None]:
    if is_open_here(source):
        raise DirectoryInUse(f"{source}: open in this process; call backup() on its node")
    folder = snapshot.store_of(source)

    def copy(target: Path) -> None:
        with snapshot.reading(folder) as env:
            env.copy(str(target), compact=True)

    return copy


def _describe(copied: Path, now: datetime) -> Backup:
    data = copied / environment.DATA
    with snapshot.reading(copied, is_copy=True) as env:
        facts = snapshot.facts(env)
        held = {name: snapshot.state(env, name) for name in snapshot.keyspace_names(env)}
    return Backup(
        made_at=now.isoformat(timespec="seconds"),
        name=facts.get("name", b"").decode(),
        cluster=facts["cluster"].decode(),
        replica=msgspec.msgpack.decode(facts["identity"], type=Kept).replica.hex(),
        keyspaces={
            name: KeyspaceHeld(state.delivered.count(), cells, f"{state.digest:032x}")
            for name, (state, cells) in held.items()
        },
        data_bytes=data.stat().st_size,
        data_blake2b=_hash(data),
    )


def _hash(file: Path) -> str:
    digest = hashlib.blake2b(digest_size=32)
    with file.open("rb") as handle:
        while block := handle.read(HASH_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _check_target(target: Path) -> None:
    if target.is_mount():
        raise DirectoryUnusable(f"{target}: a mount point, whose place nothing can take; name a folder in it")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DirectoryUnusable(f"{target}: not empty; name a directory that is absent or empty")


def _clear(partial: Path) -> None:
    """What an interrupted backup or restore left; `DirectoryUnusable` if it may be somebody's."""
    if not partial.is_symlink() and not partial.exists():
        return
    names = {one.name for one in partial.iterdir()} if partial.is_dir() else {""}
    foreign = sorted(name for name in names if name.removesuffix(".new") not in _OURS)
    if foreign:
        raise DirectoryUnusable(
            f"{partial}: in the way, and not left by a backup or restore; move it elsewhere"
        )
    shutil.rmtree(partial)


def _take_place(partial: Path, target: Path) -> None:
    for file in [*partial.rglob("*"), partial]:
        witness.sync_folder(file)
    partial.replace(target)
    witness.sync_folder(target.parent)


def _explain(error: BaseException, target: Path) -> None:
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, lmdb.Error):
        code = environment.error_number(error)
    if code in environment.NO_SPACE:
        raise StoreFull(f"{target}: no space for it; nothing was left there") from None
    if isinstance(error, (OSError, lmdb.Error)):
        raise DirectoryUnusable(
            f"{target}: cannot be written ({os.strerror(code) if code else error})"
        ) from None
