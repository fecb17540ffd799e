"""The kinds of random schedules: what else the nodes of a cluster may be asked to do under the same faults.

``core`` is the writes of every type and transactions. Another kind is a subclass of `Schedule` in a file of its own
that adds to ``work`` and asserts its promises after every event and in ``check_end``; so the seeds of the others
stay what they were.
"""

from __future__ import annotations

from .bounded import Bounded
from .changing import Changing
from .conflicts import Conflicts
from .damage import Damage
from .documents import Documents
from .expiring import ExpirySchedule
from .feed import FeedSchedule
from .heirs import HeirSchedule
from .idempotent import Idempotent
from .large import Large
from .leaving import LeavingSchedule
from .partial import PartialSchedule
from .schedule import Long, Schedule
from .setbacks import Setbacks
from .swarm import Swarm
from .tokens import Tokens

KINDS: dict[str, type[Schedule]] = {
    "core": Schedule,
    "long": Long,
    "changing": Changing,
    "heirs": HeirSchedule,
    "bounded": Bounded,
    "feed": FeedSchedule,
    "expiry": ExpirySchedule,
    "tokens": Tokens,
    "conflicts": Conflicts,
    "damage": Damage,
    "partial": PartialSchedule,
    "idempotent": Idempotent,
    "large": Large,
    "leaving": LeavingSchedule,
    "documents": Documents,
    "swarm": Swarm,
    "setbacks": Setbacks,
}
