"""Hundreds of new identities in one cluster: what is exchanged and stored of each keyspace stays as large as it was.

The question this answers: *what does a restart in doubt leave behind?* In the end one closed seal in the registry, which
every node keeps, and nothing in any vector that is sent or stored.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from gossamer.crdt import vector
from gossamer.replication import messages
from gossamer.simulation import SimulatedNode
from gossamer.turns import Effect, Send

from .script import Script, script

# More of them take minutes: GOSSAMER_IDENTITIES=300 pytest --timeout 0 -s shows the sizes.
IDENTITIES = int(os.environ.get("GOSSAMER_IDENTITIES", "40"))
BRISK = {"COLLECT_EVERY_S": 0.5, "DIGEST_EVERY_S": 0.5, "SILENCE_S": 1.0}


class Sizes(NamedTuple):
    """Bytes of one keyspace at one node."""

    opened: int
    """Its vectors in the first message of a link."""
    table: int
    """What it tells of the others, all of it."""
    stored: int
    """Its state, which is written with every commit."""
    peers: int
    """What it stores of the others."""
    whole: int
    """What its vector would be, told in full."""


def sizes(run: Script, node: SimulatedNode, keyspace: str) -> Sizes:
    """As they are now: the links are opened anew to see what is said."""
    said: list[messages.Message] = []
    honest = run.cluster._perform

    def perform(sender: SimulatedNode, effects: list[Effect]) -> None:
        if sender is node:
            said.extend(messages.decode(effect.body) for effect in effects if isinstance(effect, Send))
        honest(sender, effects)

    for other in run.nodes:
        other._perform = perform
    for wire in list(run.cluster._wires.values()):
        run.cluster._end(wire)
    run.settle()
    run.wait(3)
    for other in run.nodes:
        other._perform = honest
    opened = max(
        len(m.delivered + m.horizon) for m in said if isinstance(m, messages.Open) and m.keyspace == keyspace
    )
    table = max(
        (sum(len(had) for _, had in m.peers) for m in said if isinstance(m, messages.Tell)),
        default=0,
    )
    with node.core.store.reading() as txn:
        meta = dict(txn.cursor(db=node.core.store._tables[keyspace].meta))
    peers = sum(len(value) for key, value in meta.items() if key.startswith(b"peer:"))
    whole = len(vector.encode(node.core.state(keyspace).delivered))
    return Sizes(opened, table, len(meta[b"state"]), peers, whole)


def test_what_is_exchanged_and_stored_does_not_grow_with_new_identities() -> None:
    with script(3, **BRISK) as run:
        a, _, c = run.nodes
        run.settle()
        for keyspace_write in range(3):
            run.do(a, ("counter:c", "add", keyspace_write + 1))
        run.settle()
        found: list[tuple[int, Sizes, Sizes]] = []
        for made in range(IDENTITIES + 1):
            if made in (8, IDENTITIES):
                run.wait(20)
                run.settle()
                found.append((made, sizes(run, a, "default"), sizes(run, a, "$system")))
            run.cluster.kill(c)
            c.take_new_identity()
            run.cluster.restart(c)
            run.wait(1.0)
            run.do(c, ("counter:c", "add", 1), ("register:r", "set", made))
            run.wait(2.0)
        for made, default, system in found:
            print(f"after {made} identities: default {default}, $system {system}")
        (_, first, first_system), (_, last, last_system) = found
        assert last.whole > 3 * first.whole, "else nothing was tried"
        for then, now in ((first, last), (first_system, last_system)):
            assert now.opened <= then.opened + 16
            assert now.table <= then.table + 16
            assert now.stored <= then.stored + 16
            assert now.peers <= then.peers + 16
        registry = a.core.engine.registry
        assert len(registry.closed) >= IDENTITIES
        assert all(
            not seal.silent and not seal.answers for r, seal in registry.seals.items() if r in registry.closed
        )
        assert registry.estate(c.core.replica) >= registry.closed
        assert a.counter("c").value() == 6 + IDENTITIES + 1
        joiner = run.cluster.add()
        run.settle()
        run.wait(10)
        assert joiner.core.engine.registry.closed >= registry.closed
        assert sizes(run, joiner, "default").opened <= last.opened + 48
