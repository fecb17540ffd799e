"""A node: a directory, its writer, and once started its server and its links to peers.

When does it talk? `open` checks the directory and no more: reads and writes work, nothing listens, no thread
runs before the first write. ``with`` or `Node.start` listens and gossips. So a program may open a node, fork,
and start it in no process but one.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from os import PathLike
from pathlib import Path
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, TypeVar, Unpack
from weakref import WeakSet

from . import clock, config
from .access import Access
from .changing import check_outside
from .documents import binding
from .handles import Keyspace
from .handles.conflicts import Conflict
from .handles.keyspace import DEFAULT
from .limits import DROP_TIMEOUT_S, LEAVE_TIMEOUT_S, LinkTiming
from .local import LocalBackend
from .notices import NoticeThread
from .opening import open_replica
from .tls import TLS
from .turns import Core, Effect, Instant

if TYPE_CHECKING:
    from .documents import Document
    from .rpc import Shell

T = TypeVar("T")


class Settings(TypedDict, total=False):
    """What `open` takes beside the directory; `NodeConfig` says what each means and its default."""

    listen: str | None
    peers: Sequence[str]
    name: str | None
    cluster: str
    keyspaces: Sequence[str]
    read_only: Sequence[str]
    host_default: bool
    durability: Literal["commit", "relaxed"]
    advertise: str | None
    feed_changes_max: int
    feed_age_s: float
    timing: LinkTiming
    documents: Sequence[type[Document[Any]]]
    tls: TLS | dict[str, str | PathLike[str]] | None
    access: str | PathLike[str] | None
    conflicts_max: int
    conflicts_age_s: float
    op_window_s: float
    seed: int | None


class Node(Keyspace):
    """The handles of the default keyspace, and the node's life. Any thread may use it."""

    def __init__(
        self, settings: config.NodeConfig, core: Core, now: Callable[[], Instant] = clock.system
    ) -> None:
        self._local = LocalBackend(core, now, self._dispatch)
        super().__init__(self._local)
        self._config = settings
        self._shell: Shell | None = None
        self._address: str | None = None
        self._lifecycle = threading.Lock()
        self._notices: NoticeThread | None = None
        self._is_closed = False
        self._closers: list[Callable[[], object]] = []
        _open_nodes.add(self)

    def __repr__(self) -> str:
        return f"<Node {self._config.name or self._address or self._config.data}>"

    @property
    def backend(self) -> LocalBackend:
        """The verbs that the handles stand on."""
        return self._local

    @property
    def address(self) -> str | None:
        """``host:port`` that it listens on, the port being the real one; None if it does not listen."""
        return self._address

    @property
    def security(self) -> tuple[TLS | None, Access | None]:
        """Where its certificate is, and the keys that clients must show."""
        return self._config.tls, self._config.access

    def keyspace(self, name: str) -> Keyspace:
        """The same handles in another keyspace, which this node hosts from now on."""
        found = Keyspace(self._local, name)
        self._local.host(found.name)
        return found

    def drop_keyspace(self, name: str, *, force: bool = False, timeout: float = DROP_TIMEOUT_S) -> None:
        """Let go of a keyspace here, and free its pages, once other hosts have confirmed that they have all of it.

        `OnlyCopy` if that is not so within ``timeout`` seconds; then it stays. With ``force`` it goes at once, and what
        nobody else has is lost. Take it out of the settings as well, or the next `open` hosts it again.
        """
        self._local.drop(name, force, timeout)

    async def adrop_keyspace(
        self, name: str, *, force: bool = False, timeout: float = DROP_TIMEOUT_S
    ) -> None:
        """`drop_keyspace`, awaited."""
        await self._local.adrop(name, force, timeout)

    def leave(self, timeout: float = LEAVE_TIMEOUT_S) -> None:
        """Leave the cluster for good, once other members have all that is here; then close the node.

        It takes no more writes from now on (`Leaving`), and gives its rights of bounded counters away. `OnlyCopy` at once if
        a keyspace has no other host, and `WaitTimeout` after ``timeout`` seconds, which says what is missing and who lacks it: in both
        cases nothing is lost, and the node goes on. Its directory cannot be opened as a node afterwards.
        """
        self._local.parting.leave(timeout)

    async def aleave(self, timeout: float = LEAVE_TIMEOUT_S) -> None:
        """`leave`, awaited."""
        await self._local.parting.aleave(timeout)

    def status(self) -> dict[str, Any]:
        """A plain, JSON-ready snapshot: replica, members, and for each keyspace what it holds and lacks."""
        return self._local.status()

    async def astatus(self) -> dict[str, Any]:
        """`status`, awaited."""
        return await self._local.astatus()

    def backup(self, target: str | PathLike[str]) -> None:
        """Copy the store, as of its last commit, to ``target``, which must be absent or empty. Writers go on.

        ``gossamer restore`` makes a directory of it, under a new replica id. `StoreError` if it cannot be written.
        """
        from .maintenance import backup

        self._local.writer.check_open()
        backup(self._config.data, Path(target), copy=self._local.core.copy_to)

    async def abackup(self, target: str | PathLike[str]) -> None:
        """`backup`, in a thread of its own."""
        await _in_thread(lambda: self.backup(target))

    def on_conflict(self, listener: Callable[[Conflict], object]) -> Callable[[], None]:
        """Call ``listener`` with each conflict that is noted from now on, in any keyspace; what ends that is returned.

        It is called on a thread of its own, one conflict after the other, so it may take its time and holds nobody
        up. What it raises is logged. What is noted right before a crash may not be told: `conflicts` has it.
        """
        self._local.writer.check_open()
        with self._lifecycle:
            if self._notices is None:
                self._notices = NoticeThread(self._local.core)
            return self._notices.add(listener)

    def when_closed(self, closer: Callable[[], object]) -> None:
        """Have ``closer`` called when the node closes, once nothing is written any more. `Closed` if it is already.

        It must not use the node, and may end threads that do: their calls raise `Closed` by then.
        """
        with self._lifecycle:
            self._local.writer.check_open()
            self._closers.append(closer)

    def start(self) -> Self:
        """Listen and gossip; a started node is left as it is. `ListenError` if the address is taken."""
        self._local.writer.check_open()  # first: in a forked child the lock may be held by nobody
        from .rpc import Shell  # grpc takes longer to import than all the rest

        with self._lifecycle:
            self._local.writer.check_open()
            if self._shell is None:
                shell = Shell(
                    self._local,
                    self._local.writer,
                    timing=self._config.timing,
                    rng=Random(self._config.seed),
                    addresses=self._to_dial,
                    wants=self._local.core.wants,
                    name_at=self._local.core.name_at,
                    tls=self._config.tls,
                    access=self._config.access,
                )
                self._shell = shell  # before the first link, whose first message must find it
                try:
                    self._address = shell.start(self._config.listen)
                except BaseException:
                    self._shell = None
                    shell.close()
                    raise
        return self

    def close(self) -> None:
        """Finish what was accepted, end all links, let go of the directory. Again: does nothing."""
        if self._local.writer.is_forked:  # nothing here is this process's to close
            return
        check_outside()  # the writer's thread cannot wait for its own end
        with self._lifecycle:
            if self._is_closed:
                return
            self._is_closed = True
            self._local.core.hub.close()
            if self._shell is not None:
                self._shell.close()
            has_ended = self._local.writer.close()
            for closer in self._closers:
                closer()
            if self._notices is not None:
                self._notices.close()
            # Else a commit that hangs would find its map gone: the directory stays locked with the process.
            if has_ended:
                self._local.core.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _dispatch(self, effects: Sequence[Effect]) -> None:
        if self._shell is not None:
            self._shell.dispatch(effects)

    def _to_dial(self) -> list[str]:
        own = (self._address, self._config.listen, self._config.advertise)
        return [address for address in self._local.core.addresses() if address not in own]


def open(data: str | PathLike[str], **settings: Unpack[Settings]) -> Node:
    """A node on the directory ``data``, not started yet. Use it in a ``with``, or `start` and `close` it.

    ``listen`` and ``peers`` are ``host:port``; without ``listen`` the node dials only. Raises `TypeError` or
    `ValueError` for a wrong setting, and a `StoreError` for a directory that cannot be used.
    ``documents`` are classes of typed documents to bind: `SchemaMismatch` if one would read wrongly what is stored.
    """
    settled = config.of(data, **settings)
    core = open_replica(settled)
    try:
        binding.at_open(core, DEFAULT, settled.documents, clock.system())
        return Node(settled, core)
    except BaseException:
        core.close()
        raise


@asynccontextmanager
async def aopen(data: str | PathLike[str], **settings: Unpack[Settings]) -> AsyncIterator[Node]:
    """`open` and `Node.start`, for ``async with``; neither they nor the closing hold up the event loop."""
    node = await _in_thread(lambda: open(data, **settings).__enter__(), undo=Node.close)
    try:
        yield node
    finally:
        await _in_thread(node.close)


async def _in_thread(job: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
    """Run ``job`` in a thread and to its end, cancelled or not; ``undo`` what a cancelled caller will not get."""
    # No task: the end of the event loop would cancel it, and nobody would know when the job ends.
    running = asyncio.get_running_loop().run_in_executor(None, job)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):  # once more: it is being ended already
                await asyncio.wait([running])
        if undo is not None and running.exception() is None:
            undo(running.result())
        raise


_open_nodes: WeakSet[Node] = WeakSet()


@atexit.register
def _close_all() -> None:
    # What was acknowledged is safe without this; peers and the directory's lock are let go in good order.
    for node in list(_open_nodes):
        node.close()
