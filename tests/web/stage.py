"""Three real nodes with something to see: concurrent writes, a member that is away, and one that lacks events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gossamer
from gossamer import Node

from ..rpc.standin import DEADLINE_S, free_port

NAMES = ("orders-1", "orders-2", "stock-1")
CHROMIUM = "/usr/bin/chromium"


@contextmanager
def staged(where: Path, names: Sequence[str] = NAMES, keyspace: str = "stock") -> Iterator[Node]:
    """The first of three nodes. The third wrote while it was cut off, came, and went away again."""
    third: dict[str, Any] = {
        "name": names[2],
        "listen": f"127.0.0.1:{free_port()}",
        "keyspaces": [keyspace],
    }
    with gossamer.open(where / "c", **third) as alone:
        for sku in ("tea", "salt", "tea"):
            alone.map("price").register(sku).set("written apart")
        alone.register("note").set("from the third")
    with (
        gossamer.open(
            where / "a", name=names[0], keyspaces=[keyspace], listen=f"127.0.0.1:{free_port()}"
        ) as a,
        gossamer.open(
            where / "b",
            name=names[1],
            listen=f"127.0.0.1:{free_port()}",
            keyspaces=[keyspace],
            peers=[str(a.address)],
        ) as b,
    ):
        for sku in ("tea", "salt"):
            a.map("price").register(sku).set("written here")
        a.register("note").set("from the first")
        a.counter("sold").add(3)
        a.keyspace(keyspace).set("skus").update(["tea", "salt", "pepper"])
        with gossamer.open(where / "c", peers=[str(a.address)], **third) as c:
            for name in ("default", keyspace):
                for one, other in ((a, c), (c, a), (b, a), (a, b)):
                    other.keyspace(name).wait_for(one.keyspace(name).token(), timeout=DEADLINE_S)
            a.wait_replicated(a.token(), peers=2, timeout=DEADLINE_S)
        a.counter("sold").add(4)
        a.wait_replicated(a.token(), peers=1, timeout=DEADLINE_S)
        yield a
