"""A demonstration: three real nodes on this machine, with links that can be cut."""

from .live import watch
from .script import play

__all__ = ["play", "watch"]
