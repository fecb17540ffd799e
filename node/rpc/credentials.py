"""TLS as gRPC has it: what a server shows and demands, what a dialer shows and expects, and whose certificate it was.

When does a new certificate count? The server looks at its files at each handshake, and a dialer reads its own for
each connection, so replaced files count from the next connection on; a link that stands is left alone.
"""

from __future__ import annotations

import logging
from typing import Any

import grpc

from ..tls import TLS, Files

log = logging.getLogger("gossamer")

TARGET_NAME = "grpc.ssl_target_name_override"
"""The option that has a server's certificate checked for this name, and not for the host that was dialed."""
_NAMES = ("x509_subject_alternative_name", "x509_common_name")


def for_server(tls: TLS) -> grpc.ServerCredentials:
    """Demands a certificate of the authority from everyone."""
    fetcher = _Fetcher(tls)
    return grpc.dynamic_ssl_server_credentials(
        fetcher.first,
        fetcher,  # type: ignore[arg-type]  # it may return None, the stubs forget
        require_client_authentication=True,
    )


def for_channel(tls: TLS) -> grpc.ChannelCredentials:
    """What a dialer or a client shows, as its files are now. `ValueError` if they cannot be read."""
    files = tls.read()
    return grpc.ssl_channel_credentials(files.ca, files.key, files.certificate)


def names_of(context: grpc.aio.ServicerContext[Any, Any]) -> frozenset[str]:
    """The names that the certificate of a call's other side is made out to."""
    said = context.auth_context()
    return frozenset(name.decode(errors="replace") for key in _NAMES for name in said.get(key, ()))


class _Fetcher:
    """Called at each handshake: the files' content if they were replaced, else None. A bad replacement is not taken."""

    def __init__(self, tls: TLS) -> None:
        self._tls = tls
        self._seen = tls.versions()
        self.first = _configuration(tls.read())

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        try:
            now = self._tls.versions()
            if now == self._seen:
                return None
            found = _configuration(self._tls.read())
        except ValueError as error:
            log.warning("the certificate stays as it was: %s", error)
            return None
        self._seen = now
        log.info("a new certificate counts from here on: %s", self._tls.certificate)
        return found


def _configuration(files: Files) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(files.key, files.certificate)], files.ca)
