"""Members: who belongs to the cluster, read from and written as cells of the keyspace ``$system``.

::

    map:members/map:<name>/register:replica      the current replica id, in hex
                          /set:ids               every replica id it ever had
                          /register:address      where it listens
                          /set:keyspaces         what it hosts
                          /flag:removed          it does not count for stability
    map:seals/map:<id>/flag:forgotten            an operator forgot the member: seal without waiting
                      /set:silent                members that agree that the id has been silent
                      /map:answers/register:<member>   keyspace -> what that member has of the id

A seal takes effect when every remaining member has answered; it is the union of the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gossamer.crdt import MalformedError, Vector, path, type_at, vector

from ..backend import Op, make_op
from .view import View

SYSTEM = "$system"
"""The keyspace of the registry; every node hosts it."""


@dataclass
class Member:
    """A named node of the cluster."""

    name: str
    replica: bytes = b""
    ids: set[bytes] = field(default_factory=set)
    address: str = ""
    keyspaces: set[str] = field(default_factory=set)
    is_removed: bool = False
    is_forgotten: bool = False


@dataclass
class Seal:
    """What is known of the end of one replica id."""

    replica: bytes
    is_forgotten: bool = False
    silent: set[str] = field(default_factory=set)
    answers: dict[str, dict[str, vector.Intervals]] = field(default_factory=dict)

    def bound(self, keyspace: str) -> Vector:
        """The union of the answers, which is all that there will ever be of this id."""
        out = Vector()
        for answer in self.answers.values():
            out.update(Vector({self.replica: answer.get(keyspace, ())}))
        return out


@dataclass
class Registry:
    """A reading of ``$system`` at one commit. Not changed once read, so what follows from it is found once."""

    members: dict[str, Member] = field(default_factory=dict)
    seals: dict[bytes, Seal] = field(default_factory=dict)

    @cached_property
    def remaining(self) -> list[Member]:
        """Members that count: neither removed nor forgotten."""
        return [m for m in self.members.values() if not m.is_removed and not m.is_forgotten and m.replica]

    @cached_property
    def current(self) -> set[bytes]:
        """The replica ids in use by members that count."""
        return {m.replica for m in self.remaining}

    @cached_property
    def old(self) -> set[bytes]:
        """Replica ids that a member had and has replaced."""
        named = {i for m in self.members.values() if m.replica for i in m.ids}
        return named - {m.replica for m in self.members.values()}

    @cached_property
    def removed(self) -> set[bytes]:
        """Replica ids of removed members, which may come back."""
        return {i for m in self.members.values() if m.is_removed for i in m.ids} - self.current

    @cached_property
    def sealed(self) -> set[bytes]:
        """Replica ids whose seal has taken effect: every remaining member has answered."""
        needed = {m.name for m in self.remaining}
        return {r for r, seal in self.seals.items() if seal.answers and needed <= set(seal.answers)}

    @cached_property
    def ending(self) -> set[bytes]:
        """Replica ids that are sealed, or about to be: their hello is refused everywhere."""
        return {r for r, s in self.seals.items() if s.is_forgotten or s.answers or self.is_agreed(s)}

    def is_agreed(self, seal: Seal) -> bool:
        """Every remaining member has found the id silent, or an operator forgot it."""
        needed = {m.name for m in self.remaining}
        return seal.is_forgotten or (bool(needed) and needed <= seal.silent)

    @cached_property
    def heirs(self) -> dict[bytes, bytes]:
        """Sealed id -> the id that has its rights of bounded counters. Those of a forgotten member have no heir."""
        found = {r: self.heir(r) for r in self.sealed if not self.seals[r].is_forgotten}
        return {replica: heir for replica, heir in found.items() if heir is not None}

    def heir(self, replica: bytes) -> bytes | None:
        """The one heir of a sealed id: the lowest current id of the members that name it as theirs."""
        return min((m.replica for m in self.members.values() if replica in m.ids - {m.replica}), default=None)

    def member_of(self, replica: bytes) -> Member | None:
        """The member that has, or had, a replica id."""
        by_current = [m for m in self.members.values() if m.replica == replica]
        return next(iter(by_current or [m for m in self.members.values() if replica in m.ids]), None)


def read(view: View) -> Registry:
    """The registry as of a snapshot. Cells of a later build that are not understood here are passed over."""
    registry = Registry()
    for components, value in _live(view, "map:members"):
        if len(components) > 2 and components[1][0] == "map":
            name = components[1][1]
            _read_member(registry.members.setdefault(name, Member(name)), components[2:], value)
    for components, value in _live(view, "map:seals"):
        replica = _id(components[1][1]) if len(components) > 2 else b""
        if replica:
            _read_seal(registry.seals.setdefault(replica, Seal(replica)), components[2:], value)
    for member in registry.members.values():
        member.is_forgotten = any(s.is_forgotten and s.replica in member.ids for s in registry.seals.values())
    return registry


def _live(view: View, prefix_text: str) -> Iterator[tuple[path.Path, Any]]:
    prefix = path.of_text(prefix_text)
    for cell_path, cell in view.cells(prefix, path.prefix_end(prefix)):
        cell_type = type_at(cell_path)
        if cell_type is not None and cell_type.present(cell):
            yield path.decode(cell_path), cell_type.value(cell)


def _read_member(member: Member, rest: path.Path, value: Any) -> None:
    match rest:
        case (("register", "replica"),):
            member.replica = _id(value)
        case (("register", "address"),):
            member.address = value if isinstance(value, str) else ""
        case (("flag", "removed"),):
            member.is_removed = value
        case (("set", "ids"), ("str", text)):
            member.ids.add(_id(text))
        case (("set", "keyspaces"), ("str", text)):
            member.keyspaces.add(text)


def _read_seal(seal: Seal, rest: path.Path, value: Any) -> None:
    match rest:
        case (("flag", "forgotten"),):
            seal.is_forgotten = value
        case (("set", "silent"), ("str", name)):
            seal.silent.add(name)
        case (("map", "answers"), ("register", name)) if isinstance(value, dict):
            seal.answers[name] = {ks: _intervals(flat) for ks, flat in value.items()}


def _id(text: object) -> bytes:
    try:
        raw = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return b""
    return raw if len(raw) == 8 else b""


def _intervals(flat: object) -> vector.Intervals:
    try:
        return Vector.of_flat([bytes(8), flat]).intervals(bytes(8)) if flat else ()
    except MalformedError:
        return ()


def _at(*components: tuple[str, Any]) -> bytes:
    return path.encode(components)


def join_ops(
    registry: Registry,
    name: str,
    replica: bytes,
    address: str,
    keyspaces: Iterable[str],
    old_ids: Iterable[bytes] = (),
    *,
    is_again: bool = False,
) -> list[Op]:
    """What a node must write to be registered as it is now; nothing if it is.

    ``is_again``: it has registered its replica id already. It does not do so twice, or two nodes that
    were given one name would overwrite each other for ever.
    """
    member = registry.members.get(name, Member(name))
    root = (("map", "members"), ("map", name))
    ops = []
    if member.replica != replica and not is_again:
        ops.append(make_op(_at(*root, ("register", "replica")), "set", (replica.hex(),)))
    ids = {replica, *old_ids} - member.ids
    ops += [make_op(_at(*root, ("set", "ids"), ("str", i.hex())), "add") for i in sorted(ids)]
    if address and member.address != address and (member.replica == replica or not is_again):
        ops.append(make_op(_at(*root, ("register", "address")), "set", (address,)))
    for keyspace in sorted(set(keyspaces) - member.keyspaces):
        ops.append(make_op(_at(*root, ("set", "keyspaces"), ("str", keyspace)), "add"))
    if member.is_removed:
        ops.append(make_op(_at(*root, ("flag", "removed")), "disable"))
    return ops


def remove_ops(name: str) -> list[Op]:
    """Take a member out of stability. Reversible: it comes back by registering."""
    return [make_op(_at(("map", "members"), ("map", name), ("flag", "removed")), "enable")]


def forget_ops(member: Member) -> list[Op]:
    """Begin the seal of every id of a member. Final."""
    return [
        make_op(_at(("map", "seals"), ("map", i.hex()), ("flag", "forgotten")), "enable")
        for i in sorted(member.ids | ({member.replica} if member.replica else set()))
    ]


def silent_ops(name: str, replica: bytes) -> list[Op]:
    """Agree, as member ``name``, that an old id has been silent."""
    return [make_op(_at(("map", "seals"), ("map", replica.hex()), ("set", "silent"), ("str", name)), "add")]


def answer_ops(name: str, replica: bytes, has: dict[str, vector.Intervals]) -> list[Op]:
    """Answer, as member ``name``, with all it has of a replica id, keyspace by keyspace."""
    flat = {ks: _flat(intervals) for ks, intervals in sorted(has.items())}
    where = _at(("map", "seals"), ("map", replica.hex()), ("map", "answers"), ("register", name))
    return [make_op(where, "set", (flat,))]


def _flat(intervals: vector.Intervals) -> Any:
    flat = Vector({bytes(8): intervals}).flat()
    return flat[1] if flat else []
