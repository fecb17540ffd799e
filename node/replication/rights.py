"""Who may spend what of a bounded counter, and what should be moved where. Decisions only: nothing is done here.

Rights are moved by ordinary events, and each node gives away only its own. So no decision here can oversell: the
worst that a wrong one does is to put rights where they are not wanted.

*Estate.* The replica ids whose rights are a member's: its own, and those of sealed ids that it is the heir of, and of
those that these were the heirs of. It is a way of reading the cells, with no event. An id belongs to it only when
all that there will ever be of that id (the bound of its seal) is delivered here: until then there may be spends of
it that we have not heard of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gossamer.crdt import Cell, Vector, counter_bounded

from .registry import Registry

LOW = 4
"""A holder is low with less than one part in so many of its share. Far from 1, so that what was just evened out is not
evened out again after the next few spends: each gift lasts for three quarters of a share."""


def estate(registry: Registry, replica: bytes, keyspace: str, delivered: Vector) -> frozenset[bytes]:
    """The replica ids whose rights are ``replica``'s in a keyspace, its own among them."""
    ids, found = set[bytes](), {replica}
    while found:
        ids |= found
        found = {
            sealed
            for sealed, heir in registry.heirs.items()
            if heir in ids and sealed not in ids and delivered.covers(registry.seals[sealed].bound(keyspace))
        }
    return frozenset(ids)


def holdings(cell: Cell, estates: Mapping[bytes, Collection[bytes]]) -> dict[bytes, int]:
    """What each of some holders may spend, as the cell has it. None of them less than 0."""
    return {holder: max(0, counter_bounded.rights(cell, ids)) for holder, ids in estates.items()}


def gifts(me: bytes, held: Mapping[bytes, int]) -> dict[bytes, int]:
    """What this node should give to holders that run low, unasked; nothing unless it is the richest of them.

    A gift leaves the giver no less than an equal share and the receiver no more, so nothing goes back and forth.
    """
    share = sum(held.values()) // len(held)
    if me != max(held, key=lambda holder: (held[holder], holder)):
        return {}
    spare, out = held[me] - share, {}
    for holder in sorted(held, key=lambda holder: (held[holder], holder)):
        amount = min(spare, share - held[holder], counter_bounded.AMOUNT_MAX)
        if held[holder] * LOW < share and amount > 0:
            out[holder] = amount
            spare -= amount
    return out


def legacy(me: bytes, held: Mapping[bytes, int], heirs: Collection[bytes]) -> dict[bytes, int]:
    """What this node gives to whom when it leaves: all it has, in equal parts."""
    receivers = sorted({*heirs} - {me})
    out, left = {}, held[me]
    for n, holder in enumerate(receivers):
        amount = min(-(-left // (len(receivers) - n)), counter_bounded.AMOUNT_MAX)
        if amount > 0:
            out[holder], left = amount, left - amount
    return out


def asks(me: bytes, wanted: int, held: Mapping[bytes, int]) -> dict[bytes, int]:
    """Whom to ask for how much, to have ``wanted`` here: the richest first. Nobody if all together have less."""
    missing = wanted - held[me]
    if missing <= 0 or sum(held.values()) < wanted:
        return {}
    out = {}
    for holder in sorted(held.keys() - {me}, key=lambda holder: (-held[holder], holder)):
        amount = min(missing, held[holder], counter_bounded.AMOUNT_MAX)
        if amount > 0:
            out[holder] = amount
            missing -= amount
    return out


def affordable(spends: Collection[int], most: int) -> int:
    """The sum of the spends, the first ones first, that rights to ``most`` can be enough for."""
    total = 0
    for n in spends:
        if total + n <= most:
            total += n
    return total


def answer(me: bytes, peer: bytes, asked: int, available: int, waiting: bool) -> int:
    """How much of what a peer asks for to give it. Of two that wait for rights themselves the lower id is served."""
    return 0 if waiting and peer > me else min(asked, available)
