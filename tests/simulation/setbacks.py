"""Random schedules in which all members at once go back to older states, while others are being sent everything.

What a joiner has then been sent in part may exist nowhere any more. Rare in ``swarm``: one schedule of 17,000.
"""

from __future__ import annotations

from unittest.mock import patch

from gossamer.crdt import Dot, Vector, vector
from gossamer.replication.link import Link, Shared
from gossamer.replication.orphans import Orphans
from gossamer.replication.state import State

from .invariants import KEYSPACE
from .schedule import Action, Outcome
from .swarm import Swarm

SHORT_S = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05)


class Setbacks(Swarm):
    """Mostly joins, backups of all and restores of all."""

    silence_s = (
        1000.0  # a backup that is older than a seal has what the others gave up, and keeps it to itself
    )

    def __init__(self, seed: int, steps: int | None = None) -> None:
        super().__init__(seed, steps)
        more: list[Action] = [
            (self.back_up_all, 4),
            (self.long_pause, 4),
            (self.join_and_go_back, 6),
            (self.set_all_back, 3),
            (self.power_cut, 2),
        ]
        self.actions += [(what, weight) for what, weight in more if self.rng.random() < 0.9]

    def back_up_all(self) -> None:
        self.note("back up all", "backup of all")
        self.backups += [(node, self._copy(node)) for node in self.alive()]

    def join_and_go_back(self) -> None:
        """A node joins, or a copy does, and before it has everything all others are set back."""
        if len(self.cluster.nodes) >= 5:
            return
        if self.rng.random() < 0.5:
            self.join()
        else:
            self.start_copy()
        self._pass_a_moment()
        if self.rng.random() < 0.5:
            self.write()
            self._pass_a_moment()
        if self.rng.random() < 0.3:
            self.partition()
        self.set_all_back()

    def set_all_back(self) -> None:
        """Each node of which there is a backup goes back to one, a moment after the other."""
        for node in list(self.cluster.nodes):
            kept = [folder for origin, folder in self.backups if origin is node]
            if kept and node.name not in self.forgotten and self.rng.random() < 0.9:
                self.note(f"restore {node.name}", "backup restored")
                if node.is_alive:
                    self.cluster.kill(node)
                self._put_back(node, self.rng.choice(kept))
                if self.rng.random() < 0.2:
                    self._pass_a_moment()

    def _pass_a_moment(self) -> None:
        short_s = self.rng.choice(SHORT_S)
        self.note(f"{short_s} s pass", "moment")
        self.cluster.advance(short_s)

    def run(self) -> Outcome:
        began = Orphans.begin

        def begin(one: Orphans, state: State, link: Link, shared: Shared) -> None:
            began(one, state, link, shared)
            assert state.bootstrap is not None
            self.outcome.count(f"cells of {'data' if shared.name == KEYSPACE else 'the registry'} replaced")
            kept = state.delivered.minus(vector.decode(state.bootstrap.vector))
            if any(replica != one._engine.identity.replica for replica in kept.replicas()):
                self._begin_doubting(shared.name)
            if shared.name == KEYSPACE:
                self._given_up(one, kept)

        with patch.object(Orphans, "begin", begin):
            return super().run()

    def _begin_doubting(self, keyspace: str) -> None:
        """Events of others stay here without what they had superseded, and another who waits may have them with it.

        Then the two differ until their digests have been compared, and one has sent the other everything.
        """
        self.outcome.count("events of others kept")
        if keyspace == KEYSPACE:
            self.invariants.checks_values = False
        settled = self.cluster.is_settled

        def is_settled() -> bool:
            try:
                return settled()
            except AssertionError:
                return False

        self.cluster.is_settled = is_settled  # type: ignore[method-assign]

    def _given_up(self, one: Orphans, kept: Vector) -> None:
        (node,) = [node for node in self.alive() if node.core.engine.orphans is one]

        def live_at(cell_path: bytes) -> set[Dot]:
            with node.core.store.snapshot() as views:
                return {(entry.replica, entry.seq) for entry in views(KEYSPACE).cell(cell_path).live}

        self.oracle.rebase(kept, live_at)
