"""Is everything right in the end? What the customers were told, against what every instance holds.

No order lost or doubled, stock exact, the read model equal to what plain Python makes of the orders, every saga
at one of its ends. Each check gives lines that say what is wrong; none is good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from .load.buyers import Ledger
from .load.cdnow import TITLE_NAMES
from .load.staff import Staff
from .services.model import (
    CANCELLED,
    COMPLETED,
    ENDS,
    INSTANCES,
    PAID,
    SOLD,
    hosting,
)

Dumps = Mapping[str, dict[str, Any]]
"""Instance -> what it holds."""


def wrong(dumps: Dumps, statuses: Dumps, ledger: Ledger, staff: Staff) -> list[str]:
    """Everything that is wrong."""
    return [
        *_unequal(statuses),
        *_orders(dumps, ledger),
        *_sagas(dumps),
        *_stock(dumps, staff),
        *_read_models(dumps),
        *_carts(dumps, ledger),
        *_prices(dumps, staff),
    ]


def unequal(statuses: Dumps) -> list[str]:
    """Keyspaces whose hosts do not hold the same."""
    return list(_unequal(statuses))


def unfinished(dumps: Dumps) -> list[str]:
    """What is still to be done: sagas, bookings, the read models."""
    waiting = [*_sagas(dumps), *_read_models(dumps)]
    for name in ("inventory-1", "inventory-2"):
        waiting += [
            f"{name}: {one}" for one in dumps[name]["deliveries"].keys() - dumps[name]["booked"].keys()
        ]
    return waiting


def _unequal(statuses: Dumps) -> Iterator[str]:
    for keyspace in ("carts", "orders", "stock", "catalogue"):
        held = {name: statuses[name]["keyspaces"][keyspace] for name in hosting(keyspace)}
        for what in ("delivered", "digest"):
            if any(one[what] != next(iter(held.values()))[what] for one in held.values()):
                yield f"{keyspace}: its hosts differ in {what}"


def _orders(dumps: Dumps, ledger: Ledger) -> Iterator[str]:
    """Each acknowledged order is there as it was sent, and there is none that nobody sent."""
    for name in ("orders-1", "orders-2"):
        held = dumps[name]["orders"]
        for order, told in ledger.orders.items():
            if order not in held:
                yield f"{name}: {order} was acknowledged and is lost"
            elif _said(held[order]) != (told["customer"], told["total"], _goods(told["lines"])):
                yield f"{name}: {order} is not what was ordered"
        for order in held.keys() - ledger.orders.keys() - ledger.unsure.keys():
            yield f"{name}: nobody sent {order}"


def _said(held: dict[str, Any]) -> tuple[Any, ...]:
    lines = {title: (line["qty"], line["price"]) for title, line in held["lines"].items()}
    return held["customer"], held["total"], lines


def _goods(lines: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    return {line["title"]: (line["qty"], line["price"]) for line in lines}


def _sagas(dumps: Dumps) -> Iterator[str]:
    """Each order is completed, sold once and paid, or cancelled, with nothing sold and nothing kept of the money."""
    for name in ("orders-1", "orders-2"):
        held = dumps[name]
        for order in held["open"]:
            yield f"{name}: {order} is open"
        for order, stage in held["saga"].items():
            records = dumps["inventory-1"]["reservations"].get(order, {})
            sold = [one["goods"] for one in records.values() if one["state"] == SOLD]
            money = held["payment"].get(order)
            if stage not in ENDS:
                yield f"{name}: {order} is neither completed nor cancelled but {stage}"
            if stage == COMPLETED and (len(sold) != 1 or money != PAID):
                yield f"{name}: {order} is completed, sold {len(sold)} times, and the money is {money}"
            if stage == CANCELLED and (sold or money == PAID):
                yield f"{name}: {order} is cancelled, sold {len(sold)} times, and the money is {money}"
            if stage == COMPLETED and sold and sold[0] != _qty(held["orders"][order]):
                yield f"{name}: {order} is not what was sold for it"


def _qty(order: dict[str, Any]) -> dict[str, int]:
    return {title: line["qty"] for title, line in order["lines"].items()}


def _stock(dumps: Dumps, staff: Staff) -> Iterator[str]:
    """What was delivered is sold or left, title by title, each delivery booked once."""
    for name in ("inventory-1", "inventory-2"):
        held = dumps[name]
        yield from _parcels(name, held)
        for delivery in staff.delivered.keys() - held["deliveries"].keys():
            yield f"{name}: {delivery} was acknowledged and is lost"
        for delivery in held["deliveries"].keys() - held["booked"].keys():
            yield f"{name}: {delivery} is not booked"
        delivered, sold = Counter[str](), Counter[str]()
        for goods in held["deliveries"].values():
            delivered.update(goods)
        for records in held["reservations"].values():
            for one in records.values():
                if one["state"] == SOLD:
                    sold.update(one["goods"])
        for title in TITLE_NAMES:
            left = held["left"].get(title, 0)
            if left != delivered[title] - sold[title] or left < 0:
                yield f"{name}: {title}: {delivered[title]} delivered, {sold[title]} sold, and {left} left"
            if held["sold"].get(title, 0) != sold[title]:
                yield f"{name}: {title}: {sold[title]} sold, and counted as {held['sold'].get(title, 0)}"
        for holder, orders in held["holds"].items():
            if orders:
                yield f"{name}: {holder} still holds goods for {len(orders)} orders"


def _parcels(name: str, held: dict[str, Any]) -> Iterator[str]:
    """A parcel for each order that was sold, packed by who sold it, and no other."""
    sold = {
        order: {who: one["goods"] for who, one in records.items() if one["state"] == SOLD}
        for order, records in held["reservations"].items()
    }
    packed = {
        order: {who: one["goods"] for who, one in of.items()} for order, of in held["parcels"].items() if of
    }
    for order in sold.keys() | packed.keys():
        if sold.get(order, {}) != packed.get(order, {}):
            yield f"{name}: {order}: {sold.get(order)} was sold and {packed.get(order)} is in parcels"


def _read_models(dumps: Dumps) -> Iterator[str]:
    """The read models are what the orders come to."""
    expected = _expected(dumps["orders-1"])
    for name in ("catalogue-1", "catalogue-2"):
        view = dumps[name]["view"]
        for what, wanted in expected.items():
            found = {key: _shown(value) for key, value in view[what].items()}
            for key in sorted(wanted.keys() | found.keys()):
                if wanted.get(key) != found.get(key):
                    yield f"{name}: {what} {key}: {found.get(key)} is shown, {wanted.get(key)} is true"


def _shown(value: dict[str, Any]) -> dict[str, Any]:
    return {key: sorted(one) if isinstance(one, list) else one for key, one in value.items()}


def _expected(held: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """What a read model must show, made of the orders by plain Python."""
    shown: dict[str, dict[str, dict[str, Any]]] = {
        name: {} for name in ("order", "customer", "title", "minute", "city")
    }
    for order, one in sorted(held["orders"].items()):
        stage, placed = held["saga"][order], one["at"]["placed"]
        goods = {title: line["qty"] for title, line in one["lines"].items()}
        shown["order"][order] = {name: one[name] for name in ("customer", "total", "tax")} | {
            "placed_at": placed,
            "city": one["address"]["city"],
            "stage": stage,
            "goods": goods,
        }
        shown["customer"].setdefault(one["customer"], {"orders": []})["orders"].append(order)
        if stage == COMPLETED:
            _sale(shown, one, goods)
    return shown


def _sale(shown: dict[str, dict[str, dict[str, Any]]], one: dict[str, Any], goods: dict[str, int]) -> None:
    customer = shown["customer"][one["customer"]]
    minute = shown["minute"].setdefault(str(int(one["at"]["placed"]) // 60), {"titles": {}})
    city = shown["city"].setdefault(one["address"]["city"], {})
    for sums in (customer, minute, city):
        _add(sums, completed=1, spent=one["total"], tax=one["tax"])
    _add(customer.setdefault("titles", {}), **goods)
    for title, line in one["lines"].items():
        for titles in (shown["title"], minute["titles"]):
            _add(titles.setdefault(title, {}), sold=line["qty"], revenue=line["qty"] * line["price"])


def _add(to: dict[str, Any], **amounts: int) -> None:
    for name, amount in amounts.items():
        to[name] = to.get(name, 0) + amount


def _carts(dumps: Dumps, ledger: Ledger) -> Iterator[str]:
    """A cart that was left behind holds what was put in, each retry counted once."""
    for name in ("orders-1", "orders-2"):
        for cart, goods in ledger.carts.items():
            if cart in ledger.unsure_carts:
                continue
            held = {title: line.get("qty") for title, line in dumps[name]["carts"].get(cart, {}).items()}
            if held != goods:
                yield f"{name}: {cart} holds {held}, and {goods} were put in"


def _prices(dumps: Dumps, staff: Staff) -> Iterator[str]:
    """Every price that two people set was shown to a person, and is what she picked."""
    if staff.found < staff.contested:
        yield f"{staff.contested} prices were set on both sides, and the review page showed {staff.found}"
    for name in ("catalogue-1", "catalogue-2"):
        for title in dumps[name]["contested"]:
            yield f"{name}: the price of {title} is still contested"
        for title, price in staff.picked.items():
            if title in TITLE_NAMES[40:] and dumps[name]["prices"][title] != price:
                yield f"{name}: {price} was picked for {title}, and it is {dumps[name]['prices'][title]}"


__all__ = ["INSTANCES", "unequal", "wrong"]
