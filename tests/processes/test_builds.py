"""Two builds in one cluster, each in processes of its own: what the older one does not know goes through it untouched."""

from __future__ import annotations

from pathlib import Path

from gossamer.crdt import Entry, path

from .builds import Newer
from .group import difference, lacks_links
from .process import Serve, options
from .waiting import until

NEW = "longest:word"
OLD = "kind66:word"
"""The same cell, as the older build calls it."""


def live_of(node: Serve) -> tuple[Entry, ...]:
    """What it holds there; what is dead beside it goes from each node in its own time."""
    return node.client.backend.cell("default", path.of_text(OLD)).live


def test_f18_a_kind_of_a_newer_build_goes_through_an_older_one_to_a_third_node(tmp_path: Path) -> None:
    (tmp_path / "newer").mkdir()
    newer = Newer(tmp_path / "newer")
    with Serve("a", tmp_path) as a, Serve("old", tmp_path) as old, Serve("c", tmp_path) as c:
        a.under = c.under = newer.under
        old.start()
        a.start(*options([old.address]))
        newer.write(a.address, NEW, "longer")
        a.client.counter("sold").add(1)
        until(lambda: difference([a, old]))
        assert live_of(old) == live_of(a) != ()
        assert "does not know the kind" in str(old.client.explain(OLD))
        a.kill()  # from here on only the older build has it

        old.client.counter("sold").add(10)
        old.kill()
        old.start()
        assert live_of(old) != (), "it is on the older build's disk"
        c.start(*options([old.address]))
        until(lambda: difference([old, c]))
        assert newer.read(c.address, NEW) == "longer"
        newer.write(c.address, NEW, "the longest of all")
        until(lambda: difference([old, c]))

        a.start(*options([old.address]))
        until(lambda: difference([a, old, c]))
        assert newer.read(a.address, NEW) == "the longest of all"
        assert live_of(a) == live_of(old) == live_of(c)
        for number, node in enumerate((a, old, c)):
            node.client.counter("sold").add(100 * 10**number)
        until(lambda: difference([a, old, c]))
        assert [node.client.counter("sold").value() for node in (a, old, c)] == [11_111] * 3
        assert not any(lacks_links(node, [old]) for node in (a, c)), "its links stand"
