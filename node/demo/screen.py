"""What the live demonstration shows: a pure function from what was seen to something that rich can draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .actions import KEYS
from .trio import CUT_OFF
from .view import View, difference, lags

DIGEST_CHARS = 12


class Seen(msgspec.Struct, frozen=True):
    """One look at everything."""

    views: Mapping[str, View | None]
    """Name -> what it shows; None if it is not running, or does not answer."""
    is_cut: bool
    sold: int
    """Additions acknowledged so far."""
    told: Sequence[str]
    """What was done, the latest last."""


def draw(seen: Seen) -> RenderableType:
    """The whole screen."""
    views = [view for view in seen.views.values() if view is not None]
    return Group(
        Text("gossamer demo: three nodes, one data set", style="bold"),
        _table(seen, views),
        _verdict(seen, views),
        Text("\n".join(seen.told), style="dim"),
        Text("   ".join(f"[{key}] {what}" for key, what in KEYS.items())),
    )


def _table(seen: Seen, views: Sequence[View]) -> Table:
    table = Table("replica", "link", "sold", "skus", "note", "it beat", "cart", "lacks", "digest")
    lag = dict(zip([view.name for view in views], lags(views), strict=True))
    for name, view in seen.views.items():
        table.add_row(*map(Text, _row(name, view, seen.is_cut, lag)))
    return table


def _row(name: str, view: View | None, is_cut: bool, lag: Mapping[str, int]) -> list[str]:
    if view is None:
        return [name, "down"]
    note, *beaten = view.note or [""]
    return [
        name,
        "cut off" if is_cut and name == CUT_OFF else "up",
        str(view.sold),
        " ".join(sku.removeprefix("sku-") for sku in view.skus),
        note,
        ", ".join(beaten),
        ", ".join(f"{key}: {value}" for key, value in sorted(view.cart.items())),
        str(lag[name]),
        view.digest[:DIGEST_CHARS],
    ]


def _verdict(seen: Seen, views: Sequence[View]) -> Text:
    if not views:
        return Text("no replica answers", style="yellow")
    differs = difference(views)
    if differs:
        return Text(differs, style="yellow")
    exact = all(view.sold == seen.sold for view in views)
    total = f"sold is {seen.sold}, as acknowledged" if exact else f"{seen.sold} were acknowledged"
    return Text(
        f"{len(views)} replicas are equal, digests too; {total}", style="green" if exact else "yellow"
    )
