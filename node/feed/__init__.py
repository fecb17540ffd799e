"""The change feed: what changes on this node, in commit order, for those who follow it.

The store writes the log (`gossamer.store`); here is who reads it, and how far each has come.
"""

from .change import Change, Shown
from .feeds import Feeds, Held
from .hub import Hub
from .scope import Scope
from .subscription import Subscription
from .wanted import Wanted
from .watch import AsyncWatch, Watch

__all__ = [
    "AsyncWatch",
    "Change",
    "Feeds",
    "Held",
    "Hub",
    "Scope",
    "Shown",
    "Subscription",
    "Wanted",
    "Watch",
]
