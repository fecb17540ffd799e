"""What a node is told when it is opened, checked at once: a mistake names the argument and its value."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from . import tls
from .access import Access
from .limits import (
    FEED_AGE_S,
    FEED_CHANGES_MAX,
    LEDGER_AGE_S,
    LEDGER_RECORDS,
    OP_WINDOW_S,
    OP_WINDOW_S_MAX,
    LinkTiming,
)
from .tls import TLS

DURABILITIES = ("commit", "relaxed")
NAME_BYTES_MAX = 200
"""Of a node's, a cluster's and a keyspace's name; the first and the last are parts of paths, two to a path."""


class NodeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a node is configured with. Made by `of`, which checks it."""

    data: Path
    """The directory."""
    listen: str | None = None
    """``host:port``; port 0 takes a free one. None: no server, the node only dials."""
    peers: tuple[str, ...] = ()
    """Addresses to dial from the beginning; further members are learned from these."""
    name: str | None = None
    """The member's name. None: its address, and without one its replica id."""
    cluster: str = "default"
    """Nodes of another cluster's name are refused."""
    keyspaces: tuple[str, ...] = ()
    """Keyspaces to host beside the default one."""
    read_only: tuple[str, ...] = ()
    """Keyspaces to host and only read: what others write arrives and is passed on, and nothing is written here."""
    host_default: bool = True
    """Whether to host the keyspace ``default``."""
    durability: str = "commit"
    """``commit``: an acknowledged write survives power loss. ``relaxed``: it survives a crash of the process; a
    power loss may undo the last commits, never tears them."""
    advertise: str | None = None
    """The address under which other nodes reach this one. None: the one it listens on, unless its port is 0."""
    feed_changes_max: int = FEED_CHANGES_MAX
    """Changes that the feed of a keyspace keeps. A consumer that is further behind begins again with a snapshot."""
    feed_age_s: float = FEED_AGE_S
    """Seconds that a feed keeps a change, and that it goes on with nobody following it."""
    timing: LinkTiming = LinkTiming()
    """Heartbeats and redialing."""
    documents: tuple[type, ...] = ()
    """Document classes to bind in the default keyspace when the node is opened."""
    tls: TLS | None = None
    """Certificates. None: nothing is encrypted, and whoever reaches the port may do everything."""
    access: Access | None = None
    """Keys that clients must show, and what each may do. None: whoever has a certificate may do everything."""
    conflicts_max: int = LEDGER_RECORDS
    """Beaten values of registers that are noted, a keyspace; the oldest note goes first. 0: none."""
    conflicts_age_s: float = LEDGER_AGE_S
    """Seconds after which such a note goes."""
    op_window_s: float = OP_WINDOW_S
    """Seconds for which a write with an ``op_id`` is remembered. It must be the same on every node."""
    seed: int | None = None
    """Of the node's random numbers, which spread retries. None: from the system."""

    @property
    def address(self) -> str | None:
        """The address to tell others."""
        if self.advertise is not None:
            return self.advertise
        return None if self.listen is None or self.listen.endswith(":0") else self.listen


def of(data: str | os.PathLike[str], **given: Any) -> NodeConfig:
    """A checked configuration. `TypeError` or `ValueError` names the argument and its value."""
    config = NodeConfig(
        data=Path(_path_like(data)), **{name: _tupled(name, value) for name, value in given.items()}
    )
    if config.listen is not None:
        check_address(config.listen, "listen", any_port=True)
    for peer in config.peers:
        check_address(peer, "peers")
    if config.advertise is not None:
        check_address(config.advertise, "advertise")
    for what in ("name", "cluster"):
        _check_name(what, getattr(config, what))
    for what in ("keyspaces", "read_only"):
        for keyspace in getattr(config, what):
            _check_name(what, keyspace)
            if keyspace.startswith("$"):
                raise ValueError(f"{what}: {keyspace!r}: the names with a $ are the node's own")
    if not isinstance(config.host_default, bool):
        raise TypeError(f"host_default: true or false is wanted, not {config.host_default!r}")
    if config.durability not in DURABILITIES:
        raise ValueError(f"durability: {config.durability!r} is not one of {', '.join(DURABILITIES)}")
    if type(config.feed_changes_max) is not int:
        raise TypeError(f"feed_changes_max: an int is wanted, not {type(config.feed_changes_max).__name__}")
    if config.feed_changes_max < 1:
        raise ValueError(f"feed_changes_max: {config.feed_changes_max} is not above 0")
    if isinstance(config.feed_age_s, bool) or not isinstance(config.feed_age_s, (int, float)):
        raise TypeError(f"feed_age_s: seconds are wanted, not {type(config.feed_age_s).__name__}")
    if not 0 < config.feed_age_s < float("inf"):
        raise ValueError(f"feed_age_s: {config.feed_age_s} s is not above 0 and finite")
    if not isinstance(config.timing, LinkTiming):
        raise TypeError(f"timing: a LinkTiming is wanted, not {type(config.timing).__name__}")
    if config.access is not None and config.tls is None:
        raise ValueError(
            "access: keys are for a node with tls; without it they can be read on their way, and the port is open"
        )
    if config.tls is not None:
        tls.check_name(config.name)
    _check_number("conflicts_max", config.conflicts_max, int)
    _check_number("conflicts_age_s", config.conflicts_age_s, (int, float))
    if isinstance(config.op_window_s, bool) or not isinstance(config.op_window_s, (int, float)):
        raise TypeError(f"op_window_s: a number is wanted, not {type(config.op_window_s).__name__}")
    if not 1 <= config.op_window_s <= OP_WINDOW_S_MAX:
        raise ValueError(f"op_window_s: {config.op_window_s!r} is not 1 to {OP_WINDOW_S_MAX:g} seconds")
    return config


def check_address(address: str, what: str, any_port: bool = False) -> str:
    """``address``, if it is ``host:port``. `ValueError` names it; port 0 is for listening, with ``any_port``."""
    if not isinstance(address, str):
        raise TypeError(f"{what}: a str like 'host:7400' is wanted, not {type(address).__name__}")
    host, colon, port = address.rpartition(":")
    digits = port.isascii() and port.isdecimal()
    if not colon or not host or not digits or not (0 if any_port else 1) <= int(port) <= 65535:
        raise ValueError(f"{what}: {address!r} is not host:port")
    return address


def _path_like(given: str | os.PathLike[str], what: str = "data") -> str:
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"{what}: a path is wanted, not {type(given).__name__}")
    if not os.fspath(given):
        raise ValueError(f"{what}: empty; name a path")
    try:
        os.stat(os.fspath(given))
    except ValueError as error:  # a null byte, or what is not Unicode text
        raise ValueError(f"{what}: {given!r} is no path ({error})") from None
    except OSError:  # it need not be there yet
        pass
    return os.fspath(given)


def _tupled(name: str, value: Any) -> Any:
    if name == "tls":
        return tls.of(value)
    if name == "access":
        return None if value is None else Access(_path_like(value, "access"))
    if name not in ("peers", "keyspaces", "read_only", "documents"):
        return value
    if isinstance(value, str):
        raise TypeError(f"{name}: a list of str is wanted, not the str {value!r}")
    try:
        return tuple(value)
    except TypeError:
        raise TypeError(f"{name}: a list is wanted, not {type(value).__name__}") from None


def _check_number(what: str, number: object, kind: type | tuple[type, ...]) -> None:
    if isinstance(number, bool) or not isinstance(number, kind):
        raise TypeError(f"{what}: a number is wanted, not {type(number).__name__}")
    if not 0 <= number < 2**53:  # type: ignore[operator]  # it is one
        raise ValueError(f"{what}: {number} is not 0 or more, and finite")


def _check_name(what: str, name: object) -> None:
    if name is None and what == "name":
        return
    if not isinstance(name, str):
        raise TypeError(f"{what}: a str is wanted, not {type(name).__name__}")
    if not name or not name.isprintable() or len(name.encode(errors="replace")) > NAME_BYTES_MAX:
        raise ValueError(f"{what}: {name!r} is not 1 to {NAME_BYTES_MAX} bytes of printable text")
