"""Typed documents: classes that say what is inside a map."""

from .document import Document
from .fields import field
from .mapof import MapOf

__all__ = ["Document", "MapOf", "field"]
