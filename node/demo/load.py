"""The writes of the demonstration, and the count of those that were acknowledged.

What must be there in the end? Every addition that was acknowledged, once; so the totals are known exactly.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .process import NodeProcess

CONTESTED = "sku-contested"
"""The element that one side removes while the other adds it."""


class Load:
    """Any thread may write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sold = 0
        """The sum of all acknowledged additions."""
        self.items = 0
        """The same for the cart's counter."""
        self.skus: set[str] = set()
        """The elements that must be in."""

    def burst(self, nodes: Sequence[NodeProcess], times: int) -> None:
        """So many additions on each of the nodes, all at once, with an element, a note and a cart for each."""
        with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
            list(pool.map(lambda node: self._burst(node, times), nodes))

    def _burst(self, node: NodeProcess, times: int) -> None:
        for _ in range(times):
            self.sell(node, 1)
        self.note(node, f"written on {node.name} at {self.sold}")
        self.stock(node, f"sku-{node.name}")
        self.put(node, times)

    def sell(self, node: NodeProcess, n: int) -> None:
        """Add to the counter."""
        node.client.counter("sold").add(n)
        with self._lock:
            self.sold += n

    def put(self, node: NodeProcess, n: int) -> None:
        """Add to a counter and a register inside a map, in one transaction."""
        with node.client.transaction() as tx:
            tx.map("cart:42").counter("items").add(n)
            tx.map("cart:42").register("touched by").set(node.name)
        with self._lock:
            self.items += n

    def stock(self, node: NodeProcess, sku: str) -> None:
        """Add an element."""
        node.client.set("skus").add(sku)
        with self._lock:
            self.skus.add(sku)

    def note(self, node: NodeProcess, text: str) -> None:
        """Set the register; of concurrent writes one stands, and the others are still to be seen beside it."""
        node.client.register("note").set(text)

    def contest(self, remover: NodeProcess, adder: NodeProcess) -> None:
        """Remove an element here and add it there, neither knowing of the other: the add wins."""
        remover.client.set("skus").discard(CONTESTED)
        self.stock(adder, CONTESTED)
