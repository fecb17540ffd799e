"""A node's directory: what lies in it, who may open it, and whose replica id it has.

::

    DIR/gossamer     the sentinel: this is a Gossamer directory, in this format; written once
    DIR/lock         held while a node has it open
    DIR/store/       LMDB
    DIR/witness      what the store had reached at the last open or close
    DIR/gossamer.creating   only until the first open is through
    DIR/format-…     a directory of an older format, as it was before `upgrade` brought this one to the format of this version

What is wrong with a directory is said before anything in it is changed. A first open that is interrupted leaves
``gossamer.creating`` behind; as it had told nobody of its id, the next one begins again.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Self

import lmdb
import msgspec

from ..errors import DirectoryUnusable, StoreError, StoreFull
from . import environment, identity, mounts, pages, upgrade, witness
from .identity import Kept
from .lock import LOCK, DirectoryLock
from .store import Store
from .witness import Witness

FORMAT = upgrade.FORMAT
REPLICA_BYTES = 8
_SENTINEL, _CREATING = "gossamer", "gossamer.creating"
_WITNESS, _STORE = "witness", "store"
_COMPACTED = "store.compacted"
_BESIDE = frozenset({"lost+found"})  # what a new volume holds
_IDENTITY = "identity"


class Condition(Enum):
    """What a directory is found to be."""

    FRESH = "absent or empty"
    UNFINISHED = "its first open was interrupted"
    OLDER = "it holds a store of an older format, which the next open upgrades"
    READY = "it holds a store"


class Sentinel(msgspec.Struct, frozen=True):
    """What the sentinel file holds."""

    gossamer: str
    format: int


class Directory:
    """An open directory. One thread opens, closes and changes it."""

    store: Store
    replica: bytes
    """The id to make events under."""
    old_ids: list[bytes]
    """Ids that this directory had before, the oldest first."""
    upgraded: Path | None = None
    """Where the store of an older format is kept that this open brought to the present one."""
    doubt: str | None
    """Why this open made a new id in place of the one before; None if it kept it, or made the first."""

    def __init__(self, path: Path, lock: DirectoryLock, boot: str, is_relaxed: bool) -> None:
        """For `open`."""
        self.path = path
        self._lock, self._boot, self._is_relaxed = lock, boot, is_relaxed
        self._pid = os.getpid()
        self._is_open = True

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        durability: str = "commit",
        *,
        entropy: Callable[[int], bytes] = os.urandom,
        boot_id: str | None = None,
        map_bytes: int = environment.MAP_BYTES,
    ) -> Self:
        """Open a directory, made if it is absent or empty. A new id is durable before this returns.

        Raises `DirectoryInUse`, `DirectoryUnusable`, or `StoreFull` if there is no space to make what it needs.
        """
        where = Path(os.path.realpath(path))
        with _explained(where):
            _refuse_network(where)
            inspect(where)
            where.mkdir(parents=True, exist_ok=True)
            lock = DirectoryLock(where, where / LOCK)
            try:
                found = cls(
                    where, lock, witness.boot_id() if boot_id is None else boot_id, durability == "relaxed"
                )
                found._begin(durability, entropy, map_bytes)
            except BaseException:
                lock.release()
                raise
        return found

    def keep_identity(self, replica: bytes, old_ids: list[bytes], reason: str) -> None:
        """Go on under another id, durably. ``reason`` is for the caller's log."""
        kept = Kept(replica, list(old_ids), identity.facts(self._file(_SENTINEL), self._data))
        self.store.put_meta(_IDENTITY, msgspec.msgpack.encode(kept))
        self.replica, self.old_ids = replica, list(old_ids)

    def compact(self) -> tuple[int, int]:
        """Write the store anew without its free pages; bytes of the file before and after.

        The id is kept, as nothing was made twice: the new file's facts are noted before anyone else may open the
        directory. A crash in between leaves a file that the next open doubts, which is safe.
        """
        before, anew = self._data.stat().st_size, self._file(_COMPACTED)
        shutil.rmtree(anew, ignore_errors=True)
        anew.mkdir()
        self.store.copy_to(anew)
        self.store.close()
        (anew / environment.DATA).replace(self._data)
        shutil.rmtree(anew)
        witness.sync_folder(self._data.parent)
        self._load(self._durability, self._map_bytes)
        self.keep_identity(self.replica, self.old_ids, "compacted")
        return before, self._data.stat().st_size

    def close(self, clean: bool = True) -> None:
        """Close the store and let others in. Again, or in a forked child: does nothing.

        ``clean=False`` leaves the directory as a crash would.
        """
        if not self._is_open or self._pid != os.getpid():
            return
        self._is_open = False
        try:
            txn = self.store.last_txn() if clean and self.store.is_sound() else None
            self.store.close()
            if txn is not None:
                self._witness(txn, is_clean=True, changed_at=self._data.stat().st_ctime_ns)
        except (OSError, StoreError, lmdb.Error):
            pass  # the witness says what it said after the open: not clean
        finally:
            self._lock.release()

    def _begin(self, durability: str, entropy: Callable[[int], bytes], map_bytes: int) -> None:
        self._durability, self._map_bytes = durability, map_bytes
        condition = inspect(self.path)  # again: another process may have made it while we waited
        is_same = False
        if condition is Condition.OLDER:
            pages.check(self._data)
            is_same, condition = self._upgrade(), Condition.READY
        if condition is Condition.READY:
            pages.check(self._data)
            changed_at = self._data.stat().st_ctime_ns
        else:
            self._lay_out()
            changed_at = 0
        self._lock.sign()
        self._load(durability, map_bytes)
        try:
            self._settle_identity(condition, entropy, changed_at, is_same)
            self._witness_open()
            if condition is not Condition.READY:
                self._file(_CREATING).unlink()
                witness.sync_folder(self.path)
        except BaseException:
            self.store.close()
            raise

    def _upgrade(self) -> bool:
        """Bring the store to the present format; whether the replica id may be kept, as if nothing had been replaced."""
        doubt = self._doubt_of_older()
        format_ = _read_sentinel(self._file(_SENTINEL)).format
        self.upgraded = upgrade.upgrade(self.path, format_, (_SENTINEL, _WITNESS))
        _mark(self.path)
        return self.upgraded is not None and doubt is None

    def _doubt_of_older(self) -> str | None:
        changed_at = self._data.stat().st_ctime_ns
        with environment.plain(self._data.parent) as env:
            txn = int(env.info()["last_txnid"])
            with env.begin() as reading:
                node = env.open_db(b"node", txn=reading, create=False)
                raw = reading.get(_IDENTITY.encode(), db=node)
        try:
            kept = msgspec.msgpack.decode(raw or b"", type=Kept)
        except msgspec.DecodeError:
            return "an older format kept the id in another way"
        return self._doubt(kept, txn, changed_at)

    def _load(self, durability: str, map_bytes: int) -> None:
        try:
            self.store = Store(self._file(_STORE), durability, map_bytes=map_bytes)
        except (ValueError, TypeError) as error:
            raise pages.damaged(
                self._data, f"what it says of itself is not what was written ({error})"
            ) from None

    def _lay_out(self) -> None:
        """Make everything but the store's content. What an interrupted first open left has told nobody its id."""
        creating = self._file(_CREATING)
        if not creating.exists():
            creating.touch()
            witness.sync_folder(self.path)
        shutil.rmtree(self._file(_STORE), ignore_errors=True)
        self._file(_STORE).mkdir()
        _mark(self.path)
        witness.sync_folder(self.path.parent)

    def _settle_identity(
        self, condition: Condition, entropy: Callable[[int], bytes], changed_at: int, is_same: bool
    ) -> None:
        """``is_same``: it was opened without doubt, and upgraded under the lock that is still held."""
        self.doubt = None
        if condition is not Condition.READY:
            self.keep_identity(entropy(REPLICA_BYTES), [], "the first")
            return
        kept = self._kept()
        self.replica, self.old_ids = kept.replica, kept.old_ids
        if is_same:
            self.keep_identity(kept.replica, kept.old_ids, "upgraded")
            return
        self.doubt = self._doubt(kept, self.store.found_txn, changed_at)
        if self.doubt is not None:
            self.keep_identity(entropy(REPLICA_BYTES), [*kept.old_ids, kept.replica], self.doubt)

    def _doubt(self, kept: Kept, txn: int, changed_at: int) -> str | None:
        return identity.doubt(
            kept.facts,
            identity.facts(self._file(_SENTINEL), self._data),
            witness.read(self._file(_WITNESS)),
            txn=txn,
            changed_at=changed_at,
            boot=self._boot,
            is_relaxed=self._is_relaxed,
        )

    def _kept(self) -> Kept:
        raw = self.store.get_meta(_IDENTITY)
        try:
            return msgspec.msgpack.decode(raw or b"", type=Kept)
        except msgspec.DecodeError:
            raise pages.damaged(self._data, "it does not say which replica it is") from None

    def _witness_open(self) -> None:
        try:
            self._witness(self.store.last_txn(), is_clean=False)
        except OSError as error:
            if error.errno not in environment.NO_SPACE:
                raise
            # A full disk must not keep a node from being read. The old witness may call the store clean,
            # which it is no more; without any, the next open doubts.
            self._file(_WITNESS).unlink(missing_ok=True)

    def _witness(self, txn: int, *, is_clean: bool, changed_at: int = 0) -> None:
        note = Witness(
            txn=txn, is_clean=is_clean, boot=self._boot, is_relaxed=self._is_relaxed, changed_at=changed_at
        )
        witness.write(self._file(_WITNESS), note)

    def _file(self, name: str) -> Path:
        return self.path / name

    @property
    def _data(self) -> Path:
        return self.path / _STORE / environment.DATA


def lay_out(path: Path, fill: Callable[[Path], object], format_: int = FORMAT) -> None:
    """A new data directory around a store of a format that ``fill`` puts into the folder it is given."""
    (path / _STORE).mkdir(parents=True)
    fill(path / _STORE)
    _mark(path, format_)


def _mark(path: Path, format_: int = FORMAT) -> None:
    witness.replace(path / _SENTINEL, msgspec.json.encode(Sentinel("data directory of one node", format_)))


def inspect(path: Path) -> Condition:
    """What a directory is, by its names and its sentinel; nothing is written. `DirectoryUnusable` says why not."""
    try:
        names = set(os.listdir(path))
    except FileNotFoundError:
        return Condition.FRESH
    except NotADirectoryError:
        raise DirectoryUnusable(f"{path}: not a directory") from None
    if _CREATING in names:
        return Condition.UNFINISHED
    if _SENTINEL in names:
        found = _read_sentinel(path / _SENTINEL)
        return Condition.READY if found.format == FORMAT else Condition.OLDER
    foreign = sorted(names - _BESIDE - _left_by_open(path))
    if foreign:
        raise DirectoryUnusable(
            f"{path} is foreign: it holds {foreign[0]!r} and is no Gossamer directory; "
            "name one that is new or empty"
        )
    return Condition.FRESH


def _left_by_open(path: Path) -> set[str]:
    """The lock, if an interrupted first open left it: not signed yet, so empty.

    It is not read: closing it again would let go of it, if another thread has just taken it.
    """
    try:
        return {LOCK} if (path / LOCK).stat().st_size == 0 else set()
    except FileNotFoundError:
        return set()


def format_of(path: Path) -> int:
    """The format of a directory that holds a store."""
    return _read_sentinel(path / _SENTINEL).format


def _read_sentinel(file: Path) -> Sentinel:
    """What it says, if this version can open such a store."""
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Sentinel)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise pages.damaged(file, f"it is not what was written ({error})") from None
    if found.format > FORMAT:
        raise DirectoryUnusable(
            f"{file.parent}: its format is {found.format} and this version knows {FORMAT}: "
            "a newer version wrote it; use that one"
        )
    if not upgrade.reaches(found.format):
        raise DirectoryUnusable(
            f"{file.parent}: its format is {found.format} and this version knows {FORMAT} only"
        )
    return found


def _refuse_network(path: Path) -> None:
    kind = mounts.network_type(mounts.table(), str(path))
    if kind is not None:
        raise DirectoryUnusable(
            f"{path}: on a network file system ({kind}), where memory maps and locks do not hold between "
            "machines; name a directory on a local disk"
        )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """The system's errors as ours, in one sentence."""
    try:
        yield
    except OSError as error:
        at = f"{path}: {error.strerror}" + (f" ({error.filename})" if error.filename else "")
        if error.errno in environment.NO_SPACE:
            raise StoreFull(f"{at}: no space to open the directory") from None
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise DirectoryUnusable(f"{at}: a node must be able to write in its directory") from None
        raise DirectoryUnusable(f"{at}: the directory cannot be opened") from None
