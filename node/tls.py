"""Where a node's or a client's certificate is, and what it must be good for.

Who may talk to whom? With TLS both sides show a certificate of the cluster's own authority, nodes and clients alike.
A node's names the member: a node that says it is *a* shows a certificate that is valid for the host name *a*. So
a name is as good as the authority, and a certificate for clients makes nobody a member.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec

_HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE)


class TLS(msgspec.Struct, frozen=True, kw_only=True):
    """Three files, in PEM. They are read again whenever a connection is made, so they may be replaced at any time."""

    ca: str | os.PathLike[str]
    """Certificates of the authority whose certificates are accepted."""
    certificate: str | os.PathLike[str]
    """This side's certificate, and those between it and the authority's."""
    key: str | os.PathLike[str]
    """The private key of ``certificate``, not encrypted."""

    def read(self) -> Files:
        """What is in the files. `ValueError` names the one that cannot be read."""
        return Files(*(_content(name, getattr(self, name)) for name in ("ca", "certificate", "key")))

    def versions(self) -> tuple[Version, ...]:
        """Another value once one of the files was replaced."""
        return tuple(version_of(getattr(self, name)) for name in ("ca", "certificate", "key"))


Version = tuple[int, ...]


def version_of(file: str | os.PathLike[str]) -> Version:
    """Another value once a file was replaced, though by one that says it is as old; empty if it is not there.

    Images and deployment tools give all files one time, so when it was written is not enough.
    """
    try:
        found = os.stat(file)
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Files(msgspec.Struct, frozen=True):
    """The content of the files, all of one moment."""

    ca: bytes
    certificate: bytes
    key: bytes


def of(given: object) -> TLS | None:
    """``tls`` as it was given, checked: None, a `TLS`, or a dict of its three paths."""
    if given is None or isinstance(given, TLS):
        tls = given
    elif isinstance(given, dict):
        tls = _of_dict(given)
    else:
        raise TypeError(
            f"tls: a TLS, or a dict of ca, certificate and key, is wanted, not {type(given).__name__}"
        )
    if tls is not None:
        tls.read()
    return tls


def check_name(name: str | None) -> None:
    """`ValueError` unless a certificate can be made out to this member's name."""
    if name is None or not _HOST_NAME.fullmatch(name) or len(name) > 253:
        raise ValueError(
            f"name: {name!r}; with TLS a member needs a name that is a host name, since its certificate is for it"
        )


def _of_dict(given: dict[Any, Any]) -> TLS:
    if given.keys() != set(TLS.__struct_fields__):
        raise ValueError(
            f"tls: {', '.join(TLS.__struct_fields__)} are wanted, not {', '.join(map(str, given))}"
        )
    for name, file in given.items():
        if not isinstance(file, (str, os.PathLike)):
            raise TypeError(f"tls: {name}: a path is wanted, not {type(file).__name__}")
    return TLS(**given)


def _content(name: str, file: str | os.PathLike[str]) -> bytes:
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise ValueError(f"tls: {name}: {file}: {error.strerror}") from None
    if b"-----BEGIN " not in content:
        raise ValueError(f"tls: {name}: {file}: not PEM")
    return content
