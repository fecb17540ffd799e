"""What type checkers make of a document: checked by ``make lint``, and by `test_typing` with mypy alone.

Each ``type: ignore`` stands on a mistake: mypy says so if there is none, since it reports those that are not needed.
"""

from __future__ import annotations

from collections.abc import MutableSet
from typing import Any, Literal, assert_type

import msgspec

import gossamer
from gossamer import Counter, Document, Flag, MapOf, MaxRegister, MVRegister, Register, Set, field
from gossamer.testing import Cluster


class AddressData(msgspec.Struct, frozen=True):
    street: str
    zip: str | None


class CartData(msgspec.Struct, frozen=True):
    note: str
    items: int
    skus: frozenset[str]
    paid: bool
    address: AddressData
    lines: dict[str, int]
    best: int
    ideas: list[str]


class Address(Document[AddressData]):
    street: Register[str] = field(default="")
    zip: Register[str | None]


class Cart(Document[CartData], version=2):
    note: Register[str] = field(default="")
    items: Counter
    skus: Set[str]
    paid: Flag = field(policy="disable-wins")
    address: Address
    lines: MapOf[Counter]
    best: MaxRegister[int] = field(default=0)
    ideas: MVRegister[str]


class Plain(Document):
    state: Register[Literal["on", "off"]] = field(default="off")
    carts: MapOf[Cart]


def reads(node: gossamer.Node, client: gossamer.Keyspace) -> None:
    cart = node.document(Cart, "cart:42")
    assert_type(cart, Cart)
    assert_type(cart.note.get(), str)
    assert_type(cart.note.get(None), str | None)
    assert_type(cart.note.read().value, str)
    assert_type(cart.note.siblings()[0].value, str)
    assert_type(cart.note.update(str.upper), str)
    assert_type(cart.items.value(), int)
    assert_type(cart.best.get(), int)
    assert_type(cart.ideas.values(), list[str])
    assert_type(cart.address.zip.get(), str | None)
    assert_type(cart.lines["sku-1"], Counter)
    assert_type(cart.lines.value(), dict[str, int])
    assert_type(cart.value(), CartData)
    assert_type(cart.value().address.zip, str | None)
    assert_type(cart.skus.value(), frozenset[str])
    as_a_set: MutableSet[str] = cart.skus
    for sku in as_a_set:
        assert_type(sku, str)
    assert_type(client.document(Plain, "p").state.get(), Literal["on", "off"])
    assert_type(client.document(Plain, "p").carts.value(), dict[str, CartData])
    assert_type(client.document(Plain, "p").value(), Any)
    assert_type(node.register("untyped").get(), Any)
    with node.transaction() as tx:
        assert_type(tx.document(Cart, "cart:42").note.get(), str)


async def awaits(node: gossamer.Node) -> None:
    cart = await node.adocument(Cart, "cart:42")
    assert_type(await cart.note.aget(), str)
    assert_type(await cart.avalue(), CartData)
    async for sku in cart.skus:
        assert_type(sku, str)


def simulated(cluster: Cluster) -> None:
    assert_type(cluster.nodes[0].document(Cart, "cart:42").note.get(), str)


def mistakes(node: gossamer.Node) -> None:
    cart = node.document(Cart, "cart:42")
    cart.note.set(5)  # type: ignore[arg-type]
    cart.note.update(len)  # type: ignore[arg-type]
    cart.note = "x"  # type: ignore[assignment]
    cart.skus.add(5)  # type: ignore[arg-type]
    cart.items.add("x")  # type: ignore[arg-type]
    cart.best.set("x")  # type: ignore[arg-type]
    cart.ideas.resolve(5)  # type: ignore[arg-type]
    cart.lines["sku-1"].set(5)  # type: ignore[attr-defined]
    cart.missing.get()  # type: ignore[attr-defined]
    cart.value().note = "x"  # type: ignore[misc]
    node.document(CartData, "x")  # type: ignore[type-var]
    node.document(Plain, "p").state.set("up")  # type: ignore[arg-type]


class Wrong(Document):
    """Never used: a wrong default is found without running it; running it, it is found at once."""

    if not __debug__:
        note: Register[str] = field(default=3)  # type: ignore[arg-type]
        skus: Set[str] = field(default="x")  # type: ignore[assignment]
