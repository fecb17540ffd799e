"""One write of a remote client, tried until its outcome is known: what does a lost answer mean, and what then?

A write that may have reached the node is asked for again, until the timeout is over. That counts it once, by one of two
ways to know it again:

- With an ``op_id`` of the caller's, any node knows it.
- Without one the client makes an *attempt*: an id that the node notes in the transaction of the write, beside what came of
  it. The attempt names the node's replica id, which the client was told with its first write; a node of another id
  writes nothing. So all tries of a write are decided by one table, in one directory, under one identity; where that is
  not so any more, the answer is `OutcomeUnknown`. The client stops well before the node forgets (`ATTEMPT_SPAN_S`).
"""

from __future__ import annotations

import os
import time

import grpc

from gossamer.proto import data_pb2 as pb

from ..errors import GossamerError, OutcomeUnknown, StateError, StoreError, Unreachable
from ..limits import ATTEMPT_SPAN_S
from . import faults

PAUSE_S, PAUSE_S_MAX = 0.02, 0.5
"""Before the second try; it doubles with each, up to the other."""
MOVES_MAX = 5
"""Times that an address may turn out to lead to another node than before, within one write."""


class Tries:
    """The tries of one write. Not shared: one thread or task drives it."""

    def __init__(self, request: pb.WriteRequest, node: bytes, timeout: float) -> None:
        """``node`` is the replica id that the client knows its node by; empty if it knows none yet."""
        self.request = request
        self._is_attempt = not request.HasField("op_id")
        if self._is_attempt:
            request.attempt.id = _fresh_id()
            request.attempt.node = node
        self._began = time.monotonic(), time.time()
        self._timeout = timeout
        self._may_stand = False
        self._moves, self._pause = 0, PAUSE_S

    def remaining(self) -> float:
        """Seconds that the next call may take."""
        return max(0.0, self._timeout - self._elapsed())

    def _elapsed(self) -> float:
        # By both clocks: one stands still while the machine sleeps, and the node may have forgotten by then.
        return max(time.monotonic() - self._began[0], time.time() - self._began[1])

    def is_answered(self, reply: pb.WriteReply) -> bool:
        """Whether this is the outcome; if not, try again at once, of the node that answered."""
        if not reply.another:
            return True
        if self._may_stand:
            raise OutcomeUnknown(
                f"the node goes on as replica {reply.another.hex()}; what {self.request.attempt.node.hex()} did is not known"
            )
        self._moves += 1
        if self._moves > MOVES_MAX:
            raise Unreachable("the address leads to one node and then to another; nothing was written")
        self.request.attempt.node = reply.another
        return False

    def pause(self, failed: grpc.RpcError) -> float:
        """Seconds to wait before the next try; or raises, if there is to be none."""
        error = faults.raised(failed, is_write=True)
        if isinstance(error, OutcomeUnknown):
            self._may_stand = True
        elif not self._may_stand or not _says_nothing(error):
            raise error
        span = min(self._timeout, ATTEMPT_SPAN_S) if self._is_attempt else self._timeout
        self._pause = min(2 * self._pause, PAUSE_S_MAX)
        if self._elapsed() + self._pause >= span:
            raise OutcomeUnknown(str(error))
        return self._pause


def _says_nothing(error: Exception) -> bool:
    """Whether an error leaves open what came of an earlier try: the node could not look, or its commit failed."""
    return isinstance(error, (Unreachable, StateError, StoreError)) or type(error) is GossamerError


def _fresh_id() -> bytes:
    """It sorts by time, so that a node appends to its table."""
    return (time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10)
