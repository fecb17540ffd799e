"""Bits flip in the file of a real node: what it cannot read it says, and gets back from the others."""

from __future__ import annotations

from pathlib import Path

import gossamer

from .process import Serve
from .trio import Trio
from .waiting import until

HEALED_S = 20.0
CELLS = 40


def value_of(n: int) -> str:
    return f"the value number {n:04}"


def flip(data: Path, n: int) -> None:
    """One bit of each place in the file where a value stands; pages that are not in use any more among them."""
    file = data / "store" / "data.mdb"
    content = bytearray(file.read_bytes())
    at = content.find(value_of(n).encode())
    assert at >= 0
    while at >= 0:
        content[at + 5] ^= 1
        at = content.find(value_of(n).encode(), at + 1)
    with file.open("r+b") as handle:  # in place, as a disk does it
        handle.write(content)


def unread(node: Serve) -> str:
    """What is damaged, or is not what was written."""
    wrong = []
    for n in range(CELLS):
        try:
            found = node.client.register(f"r{n}").get()
        except gossamer.Damaged as error:
            wrong.append(str(error))
        else:
            assert found == value_of(n), "corrupt is neither absent nor another value"
    return ", ".join(wrong)


def test_flipped_bits_are_said_and_healed(trio: Trio) -> None:
    node = trio.nodes["c"]
    for n in range(CELLS):
        trio.nodes["a"].client.register(f"r{n}").set(value_of(n))
    trio.equal(HEALED_S)
    node.kill()
    for n in (0, 7, 8, 39):
        flip(node.data, n)
    trio.nodes["a"].client.register("meanwhile").set(1)
    trio.start("c")
    until(lambda: unread(node), HEALED_S)
    trio.equal(HEALED_S)
    status = node.client.status()
    assert status["damaged"] == []
    until(lambda: "" if digest_is_known(node) else "the digest is not counted yet", HEALED_S)
    trio.equal(HEALED_S)
    assert node.client.status()["keyspaces"]["default"]["healed"] == 4
    assert node.client.status()["keyspaces"]["default"]["digest_mismatches"] == 0
    assert "was damaged, and is now as member" in node.log


def digest_is_known(node: Serve) -> bool:
    return bool(node.client.status()["keyspaces"]["default"]["digest_is_known"])
