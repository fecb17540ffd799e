"""``ttl`` and ``expires_at`` as callers give them: checked, and in the form that a write takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gossamer.crdt import expiry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def given(ttl: float | None, expires_at: datetime | None) -> tuple[expiry.Expiry, ...]:
    """The argument of a write that may expire: none, or one expiry. `TypeError` or `ValueError` names what is wrong."""
    if ttl is not None and expires_at is not None:
        raise ValueError("ttl, expires_at: only one of them can be given")
    if ttl is not None:
        return ((expiry.TTL, _microseconds(ttl)),)
    return () if expires_at is None else ((expiry.AT, _moment(expires_at)),)


def wanted(ttl: float | None, expires_at: datetime | None) -> expiry.Expiry:
    """The one of the two that is given, which must be one."""
    found = given(ttl, expires_at)
    if not found:
        raise TypeError("ttl, expires_at: one of them is wanted; see persist")
    return found[0]


def _microseconds(ttl: Any) -> int:
    if isinstance(ttl, bool) or not isinstance(ttl, int | float):
        raise TypeError(f"ttl: seconds are wanted, not {type(ttl).__name__}")
    most = expiry.TTL_MAX // 1_000_000
    if not 0 < ttl <= most:  # so compared, an int of any size is judged, and so is what is not a number
        raise ValueError(f"ttl: {ttl} s is not above 0 and at most {most:,}")
    return max(round(ttl * 1e6), 1)


def _moment(expires_at: Any) -> int:
    if not isinstance(expires_at, datetime):
        raise TypeError(f"expires_at: an aware datetime is wanted, not {type(expires_at).__name__}")
    if expires_at.utcoffset() is None:
        raise ValueError(f"expires_at: {expires_at} has no time zone; datetime.now(UTC) has one")
    micros = (expires_at - _EPOCH) // _MICROSECOND
    if micros <= 0:
        raise ValueError(f"expires_at: {expires_at} is before 1970")
    return micros


def moment(expires_at: int | None) -> datetime | None:
    """Microseconds since 1970 as an aware datetime; the last one there is, if they are beyond it."""
    if expires_at is None:
        return None
    try:
        return _EPOCH + expires_at * _MICROSECOND
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
