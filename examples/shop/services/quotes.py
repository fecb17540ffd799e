"""Prices that a customer was shown, signed, so that every instance can hold to them.

What if the price changes between a customer's look and her order, or the instance that takes the order has not
heard of the new one? She pays what she was shown: the quote says so, whoever checks it.
"""

from __future__ import annotations

import hashlib
import hmac

SECRET = b"a secret of the shop's own"
"""From the environment in a real shop."""


def sign(title: str, price: int) -> str:
    """The signature of a price."""
    return hmac.new(SECRET, f"{title} {price}".encode(), hashlib.sha256).hexdigest()[:16]


def is_signed(title: str, price: int, quote: str) -> bool:
    """Whether we said so."""
    return hmac.compare_digest(sign(title, price), quote)
