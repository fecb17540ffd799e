"""Members: who belongs to the cluster, read from and written as cells of the keyspace ``$system``.

::

    map:members/map:<name>/register:replica      the current replica id, in hex
                          /set:ids               every replica id it ever had
                          /register:address      where it listens
                          /set:keyspaces         what it hosts
                          /register:durability   commit, as it is if this is absent, or relaxed
                          /set:read_only         those of them in which it makes no event
                          /set:leaving           those of them that it will drop once others have all of them
                          /set:dropped           <id> <keyspace>: what it has dropped, never to have it again as <id>
                          /flag:removed          it does not count for stability
    map:seals/map:<id>/flag:forgotten            an operator forgot the member: seal without waiting
                      /flag:left                 its node said that it stops for good: the same, and all it had is with others
                      /flag:dead                 an operator confirmed that the node is dead for good
                      /set:silent                members that agree that the id has been silent
                      /map:answers/register:<member>   what that member says of the id
                      /min_register:settled      what the members agreed on: the seal has taken effect
                      /map:bounds/register:<member>    all that there will ever be of the id, as that member knows

`seals` says how the members agree, and on what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gossamer.crdt import Vector, path, type_at

from ..backend import CLEAR, Op, make_op
from . import seals
from .bases import Base
from .seals import Answer, Seal, Settlement, id_of
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
    durability: str = "commit"
    read_only: set[str] = field(default_factory=set)
    leaving: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    is_removed: bool = False
    is_forgotten: bool = False
    """For good, or it has left; a node that begins anew under the name of one that left is a member as any."""
    has_left: bool = False


@dataclass
class Registry:
    """A reading of ``$system`` at one commit. Not changed once read, so what follows from it is found once."""

    members: dict[str, Member] = field(default_factory=dict)
    seals: dict[bytes, Seal] = field(default_factory=dict)
    is_damaged: bool = False
    """Some of it could not be read: nothing that cannot be undone may follow from the rest."""

    @cached_property
    def remaining(self) -> list[Member]:
        """Members that count: neither removed nor forgotten."""
        return [m for m in self.members.values() if not m.is_removed and not m.is_forgotten and m.replica]

    @cached_property
    def current(self) -> set[bytes]:
        """The replica ids in use by members that count."""
        return {m.replica for m in self.remaining}

    @cached_property
    def dialable(self) -> frozenset[str]:
        """The names of members that count and can be dialed; the others have to dial them."""
        return frozenset(m.name for m in self.remaining if m.address)

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
        """Replica ids whose seal has taken effect: the members have agreed, and it is written down."""
        return {r for r, seal in self.seals.items() if seal.settled is not None}

    @cached_property
    def closed(self) -> set[bytes]:
        """Sealed ids of which nobody can bring more: removed members, who may come back, have answered as well."""
        return {r for r, seal in self.seals.items() if seal.is_closed}

    def can_close(self, seal: Seal) -> bool:
        """Whether every member that is not forgotten has answered for a seal that has taken effect."""
        answering = {m.name for m in self.members.values() if m.replica and not m.is_forgotten}
        return seal.settled is not None and answering <= set(seal.answers)

    @cached_property
    def ending(self) -> set[bytes]:
        """Replica ids that are sealed, or about to be: their hello is refused everywhere."""
        return {r for r, s in self.seals.items() if self.is_agreed(s)}

    @cached_property
    def base(self) -> Base:
        """The bounds of the closed ids: what need not be told of a vector."""
        bounds: dict[str, Vector] = {}
        for replica in self.closed:
            for keyspace in self.seals[replica].keyspaces():
                bounds.setdefault(keyspace, Vector()).update(self.seals[replica].bound(keyspace))
        return Base(bounds)

    def dropped(self, keyspace: str) -> set[bytes]:
        """Replica ids that had a keyspace, dropped it, and will never have it again."""
        said = [text.partition(" ") for m in self.members.values() for text in m.dropped]
        return {id_of(replica) for replica, _, dropped in said if dropped == keyspace}

    def writers(self, keyspace: str) -> set[bytes]:
        """The current ids of the members that may make events in a keyspace."""
        hosts = [m for m in self.remaining if keyspace in m.keyspaces]
        return {m.replica for m in hosts if keyspace not in m.read_only}

    def readers(self, keyspace: str) -> set[bytes]:
        """The current ids of the members that make no events in a keyspace."""
        return {m.replica for m in self.remaining if keyspace in m.read_only}

    def is_agreed(self, seal: Seal) -> bool:
        """Every remaining member has found the id silent, or an operator forgot it; one who answers saw that."""
        needed = {m.name for m in self.remaining}
        has_begun = seal.is_forgotten or seal.has_left or seal.settled is not None or bool(seal.answers)
        return has_begun or (bool(needed) and needed <= seal.silent)

    def naming(self, replica: bytes) -> bytes | None:
        """The lowest current id of the members that name a replica id as an old one of theirs."""
        return min((m.replica for m in self.members.values() if replica in m.ids - {m.replica}), default=None)

    @cached_property
    def heirs(self) -> dict[bytes, bytes]:
        """Closed id -> the id that has its rights."""
        found = {r: self.heir(r) for r in self.closed}
        return {replica: heir for replica, heir in found.items() if heir is not None}

    def heir(self, replica: bytes) -> bytes | None:
        """The one heir of an id that is closed: whom its rights belong to. None while they are locked.

        An id that nobody names as an old one has an heir only once an operator has confirmed that its node is dead.
        """
        seal = self.seals.get(replica)
        if replica not in self.closed or seal is None or seal.settled is None:
            return None
        return seal.settled.heir or (seal.settled.lowest if seal.is_dead else None) or None

    def estate(self, replica: bytes) -> frozenset[bytes]:
        """The replica id itself and every id whose heir it is; an heir that has one itself passes on all it has."""
        return self._estates.get(replica, frozenset((replica,)))

    @cached_property
    def _estates(self) -> dict[bytes, frozenset[bytes]]:
        found: dict[bytes, set[bytes]] = {}
        for closed in self.heirs:
            for owner in _chain(closed, self.heir):
                found.setdefault(owner, {owner}).add(closed)
        return {owner: frozenset(ids) for owner, ids in found.items()}

    def executor(self, replica: bytes) -> bytes:
        """Who finishes what a replica id has begun: the id itself until it is sealed, then its heir.

        For what must be finished by someone, and may be by anyone: without an heir it is the lowest member that
        answered, without a word from an operator.
        """
        return self.succession(replica)[-1]

    def succession(self, replica: bytes) -> tuple[bytes, ...]:
        """The replica id, and after each that is sealed who finishes what it has begun."""
        return tuple(_chain(replica, self._successor))

    def _successor(self, replica: bytes) -> bytes | None:
        settled = self.seals[replica].settled if replica in self.sealed else None
        return (settled.heir or settled.lowest or None) if settled else None

    def beyond(self, keyspace: str, delivered: Vector) -> dict[bytes, int]:
        """Closed id -> how many of its events a node has that the others agreed are not to be had any more.

        Only a node that joined through the one that was forgotten, unknown to those who forgot it, can have any.
        """
        found = {
            r: delivered.only(r).minus(self.seals[r].bound(keyspace)).count()
            for r in delivered.replicas()
            if r in self.closed
        }
        return {replica: count for replica, count in found.items() if count}

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
        replica = id_of(components[1][1]) if len(components) > 2 else b""
        if replica:
            _read_seal(registry.seals.setdefault(replica, Seal(replica)), components[2:], value)
    registry.is_damaged = bool(view.damaged())
    for member in registry.members.values():
        seal = registry.seals.get(member.replica)
        member.has_left = seal is not None and seal.has_left
        is_forgotten = any(s.is_forgotten and s.replica in member.ids for s in registry.seals.values())
        member.is_forgotten = is_forgotten or member.has_left
    return registry


def _chain(replica: bytes, after: Callable[[bytes], bytes | None]) -> list[bytes]:
    """A replica id and those that come after it, each once: two members may name each other's ids."""
    chain = [replica]
    while (following := after(chain[-1])) is not None and following not in chain:
        chain.append(following)
    return chain


def _live(view: View, prefix_text: str) -> Iterator[tuple[path.Path, Any]]:
    prefix = path.of_text(prefix_text)
    for cell_path, cell in view.readable(prefix, path.prefix_end(prefix)):
        cell_type = type_at(cell_path)
        if cell_type is not None and cell_type.present(cell):
            yield path.decode(cell_path), cell_type.value(cell)


def _read_member(member: Member, rest: path.Path, value: Any) -> None:
    match rest:
        case (("register", "replica"),):
            member.replica = id_of(value)
        case (("register", "address"),):
            member.address = value if isinstance(value, str) else ""
        case (("register", "durability"),):
            member.durability = value if isinstance(value, str) else ""
        case (("flag", "removed"),):
            member.is_removed = value
        case (("set", "ids"), ("str", text)):
            member.ids.add(id_of(text))
        case (("set", "keyspaces"), ("str", text)):
            member.keyspaces.add(text)
        case (("set", "read_only"), ("str", text)):
            member.read_only.add(text)
        case (("set", "leaving"), ("str", text)):
            member.leaving.add(text)
        case (("set", "dropped"), ("str", text)):
            member.dropped.add(text)


def _read_seal(seal: Seal, rest: path.Path, value: Any) -> None:
    match rest:
        case (("flag", "forgotten"),):
            seal.is_forgotten = value
        case (("set", "silent"), ("str", name)):
            seal.silent.add(name)
        case (("flag", "dead"),):
            seal.is_dead = value
        case (("flag", "left"),):
            seal.has_left = value
        case (("map", "answers"), ("register", name)) if isinstance(value, dict):
            seal.answers[name] = seals.of_value(value)
        case (("map", "bounds"), ("register", name)) if isinstance(value, dict):
            seal.bounds[name] = seals.of_value(value)
        case (("min_register", "settled"),):
            seal.settled = seals.settled_of(value)


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
    durability: str = "commit",
    read_only: Iterable[str] = (),
    leaving: Iterable[str] = (),
    dropped: Iterable[str] = (),
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
    if member.durability != durability and (member.replica == replica or not is_again):
        ops.append(make_op(_at(*root, ("register", "durability")), "set", (durability,)))
    is_mine = member.replica == replica or not is_again
    for name_of, wanted, found in (
        ("keyspaces", set(keyspaces), member.keyspaces),
        ("read_only", set(read_only), member.read_only),
        ("leaving", set(leaving), member.leaving),
        ("dropped", {*dropped, *member.dropped}, member.dropped),
    ):
        at = (*root, ("set", name_of))
        ops += [make_op(_at(*at, ("str", text)), "add") for text in sorted(wanted - found)]
        gone = sorted(found - wanted) if is_mine else ()
        ops += [make_op(_at(*at, ("str", text)), "remove") for text in gone]
    if member.is_removed:
        ops.append(make_op(_at(*root, ("flag", "removed")), "disable"))
    return ops


def remove_ops(name: str) -> list[Op]:
    """Take a member out of stability. Reversible: it comes back by registering."""
    return [make_op(_at(("map", "members"), ("map", name), ("flag", "removed")), "enable")]


def forget_ops(member: Member, *, is_dead: bool = False) -> list[Op]:
    """Begin the seal of every id of a member. Final. ``is_dead``: its node is dead for good, so it can be inherited."""
    flags = ("forgotten", "dead") if is_dead else ("forgotten",)
    return [
        make_op(_at(("map", "seals"), ("map", i.hex()), ("flag", flag)), "enable")
        for i in sorted(member.ids | ({member.replica} if member.replica else set()))
        for flag in flags
    ]


def leave_ops(ids: Iterable[bytes]) -> list[Op]:
    """Begin, as the node itself, the seal of all its ids. Final; it is dead for good, so what it still has is inherited."""
    return [
        make_op(_at(("map", "seals"), ("map", i.hex()), ("flag", flag)), "enable")
        for i in sorted(ids)
        for flag in ("left", "dead")
    ]


def silent_ops(name: str, replica: bytes) -> list[Op]:
    """Agree, as member ``name``, that an old id has been silent."""
    return [make_op(_at(("map", "seals"), ("map", replica.hex()), ("set", "silent"), ("str", name)), "add")]


def answer_ops(name: str, replica: bytes, answer: Answer) -> list[Op]:
    """Answer, as member ``name``, about a replica id."""
    where = _at(("map", "seals"), ("map", replica.hex()), ("map", "answers"), ("register", name))
    return [make_op(where, "set", (seals.to_value(answer),))]


def settle_ops(replica: bytes, settled: Settlement) -> list[Op]:
    """Write down what the members agreed on: the seal takes effect."""
    where = _at(("map", "seals"), ("map", replica.hex()), ("min_register", "settled"))
    return [make_op(where, "set", ([settled.heir.hex(), settled.lowest.hex()],))]


def close_ops(name: str, seal: Seal) -> list[Op]:
    """Write down, as member ``name``, all that there will ever be of an id: nobody is asked any more."""
    bound = {keyspace: seal.bound(keyspace).intervals(seal.replica) for keyspace in seal.keyspaces()}
    where = _at(("map", "seals"), ("map", seal.replica.hex()), ("map", "bounds"), ("register", name))
    return [make_op(where, "set", (seals.to_value(Answer(bound)),))]


def tidy_ops(name: str, seal: Seal) -> list[Op]:
    """Remove what led to a seal that is closed, once what is written down says all of it."""
    if not seal.is_tidy:
        return close_ops(name, seal)
    root = (("map", "seals"), ("map", seal.replica.hex()))
    parts = ((("map", "answers"), seal.answers), (("set", "silent"), seal.silent))
    return [make_op(_at(*root, last), CLEAR) for last, is_there in parts if is_there]
