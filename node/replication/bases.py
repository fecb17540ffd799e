"""Vectors told as what they have beyond the closed ids: so restarts do not grow what is exchanged and stored.

The question this answers: *how is a vector told without naming every id that there ever was?* Of a closed id there is
nothing more to come, and whoever has all of it need not say so. Two peers tell each other a hash of the closed ids and their
bounds. While it is the same on both sides, a vector that covers the bounds goes as what it has beyond them; any other one
goes whole. Nothing is left out and nothing is concluded: what is decoded is what was encoded, id by id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from gossamer.crdt import MalformedError, Vector, vector

RELATIVE = b"\xc1"
"""Begins a vector that stands on a base; no msgpack begins with it."""
NAME_BYTES = 8


class Base:
    """The bounds of closed ids, keyspace by keyspace, under a name that only equal ones have."""

    def __init__(self, bounds: Mapping[str, Vector]) -> None:
        self._bounds = bounds
        hashed = hashlib.blake2b(digest_size=NAME_BYTES)
        for keyspace, bound in sorted(bounds.items()):
            for part in (keyspace.encode(), vector.encode(bound)):
                hashed.update(len(part).to_bytes(8, "big") + part)
        self.name = hashed.digest()

    def of(self, keyspace: str) -> Vector:
        """The bounds in one keyspace; not to be changed."""
        return self._bounds.get(keyspace, _NOTHING)


_NOTHING = Vector()


def pack(of: Vector, bound: Vector, name: bytes = b"") -> bytes:
    """The bytes of a vector, as what it has beyond ``bound`` if it covers that. ``name`` says which base it is."""
    if not bound or not of.covers(bound):
        return vector.encode(of)
    return RELATIVE + name + vector.encode(of.minus(bound))


def unpack(raw: bytes, bound: Vector, name: bytes = b"") -> Vector:
    """The vector of `pack`. `MalformedError` for anything else."""
    if not raw.startswith(RELATIVE):
        return vector.decode(raw)
    if not raw.startswith(RELATIVE + name):
        raise MalformedError("vector: it stands on another base")
    out = bound.copy()
    out.update(vector.decode(raw[len(RELATIVE + name) :]))
    return out


class Told:
    """The bases that this node has told on one link, and the name of the one that its peer told last."""

    def __init__(self) -> None:
        self._told: dict[bytes, Base] = {}
        self.theirs = b""

    def tell(self, base: Base) -> bytes:
        """Note that a base is told now; its name if it is news, else nothing."""
        if next(reversed(self._told), None) == base.name:
            return b""
        self._told.pop(base.name, None)
        self._told[base.name] = base
        if len(self._told) > TOLD_MAX:
            del self._told[next(iter(self._told))]
        return base.name

    def pack(self, keyspace: str, of: Vector) -> bytes:
        """A vector for the peer: on our last base if the peer has it as well."""
        base = self._told.get(self.theirs)
        return vector.encode(of) if base is None else pack(of, base.of(keyspace), base.name)

    def unpack(self, keyspace: str, raw: bytes) -> Vector:
        """A vector from the peer. `MalformedError` if it stands on a base that we have not told."""
        name = raw[1 : 1 + NAME_BYTES] if raw.startswith(RELATIVE) else b""
        base = self._told.get(name)
        if name and base is None:
            raise MalformedError("vector: it stands on a base that was not told")
        return unpack(raw, base.of(keyspace) if base else _NOTHING, name)


TOLD_MAX = 8
"""Bases remembered a link: a vector may be on its way that stands on an earlier one."""
