"""Bounded counter: a stock that is never spent twice, without asking anybody before a write.

How can two replicas spend from one stock while neither hears of the other? Each spends only the *rights* that it
holds. Whoever mints holds the rights to what it minted, and may transfer them. Each replica keeps one entry, its
account: minted, consumed, and what it has transferred to each other replica, all of them sums that only grow::

    rights of r  =  minted by r - consumed by r + transferred to r - transferred by r
    value        =  all minted - all consumed          (all rights together)

A write looks at the rights in the writer's own cell. Others can only add to these, so what the writer does not
know of can never make it wrong. No entry is ever superseded: to forget an account would be to forget what was
consumed, so a bounded counter cannot be removed. After Balegas et al., *Extending eventually consistent cloud
databases for enforcing numeric invariants* (2015).

Where an identity was used twice, two accounts can stand under one dot. Nothing could supersede them; each is read
so that it gives the fewest rights.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import msgspec

from .cell import Cell, Entry, Event, accumulate, own_entry
from .celltype import Args, CellType, Write, whole
from .errors import MalformedError, RightsError
from .values import PAYLOAD_BYTES_MAX
from .vector import REPLICA_BYTES
from .verdict import Verdict, together

AMOUNT_MAX = 2**63 - 1
"""The most that one write mints, spends or transfers. Sums may be of any size."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[bytes])


class Account(msgspec.Struct, frozen=True):
    """What one replica did, all in all."""

    minted: int = 0
    consumed: int = 0
    given: Mapping[bytes, int] = {}
    """Replica id -> rights transferred to it."""


def payload_of(account: Account) -> bytes:
    """msgpack ``[minted, consumed, replica, rights, replica, rights, …]``, sorted, numbers as the shortest bytes."""
    given = [item for replica in sorted(account.given) for item in (replica, _bytes(account.given[replica]))]
    return _ENCODER.encode([_bytes(account.minted), _bytes(account.consumed), *given])


def account_of(payload: bytes) -> Account:
    """The account that a payload holds. `MalformedError` if it holds none."""
    try:
        minted, consumed, *given = _DECODER.decode(payload)
    except (msgspec.DecodeError, ValueError):
        raise MalformedError("bounded_counter: a payload is not an account") from None
    if len(given) % 2:
        raise MalformedError("bounded_counter: a transfer without an amount")
    amounts = dict(zip(given[::2], map(_number, given[1::2]), strict=True))
    return Account(_number(minted), _number(consumed), amounts)


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def total(cell: Cell) -> int:
    """All minted less all consumed. Below 0 only where an identity was used twice."""
    return sum(_read(e, min).minted - _read(e, max).consumed for e in cell.live)


def rights(cell: Cell, holder: Collection[bytes]) -> int:
    """What one holder, who has these replica ids, may spend. Below 0 only where an identity was used twice."""
    held = 0
    for entry in cell.live:
        least, most = _read(entry, min), _read(entry, max)
        if entry.replica in holder:
            held += least.minted - most.consumed - sum(most.given.values())
        held += sum(least.given.get(replica, 0) for replica in holder)
    return held


def _read(entry: Entry, pick: Callable[..., int]) -> Account:
    """The entry's account; of rivals under one dot, the lowest or the highest of each number."""
    if not entry.others:
        return account_of(entry.payload)
    found = [account_of(payload) for payload in (entry.payload, *entry.others)]
    receivers = {replica for account in found for replica in account.given}
    return Account(
        pick(account.minted for account in found),
        pick(account.consumed for account in found),
        {replica: pick(account.given.get(replica, 0) for account in found) for replica in receivers},
    )


def _own(cell: Cell, event: Event) -> Account:
    entry = own_entry(cell, event.replica)
    if entry is None:
        return Account()
    most = _read(entry, max)
    return Account(_read(entry, min).minted, most.consumed, most.given) if entry.others else most


def _put(cell: Cell, event: Event, account: Account) -> Cell:
    payload = payload_of(account)
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"bounded_counter: an account of more than {PAYLOAD_BYTES_MAX} bytes")
    return accumulate(cell, event, payload, generation=0)


def _check_rights(cell: Cell, event: Event, wanted: int) -> None:
    held = rights(cell, {event.replica} | event.estate)
    if wanted > held:
        raise RightsError(wanted, max(0, held))


def _mint(cell: Cell, event: Event, args: Args) -> Cell:
    own = _own(cell, event)
    return _put(cell, event, Account(own.minted + args[0], own.consumed, own.given))


def _spend(cell: Cell, event: Event, args: Args) -> Cell:
    _check_rights(cell, event, args[0])
    own = _own(cell, event)
    return _put(cell, event, Account(own.minted, own.consumed + args[0], own.given))


def _transfer(cell: Cell, event: Event, args: Args) -> Cell:
    to, n = args
    _check_rights(cell, event, n)
    own = _own(cell, event)
    given = {**own.given, to: own.given.get(to, 0) + n}
    return _put(cell, event, Account(own.minted, own.consumed, given))


class CounterBounded(CellType):
    kind = "bounded_counter"
    is_removable = False
    reads_rivals = True
    _methods: Mapping[str, Write] = {"mint": _mint, "spend": _spend, "transfer": _transfer}

    def methods(self) -> Mapping[str, Write]:
        return self._methods

    def prepare(self, method: str, args: Args) -> Args:
        if method not in self._methods:
            return super().prepare(method, args)
        if method != "transfer":
            _only(method, args, "n")
            return (amount(args[0]),)
        _only(method, args, "to", "n")
        if not isinstance(args[0], bytes) or len(args[0]) != REPLICA_BYTES:
            raise ValueError(f"to: {args[0]!r} is no replica id")
        return args[0], amount(args[1])

    def verdict(self, cell: Cell) -> Verdict:
        return together(cell, "the sum", ": what each has minted, less what it has spent")

    def value(self, cell: Cell) -> int:
        return max(0, total(cell))

    def check(self, payload: bytes) -> None:
        account = account_of(payload)
        sizes = {len(replica) for replica in account.given}
        if payload_of(account) != payload or sizes - {REPLICA_BYTES} or 0 in account.given.values():
            raise MalformedError("bounded_counter: a payload is not in normal form")


def amount(n: object) -> int:
    """``n`` itself, if it is an amount that can be minted, spent or transferred."""
    number = whole("n", n)
    if not 0 < number <= AMOUNT_MAX:
        raise ValueError(f"n: {number} is not from 1 to {AMOUNT_MAX}")
    return number


def _only(method: str, args: Args, *names: str) -> None:
    if len(args) != len(names):
        raise TypeError(f"bounded_counter.{method} takes {' and '.join(names)}, {len(args)} given")
