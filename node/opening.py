"""Opening a directory as a node: whose it is, what it is called, and of which cluster.

Who is the node? The replica id is the directory's (`store.directory` says when it takes a new one). Its name and
its cluster are what it was first opened with, unless a name is given.
"""

from __future__ import annotations

import logging
import os

from .config import NodeConfig
from .errors import DirectoryUnusable
from .feed.upkeep import Retention
from .replica import DEFAULT, Replica
from .replication.engine import Identity
from .store import Directory
from .store.environment import MAP_BYTES
from .store.ledger import Bounds

log = logging.getLogger("gossamer")

_NAME, _CLUSTER = "name", "cluster"
_REPLICA_BYTES = 8


def open_replica(
    config: NodeConfig,
    *,
    name: str | None = None,
    address: str | None = None,
    boot_id: str | None = None,
    map_bytes: int = MAP_BYTES,
) -> Replica:
    """The replica in ``config.data``, made if it is not there. A `StoreError` says why it cannot be opened.

    ``name`` and ``address`` stand in for the configured ones. `Replica.close` closes the directory.
    """
    directory = Directory.open(config.data, config.durability, boot_id=boot_id, map_bytes=map_bytes)
    try:
        if directory.upgraded is not None:
            log.warning(
                "%s: brought to the present format; the old one is in %s", directory.path, directory.upgraded
            )
        if directory.doubt is not None:
            _log_new_id(directory, directory.doubt)
        _check_cluster(directory, config.cluster)
        replica = _replica(config, directory, name or config.name, address or config.address or "")
        if replica.is_gone:
            raise DirectoryUnusable(
                f"{directory.path}: its node has left the cluster for good, and the others have all that it had; begin with "
                "an empty directory, under the same name if you like (gossamer backup keeps this one)"
            )
        return replica
    except BaseException:
        directory.close()
        raise


def _replica(config: NodeConfig, directory: Directory, name: str | None, address: str) -> Replica:
    known = _named(directory, name) or address or directory.replica.hex()

    directory.store.bound_ledgers(Bounds(config.conflicts_max, config.conflicts_age_s))

    def keep(replica: bytes, old_ids: list[bytes], reason: str) -> None:
        directory.keep_identity(replica, old_ids, reason)
        _log_new_id(directory, reason)

    return Replica(
        directory.store,
        Identity(directory.replica, _random_id(), known, address, config.cluster, config.durability),
        ((DEFAULT,) if config.host_default else ()) + config.keyspaces,
        peers=config.peers,
        old_ids=directory.old_ids,
        new_id=_random_id,
        on_new_id=keep,
        on_close=directory.close,
        read_only=config.read_only,
        retention=Retention(config.feed_changes_max, config.feed_age_s),
        op_window_s=config.op_window_s,
    )


def _check_cluster(directory: Directory, cluster: str) -> None:
    recorded = directory.store.get_meta(_CLUSTER)
    if recorded is None:
        directory.store.put_meta(_CLUSTER, cluster.encode())
    elif recorded.decode() != cluster:
        raise DirectoryUnusable(
            f"{directory.path}: it belongs to cluster {recorded.decode()!r}, not {cluster!r}; "
            "name that cluster, or another directory"
        )


def _named(directory: Directory, name: str | None) -> str | None:
    """The configured name, recorded; without one, that of an earlier open."""
    recorded = directory.store.get_meta(_NAME)
    if name is None:
        return None if recorded is None else recorded.decode()
    if recorded != name.encode():
        directory.store.put_meta(_NAME, name.encode())
    return name


def _log_new_id(directory: Directory, reason: str) -> None:
    replica, before = directory.replica.hex(), directory.old_ids[-1].hex() if directory.old_ids else "none"
    log.warning(
        "%s: goes on as replica %s in place of %s: %s",
        directory.path,
        replica,
        before,
        reason,
        extra={"event": "new identity", "fields": {"replica": replica, "before": before, "reason": reason}},
    )


def _random_id() -> bytes:
    return os.urandom(_REPLICA_BYTES)
