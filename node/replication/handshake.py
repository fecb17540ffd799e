"""The beginning of a link: who the peer is, and whether to talk to it at all.

The question this answers: *may this node exchange with that one?* Not with another protocol or cluster, not with a
replica that was forgotten, not with itself, and not with two nodes that go under one replica id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gossamer.crdt import vector

from ..errors import ProtocolError
from . import limits
from .bases import NAME_BYTES
from .link import Link
from .messages import REFUSALS, VERSION, Hello, Refuse

if TYPE_CHECKING:
    from .engine import Engine


class Handshake:
    """Takes hellos and refusals; remembers which fingerprints were seen under a replica id."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._fingerprints: dict[bytes, list[bytes]] = {}

    def on_hello(self, link: Link, hello: Hello, now: float) -> None:
        me = self._engine.identity
        if link.hello is not None:
            raise ProtocolError("a second hello")
        if (
            len(hello.replica) != vector.REPLICA_BYTES
            or len(hello.fingerprint) > 64
            or len(hello.closed) > NAME_BYTES
        ):
            raise ProtocolError("hello: a replica id of another length")
        if any(
            len(text.encode()) > limits.NAME_BYTES_MAX for text in (hello.name, hello.cluster, hello.address)
        ):
            raise ProtocolError("hello: a name is too long")
        link.hello, link.bases.theirs = hello, hello.closed
        if link.dialed is not None:
            self._engine.found[link.dialed] = hello.replica
            self._engine.claimed[link.dialed] = hello.name
        if hello.version != VERSION:
            return self._engine.refuse(
                link, "version", f"protocol version {VERSION} is spoken here, not {hello.version}"
            )
        if hello.cluster != me.cluster:
            return self._engine.refuse(
                link, "cluster", f"this is cluster {me.cluster!r}, not {hello.cluster!r}"
            )
        if link.vouched is not None and hello.name not in link.vouched:
            return self._on_unvouched(link, hello)
        if hello.replica == me.replica:
            return self._on_self(link, hello)
        if hello.replica in self._engine.registry.ending:
            return self._engine.refuse(link, "forgotten", f"replica {hello.replica.hex()} was forgotten here")
        if self._is_clone(hello):
            return self._engine.refuse(link, "clone", f"another node uses replica {hello.replica.hex()}")
        self._engine.heard[hello.replica] = now
        self._keep_one(link)

    def _on_unvouched(self, link: Link, hello: Hello) -> None:
        """Whom we dialed for the first time is dialed again, and its certificate then checked for that very name."""
        if link.dialed is not None and not link.vouched:
            self._engine.close(
                link, f"it calls itself {hello.name!r}: its certificate is checked for that next"
            )
        else:
            self._engine.refuse(link, "name", f"the certificate shown is not for the name {hello.name!r}")

    def _on_self(self, link: Link, hello: Hello) -> None:
        if hello.fingerprint != self._engine.identity.fingerprint:
            self._engine.is_disowned = "another node uses this node's replica id: its directory was copied"
        self._engine.close(link, "this is the node itself")

    def _is_clone(self, hello: Hello) -> bool:
        """A fingerprint that comes back after another one was seen: two nodes take turns under one id."""
        seen = self._fingerprints.setdefault(hello.replica, [])
        if seen and seen[-1] == hello.fingerprint:
            return False
        if hello.fingerprint in seen:
            return True
        seen.append(hello.fingerprint)
        del seen[: -limits.FINGERPRINTS_MAX]
        return False

    def _keep_one(self, link: Link) -> None:
        """Two nodes that dialed each other keep the link that the lower replica id dialed."""
        for other in self._engine.links.values():
            if other is link or other.peer != link.peer or other.closing:
                continue
            if _dialer(other, self._engine.identity.replica) < _dialer(link, self._engine.identity.replica):
                self._engine.close(link, "there is another link to this peer")
            else:
                self._engine.close(other, "there is another link to this peer")

    def on_refuse(self, link: Link, message: Refuse) -> None:
        if message.code not in REFUSALS:
            raise ProtocolError("refuse: a code that is not known")
        if message.code in ("clone", "rollback"):
            self._engine.is_disowned = f"a peer has proved it: {message.reason[:200]}"
        if message.code == "forgotten":
            self._engine.is_forgotten = True
        self._engine.close(link, f"the peer refused: {message.reason[:200]}")


def _dialer(link: Link, me: bytes) -> bytes:
    return me if link.dialed is not None else link.peer
