"""A directory of an older format, brought to the one of this version in place, and the old one kept.

The question this answers: *what if it is interrupted?* All work is done on a copy of the store. The copy takes the old file's place
in one rename, and says in itself which format it has; only then the sentinel says so too. So whatever happens, the directory is
either of the old format, whole, and the next open begins again, or of the new one. The old store goes nowhere:

::

    DIR/format-0-20300101T120000Z/    a directory of the old format, as it was; an older version can open a copy of it
    DIR/store.upgrading/              only while it lasts

A new format comes with a step in `STEPS`, from the one before. A step changes an environment in one transaction, and does not look at
anything but what it is given.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import lmdb

from ..errors import StoreFull
from . import environment, witness

FORMAT = 1
"""Of the directories that this version writes."""
Step = Callable[[lmdb.Environment], None]
STEPS: dict[int, Step] = {}
"""Format -> what brings a store of it to the next. There has been one format so far."""
KEPT = "format-"
"""How the names of old stores that were kept begin."""
_STORE, _UPGRADING, _PARTIAL = "store", "store.upgrading", ".partial"
_NODE, _FORMAT = b"node", b"format"
_SPARE_BYTES = 16 * 1024 * 1024
"""Free space that must be left beside the copy: what the steps may add before it is written whole."""


def reaches(format_: int) -> bool:
    """Whether a store of a format can be opened, through steps if need be."""
    return format_ <= FORMAT and all(older in STEPS for older in range(format_, FORMAT))


def needed_bytes(directory: Path) -> int:
    """Free space that the upgrade of a directory takes."""
    return (directory / _STORE / environment.DATA).stat().st_size + _SPARE_BYTES


def kept(directory: Path) -> list[Path]:
    """The stores of older formats that were kept, the oldest first."""
    found = [one for one in directory.glob(f"{KEPT}*") if not one.name.endswith(_PARTIAL)]
    return sorted(found, key=lambda one: one.name.rpartition("-")[2])


def upgrade(
    directory: Path,
    format_: int,
    beside: tuple[str, ...],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Path | None:
    """Bring the store of a directory that is locked and not open to `FORMAT`; where the old one is, None if it was done.

    ``beside`` are the files that belong to the store. The caller marks the directory afterwards. `StoreFull` changes nothing.
    """
    data = directory / _STORE / environment.DATA
    _clear(directory)
    if _format_of(data.parent) == FORMAT:  # it was interrupted before the directory was marked
        return None
    free = shutil.disk_usage(directory).free
    if free < needed_bytes(directory):
        raise StoreFull(
            f"{directory}: its format is {format_}, and to bring it to {FORMAT} takes {needed_bytes(directory):,} bytes; "
            f"{free:,} are free. Nothing was changed"
        )
    anew = directory / _UPGRADING
    anew.mkdir()
    with environment.plain(data.parent) as env:
        env.copy(str(anew))
    with environment.plain(anew) as env:
        for older in range(format_, FORMAT):
            STEPS[older](env)
        _mark(env)
        env.sync(True)
    old = _keep(directory, format_, beside, now())
    (anew / environment.DATA).replace(data)
    witness.sync_folder(data.parent)
    shutil.rmtree(anew)
    return old


def _clear(directory: Path) -> None:
    """What an interrupted upgrade left: a copy, and old stores that are still the one in use."""
    shutil.rmtree(directory / _UPGRADING, ignore_errors=True)
    data = directory / _STORE / environment.DATA
    for one in directory.glob(f"{KEPT}*"):
        copy = one / _STORE / environment.DATA
        if one.name.endswith(_PARTIAL) or (copy.exists() and copy.samefile(data)):
            shutil.rmtree(one)


def _keep(directory: Path, format_: int, beside: tuple[str, ...], now: datetime) -> Path:
    """The old store under a name of its own: the very file, which nobody writes to once another has its place."""
    target = directory / f"{KEPT}{format_}-{now:%Y%m%dT%H%M%SZ}"
    partial = target.with_name(target.name + _PARTIAL)
    (partial / _STORE).mkdir(parents=True)
    data = partial / _STORE / environment.DATA
    try:
        os.link(directory / _STORE / environment.DATA, data)
    except OSError:  # a file system without links
        shutil.copyfile(directory / _STORE / environment.DATA, data)
    for name in beside:
        if (directory / name).exists():
            shutil.copyfile(directory / name, partial / name)
    for file in [*partial.rglob("*"), partial]:
        witness.sync_folder(file)
    partial.rename(target)
    witness.sync_folder(directory)
    return target


def _format_of(store: Path) -> int | None:
    """What a store says of itself; None if it was never upgraded."""
    with environment.plain(store) as env, env.begin() as txn:
        try:
            found = txn.get(_FORMAT, db=env.open_db(_NODE, txn=txn, create=False))
        except lmdb.NotFoundError:
            return None
    return None if found is None else int(found)


def _mark(env: lmdb.Environment) -> None:
    with env.begin(write=True) as txn:
        txn.put(_FORMAT, str(FORMAT).encode(), db=env.open_db(_NODE, txn=txn))
