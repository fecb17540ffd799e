"""The fixed round of ``gossamer demo --script``: every step is checked, and any doubt ends it with an error."""

from __future__ import annotations

from collections.abc import Callable

from .deadline import Late, until
from .load import CONTESTED, Load
from .process import NodeProcess
from .trio import CUT_OFF, KILLED, Trio
from .view import View, difference, lags, view

BURST = 50
"""Additions on each node in the first step."""
APART = 20
"""Additions on each side of the partition."""


class Script:
    """One round. ``say`` gets a line a step; ``deadline_s`` is for each step."""

    def __init__(self, trio: Trio, say: Callable[[str], None], deadline_s: float) -> None:
        self._trio, self._say, self._deadline_s = trio, say, deadline_s
        self._load = Load()
        self._a, self._b, self._c = (trio.nodes[name] for name in ("a", "b", "c"))

    def run(self) -> None:
        """All steps in order. `Late` for one that did not come to its end, or to a wrong one."""
        self._start()
        self._write_everywhere()
        self._partition()
        self._write_apart()
        self._kill()
        self._restart()
        self._heal()

    def _start(self) -> None:
        took = self._until(self._trio.unlinked, "linking")
        places = ", ".join(f"{node.name} at {node.address}" for node in self._trio.nodes.values())
        self._say(f"start      {places}: all linked after {took:.2f} s")

    def _write_everywhere(self) -> None:
        self._load.burst(self._trio.running, BURST)
        self._load.stock(self._a, CONTESTED)
        took = self._until(self._difference, "agreement")
        self._check("written")
        self._say(
            f"write      {BURST} additions on each of a, b and c at once: sold={self._load.sold} on all, "
            f"equal {took:.2f} s after the last write"
        )

    def _partition(self) -> None:
        self._trio.cut()
        took = self._until(self._trio.unlinked, "partition")
        self._say(f"partition  {CUT_OFF} is cut off; all have noticed after {took:.2f} s")

    def _write_apart(self) -> None:
        for node in (self._a, self._c):
            for _ in range(APART):
                self._load.sell(node, 1)
            self._load.note(node, _note(node))
            self._load.put(node, APART)
        self._load.contest(remover=self._a, adder=self._c)
        self._must_differ()
        here, there = view(self._a), view(self._c)
        if CONTESTED in here.skus or CONTESTED not in there.skus:
            raise Late(f"apart: {CONTESTED} is to be removed on a and in on c: {here.skus}, {there.skus}")
        self._say(f"apart      a: sold={here.sold}, {CONTESTED} removed, note={here.note[0]!r}")
        self._say(f"           c: sold={there.sold}, {CONTESTED} added again, note={there.note[0]!r}")

    def _kill(self) -> None:
        self._load.sell(self._b, 1)  # acknowledged just before the end: it must be there afterwards
        pid = self._b.pid
        self._trio.kill(KILLED)
        for node in (self._a, self._c):
            self._load.sell(node, 1)
        self._say(f"kill       {KILLED} (pid {pid}) got SIGKILL; a and c go on taking writes")

    def _restart(self) -> None:
        self._trio.start(KILLED)
        took = self._until(lambda: self._difference(self._a, self._b), "recovery")
        here = view(self._b)
        self._say(
            f"restart    {KILLED} has its data and a's writes (sold={here.sold}) {took:.2f} s after it is up"
        )

    def _heal(self) -> None:
        views = [view(node) for node in self._trio.running]
        self._must_differ()
        behind = ", ".join(f"{v.name} lacks {lag}" for v, lag in zip(views, lags(views), strict=True))
        self._trio.heal()
        took = self._until(self._difference, "convergence")
        self._check("healed")
        final = view(self._a)
        if sorted(final.note) != [_note(self._a), _note(self._c)]:
            raise Late(f"healed: the two concurrent notes are to be seen, and there are {final.note}")
        self._say(f"heal       {behind} events; all replicas equal after {took:.2f} s")
        self._say(f"values     sold={final.sold}, skus={', '.join(final.skus)}, cart={final.cart}")
        self._say(f"           note={final.note[0]!r}, which beat {', '.join(map(repr, final.note[1:]))}")
        self._say(f"digest     {final.digest} on a, b and c")
        self._say(f"converged in {took:.2f} s, every total exact")

    # What is looked at

    def _until(self, lacking: Callable[[], str], what: str) -> float:
        def look() -> str:
            for node in self._trio.nodes.values():
                node.check()
            return lacking()

        return until(look, what, self._deadline_s)

    def _difference(self, *nodes: NodeProcess) -> str:
        return difference([view(node) for node in nodes or self._trio.running])

    def _must_differ(self) -> None:
        if not lags([view(self._a), view(self._c)])[0]:
            raise Late(f"partition: {CUT_OFF} was to be cut off, and a has its writes")

    def _check(self, when: str) -> None:
        """`Late` unless every replica has every acknowledged write exactly once."""
        for shown in (view(node) for node in self._trio.running):
            wrong = self._wrong(shown)
            if wrong:
                raise Late(f"{when}: {shown.name} has {wrong}")

    def _wrong(self, shown: View) -> str:
        if shown.sold != self._load.sold:
            return f"sold={shown.sold}, and {self._load.sold} were acknowledged"
        if set(shown.skus) != self._load.skus:
            return f"skus={shown.skus}, and {sorted(self._load.skus)} must be there"
        if shown.cart["items"] != self._load.items:
            return f"{shown.cart['items']} items in the cart, and {self._load.items} were acknowledged"
        return ""


def _note(node: NodeProcess) -> str:
    return f"written on {node.name} in the partition"


def play(say: Callable[[str], None], deadline_s: float) -> None:
    """The whole round, with three nodes of its own. `GossamerError` says what went wrong."""
    with Trio(deadline_s) as trio:
        Script(trio, say, deadline_s).run()
