"""The ``Idempotency-Key`` header of a request as the ``op_id`` of the write that it asks for.

May two clients use one key? They may, as long as the key is not all there is: the ``op_id`` is made of the method, the
path and the key together, so the same key means another operation elsewhere. A key is to be as good as random.
"""

from __future__ import annotations

import hashlib
import re

from starlette.requests import Request

HEADER = "Idempotency-Key"
KEY_CHARS_MAX = 255
"""Characters of a key. It only goes into a hash; longer ones are rather something else."""

_BARE = re.compile(r"[\x21\x23-\x7e]+")
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
"""A string of RFC 9651, which is what the header is to be; most clients send it bare."""


def key_of(value: str) -> str:
    """The key in the header's value. `ValueError` for one that is none."""
    quoted = _QUOTED.fullmatch(value)
    bare = _BARE.fullmatch(value)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else bare[0] if bare else ""
    if not 1 <= len(key) <= KEY_CHARS_MAX:
        raise ValueError(
            f"{HEADER}: {value[:80]!r} is not 1 to {KEY_CHARS_MAX} characters of printable ASCII"
        )
    return key


def op_id_of(request: Request) -> str | None:
    """The ``op_id`` of a request that has the header, else None. `ValueError` for a key that is none."""
    value = request.headers.get(HEADER)
    if value is None:
        return None
    said = "\0".join((request.method, request.url.path, key_of(value.strip())))
    return "http-" + hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


__all__ = ["HEADER", "key_of", "op_id_of"]
