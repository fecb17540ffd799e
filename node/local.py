"""The node in this process as a backend: reads in the calling thread, writes through the writer thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

from gossamer.crdt import Cell, Dot

from . import admin, waiting
from .backend import Change, Op
from .beaten import Record
from .changing import ChangeFailed, Changing
from .documents import binding
from .documents.schema import Schema
from .feed import Feeds
from .handles import conflicts as ledgers
from .handles.conflicts import Verb
from .handles.resolvers import Resolvers
from .limits import DROP_TIMEOUT_S, LEAVE_TIMEOUT_S, PAGE_BYTES, PAGE_CELLS, SETTLE_S_MAX
from .parting import Parting
from .replication.registry import SYSTEM
from .store.store import payload_bytes
from .turns import Attempt, Core, Effect, FeedInput, Instant, Settle, Update, Write
from .until import auntil, until
from .waiting import Covered, Wait
from .writer import Writer


class LocalBackend:
    """A core and its writer. Any thread, any event loop; `Closed` once it is closed."""

    def __init__(
        self, core: Core, clock: Callable[[], Instant], dispatch: Callable[[Sequence[Effect]], None]
    ) -> None:
        self.core, self._clock = core, clock
        self.writer = Writer(core, clock, dispatch)
        self._hosted: set[str] = set()
        self.parting = Parting(core, self.writer, self._hosted.discard)
        self.bound: set[tuple[str, type]] = set()
        self.resolvers = Resolvers()
        self.feeds = Feeds(
            core,
            self._perform,
            self._aperform,
            self.writer.check_open,
            self.writer.check,
            lambda: clock().mono,
            self.resolvers,
        )
        self._clock = clock

    def now(self) -> int:
        return self._clock().wall

    def instant(self) -> Instant:
        """This moment, by both clocks."""
        return self._clock()

    @property
    def replica(self) -> bytes:
        """The node's replica id now."""
        return self.core.replica

    def cell(self, keyspace: str, cell_path: bytes) -> Cell:
        self.writer.check_open()
        try:
            return self.core.cell(keyspace, cell_path)
        except KeyError:
            raise _not_hosted(keyspace) from None

    async def acell(self, keyspace: str, cell_path: bytes) -> Cell:
        # In the loop: a read costs microseconds, a hop to another thread a hundred.
        return self.cell(keyspace, cell_path)

    def scan(self, keyspace: str, prefix: bytes) -> Iterator[tuple[bytes, Cell]]:
        after: bytes | None = None
        while True:
            self.writer.check_open()
            try:
                page = self.core.page(keyspace, prefix, after, PAGE_CELLS, PAGE_BYTES)
            except KeyError:
                raise _not_hosted(keyspace) from None
            yield from page
            if len(page) < PAGE_CELLS and sum(payload_bytes(cell) for _, cell in page) < PAGE_BYTES:
                return
            after = page[-1][0]

    async def ascan(self, keyspace: str, prefix: bytes) -> list[tuple[bytes, Cell]]:
        return list(self.scan(keyspace, prefix))

    def write(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        return self.write_within(keyspace, ops, 0.0, op_id)

    async def awrite(self, keyspace: str, ops: Sequence[Op], op_id: str | None = None) -> Dot | None:
        return await self.awrite_within(keyspace, ops, 0.0, op_id)

    def write_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        ticket = self.writer.submit(Write(_writable(keyspace), ops, wait, op_id))
        try:
            return cast(Dot | None, ticket.result(wait + SETTLE_S_MAX))
        except KeyError:
            raise _not_hosted(keyspace) from None

    async def awrite_within(
        self, keyspace: str, ops: Sequence[Op], wait: float, op_id: str | None = None
    ) -> Dot | None:
        return await self._awrite(Write(_writable(keyspace), ops, wait, op_id))

    async def aattempt(self, keyspace: str, ops: Sequence[Op], wait: float, attempt: Attempt) -> Dot | None:
        """`awrite_within` for a remote client, which may ask for it again. `AnotherNode` if it asked another first."""
        return await self._awrite(Write(_writable(keyspace), ops, wait, attempt=attempt))

    async def _awrite(self, write: Write) -> Dot | None:
        try:
            return cast(Dot | None, await self.writer.asubmit(write))
        except KeyError:
            raise _not_hosted(write.keyspace) from None

    def update(self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None) -> Dot | None:
        changing = Changing(change)
        ticket = self.writer.submit(Update(_writable(keyspace), cell_path, changing, op_id))
        try:
            return cast(Dot | None, ticket.result())
        except ChangeFailed:
            raise changing.raised() from None
        except KeyError:
            raise _not_hosted(keyspace) from None

    async def aupdate(
        self, keyspace: str, cell_path: bytes, change: Change, op_id: str | None = None
    ) -> Dot | None:
        changing = Changing(change)
        try:
            return cast(
                Dot | None,
                await self.writer.asubmit(Update(_writable(keyspace), cell_path, changing, op_id)),
            )
        except ChangeFailed:
            raise changing.raised() from None
        except KeyError:
            raise _not_hosted(keyspace) from None

    def estate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        self.writer.check_open()
        try:
            return self.core.estate(keyspace, member)
        except KeyError:
            raise _not_hosted(keyspace) from None

    async def aestate(self, keyspace: str, member: str = "") -> tuple[bytes, ...]:
        return self.estate(keyspace, member)

    def bind(self, keyspace: str, schema: Schema) -> None:
        op = self._record(keyspace, schema)
        if op is not None:
            self.writer.submit(Write(SYSTEM, [op])).result()

    async def abind(self, keyspace: str, schema: Schema) -> None:
        op = self._record(keyspace, schema)
        if op is not None:
            await self._register([op])

    def _record(self, keyspace: str, schema: Schema) -> Op | None:
        at = binding.record_path(_writable(keyspace), schema.name)
        self.cell(keyspace, at)  # an error if the keyspace is not hosted
        return binding.record(self.cell(SYSTEM, at), keyspace, schema)

    def explanation(self, keyspace: str, cell_path: bytes) -> dict[str, Any]:
        ticket = self.writer.submit(lambda: self.core.explain(keyspace, cell_path, self._clock()))
        try:
            return cast(dict[str, Any], ticket.result())
        except KeyError:
            raise _not_hosted(keyspace) from None

    async def aexplanation(self, keyspace: str, cell_path: bytes) -> dict[str, Any]:
        asked = self.writer.asubmit(lambda: self.core.explain(keyspace, cell_path, self._clock()))
        try:
            return cast(dict[str, Any], await asked)
        except KeyError:
            raise _not_hosted(keyspace) from None

    def notes(
        self, keyspace: str, prefix: str, limit: int, before: int | None, settled: bool
    ) -> list[tuple[int, Record]]:
        self.writer.check_open()
        try:
            return ledgers.listed(partial(self.core.notes, keyspace), prefix, limit, before, settled)
        except KeyError:
            raise _not_hosted(keyspace) from None

    async def anotes(
        self, keyspace: str, prefix: str, limit: int, before: int | None, settled: bool
    ) -> list[tuple[int, Record]]:
        return self.notes(keyspace, prefix, limit, before, settled)

    def settle(self, keyspace: str, number: int, dot: Dot, verb: Verb, force: bool) -> Dot | None:
        try:
            ticket = self.writer.submit(Settle(_writable(keyspace), number, dot, verb, force))
            return cast(Dot | None, ticket.result())
        except KeyError:
            raise _not_hosted(keyspace) from None

    async def asettle(self, keyspace: str, number: int, dot: Dot, verb: Verb, force: bool) -> Dot | None:
        try:
            what = Settle(_writable(keyspace), number, dot, verb, force)
            return cast(Dot | None, await self.writer.asubmit(what))
        except KeyError:
            raise _not_hosted(keyspace) from None

    def host(self, keyspace: str) -> None:
        """Make a keyspace on this node, if it is not there yet."""
        _writable(keyspace)
        if keyspace not in self._hosted:
            self.writer.submit(partial(self.core.host, keyspace)).result()
            self._hosted.add(keyspace)

    def drop(self, keyspace: str, force: bool, timeout: float) -> None:
        """Let go of a keyspace. `OnlyCopy` if it may not go within ``timeout`` seconds."""
        self.parting.drop(_writable(keyspace), force, timeout)

    async def adrop(self, keyspace: str, force: bool, timeout: float) -> None:
        """`drop`, awaited."""
        await self.parting.adrop(_writable(keyspace), force, timeout)

    def _perform(self, what: FeedInput) -> Any:
        try:
            return self.writer.submit(what).result()
        except KeyError:
            raise _not_hosted(what.keyspace) from None

    async def _aperform(self, what: FeedInput) -> Any:
        try:
            return await self.writer.asubmit(what)
        except KeyError:
            raise _not_hosted(what.keyspace) from None

    def make_token(self, keyspace: str, dot: Dot | None = None) -> str:
        self.writer.check_open()
        try:
            text = self.core.token(keyspace, dot)
            return (
                cast(str, self.writer.submit(partial(self.core.short_token, keyspace)).result())
                if text is None
                else text
            )
        except KeyError:
            raise _not_hosted(keyspace) from None

    async def amake_token(self, keyspace: str, dot: Dot | None = None) -> str:
        self.writer.check_open()
        try:
            text = self.core.token(keyspace, dot)
            return (
                cast(str, await self.writer.asubmit(partial(self.core.short_token, keyspace)))
                if text is None
                else text
            )
        except KeyError:
            raise _not_hosted(keyspace) from None

    def wait_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        waiting.check(wait)
        waiting.check_timeout(timeout)
        try:
            if isinstance(wait, Covered) and self._has(keyspace, wait):
                return
            why = self.writer.submit(self._lacks(keyspace, wait)).result()
            if why is not None:
                self._watch(keyspace, wait, timeout, why)
        except KeyError:
            raise _not_hosted(keyspace) from None

    def _watch(self, keyspace: str, wait: Wait, timeout: float, why: str) -> None:
        missing = until(self.writer, partial(self.core.lacks, keyspace, wait), timeout, why)
        if missing is not None:
            raise waiting.too_late(wait, keyspace, timeout, missing)

    async def await_until(self, keyspace: str, wait: Wait, timeout: float) -> None:
        waiting.check(wait)
        waiting.check_timeout(timeout)
        try:
            if isinstance(wait, Covered) and self._has(keyspace, wait):
                return
            why = await self.writer.asubmit(self._lacks(keyspace, wait))
            if why is not None:
                await self._awatch(keyspace, wait, timeout, why)
        except KeyError:
            raise _not_hosted(keyspace) from None

    async def _awatch(self, keyspace: str, wait: Wait, timeout: float, why: str) -> None:
        missing = await auntil(self.writer, partial(self.core.lacks, keyspace, wait), timeout, why)
        if missing is not None:
            raise waiting.too_late(wait, keyspace, timeout, missing)

    def _has(self, keyspace: str, wait: Covered) -> bool:
        self.writer.check_open()
        return self.core.has(keyspace, wait.token)

    def _lacks(self, keyspace: str, wait: Wait) -> Callable[[], str | None]:
        return lambda: self.core.lacks(keyspace, wait, self._clock())

    def status(self) -> dict[str, Any]:
        """A plain, JSON-ready snapshot."""
        return cast(dict[str, Any], self.writer.submit(self._status).result())

    async def astatus(self) -> dict[str, Any]:
        """`status`, awaited."""
        return cast(dict[str, Any], await self.writer.asubmit(self._status))

    def _status(self) -> dict[str, Any]:
        return self.core.status(self._clock())

    async def aadmin(self, verb: str, arguments: dict[str, Any]) -> Any:
        """An operator's request. `ValueError` for a verb that there is not."""
        if verb == admin.UNSUBSCRIBE:
            return await self.feeds.aunsubscribe(str(arguments.get("keyspace")), arguments.get("name", ""))
        if verb == admin.LEAVE:
            await self.parting.aleave(arguments.get("timeout", LEAVE_TIMEOUT_S))
            return {"state": "left"}
        if verb == admin.DROP:
            name, force = arguments.get("name", ""), arguments.get("force", False)
            if not isinstance(name, str) or not isinstance(force, bool):
                raise TypeError("name and force: a str and true or false are wanted")
            await self.adrop(name, force, arguments.get("timeout", DROP_TIMEOUT_S))
            return {"keyspace": name, "state": "dropped"}
        return await admin.perform(verb, arguments, await self.astatus(), self._register)

    async def _register(self, ops: Sequence[Op]) -> None:
        await self.writer.asubmit(Write(SYSTEM, ops))


def _writable(keyspace: str) -> str:
    if keyspace.startswith("$"):
        raise ValueError(f"keyspace {keyspace!r}: the names with a $ are the node's own")
    return keyspace


def _not_hosted(keyspace: str) -> ValueError:
    return ValueError(
        f"keyspace {keyspace!r}: this node does not host it; keyspaces= of open, or serve --keyspace, names what it hosts"
    )
