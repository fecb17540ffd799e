"""Moments in which nobody writes to a node, for what a writer would rightly call a loss, and waiting for a node to catch up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import gossamer

from .load import Worker
from .process import Serve
from .waiting import until


@contextmanager
def resting(workers: Sequence[Worker]) -> Iterator[None]:
    """None of these is in the middle of a step, or begins one."""
    for worker in workers:
        worker.gate.hold()
    try:
        yield
    finally:
        for worker in workers:
            worker.gate.release()


@contextmanager
def at_rest(node: Serve, workers: Sequence[Worker]) -> Iterator[None]:
    """Nobody writes to a node, and all that it has acknowledged is on another one's disk too."""
    with resting([worker for worker in workers if worker.node is node]):
        until(lambda: _unsaid(node))
        yield


def catch_up(node: Serve, token: str) -> None:
    """Wait until a node that begins anew has what it had: a writer that does not find what it wrote removes nothing."""
    until(lambda: _lacks(node, token))


def _unsaid(node: Serve) -> str:
    try:
        node.client.wait_replicated(node.client.token(), peers=1)
    except gossamer.GossamerError as error:
        return str(error)
    return ""


def _lacks(node: Serve, token: str) -> str:
    try:
        node.client.wait_for(token)
    except gossamer.GossamerError as error:
        return str(error)
    return ""
