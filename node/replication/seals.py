"""Seals: how the members agree on the end of a replica id, and on its one heir.

The question this answers: *is this id over, up to where, and who goes on in its place?* Each member answers once with
what it has of the id, and with three things on which all must come to agree: the members it waits for (its view), the
id's heir, and the lowest id among those who answer, which inherits where nobody else does. The first answer takes
them from the answers that are there already, else from the registry. After that they only shrink: a view to what
the members in it say too and to those who were neither removed nor forgotten, the two ids to the lowest that a member
of the view has answered. Once every member of a view has answered with the very same, it is written into the seal.

Nobody answers before it has met all its configured peers (`duties`): members that have yet to meet would each take those
they know for all, and agree without the others. So two views that were both agreed on share a member, unless the members
removed each other. It cannot have gone from the one to the other with another heir: an heir is lowered only by an answer
from within the view, and the first of the view to be lower had nobody to have it from. So what is written is the same
whoever writes it, and stands for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gossamer.crdt import MalformedError, Vector, vector

_VIEW, _HEIR, _LOWEST = "$view", "$heir", "$lowest"
"""Fields of an answer beside its keyspaces; no keyspace of a node's own has such a name."""


class Settlement(NamedTuple):
    """What every member of a view has agreed on."""

    heir: bytes
    """The replica id that goes on in its place; empty if none names it as an old one."""
    lowest: bytes
    """The lowest id of those who agreed; it inherits what has no heir."""


@dataclass
class Answer:
    """What one member says of a replica id."""

    has: dict[str, vector.Intervals] = field(default_factory=dict)
    """Keyspace -> the events of the id that it has."""
    view: frozenset[str] = frozenset()
    """The members that it waits for; empty in an answer that says nothing of heirs."""
    heir: bytes = b""
    lowest: bytes = b""

    def says_same(self, other: Answer) -> bool:
        """Whether it says the same of what must be agreed on."""
        return (self.view, self.heir, self.lowest) == (other.view, other.heir, other.lowest)


@dataclass
class Seal:
    """What is known of the end of one replica id."""

    replica: bytes
    is_forgotten: bool = False
    is_dead: bool = False
    """An operator confirmed that the node is dead for good: what has no heir may go to the lowest id."""
    has_left: bool = False
    """Its node said itself that it stops for good, once others had all it had: as if it was forgotten."""
    silent: set[str] = field(default_factory=set)
    answers: dict[str, Answer] = field(default_factory=dict)
    settled: Settlement | None = None
    """As it is written into the seal, which has then taken effect."""
    bounds: dict[str, Answer] = field(default_factory=dict)
    """What members wrote down as all that there will ever be of the id, once nobody could bring more."""

    @property
    def is_closed(self) -> bool:
        """It has taken effect, and all that there will ever be of the id is written down."""
        return self.settled is not None and bool(self.bounds)

    @property
    def is_tidy(self) -> bool:
        """What is written down says all that was answered."""
        bounds = Seal(self.replica, bounds=self.bounds)
        return all(bounds.bound(keyspace) == self.bound(keyspace) for keyspace in self.keyspaces())

    def keyspaces(self) -> set[str]:
        """Those in which somebody has something of it."""
        return {keyspace for answer in self._all() for keyspace in answer.has}

    def _all(self) -> list[Answer]:
        return [*self.answers.values(), *self.bounds.values()]

    def bound(self, keyspace: str) -> Vector:
        """The union of the answers, which is all that there will ever be of this id."""
        out = Vector()
        for answer in self._all():
            out.update(Vector({self.replica: answer.has.get(keyspace, ())}))
        return out

    def agreed(self) -> Settlement | None:
        """What every member of some view has answered alike, if there is one."""
        for answer in self.answers.values():
            others = [self.answers.get(name) for name in answer.view]
            if answer.view and all(other is not None and other.says_same(answer) for other in others):
                return Settlement(answer.heir, answer.lowest)
        return None

    def answer_of(
        self,
        name: str,
        replica: bytes,
        remaining: AbstractSet[str],
        heir: bytes | None,
        has: Mapping[str, vector.Intervals],
    ) -> Answer:
        """What the member ``name`` with the id ``replica`` must answer now.

        ``heir`` is the lowest id that the registry knows to name this one as an old one of its member.
        """
        mine = self.answers.get(name, Answer())
        whole = {ks: vector.union(has.get(ks, ()), mine.has.get(ks, ())) for ks in {*has, *mine.has}}
        if not mine.view:
            seen = [*self.answers.values(), Answer(lowest=replica)]
            view = frozenset({name, *remaining})
            return Answer(
                whole, view, _lowest(a.heir for a in seen) or heir or b"", _lowest(a.lowest for a in seen)
            )
        within = [self.answers[other] for other in mine.view if other in self.answers]
        view = (mine.view & remaining).intersection(*(a.view for a in within if a.view))
        return Answer(
            whole, view or mine.view, _lowest(a.heir for a in within), _lowest(a.lowest for a in within)
        )


def _lowest(ids: Iterable[bytes]) -> bytes:
    return min((i for i in ids if i), default=b"")


def to_value(answer: Answer) -> dict[str, Any]:
    """An answer as the registry keeps it."""
    value: dict[str, Any] = {ks: _flat(intervals) for ks, intervals in sorted(answer.has.items())}
    if answer.view:
        value |= {_VIEW: sorted(answer.view), _HEIR: answer.heir.hex(), _LOWEST: answer.lowest.hex()}
    return value


def of_value(value: dict[str, Any]) -> Answer:
    """The answer of `to_value`; what a later build adds, or what is malformed, is passed over."""
    view = value.get(_VIEW, ())
    return Answer(
        {ks: _intervals(flat) for ks, flat in value.items() if ks not in (_VIEW, _HEIR, _LOWEST)},
        frozenset(name for name in view if isinstance(name, str)) if isinstance(view, list) else frozenset(),
        id_of(value.get(_HEIR)),
        id_of(value.get(_LOWEST)),
    )


def settled_of(value: object) -> Settlement | None:
    """What was agreed on, of ``[heir, lowest]`` in hex."""
    match value:
        case [heir, lowest, *_]:
            return Settlement(id_of(heir), id_of(lowest))
    return None


def id_of(text: object) -> bytes:
    """The replica id of its hex text; empty for anything else."""
    try:
        raw = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return b""
    return raw if len(raw) == vector.REPLICA_BYTES else b""


def _intervals(flat: object) -> vector.Intervals:
    try:
        return Vector.of_flat([bytes(8), flat]).intervals(bytes(8)) if flat else ()
    except MalformedError:
        return ()


def _flat(intervals: vector.Intervals) -> Any:
    flat = Vector({bytes(8): intervals}).flat()
    return flat[1] if flat else []
