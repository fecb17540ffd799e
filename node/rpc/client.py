"""A client of a remote node: the handles of a node, over gRPC, without data of its own."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from ..handles import Keyspace
from ..limits import CLIENT_TIMEOUT_S, DROP_TIMEOUT_S, LEAVE_TIMEOUT_S, WAIT_S_MAX
from ..tls import TLS, of
from .remote import RemoteBackend


class Client(Keyspace):
    """The handles of the remote node's default keyspace. Any thread and any event loop may use it."""

    def __init__(
        self, target: str, timeout: float, tls: TLS | None = None, access_key: str | None = None
    ) -> None:
        self._remote = RemoteBackend(target, timeout, tls, access_key)
        super().__init__(self._remote)

    def __repr__(self) -> str:
        return f"<Client of {self._remote.target}>"

    @property
    def backend(self) -> RemoteBackend:
        """The verbs that the handles stand on."""
        return self._remote

    def keyspace(self, name: str) -> Keyspace:
        """The same handles in another keyspace."""
        return Keyspace(self._remote, name)

    def status(self) -> dict[str, Any]:
        """What the node says of itself."""
        return self._remote.status()

    async def astatus(self) -> dict[str, Any]:
        """`status`, awaited."""
        return await self._remote.astatus()

    def admin(self, verb: str, **arguments: Any) -> Any:
        """An operator's request; arguments and result are JSON."""
        return self._remote.admin(verb, arguments)

    def drop_keyspace(self, name: str, *, force: bool = False, timeout: float = DROP_TIMEOUT_S) -> None:
        """Have the node let go of a keyspace, as `Node.drop_keyspace`. The client's own timeout should be longer."""
        self.admin("keyspaces.drop", name=name, force=force, timeout=timeout)

    def leave(self, timeout: float = LEAVE_TIMEOUT_S) -> None:
        """Have the node leave the cluster, as `Node.leave`. The client's own timeout should be longer."""
        self.admin("leave", timeout=timeout)

    async def aleave(self, timeout: float = LEAVE_TIMEOUT_S) -> None:
        """`leave`, awaited."""
        await self._remote.aadmin("leave", {"timeout": timeout})

    def close(self) -> None:
        """Close the connection. Again: does nothing."""
        self._remote.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(
    target: str,
    timeout: float = CLIENT_TIMEOUT_S,
    tls: TLS | dict[str, Any] | None = None,
    access_key: str | None = None,
) -> Client:
    """A client of the node at ``target``, ``host:port``; each call waits up to ``timeout`` seconds.

    ``tls`` says where its certificate is, for a node that has one; the node's must be valid for the host named here.

    The connection is made by the first call: a call raises `Unreachable` if nothing was written, and
    `OutcomeUnknown` if a write was sent and not answered. `ValueError` for a wrong address or timeout.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout: seconds are wanted, not {type(timeout).__name__}")
    if not 0 < timeout <= WAIT_S_MAX:  # far beyond it gRPC takes a deadline for one that is over
        raise ValueError(f"timeout: {timeout} s is not above 0 and at most {WAIT_S_MAX:g}")
    if access_key is not None and not (
        isinstance(access_key, str) and access_key.isascii() and access_key.isprintable()
    ):
        raise ValueError("access_key: it is no key that gossamer access-key makes")
    return Client(target, timeout, of(tls), access_key)
