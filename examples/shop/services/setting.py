"""What an instance is told when it is started. Apart from the instance itself, so that who starts it imports no FastAPI."""

from __future__ import annotations

import msgspec


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What an instance is told when it is started."""

    instance: str
    data: str
    listen: str
    peers: list[str]
    http_port: int
    takeover_s: float = 1.0
    """After which an instance does what would be the other one's to do."""
    hold_s: float = 30.0
    """For which goods are reserved."""
    reject_s: float = 3.0
    """After which an order is cancelled if one instance rejects it and the other says nothing."""
