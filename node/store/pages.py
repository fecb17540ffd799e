"""Whether data.mdb is whole, looked at before LMDB maps it.

What does LMDB not say? An empty file it takes for a new database; of a file cut short it reads what is not there,
and the process dies of SIGBUS. So the two meta pages at its beginning are read here first: they say how many pages
there are. A good file may still lack some at its end (pages that one transaction both took and gave back are never
written), so for a file that is shorter than they say, the tree itself is walked: every page in it must be there.

The layout is that of LMDB 0.9 with 64-bit words: a page begins with its number and flags, then come the offsets of
its nodes; a node begins with its length, flags and key length.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import NamedTuple

from ..errors import DirectoryUnusable

MAGIC, NO_PAGE = 0xBEEFC0DE, 2**64 - 1
HEADER_BYTES, META_BYTES, NODE_BYTES = 16, 152, 8
_BRANCH, _LEAF, _FIXED = 0x01, 0x02, 0x20
_BIG_DATA, _SUB_TREE = 0x01, 0x02
_ORDER = "<" if sys.byteorder == "little" else ">"
_META = struct.Struct(f"{_ORDER}16x I I Q Q  I 36x Q  40x Q  Q Q")
_PAGE = struct.Struct(f"{_ORDER}10x H H 2x")
_NODE = struct.Struct(f"{_ORDER}H H H H")
_NUMBER = struct.Struct(f"{_ORDER}Q")
_TREE_ROOT = 40  # in the record of a tree inside a tree

REMEDY = (
    "restore the directory from a backup, or move it away and begin with an empty one: "
    "what other members have comes back from them"
)


class Meta(NamedTuple):
    """A meta page: the roots as of one commit."""

    txn: int
    page_bytes: int
    last_page: int
    roots: tuple[int, int]


class Run(NamedTuple):
    """Pages that follow each other: one of a tree, or those of one large value."""

    first: int
    length: int
    is_tree: bool


def check(data: Path) -> None:
    """Raise `DirectoryUnusable` if ``data`` is missing, empty, cut short, or not a database."""
    try:
        handle = os.open(data, os.O_RDONLY)
    except FileNotFoundError:
        raise damaged(data, "it is missing") from None
    try:
        _check(data, handle, os.fstat(handle).st_size)
    finally:
        os.close(handle)


def damaged(file: Path, what: str) -> DirectoryUnusable:
    """The error for a file of the store that is not what was written."""
    return DirectoryUnusable(f"{file} is damaged: {what}; {REMEDY}")


def _check(data: Path, handle: int, size: int) -> None:
    if size == 0:
        raise damaged(data, "it is empty")
    first = _meta(handle, 0)
    second = first and _meta(handle, first.page_bytes)
    if first is None or second is None:
        raise damaged(data, "it does not begin as a database does")
    newest = max(first, second)
    if size < (newest.last_page + 1) * newest.page_bytes and not _is_whole(handle, newest, size):
        raise damaged(data, f"it is cut short, at {size} bytes")


def _meta(handle: int, offset: int) -> Meta | None:
    raw = os.pread(handle, META_BYTES, offset)
    if len(raw) < META_BYTES:
        return None
    magic, _version, _address, _map, page_bytes, free, main, last_page, txn = _META.unpack(raw)
    if magic != MAGIC or page_bytes < 512 or page_bytes & (page_bytes - 1):
        return None
    return Meta(txn, page_bytes, last_page, (free, main))


def _is_whole(handle: int, meta: Meta, size: int) -> bool:
    """Whether all pages that the roots lead to lie within ``size``."""
    seen: set[int] = set()
    todo = [Run(root, 1, True) for root in meta.roots if root != NO_PAGE]
    while todo:
        run = todo.pop()
        if (run.first + run.length) * meta.page_bytes > size or run.first in seen:
            return False
        seen.add(run.first)
        if run.is_tree:
            try:
                todo += _children(os.pread(handle, meta.page_bytes, run.first * meta.page_bytes))
            except struct.error:
                return False
    return True


def _children(page: bytes) -> list[Run]:
    """What a page leads to."""
    flags, lower = _PAGE.unpack_from(page)
    if flags & _FIXED or not flags & (_BRANCH | _LEAF):
        return []
    offsets = struct.unpack_from(f"{_ORDER}{(lower - HEADER_BYTES) // 2}H", page, HEADER_BYTES)
    found = [_branch(page, at) if flags & _BRANCH else _leaf(page, at) for at in offsets]
    return [child for child in found if child is not None]


def _branch(page: bytes, at: int) -> Run:
    low, high, flags, _key = _NODE.unpack_from(page, at)
    return Run(low | high << 16 | flags << 32, 1, True)


def _leaf(page: bytes, at: int) -> Run | None:
    low, high, flags, key_bytes = _NODE.unpack_from(page, at)
    data = at + NODE_BYTES + key_bytes
    if flags & _BIG_DATA:
        pages = (HEADER_BYTES - 1 + (low | high << 16)) // len(page) + 1
        return Run(_NUMBER.unpack_from(page, data)[0], pages, False)
    if flags & _SUB_TREE:
        root = _NUMBER.unpack_from(page, data + _TREE_ROOT)[0]
        return None if root == NO_PAGE else Run(root, 1, True)
    return None
