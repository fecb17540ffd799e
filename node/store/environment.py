"""The LMDB environment: opening it, its limits, and its errors in our words.

Durability ``commit`` fsyncs data and meta page in every commit. ``relaxed`` leaves out the meta page
(``metasync=False``): a process crash loses nothing, a power cut may undo the last commits but never tears them.
Never ``sync=False`` on a real disk (a power cut emptied the environment 8 times of 8) nor ``writemap=True`` (a full
disk is then a SIGBUS that kills the service).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from ..errors import DirectoryUnusable, StoreError, StoreFailed, StoreFull
from . import pages

MAP_BYTES = 64 * 1024**3
"""Address space reserved; the file is sparse and grows as needed. A full map also fails deletes, so it is large."""
READERS_MAX = 1024
"""Slots for read transactions, one a reading thread."""
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors that go away when there is space again."""
GROWTH_BYTES = 64 * 1024
"""By which the file is grown to see whether it can be."""
DATA = "data.mdb"
DATABASES_MAX = 2560
"""Nine a keyspace and one for the node."""


def open_environment(
    directory: Path, durability: str, *, map_bytes: int = MAP_BYTES, sync: bool = True
) -> lmdb.Environment:
    """Open, or make, the environment in ``directory``. ``sync=False`` is for simulations in memory only."""
    try:
        return lmdb.open(
            str(directory),
            map_size=map_bytes,
            metasync=durability == "commit",
            sync=sync,
            max_readers=READERS_MAX,
            max_dbs=DATABASES_MAX,
            readahead=False,  # reads are point lookups; reading ahead evicts what is hot
            create=True,
        )
    except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError) as error:
        raise pages.damaged(
            directory / DATA, f"it is not a database this version can read ({error})"
        ) from None
    except lmdb.LockError as error:
        raise DirectoryUnusable(
            f"{directory}: LMDB's lock cannot be taken ({error}). Two containers that share the directory but not "
            "their process ids look like this: give each node a directory of its own"
        ) from None
    except (lmdb.Error, OSError) as error:
        if error_number(error) in NO_SPACE:
            raise StoreFull(f"{directory}: no space left to open it ({error})") from None
        raise DirectoryUnusable(
            f"{directory}: cannot be opened ({error}){_remedy(error, map_bytes)}"
        ) from None


@contextmanager
def plain(directory: Path) -> Iterator[lmdb.Environment]:
    """The environment there for a while, whatever format its content has."""
    env = open_environment(directory, "commit")
    try:
        yield env
    finally:
        env.close()


def _remedy(error: lmdb.Error | OSError, map_bytes: int) -> str:
    if error_number(error) != errno.ENOMEM:
        return ""
    return f": {map_bytes // 1024**3} GiB of address space are reserved, though not used; raise its limit (ulimit -v)"


@contextmanager
def translated(env: lmdb.Environment) -> Iterator[None]:
    """LMDB's errors as ours."""
    try:
        yield
    except lmdb.MapFullError:
        raise StoreFull("the store's map is full: nothing was written, reads go on") from None
    except lmdb.PanicError as error:
        raise StoreFailed(f"the disk failed a write; open the directory anew to go on ({error})") from None
    except (lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
        raise pages.damaged(Path(env.path()) / DATA, f"its pages do not fit together ({error})") from None
    except lmdb.Error as error:
        code = error_number(error)
        if code in NO_SPACE or (code == errno.EIO and _has_no_space(env)):
            raise StoreFull(
                f"no space left for the store: nothing was written, reads go on ({error})"
            ) from None
        raise StoreError(f"the store failed: nothing was written ({error})") from None


def error_number(error: lmdb.Error | OSError) -> int | None:
    """The errno behind an LMDB error, which tells it in words only."""
    text = str(error)
    return next((code for code in (*NO_SPACE, errno.EIO, errno.ENOMEM) if os.strerror(code) in text), None)


def _has_no_space(env: lmdb.Environment) -> bool:
    """Whether the file cannot grow. LMDB calls a write that only began to fit an input/output error."""
    try:
        handle = os.open(Path(env.path()) / DATA, os.O_RDWR)
        try:
            os.posix_fallocate(handle, os.fstat(handle).st_size, GROWTH_BYTES)  # if it fits, LMDB will use it
        finally:
            os.close(handle)
    except OSError as error:
        return error.errno in NO_SPACE
    return False
