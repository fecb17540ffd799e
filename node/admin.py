"""What an operator may ask of a node beyond reads and writes: verbs, with arguments and results that are JSON.

Who decides? The node that is asked writes the decision into the registry, and it replicates like everything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .backend import Op
from .replication import registry

Commit = Callable[[Sequence[Op]], Awaitable[Any]]

REMOVE, FORGET = "members.remove", "members.forget"
DROP = "keyspaces.drop"
"""With ``name`` and, if it is to go at once, ``force``. `LocalBackend` does it: the node lets go of its own copy."""
LEAVE = "leave"
"""With ``timeout``: the node that is asked leaves the cluster for good. `LocalBackend` does it."""
UNSUBSCRIBE = "subscriptions.remove"
"""With ``keyspace`` and ``name``; gives whether there was one. `LocalBackend` does it: it is no matter of members."""


async def perform(verb: str, arguments: dict[str, Any], status: dict[str, Any], commit: Commit) -> Any:
    """Do it. ``status`` is the node's; ``commit`` writes to the registry. `ValueError` names what is wrong."""
    if verb not in (REMOVE, FORGET):
        raise ValueError(f"verb: {verb!r} is unknown to this build")
    member = _member(arguments.get("name"), status)
    if verb == REMOVE:
        await commit(registry.remove_ops(member.name))
        return {"member": member.name, "state": "removed"}
    is_dead = arguments.get("dead", False)
    if not isinstance(is_dead, bool):
        raise TypeError(f"dead: true or false is wanted, not {is_dead!r}")
    (lost,) = [m.get("held_alone", {}) for m in status["members"] if m["name"] == member.name]
    await commit(registry.forget_ops(member, is_dead=is_dead))
    return {
        "lost": lost,
        "member": member.name,
        "state": "forgotten",
        "replicas": sorted(i.hex() for i in member.ids),
        "dead": is_dead,
    }


def _member(name: object, status: dict[str, Any]) -> registry.Member:
    for member in status["members"]:
        if member["name"] == name:
            if member["state"] in ("self", "linked", "reached"):
                raise ValueError(f"name: {name!r} is running and {member['state']}; stop it first")
            taken = {m["replica"]: m["name"] for m in status["members"] if m["name"] != name}
            if member["replica"] in taken:
                raise ValueError(
                    f"name: {name!r} is {taken[member['replica']]!r} now, which goes on under its id"
                )
            replica = bytes.fromhex(member["replica"])
            return registry.Member(
                member["name"], replica, ids={replica, *map(bytes.fromhex, member["old_replicas"])}
            )
    raise ValueError(f"name: no member is called {name!r}")
