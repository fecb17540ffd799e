"""What the services share: which keyspace holds what, who hosts it, and where a thing is in it.

Who may write what? Each keyspace has one service that writes it; the others host it and only read. So a service
goes on with what it has when it is cut off, and no two services ever write the same cell. Two *instances* of one
service do, and what that means is said where it happens.

=========  =========  ==================  ============================================================
keyspace   written by read by             holds
=========  =========  ==================  ============================================================
carts      orders     —                   nested maps: cart -> title -> quantity, price
orders     orders     inventory,          ``map:order/map:ID/…`` what was ordered; ``map:saga/register:ID``
                      catalogue           how far it is; ``map:payment/map:ID/…``; ``set:open``
stock      inventory  orders              ``bounded_counter:TITLE``; ``map:reservation/map:ID/register:INSTANCE``;
                                          ``map:hold/set:INSTANCE``; deliveries
catalogue  catalogue  orders              ``map:title/map:TITLE/register:price``
view-1, -2 catalogue  —                   the read model, one for each instance, made from the feed of *orders*
=========  =========  ==================  ============================================================
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import msgspec

import gossamer

SERVICES = ("orders", "inventory", "catalogue")
NUMBERS = ("1", "2")
INSTANCES = tuple(f"{service}-{number}" for service in SERVICES for number in NUMBERS)

WRITES = {"orders": ("orders", "carts"), "inventory": ("stock",), "catalogue": ("catalogue",)}
READS = {"orders": ("stock", "catalogue"), "inventory": ("orders",), "catalogue": ("orders",)}

# How far an order is. Of concurrent stages the later one in this list stands: see `furthest`.
PLACED, CHARGED, CANCELLED, COMPLETED = "placed", "charged", "cancelled", "completed"
STAGES = (PLACED, CHARGED, CANCELLED, COMPLETED)
ENDS = (CANCELLED, COMPLETED)

# What an inventory instance has done for an order.
RESERVED, REJECTED, SOLD, RELEASED = "reserved", "rejected", "sold", "released"

# What was taken from the customer.
PAID, REFUNDED, DECLINED = "paid", "refunded", "declined"


class Line(msgspec.Struct, frozen=True):
    """So many of one title at the price that the customer was shown, in cents."""

    title: str
    qty: int
    price: int


def view_of(instance: str) -> str:
    """The keyspace of a catalogue instance's own read model."""
    return f"view-{instance[-1]}"


def hosts(instance: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keyspaces that an instance writes, and those that it only reads."""
    service = instance.partition("-")[0]
    own = WRITES[service] + ((view_of(instance),) if service == "catalogue" else ())
    return own, READS[service]


def hosting(keyspace: str) -> tuple[str, ...]:
    """The instances that host a keyspace."""
    return tuple(i for i in INSTANCES if any(keyspace in some for some in hosts(i)))


def home(what: str) -> str:
    """The number of the instance that does what is to be done for an order or delivery, if it can."""
    return NUMBERS[crc32(what.encode()) % len(NUMBERS)]


def order_of(path: str) -> str:
    """The order that a path is of, like ``map:saga/register:ID``. Cheaper than to decode it; ids have nothing to decode."""
    return path.split("/")[1].partition(":")[2]


def records_of(stock: gossamer.Keyspace | gossamer.Transaction, order: str) -> dict[str, dict[str, Any]]:
    """Inventory instance -> what it says of an order."""
    at = stock.map("reservation").map(order)
    found = {name: at.register(name).get() for name in ("inventory-1", "inventory-2")}
    return {name: record for name, record in found.items() if record is not None}


def furthest(readings: Any) -> Any:
    """The rule for concurrent stages of one order, as a resolver: the furthest stands."""
    return max((reading.value for reading in readings), key=lambda value: STAGES.index(value["stage"]))
