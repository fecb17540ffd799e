"""TLS for the status page: certificates that are replaced while it is served count from the next connection on."""

from __future__ import annotations

import logging
import ssl
from typing import Any

from ..tls import TLS

log = logging.getLogger("gossamer")


class Renewed(ssl.SSLContext):
    """A server's context that stands for the one of the files as they are. Made as ``Renewed(ssl.PROTOCOL_TLS_SERVER)``, then `follow`."""

    _tls: TLS
    _seen: object
    _now: ssl.SSLContext

    def follow(self, tls: TLS) -> None:
        """Stand for these files. `ValueError` or `OSError` if they cannot be used."""
        self._tls, self._seen, self._now = tls, tls.versions(), _context(tls)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin a connection."""
        self._look()
        return self._now.wrap_bio(*args, **kwargs)

    def _look(self) -> None:
        versions = self._tls.versions()
        if versions == self._seen:
            return
        try:
            self._now = _context(self._tls)
        except (OSError, ValueError) as error:
            log.warning("the status page's certificate stays as it was: %s", error)
        self._seen = versions


def _context(tls: TLS) -> ssl.SSLContext:
    tls.read()  # says which file is wrong
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    context.load_verify_locations(tls.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
