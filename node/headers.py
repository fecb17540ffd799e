"""Tokens in the headers of HTTP and the metadata of gRPC, so that they travel with a request or an answer.

A header holds the tokens of any number of keyspaces: ``default=AQgQ…, orders=AQiM…``, names percent-encoded. What
comes from outside is only looked at: of a header that makes no sense there is no token, and a bad token is the
`ValueError` of whoever waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol
from urllib.parse import quote, unquote

HTTP = "Gossamer-Token"
"""Name of the HTTP header."""
GRPC = "gossamer-token"
"""Key in gRPC's metadata, whose keys are lower case."""

Pairs = Iterable[tuple[str | bytes, str | bytes]]


class Fields(Protocol):
    """Headers that can be written: a dict, or what a framework has in place of one (Starlette's is no `MutableMapping`)."""

    def get(self, name: str, default: str, /) -> str: ...

    def __setitem__(self, name: str, value: str, /) -> None: ...


def to_http(headers: Fields, token: str, keyspace: str = "default") -> None:
    """Put a token into headers, beside those of other keyspaces that are there."""
    headers[HTTP] = _with(headers.get(HTTP, ""), token, keyspace)


def from_http(headers: Mapping[str, str] | Pairs, keyspace: str = "default") -> str | None:
    """The token of a keyspace from the headers of a request, or None.

    Takes a mapping, whatever the case of its keys, or pairs of str or bytes, as ASGI has them.
    """
    return _found(headers, HTTP, keyspace)


def to_grpc(
    metadata: Iterable[tuple[str, str | bytes]] | None, token: str, keyspace: str = "default"
) -> list[tuple[str, str | bytes]]:
    """The metadata with the token in it."""
    pairs = list(metadata or ())
    before = next((_text(value) for key, value in pairs if key == GRPC), "")
    return [*(pair for pair in pairs if pair[0] != GRPC), (GRPC, _with(before, token, keyspace))]


def from_grpc(metadata: Pairs | None, keyspace: str = "default") -> str | None:
    """The token of a keyspace from the metadata of a call, or None."""
    return _found(metadata or (), GRPC, keyspace)


def _with(value: str, token: str, keyspace: str) -> str:
    return ", ".join(
        f"{quote(name, safe='')}={text}" for name, text in (_parsed(value) | {keyspace: token}).items()
    )


def _found(headers: Mapping[str, str] | Pairs, name: str, keyspace: str) -> str | None:
    pairs: Pairs = headers.items() if isinstance(headers, Mapping) else headers
    for key, value in pairs:
        if _text(key).lower() == name.lower() and keyspace in (tokens := _parsed(_text(value))):
            return tokens[keyspace]
    return None


def _parsed(value: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in value.split(","))
    return {unquote(name): token for name, equals, token in pairs if name and equals and token}


def _text(of: str | bytes) -> str:
    return of.decode("latin-1") if isinstance(of, bytes) else of
