"""Opening a directory: the store in it, and whose it is.

Who is the node? The replica id that the directory keeps, made at random when it is first opened, together with
the ids that it had before.
"""

from __future__ import annotations

import secrets

import msgspec

from .config import NodeConfig
from .replica import DEFAULT, Replica
from .replication.engine import Identity
from .store import Store

_IDS = "replicas"  # the current id, then the old ones
_REPLICA_BYTES = 8


def open_replica(config: NodeConfig) -> Replica:
    """The replica in ``config.data``, made if it is not there. A `StoreError` says why it cannot be opened."""
    config.data.mkdir(parents=True, exist_ok=True)
    store = Store(config.data, config.durability)
    current, *old = _ids(store)
    address = config.address or ""
    name = config.name or address or current.hex()
    return Replica(
        store,
        Identity(current, _random_id(), name, address, config.cluster),
        (DEFAULT, *config.keyspaces),
        old_ids=old,
        new_id=_random_id,
        on_new_id=lambda replica, old_ids, _reason: _keep(store, [replica, *old_ids]),
    )


def _ids(store: Store) -> list[bytes]:
    kept = store.get_meta(_IDS)
    if kept is not None:
        return msgspec.msgpack.decode(kept, type=list[bytes])
    ids = [_random_id()]
    _keep(store, ids)
    return ids


def _keep(store: Store, ids: list[bytes]) -> None:
    store.put_meta(_IDS, msgspec.msgpack.encode(ids))


def _random_id() -> bytes:
    return secrets.token_bytes(_REPLICA_BYTES)
