"""The handles that users hold: keyspaces, transactions, and one handle a type.

They stand on a `Backend` alone, so they are the same on a node here, inside a transaction, and over a network.
"""

from .bounded_counter import BoundedCounter
from .conflicts import Conflict
from .constructors import Handles
from .counter import Counter
from .extreme import MaxRegister, MinRegister
from .flag import Flag
from .keyspace import Keyspace
from .map import Map
from .mv_register import MVRegister
from .prefix import ranges_of_text
from .reading import Reading
from .register import Register
from .set import Set
from .transaction import Transaction

__all__ = [
    "BoundedCounter",
    "Conflict",
    "Counter",
    "Flag",
    "Handles",
    "Keyspace",
    "MVRegister",
    "Map",
    "MaxRegister",
    "MinRegister",
    "Reading",
    "Register",
    "Set",
    "Transaction",
    "ranges_of_text",
]
