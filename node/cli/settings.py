"""What ``serve`` is told, and by whom: defaults, then a TOML file, then the environment, then arguments.

Which one counts? The last that says anything; a list replaces the list before it. A key that there is not is an
error that names it, wherever it comes from.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..limits import (
    CANARY_EVERY_S,
    FEED_AGE_S,
    FEED_CHANGES_MAX,
    LEDGER_AGE_S,
    LEDGER_RECORDS,
    OP_WINDOW_S,
    LinkTiming,
)
from .options import AT, TLS_FILES, tls_of

PREFIX = "GOSSAMER_"
_LISTS = ("peers", "keyspaces", "read_only")
_OTHERS = ("GOSSAMER_AT", "GOSSAMER_CONFIG", "GOSSAMER_ACCESS_KEY")
# Kubernetes gives every container such variables for a service that is called gossamer.
_FOREIGN = ("GOSSAMER_SERVICE_", "GOSSAMER_PORT")

Level = Literal["debug", "info", "warning", "error"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of the file. In the environment they are ``GOSSAMER_LISTEN`` and so on, lists with commas."""

    data: str | None = None
    """The directory. There is no default: a node must not begin a second life in a wrong place."""
    listen: str = AT
    """``host:port``; port 0 takes a free one."""
    advertise: str | None = None
    """The address under which other nodes reach this one, where it is not the one it listens on."""
    peers: tuple[str, ...] = ()
    """Nodes to dial from the beginning; further ones are learned from these."""
    name: str | None = None
    """The member's name; its address unless given."""
    cluster: str = "default"
    """Nodes of another cluster's name are refused."""
    keyspaces: tuple[str, ...] = ()
    """Keyspaces to host beside the default one."""
    read_only: tuple[str, ...] = ()
    """Keyspaces to host and only read."""
    host_default: bool = True
    """Whether to host the keyspace ``default``."""
    tls_ca: str | None = None
    """A PEM file: the authority whose certificates are accepted. With it go ``tls_certificate`` and ``tls_key``."""
    tls_certificate: str | None = None
    """A PEM file: this node's certificate, made out to its name and its host."""
    tls_key: str | None = None
    """A PEM file: the key of the certificate."""
    access: str | None = None
    """A TOML file: the keys that clients must show, and what each may do. With TLS only."""
    durability: Literal["commit", "relaxed"] = "commit"
    """``commit``: an acknowledged write survives power loss; ``relaxed``: a crash of the process."""
    feed_changes_max: int = FEED_CHANGES_MAX
    """Changes that the feed of a keyspace keeps."""
    feed_age_s: float = FEED_AGE_S
    """Seconds that a feed keeps a change."""
    conflicts_max: int = LEDGER_RECORDS
    """Beaten values of registers that are noted, a keyspace; 0: none."""
    conflicts_age_s: float = LEDGER_AGE_S
    """Seconds after which such a note goes."""
    web: str | None = None
    """``host:port`` of the status page; port 0 takes a free one."""
    metrics: str | None = None
    """``host:port`` at which Prometheus finds the metrics; port 0 takes a free one."""
    canary_s: float = CANARY_EVERY_S
    """Seconds between two canaries, which show how fast writes are seen elsewhere; 0: none. With ``metrics`` only."""
    timing: LinkTiming = LinkTiming()
    """A table of the file: heartbeats and redialing, in seconds."""
    op_window_s: float = OP_WINDOW_S
    """Seconds for which a write with an op_id is remembered. It must be the same on every node."""
    log_json: bool = False
    """The log as lines of JSON."""
    log_level: Level = "info"
    """The least level that is logged."""

    def for_node(self) -> dict[str, Any]:
        """The arguments of `gossamer.open`, but for the directory."""
        here = ("data", "log_json", "log_level", "web", "metrics", "canary_s", *TLS_FILES)
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name not in here}
        return given | {"tls": tls_of(*(getattr(self, name) for name in TLS_FILES))}


class Sourced(msgspec.Struct, frozen=True):
    """Settings, and for each key where it is from."""

    settings: Settings
    sources: dict[str, str]


def gather(arguments: Mapping[str, Any], environ: Mapping[str, str], file: Path | None) -> Sourced:
    """The settings of all layers. `ValueError` names the layer and key that are wrong; `OSError` for the file."""
    layers = [
        *([(str(file), _of_file(file))] if file is not None else []),
        ("environment", _of_environment(environ)),
        ("argument", _of_arguments(arguments)),
    ]
    values: dict[str, Any] = {}
    sources = dict.fromkeys(Settings.__struct_fields__, "default")
    for source, layer in layers:
        values |= layer
        sources |= dict.fromkeys(layer, source)
    return Sourced(Settings(**values), sources)


def _of_file(file: Path) -> dict[str, Any]:
    try:
        raw = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: not TOML: {error}") from None
    return _checked(raw, str(file))


def _of_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    layer: dict[str, Any] = {}
    for variable, text in _ours(environ):
        key = variable.removeprefix(PREFIX).lower()
        if key not in Settings.__struct_fields__ or key == "timing" or not variable.isupper():
            raise ValueError(f"environment: {variable} is not a setting of gossamer serve")
        layer |= _checked({key: _split(text) if key in _LISTS else text}, f"environment: {variable}")
    return layer


def _ours(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for variable, text in sorted(environ.items()):
        if variable.startswith(PREFIX) and not variable.startswith(_FOREIGN) and variable not in _OTHERS:
            yield variable, text


def _of_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in arguments.items() if value not in (None, ())}
    return _checked(given, "arguments")


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _checked(raw: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The layer's keys with their values in the right type; only a text from the environment needs turning."""
    try:
        settings = msgspec.convert(raw, Settings, strict=not source.startswith("environment"))
    except msgspec.ValidationError as error:
        raise ValueError(f"{source}: {_sentence(error)}") from None
    return {key: getattr(settings, key) for key in raw}


def _sentence(error: msgspec.ValidationError) -> str:
    text = str(error).replace("Object contains unknown field", "there is no setting")
    return text.replace(" - at `$.", " - in `").replace(" - at `$", " - in `the file")
