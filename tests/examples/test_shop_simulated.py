"""Do the shop's own steps come out right on a simulated cluster, where a split of a minute takes milliseconds?

The fixture ``gossamer_cluster`` is of Gossamer's pytest plugin. What runs is the services' code, without HTTP.
"""

from __future__ import annotations

from typing import Any, cast

from examples.shop.load.buyers import address
from examples.shop.services import catalogue, inventory, orders, quotes
from examples.shop.services.instance import Instance
from examples.shop.services.model import CANCELLED, COMPLETED, PAID, RELEASED, SOLD
from examples.shop.services.setting import Setting
from gossamer import Node
from gossamer.testing import Cluster, ClusterFactory

TITLE, ORDER, HOLD_S = "cd-000", "order-1", 30.0
NAMES = ("orders-1", "inventory-1", "catalogue-1", "orders-2", "inventory-2", "catalogue-2")


class Shop:
    """The six instances on the nodes of a cluster."""

    def __init__(self, made: ClusterFactory) -> None:
        keyspaces = ("orders", "carts", "stock", "catalogue", "view-1", "view-2")
        self.cluster: Cluster = made(len(NAMES), keyspaces=keyspaces)
        self.nodes = dict(zip(NAMES, self.cluster.nodes, strict=True))
        self.instances = {name: self._instance(name) for name in NAMES}
        self.cluster.advance(3)  # they have met

    def _instance(self, name: str) -> Instance:
        setting = Setting(
            instance=name,
            data="",
            listen="",
            peers=[],
            http_port=0,
            takeover_s=-1.0,
            hold_s=HOLD_S,
            reject_s=-1.0,
        )
        return Instance(setting, cast(Node, self.nodes[name]))

    def split(self) -> None:
        """The instances of number 1 from those of number 2."""
        halves = [[node for name, node in self.nodes.items() if name.endswith(number)] for number in "12"]
        self.cluster.partition(*halves)
        self.cluster.advance(3)

    def stock(self, count: int) -> None:
        """So many on the shelves, with rights on both sides."""
        self.nodes["inventory-1"].keyspace("stock").bounded_counter(TITLE).mint(count)
        self.cluster.advance(3)

    async def place(self, name: str) -> None:
        """Order two."""
        line = orders.OrderLine(title=TITLE, name="a CD", qty=2, price=500, quote=quotes.sign(TITLE, 500))
        body = orders.Order(
            customer="7", address=orders.Address(**address("7")), cart="cart-1", ordered_at=1.0, lines=[line]
        )
        await orders._place(self.instances[name], ORDER, body, within_s=5.0)

    async def rounds(self, *names: str) -> None:
        """Some rounds of everybody's steps."""
        for _ in range(6):
            for name in names or NAMES:
                here = self.instances[name]
                settle = {
                    "orders": orders.settle,
                    "inventory": inventory.settle,
                    "catalogue": catalogue.project,
                }
                await settle[name.partition("-")[0]](here, {ORDER})
            self.cluster.advance(0.5)

    def stage(self, name: str) -> str:
        """How far the order is."""
        saga: dict[str, Any] = self.nodes[name].keyspace("orders").map("saga").register(ORDER).get()
        return str(saga["stage"])

    def states(self) -> list[str]:
        """What the inventory instances have done for it, in the order of their names."""
        records = self.nodes["inventory-1"].keyspace("stock").map("reservation").map(ORDER).value()
        return [records[name]["state"] for name in sorted(records)]

    def money(self) -> str:
        """What became of the payment."""
        return str(
            self.nodes["orders-1"].keyspace("orders").map("payment").map(ORDER).register("state").get()
        )

    def left(self) -> int:
        """What is on the shelves."""
        return self.nodes["inventory-2"].keyspace("stock").bounded_counter(TITLE).value()

    def shown(self, number: str) -> dict[str, Any]:
        """What a read model says of the customer."""
        view = self.nodes[f"catalogue-{number}"].keyspace(f"view-{number}")
        return view.map("customer").map("7").value()


async def test_one_order_that_both_halves_of_a_split_sell_is_sold_once(
    gossamer_cluster: ClusterFactory,
) -> None:
    shop = Shop(gossamer_cluster)
    shop.stock(60)  # the rights are shared by all six here, which all host everything
    shop.split()
    await shop.place("orders-1")
    await shop.place("orders-2")  # the client heard nothing, and asked the other one
    await shop.rounds()
    assert (shop.stage("orders-1"), shop.stage("orders-2")) == (COMPLETED, COMPLETED)
    shop.cluster.heal()
    shop.cluster.settle()
    assert shop.states() == [SOLD, SOLD]
    assert shop.left() == 56
    await shop.rounds()
    assert shop.states() == [SOLD, RELEASED]
    assert (shop.left(), shop.money()) == (58, PAID)
    for number in "12":
        assert shop.shown(number)["completed"] == 1
        assert shop.shown(number)["spent"] == 1000


async def test_a_reservation_that_nobody_pays_for_expires_and_the_order_is_cancelled(
    gossamer_cluster: ClusterFactory,
) -> None:
    shop = Shop(gossamer_cluster)
    shop.stock(10)
    await shop.place("orders-1")
    shop.cluster.settle()
    await shop.rounds("inventory-1")
    assert shop.left() == 8
    shop.cluster.advance(HOLD_S + 1)
    await shop.rounds()
    assert shop.states() == [RELEASED]
    assert (shop.stage("orders-2"), shop.left()) == (CANCELLED, 10)


async def test_more_than_there_is_is_not_sold_on_either_side(gossamer_cluster: ClusterFactory) -> None:
    shop = Shop(gossamer_cluster)
    shop.stock(3)
    shop.split()
    await shop.place("orders-1")
    await shop.place("orders-2")
    await shop.rounds()
    shop.cluster.heal()
    shop.cluster.settle()
    await shop.rounds()
    assert shop.left() in (1, 3)
    assert (shop.stage("orders-1") == COMPLETED) == (shop.left() == 1)
