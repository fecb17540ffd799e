"""A node of a simulated cluster: the real engine over a real store, without threads and sockets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gossamer.crdt import Cell, Dot

from .. import waiting
from ..backend import Change, Op
from ..beaten import Record
from ..changing import ChangeFailed, Changing, check_outside
from ..documents import binding
from ..documents.schema import Schema
from ..errors import Closed, OnlyCopy, WaitTimeout
from ..feed import Feeds, Wanted
from ..handles import Keyspace
from ..handles.conflicts import Ledgers, Verb, listed
from ..handles.resolvers import Resolvers
from ..limits import DROP_TIMEOUT_S, LEAVE_TIMEOUT_S, OP_WINDOW_S
from ..notices import Listener, Notices
from ..replica import DEFAULT, Replica
from ..replication.engine import Identity
from ..store import Store
from ..store.ledger import BOUNDS
from ..turns import Effect, FeedInput, Input, Instant, Kept, Result, Settle, Tick, Update, Write
from ..waiting import Wait

MAP_BYTES = 256 * 1024 * 1024
PAGE_CELLS = 100


class SimulatedNode(Keyspace):
    """A node's handles, in simulated time. Writes commit at once; they reach others as the clock moves on.

    What waits for a token, for copies or to be fresh lets the time pass, as far as it takes and up to its timeout. It
    stands still for one who follows: watches and subscriptions end with what there is, and go on when they are
    iterated again after the clock has moved.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        rng: random.Random,
        clock: Callable[[], Instant],
        perform: Callable[[SimulatedNode, list[Effect]], None],
        step: Callable[[], bool],
        keyspaces: Sequence[str],
        peers: Sequence[str],
        pass_until: Callable[[Callable[[], bool], float], None],
        durability: str = "commit",
        op_window_s: float = OP_WINDOW_S,
    ) -> None:
        super().__init__(self, DEFAULT)
        self._name = name
        self.directory = directory
        self.keyspaces = tuple(keyspaces)
        self.read_only: tuple[str, ...] = ()
        """Keyspaces that it hosts and only reads, from its next start on."""
        self.peers = tuple(peers)
        self.op_window_s = op_window_s
        self._rng, self._clock, self._perform, self._step = rng, clock, perform, step
        self.settled: dict[int, Result] = {}
        """Writes that were kept for a while: the id of each -> its outcome."""
        self.durability = durability
        self._rng, self._clock, self._perform, self._pass_until = rng, clock, perform, pass_until
        self._core: Replica | None = None
        self.bound: set[tuple[str, type]] = set()
        self.resolvers = Resolvers()
        self.bounds = BOUNDS
        """How many notes of beaten values it keeps, and for how long."""
        self._notices: Notices | None = None
        self._identity: tuple[bytes, list[bytes]] = (rng.randbytes(8), [])

    @property
    def name(self) -> str:
        """The member's name."""
        return self._name

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._core is not None

    @property
    def core(self) -> Replica:
        """The running replica. `Closed` if the node was killed."""
        if self._core is None:
            raise Closed(f"node {self.name} is not running")
        return self._core

    def start(self) -> None:
        """Open the store, as it was left."""
        self.bound.clear()
        self.resolvers = Resolvers()
        self._notices = None
        self.directory.mkdir(parents=True, exist_ok=True)
        store = Store(self.directory, map_bytes=MAP_BYTES, sync=False)
        store.bound_ledgers(self.bounds)
        replica, old = self._identity
        identity = Identity(
            replica, self._rng.randbytes(8), self.name, self.name, "simulated", self.durability
        )
        self._core = Replica(
            store,
            identity,
            self.keyspaces,
            peers=self.peers,
            old_ids=old,
            new_id=lambda: self._rng.randbytes(8),
            on_new_id=self._keep_identity,
            read_only=self.read_only,
            op_window_s=self.op_window_s,
        )
        self._feeds = Feeds(
            self._core,
            self._ask,
            self._aask,
            _no_check,
            _no_check,
            lambda: self._clock().mono,
            self.resolvers,
            adjust=_no_wait,
        )

    def _keep_identity(self, replica: bytes, old: list[bytes], _reason: str) -> None:
        self._identity = (replica, list(old))

    def take_new_identity(self) -> None:
        """What opening a directory in doubt does: go on as another replica. Only while it is not running."""
        replica, old = self._identity
        self._identity = (self._rng.randbytes(8), [*old, replica])

    def stop(self) -> None:
        """End it at once: what was not committed is gone."""
        core, self._core = self.core, None
        core.hub.close()
        core.close()

    def turn(self, inputs: Sequence[Input], *, is_last: bool = False) -> list[Any]:
        """One turn, and then all that it wants sent; with ``is_last`` the node dies between the two."""
        results = self.core.turn(inputs, self._clock())
        if self._notices is not None:
            self._notices.tell()
        self.settled |= {id(write): outcome for write, outcome in self.core.take_settled()}
        if is_last:
            self.stop()
        else:
            self.flush()
        return results

    def flush(self) -> None:
        """Send what there is to send."""
        has_more = True
        while has_more and self._core is not None:
            now = self._clock()
            effects = self._core.outbox(now)
            has_more = bool(effects) and self._core.wake_at <= now.mono
            self._perform(self, effects)

    def tick(self) -> None:
        """Upkeep, and whatever waited for the time."""
        self.turn([Tick()])

    # Backend

    def now(self) -> int:
        return self._clock().wall

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        return self.core.cell(keyspace, cell_path)

    def scan(self, keyspace: str, prefix: bytes) -> Iterator[tuple[bytes, Cell]]:
        after: bytes | None = None
        while page := self.core.page(keyspace, prefix, after, PAGE_CELLS):
            yield from page
            after = page[-1][0]

    def write(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        return self._own(Write(keyspace, ops, op_id=op_id))

    def update(self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None) -> Dot | None:
        changing = Changing(change)
        try:
            return self._own(Update(keyspace, cell_path, changing, op_id))
        except ChangeFailed:
            raise changing.raised() from None

    def _own(self, one: Write | Update | Settle) -> Dot | None:
        check_outside()
        result: Dot | Kept | Exception | None = self.turn([one])[0]
        while isinstance(result, Kept):
            if id(one) in self.settled:
                result = self.settled.pop(id(one))
            elif not (self.is_alive and self._step()):
                raise Closed(f"node {self.name} is not running")
        if isinstance(result, Exception):
            raise result
        return result

    def write_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        """`write`; while it waits, simulated time goes on, up to ``wait`` seconds."""
        return self._own(Write(keyspace, ops, wait, op_id))

    def estate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        return self.core.estate(keyspace, member)

    async def acell(self, keyspace: str, cell_path: bytes) -> Cell:
        return self.cell(keyspace, cell_path)

    async def ascan(self, keyspace: str, prefix: bytes) -> list[tuple[bytes, Cell]]:
        return list(self.scan(keyspace, prefix))

    async def awrite(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        return self.write(keyspace, ops, op_id)

    async def aupdate(
        self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None
    ) -> Dot | None:
        return self.update(keyspace, cell_path, change, op_id)

    async def awrite_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        return self.write_within(keyspace, ops, wait, op_id)

    async def aestate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        return self.estate(keyspace, member)

    def bind(self, keyspace: str, schema: Schema) -> None:
        binding.bind(self.cell, self.write, keyspace, schema)

    async def abind(self, keyspace: str, schema: Schema) -> None:
        self.bind(keyspace, schema)

    @property
    def feeds(self) -> Feeds:
        """Its feeds, as a backend has them."""
        assert self.core is not None
        return self._feeds

    def _ask(self, what: FeedInput) -> Any:
        result = self.turn([what])[0]
        if isinstance(result, Exception):
            raise result
        return result

    async def _aask(self, what: FeedInput) -> Any:
        return self._ask(what)

    def make_token(self, keyspace: str, dot: Dot | None = None) -> str:
        return self.core.token(keyspace, dot) or self.core.short_token(keyspace)

    async def amake_token(self, keyspace: str, dot: Dot | None = None) -> str:
        return self.make_token(keyspace, dot)

    def wait_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        check_outside()
        waiting.check(wait)
        waiting.check_timeout(timeout)
        why: list[str | None] = []

        def is_over() -> bool:
            why[:] = [self.core.lacks(keyspace, wait, self._clock())]
            self.flush()  # it may have something to ask
            return why[0] is None

        self._pass_until(is_over, timeout)
        if why[0] is not None:
            raise waiting.too_late(wait, keyspace, timeout, why[0])

    async def await_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        self.wait_until(keyspace, wait, timeout)

    @property
    def _ledgers(self) -> Ledgers:
        return self

    def explanation(self, keyspace: str, cell_path: bytes) -> dict[str, Any]:
        return self.core.explain(keyspace, cell_path, self._clock())

    async def aexplanation(self, keyspace: str, cell_path: bytes) -> dict[str, Any]:
        return self.explanation(keyspace, cell_path)

    def notes(
        self, keyspace: str, prefix: str, limit: int, before: int | None, settled: bool
    ) -> list[tuple[int, Record]]:
        return listed(partial(self.core.notes, keyspace), prefix, limit, before, settled)

    async def anotes(
        self, keyspace: str, prefix: str, limit: int, before: int | None, settled: bool
    ) -> list[tuple[int, Record]]:
        return self.notes(keyspace, prefix, limit, before, settled)

    def settle(self, keyspace: str, number: int, dot: Dot, verb: Verb, force: bool) -> Dot | None:
        return self._own(Settle(keyspace, number, dot, verb, force))

    async def asettle(self, keyspace: str, number: int, dot: Dot, verb: Verb, force: bool) -> Dot | None:
        return self.settle(keyspace, number, dot, verb, force)

    # Beside the handles

    def on_conflict(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` after each turn with the conflicts that it noted, until the node is killed."""
        if self._notices is None:
            self._notices = Notices(self.core)
        return self._notices.add(listener)

    def keyspace(self, name: str) -> Keyspace:
        """The handles of another keyspace, which this node hosts from now on."""
        if name not in self.keyspaces:
            self.keyspaces = (*self.keyspaces, name)
            self.core.host(name)
            self.flush()
        return Keyspace(self, name)

    def drop_keyspace(self, name: str, *, force: bool = False, timeout: float = DROP_TIMEOUT_S) -> None:
        """Let go of a keyspace; simulated time passes until other hosts have all of it. `OnlyCopy` if they do not."""
        self.core.leave(name, force)
        deadline = self._clock().mono + timeout
        self.flush()
        while self.core.hosts(name) and self._clock().mono < deadline and self._step():
            pass
        self._gone(name, self.core.stay(name))

    async def adrop_keyspace(
        self, name: str, *, force: bool = False, timeout: float = DROP_TIMEOUT_S
    ) -> None:
        """`drop_keyspace`, for async code."""
        self.drop_keyspace(name, force=force, timeout=timeout)

    def leave(self, timeout: float = LEAVE_TIMEOUT_S) -> None:
        """Leave the cluster for good; simulated time passes until others have all of it. `WaitTimeout` if they do not."""
        self.core.depart()
        self.flush()
        self._pass_until(lambda: self.core.lacks_to_go() is None, timeout)
        why_not = self.core.remain()
        if why_not is not None:
            raise WaitTimeout(f"the node has not left within {timeout:g} s: {why_not}")

    async def aleave(self, timeout: float = LEAVE_TIMEOUT_S) -> None:
        """`leave`, for async code."""
        self.leave(timeout)

    def _gone(self, name: str, why_not: str) -> None:
        if why_not:
            raise OnlyCopy(why_not)
        self.keyspaces = tuple(kept for kept in self.keyspaces if kept != name)

    def status(self) -> dict[str, Any]:
        """A plain snapshot, as a real node's."""
        return self.core.status(self._clock())

    def __repr__(self) -> str:
        return f"<node {self.name}{'' if self.is_alive else ' (down)'}>"


def _no_check() -> None:
    """A node that runs can be read and written."""


def _no_wait(wanted: Wanted) -> Wanted:
    return wanted._replace(timeout=0.0)
