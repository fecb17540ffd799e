"""A store opened beside its node, or without one, to be read and nothing else.

LMDB lets other processes read while one writes: a reader sees the last commit, whole, and neither waits for the
writer nor holds it up. It does pin the pages of that commit, so reading goes in short transactions where it can.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb

from ..errors import DirectoryUnusable
from ..replication.state import State
from ..store import environment, pages
from ..store.directory import FORMAT, Condition, format_of, inspect
from ..store.tables import read_state

STORE, NODE = "store", b"node"
_DUPLICATES = ("changes", "groups", "expiries")


def store_of(directory: Path) -> Path:
    """The folder of a data directory that LMDB is in. `DirectoryUnusable` if there is no whole one."""
    condition = inspect(directory)
    if condition is Condition.OLDER:
        raise DirectoryUnusable(
            f"{directory}: its format is {format_of(directory)}, not {FORMAT}: a node of this version upgrades it when it opens "
            "it, and keeps the old one; a version that wrote it can read it as it is"
        )
    if condition is not Condition.READY:
        raise DirectoryUnusable(f"{directory}: no node has data here")
    pages.check(directory / STORE / environment.DATA)
    return directory / STORE


@contextmanager
def reading(folder: Path, *, is_copy: bool = False) -> Iterator[lmdb.Environment]:
    """The environment in ``folder``, read only; another process may be writing to it, unless it is a copy."""
    try:
        env = lmdb.open(
            str(folder),
            map_size=environment.MAP_BYTES,
            max_dbs=environment.DATABASES_MAX,
            max_readers=environment.READERS_MAX,
            readonly=True,
            create=False,
            readahead=False,
            lock=not is_copy,  # a copy may lie on a medium that cannot be written
        )
    except lmdb.Error as error:
        raise DirectoryUnusable(f"{folder}: cannot be read ({error})") from None
    try:
        yield env
    finally:
        env.close()


def facts(env: lmdb.Environment) -> dict[str, bytes]:
    """What is stored of the node itself."""
    with env.begin() as txn:
        try:
            node = env.open_db(NODE, txn=txn, create=False)
        except lmdb.NotFoundError:  # a disk that lied about a flush may leave an empty root
            raise pages.damaged(
                Path(env.path()) / environment.DATA, "it does not say which replica it is"
            ) from None
        return {key.decode(): value for key, value in txn.cursor(db=node)}


def keyspace_names(env: lmdb.Environment) -> list[str]:
    """The keyspaces in the store, sorted."""
    return sorted(facts(env).get("keyspaces", b"").decode().split("\n"))


def database(env: lmdb.Environment, keyspace: str, table: str) -> Any:
    """A keyspace's table, None if this node never made it."""
    try:
        return env.open_db(f"{keyspace}/{table}".encode(), create=False, dupsort=table in _DUPLICATES)
    except lmdb.NotFoundError:
        return None


def state(env: lmdb.Environment, keyspace: str) -> tuple[State, int]:
    """A keyspace's state and how many cells it stores."""
    cells, meta = database(env, keyspace, "cells"), database(env, keyspace, "meta")
    with env.begin() as txn:
        return read_state(txn, meta), int(txn.stat(cells)["entries"])


def free_pages(env: lmdb.Environment) -> int:
    """Pages of the file that hold nothing, roughly: those that no table is made of."""
    with env.begin() as txn:
        names = [name for name, _ in txn.cursor()]
        stats = [env.stat(), *(txn.stat(env.open_db(name, txn=txn, create=False)) for name in names)]
    used = sum(stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"] for stat in stats)
    return int(env.info()["last_pgno"]) + 1 - used
