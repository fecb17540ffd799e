"""The constructors of handles: the same on a keyspace, inside a map, and inside a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from gossamer.crdt import path

from ..backend import Backend
from . import flag, set
from .bounded_counter import BoundedCounter
from .counter import Counter
from .extreme import MaxRegister, MinRegister
from .flag import Flag
from .mv_register import MVRegister
from .register import Register
from .set import Set

if TYPE_CHECKING:
    from ..documents import Document
    from .map import Map

    DocumentT = TypeVar("DocumentT", bound=Document[Any])


class Handles:
    """Everything that has names inside: a backend, a keyspace, and the path that the names are under.

    A handle is cheap and holds no value. Each constructor raises `TypeError` or `ValueError` for a name that
    is not a str, is empty, is not Unicode text, or makes the path too long. A name used as two types is two
    things that know nothing of each other.
    """

    _map_type: ClassVar[type[Map]]
    """`Map`, which has these constructors itself and so sets this when it is defined."""

    def __init__(self, backend: Backend, keyspace: str, prefix: bytes = b"") -> None:
        self._backend = backend
        self._keyspace = keyspace
        self._prefix = prefix

    def _under(self, kind: str, name: str) -> bytes:
        """The path of a thing in here; the handle of a cell or a set checks how long it is, once."""
        return self._prefix + path.component(kind, name)

    def _map_at(self, name: str) -> bytes:
        return path.check(self._under("map", name))

    def register(self, name: str) -> Register:
        """One value, the last write stands."""
        return Register(self._backend, self._keyspace, self._under("register", name))

    def mv_register(self, name: str) -> MVRegister:
        """One value, or several after concurrent writes, until resolved."""
        return MVRegister(self._backend, self._keyspace, self._under("mv_register", name))

    def flag(self, name: str, policy: str = "enable-wins") -> Flag:
        """On or off; ``policy`` is ``enable-wins`` or ``disable-wins``."""
        return Flag(self._backend, self._keyspace, self._under(_kind(flag.KINDS, policy), name))

    def counter(self, name: str) -> Counter:
        """A sum that every node adds to."""
        return Counter(self._backend, self._keyspace, self._under("counter", name))

    def bounded_counter(self, name: str) -> BoundedCounter:
        """A stock that every node mints and spends, and that is never oversold."""
        return BoundedCounter(self._backend, self._keyspace, self._under("bounded_counter", name))

    def set(self, name: str, policy: str = "add-wins") -> Set:
        """Typed elements; ``policy`` is ``add-wins`` or ``remove-wins``."""
        return Set(self._backend, self._keyspace, self._under(_kind(set.KINDS, policy), name))

    def map(self, name: str) -> Map:
        """Named things of every type, maps too."""
        return self._map_type(self._backend, self._keyspace, self._map_at(name))

    def document(self, cls: type[DocumentT], name: str) -> DocumentT:
        """The map of that name as a typed document.

        The class is bound once per node and keyspace, which may write: `SchemaMismatch` if it would read wrongly
        what another build of it has stored.
        """
        from ..documents import binding  # which is made of handles

        return binding.at(cls, self._backend, self._keyspace, self._map_at(name))

    async def adocument(self, cls: type[DocumentT], name: str) -> DocumentT:
        """`document`, awaited."""
        from ..documents import binding

        return await binding.aat(cls, self._backend, self._keyspace, self._map_at(name))

    def max_register(self, name: str) -> MaxRegister:
        """The highest value set."""
        return MaxRegister(self._backend, self._keyspace, self._under("max_register", name))

    def min_register(self, name: str) -> MinRegister:
        """The lowest value set."""
        return MinRegister(self._backend, self._keyspace, self._under("min_register", name))


def _kind(kinds: dict[str, str], policy: str) -> str:
    if not isinstance(policy, str):
        raise TypeError(f"policy {policy!r}: a str is wanted, not {type(policy).__name__}")
    if policy not in kinds:
        raise ValueError(f"policy {policy!r}: {' or '.join(kinds)} is wanted")
    return kinds[policy]
