"""What is wrong with a node, and what to do about it: from its directory, and from the status of a running one.

The question this answers: *what would an operator who knows the documents by heart say?* Nothing is changed, and
nothing is opened that a running node has open.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..errors import DirectoryUnusable
from ..store import environment, identity, mounts, pages, upgrade, witness
from ..store.directory import FORMAT, Condition, format_of, inspect
from ..store.identity import Kept
from ..store.lock import holder
from . import snapshot

Grade = Literal["ok", "look", "act"]

FREE_MIN = 0.1
"""Of the disk's space; below, a day's writes may fill it."""
SLACK_BYTES_MIN = 64 * 1024 * 1024
"""Of free pages in a store, and at least half of it, before compaction is worth a stop."""


class Advice(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    grade: Grade
    """``ok``; ``look``: it may be what you want; ``act``: it will not mend itself."""
    about: str
    what: str
    todo: str = ""


def of_directory(where: Path) -> list[Advice]:
    """Of a data directory, whether its node runs or not."""
    try:
        condition = inspect(where)
    except DirectoryUnusable as error:
        return [
            Advice("act", "directory", str(error), "name a node's directory, or one that is new or empty")
        ]
    if condition is Condition.FRESH:
        return [Advice("ok", "directory", f"{where} is {condition.value}: a node may begin here")]
    if condition is Condition.UNFINISHED:
        return [
            Advice(
                "ok", "directory", f"{where}: {condition.value}; the next open begins anew, nothing is lost"
            )
        ]
    if condition is Condition.OLDER:
        return [*_place(where), *_older(where)]
    return [*_place(where), *_store(where), *_kept(where)]


def _older(where: Path) -> Iterator[Advice]:
    needed, free = upgrade.needed_bytes(where), shutil.disk_usage(where).free
    what = f"its format is {format_of(where)}; the next open brings it to {FORMAT} and keeps the old one"
    space = f"which takes {needed / 2**20:,.0f} MiB; {free / 2**20:,.0f} MiB are free"
    if free < needed:
        yield Advice(
            "act", "format", f"{what}, {space}", "make space first: until then the directory cannot be opened"
        )
    else:
        yield Advice(
            "look",
            "format",
            f"{what}, {space}",
            "keep a backup of your own, made with the version that wrote it",
        )


def _kept(where: Path) -> Iterator[Advice]:
    for old in upgrade.kept(where):
        size = (old / snapshot.STORE / environment.DATA).stat().st_size
        yield Advice(
            "look",
            "format",
            f"{old} is the store before an upgrade, {size / 2**20:,.0f} MiB",
            "remove it once all is well; to go back, an older version opens a copy of it",
        )


def _place(where: Path) -> Iterator[Advice]:
    kind = mounts.network_type(mounts.table(), str(where.resolve()))
    if kind is not None:
        yield Advice("act", "file system", f"{where} is on {kind}", "move the directory to a local disk")
    space = shutil.disk_usage(where)
    if space.free < FREE_MIN * space.total:
        free = f"{space.free / 2**20:,.0f} MiB of {space.total / 2**20:,.0f} MiB are free"
        yield Advice("look", "disk", free, "make space before writes are refused; reads go on")
    else:
        yield Advice("ok", "disk", f"{space.free / 2**30:,.1f} GiB are free")
    process = holder(where)
    yield Advice("ok", "node", "it does not run" if process is None else f"{process} has the directory open")


def _store(where: Path) -> Iterator[Advice]:
    data = where / snapshot.STORE / environment.DATA
    try:
        pages.check(data)
        with snapshot.reading(where / snapshot.STORE) as env:
            kept = msgspec.msgpack.decode(snapshot.facts(env)["identity"], type=Kept)
            txn, free = env.info()["last_txnid"], snapshot.free_pages(env) * env.stat()["psize"]
    except (DirectoryUnusable, KeyError, msgspec.DecodeError) as error:
        yield Advice("act", "store", str(error), f"{pages.REMEDY}; keep the old one until all is well")
        return
    yield Advice("ok", "store", f"it opens; gossamer verify {where} looks at every cell")
    size = data.stat().st_size
    if free > SLACK_BYTES_MIN and free > size / 2:
        what = f"{free / 2**20:,.0f} MiB of {size / 2**20:,.0f} MiB are free pages"
        yield Advice(
            "look",
            "store",
            what,
            f"they are used again; gossamer compact {where}, with the node stopped, frees them",
        )
    yield from _identity(where, kept, data, int(txn))


def _identity(where: Path, kept: Kept, data: Path, txn: int) -> Iterator[Advice]:
    if len(kept.old_ids) > 1:
        yield Advice(
            "look",
            "identity",
            f"replica {kept.replica.hex()}, after {len(kept.old_ids)} others",
            "a new one at every start means that something copies or touches the directory: see Operations, Identity",
        )
    if holder(where) is not None:
        return  # what a running node will leave behind is not to be judged by what is there now
    doubt = identity.doubt(
        kept.facts,
        identity.facts(where / "gossamer", data),
        witness.read(where / "witness"),
        txn=txn,
        changed_at=data.stat().st_ctime_ns,
        boot=witness.boot_id(),
    )
    if doubt is None:
        yield Advice("ok", "identity", f"it goes on as replica {kept.replica.hex()}")
    else:
        yield Advice("look", "identity", f"it will take a new replica id: {doubt}", "nothing is lost by that")


def of_status(status: dict[str, Any]) -> list[Advice]:
    """Of what a running node says of itself."""
    return [*_of_node(status), *_of_members(status), *_of_keyspaces(status)]


def _of_node(status: dict[str, Any]) -> Iterator[Advice]:
    yield Advice(
        "ok", "node", f"{status['name']} answers, replica {status['replica']}, cluster {status['cluster']}"
    )
    if status["forgotten"]:
        yield Advice(
            "act",
            "node",
            "the cluster has forgotten it: what it writes reaches nobody",
            "begin with an empty directory and another name",
        )
    for address in status["unmet_peers"]:
        yield Advice(
            "look",
            "peers",
            f"{address} was never met, and nothing is cleaned up before",
            "is the address right, and its node up?",
        )
    for cell in status["damaged"]:
        yield Advice(
            "act",
            "store",
            f"a cell is damaged: {cell}",
            "keep another member linked: it is fetched from one that has all that this node has",
        )


def _of_members(status: dict[str, Any]) -> Iterator[Advice]:
    states = {member["name"]: member["state"] for member in status["members"]}
    linked = [name for name, state in states.items() if state == "linked"]
    if not linked and "away" in states.values():  # who was removed or forgotten is not waited for
        yield Advice(
            "act",
            "members",
            "not one of the others is linked",
            "look at the network, and at the log for refusals",
        )
    elif linked:
        yield Advice("ok", "members", f"linked: {', '.join(linked)}")
    for name in (name for name, state in states.items() if state == "away"):
        yield Advice(
            "look",
            "members",
            f"{name} is away: deleted data stays on disk until it is back",
            f"gossamer members remove {name}, if that takes long; it may come back, and loses nothing",
        )


def _of_keyspaces(status: dict[str, Any]) -> Iterator[Advice]:
    for name, keyspace in status["keyspaces"].items():
        about = f"keyspace {name}"
        if not keyspace["ready"]:
            yield Advice("look", about, "it is fetched for the first time: reads raise NotReady", "wait")
        elif keyspace["catching_up"]:
            yield Advice("ok", about, "it is catching up")
        if keyspace["digest_mismatches"]:
            yield Advice(
                "act",
                about,
                f"{keyspace['digest_mismatches']} digest mismatches; they are repaired by themselves",
                "please report it",
            )
        if keyspace["beyond_seals"]:
            yield Advice(
                "act",
                about,
                "it has events of a forgotten member that the others gave up, so they take nothing from it",
                "gossamer export what only it has, and begin with an empty directory",
            )
        if keyspace["quarantined"]:
            yield Advice(
                "act",
                about,
                f"{keyspace['quarantined']} cells with two values under one event",
                "some directory was copied while its node ran: find it",
            )
        yield from _of_subscriptions(name, keyspace["feed"]["subscriptions"])


def _of_subscriptions(keyspace: str, subscriptions: list[dict[str, Any]]) -> Iterator[Advice]:
    for one in subscriptions:
        about = f"subscription {one['name']}"
        forget = f"gossamer subscriptions --keyspace {keyspace} remove {one['name']}, if nobody needs it"
        if one["is_expired"]:
            yield Advice(
                "act",
                about,
                "the feed does not reach to where it was: changes were missed",
                f"let its consumer begin again with a snapshot; or {forget}",
            )
        elif one["behind"] and not one["is_consumed"]:
            yield Advice(
                "look",
                about,
                f"{one['behind']:,} changes behind, and nobody consumes it",
                f"start its consumer; or {forget}",
            )
