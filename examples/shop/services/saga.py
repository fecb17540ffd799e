"""What is to be done next for an order? Two pure functions, one for each service that does something.

Both look at what stands now and not at what happened last, so doing a step twice, late, or after a crash in its
middle comes to the same. That is what lets a subscription, which delivers at least once, drive them.

Nobody decides for another one. An inventory instance writes only its own record of an order, and what it spent
it alone mints back. So when both instances have reserved for one order, which happens when they are cut off from
each other, a rule that both apply settles it: what is sold stands, of two the one of the lower name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from .model import (
    CANCELLED,
    CHARGED,
    COMPLETED,
    DECLINED,
    PAID,
    PLACED,
    REFUNDED,
    REJECTED,
    RELEASED,
    RESERVED,
    SOLD,
)

Records = Mapping[str, str]
"""Instance -> the state of its record of an order."""


class Keep(Enum):
    """What an inventory instance does."""

    RESERVE = "reserve"
    SELL = "sell"
    RELEASE = "release"
    WAIT = "wait"
    """Somebody else's turn, or not the time yet: look again later."""
    NOTHING = "nothing"


def keep(me: str, stage: str, records: Records, held: bool, my_turn: bool) -> Keep:
    """The next step of the inventory instance ``me``; ``held``: its reservation has not expired."""
    mine = records.get(me)
    others = {state for instance, state in records.items() if instance != me}
    if mine == SOLD:
        better = any(state == SOLD and instance < me for instance, state in records.items())
        return Keep.RELEASE if better else Keep.NOTHING
    if mine == RESERVED:
        return _reserved(me, stage, records, held, my_turn)
    if mine is None and stage == PLACED and not others & {RESERVED, SOLD, RELEASED}:
        return Keep.RESERVE if my_turn or REJECTED in others else Keep.WAIT
    return Keep.NOTHING


def _reserved(me: str, stage: str, records: Records, held: bool, my_turn: bool) -> Keep:
    if stage == CANCELLED or SOLD in records.values():
        return Keep.RELEASE
    if stage in (CHARGED, COMPLETED):
        first = min(instance for instance, state in records.items() if state == RESERVED)
        return Keep.SELL if first == me or my_turn else Keep.WAIT
    return Keep.WAIT if held else Keep.RELEASE


class Pay(Enum):
    """What an orders instance does."""

    CHARGE = "charge"
    COMPLETE = "complete"
    CANCEL = "cancel"
    WAIT = "wait"
    NOTHING = "nothing"
    """The order is where it must be, and the money too."""


def pay(stage: str, money: str | None, records: Records, instances: int, late: bool) -> Pay:
    """The next step of an orders instance. ``late``: it has waited long enough for instances that say nothing."""
    states = set(records.values())
    if SOLD in states:
        return Pay.NOTHING if (stage, money) == (COMPLETED, PAID) else Pay.COMPLETE
    if stage == COMPLETED:  # whoever sold it is not heard yet
        return Pay.WAIT
    if stage == CANCELLED:
        if money == PAID:
            return Pay.CANCEL
        return Pay.WAIT if RESERVED in states else Pay.NOTHING
    if RESERVED in states:
        return Pay.CHARGE if stage == PLACED else Pay.WAIT
    if RELEASED in states or (states == {REJECTED} and (late or len(records) == instances)):
        return Pay.CANCEL
    return Pay.WAIT


def money_after(step: Pay, money: str | None, declines: bool) -> str | None:
    """What is taken from the customer after a step."""
    if step is Pay.CHARGE:
        return DECLINED if declines else PAID
    if step is Pay.COMPLETE:
        return PAID
    return REFUNDED if money == PAID else money


def stage_after(step: Pay, declines: bool) -> str:
    """Where an order is after a step."""
    if step is Pay.CHARGE:
        return CANCELLED if declines else CHARGED
    return COMPLETED if step is Pay.COMPLETE else CANCELLED
