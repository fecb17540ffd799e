"""A client that is closed between a call's look whether it is and the call itself says that it is closed, and nothing of gRPC's."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import gossamer
from gossamer import Client, Closed
from gossamer.rpc.remote import RemoteBackend

CALLS: dict[str, Callable[[Client], Any]] = {
    "read": lambda client: client.counter("sold").value(),
    "write": lambda client: client.counter("sold").add(1),
    "awaited": lambda client: asyncio.run(client.counter("sold").avalue()),
    "awaited write": lambda client: asyncio.run(client.counter("sold").aadd(1)),
    "scan": lambda client: client.map("m").value(),
    "watch": lambda client: next(iter(client.watch("*"))),
    "status": lambda client: client.status(),
    "conflicts": lambda client: client.conflicts(),
}


@pytest.mark.parametrize("call", CALLS)
def test_closed_in_between(call: str, tmp_path: Path) -> None:
    with gossamer.open(tmp_path / "a", listen="127.0.0.1:0") as node:
        assert node.address is not None
        with gossamer.connect(node.address) as client:

            def close_after_the_look(frame: FrameType, event: str, _: object) -> None:
                if event == "return" and frame.f_code is RemoteBackend.check.__code__:
                    sys.setprofile(None)
                    client.close()

            sys.setprofile(close_after_the_look)
            try:
                with pytest.raises(Closed):
                    CALLS[call](client)
            finally:
                sys.setprofile(None)
