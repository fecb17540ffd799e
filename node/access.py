"""Access keys: what each client may read and write, beside its certificate.

Who may do what? A client shows a key with each call; the file says which keyspaces that key may read and write, and
whether it may ask for what an operator may. What is not said is not allowed. The file holds a hash of each key,
so it gives none away, and is read again when it changes::

    [keys.reporting]
    hash = "…"              # as gossamer access-key prints it
    read = ["*"]            # every keyspace
    write = ["reports"]
    admin = false           # remove and forget members, …
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from .tls import version_of

log = logging.getLogger("gossamer")

KEY_BYTES, HASH_BYTES = 32, 32
"""Random bytes of a key: nobody guesses it, so a plain hash of it is safe to keep."""
EVERY = "*"


class Rights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one key."""

    hash: str
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    admin: bool = False

    def may(self, what: str, keyspace: str) -> bool:
        """Whether it may ``look`` at the node's status, ``read`` or ``write`` a keyspace, or do what an ``admin`` may.

        Every key may look, and who writes a keyspace sees what is there.
        """
        if what in ("look", "admin"):
            return what == "look" or self.admin
        allowed = self.write if what == "write" else (*self.read, *self.write)
        return EVERY in allowed or keyspace in allowed


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: dict[str, Rights]


class Access:
    """The keys in a file. Any thread may ask; a file that becomes wrong leaves the keys as they were, and is logged."""

    def __init__(self, file: str | os.PathLike[str]) -> None:
        """`ValueError` for a file that cannot be used."""
        self._file = Path(file)
        self._seen = version_of(self._file)
        self._keys = _read(self._file)

    def rights(self, key: str) -> tuple[str, Rights] | None:
        """The name of a key, and what it may; None if there is no such key."""
        self._look()
        shown = hash_of(key)
        found = None
        for name, rights in self._keys.items():  # all of them: how long it takes says nothing about the keys
            if hmac.compare_digest(rights.hash, shown):
                found = name, rights
        return found

    def _look(self) -> None:
        now = version_of(self._file)
        if now == self._seen:
            return
        self._seen = now
        try:
            self._keys = _read(self._file)
        except ValueError as error:
            log.warning("the access keys stay as they were: %s", error)


def new_key() -> str:
    """A new random key, as text that fits a header and a shell."""
    return secrets.token_urlsafe(KEY_BYTES)


def hash_of(key: str) -> str:
    """What the file holds of a key."""
    return hashlib.blake2b(key.encode(), digest_size=HASH_BYTES, person=b"gossamer-access").hexdigest()


def _read(file: Path) -> dict[str, Rights]:
    try:
        raw: dict[str, Any] = tomllib.loads(file.read_text())
        keys = msgspec.convert(raw, _File).keys
    except OSError as error:
        raise ValueError(f"access: {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"access: {file}: {error}") from None
    for name, rights in keys.items():
        if len(rights.hash) != 2 * HASH_BYTES or not set(rights.hash) <= set("0123456789abcdef"):
            raise ValueError(f"access: {file}: keys.{name}: its hash is none; gossamer access-key makes one")
    return keys
