"""Certificates that end while links are up, with real processes: one that is replaced in time is not noticed, one that is not keeps
its node out from the next connection on, and lets it in again as soon as there is another."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

import gossamer
from gossamer import TLS, Unreachable
from gossamer.certificates import Authority

from .group import lacks_links, linked_with
from .process import Serve, options
from .waiting import PATIENCE, so, until

LOOPBACK = ("127.0.0.1",)
LONG, SHORT = 1.0, 25 * PATIENCE / 86_400
"""Days that a certificate is good for: longer than the test, and a little longer than two nodes take to find each other again."""


class Secured(Serve):
    """A node that shows ``NAME.pem`` of an authority."""

    def __init__(self, name: str, folder: Path, shown: TLS) -> None:
        """``shown``: by clients of the test."""
        super().__init__(name, folder)
        self._folder, self._shown = folder, shown

    def begin(self, *peers: str) -> None:
        """Start it, and wait until it listens."""
        files = [("ca", "ca"), ("certificate", self.name), ("key", f"{self.name}-key")]
        named = [f"--tls-{kind}={self._folder / f'{file}.pem'}" for kind, file in files]
        self.start(*named, *options(peers))
        self._clients[-1] = gossamer.connect(self.address, tls=self._shown)


def over(certificate: Path) -> bool:
    """Its time is over."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc < datetime.now(UTC)


def parted_and_back(a: Serve, c: Serve) -> int:
    """Their link breaks, as c stands still for a while; how long c's log was before."""
    c.freeze()
    until(lambda: linked_with([a], c.name))
    before = len(c.log)
    c.thaw()
    return before


def test_f19_certificates_that_end_under_a_link_and_are_replaced_in_time_or_too_late(tmp_path: Path) -> None:
    ours = Authority.at(tmp_path)
    for name in ("a", "c"):
        ours.issue(name, LOOPBACK, LONG)
    ours.issue("ops", (), LONG, is_client=True)
    shown = TLS(ca=tmp_path / "ca.pem", certificate=tmp_path / "ops.pem", key=tmp_path / "ops-key.pem")
    with Secured("a", tmp_path, shown) as a, Secured("c", tmp_path, shown) as c:
        a.begin()
        c.begin(a.address)
        until(lambda: lacks_links(a, [c]))
        for name in ("a", "c"):
            ours.issue(name, LOOPBACK, SHORT)
        parted_and_back(a, c)
        until(lambda: lacks_links(a, [c]))
        c.client.counter("sold").add(1)  # a client's connection too stands from here on
        ours.issue("a", LOOPBACK, LONG)  # in time; that of c is not

        so(lambda: over(tmp_path / "c.pem"), "it lasts")
        c.client.counter("sold").add(1)
        so(lambda: a.client.counter("sold").value() == 2, "what stands is left alone")

        before = parted_and_back(a, c)
        so(lambda: "UNAVAILABLE" in c.log[before:], "it says nothing of why it is not let in")
        assert lacks_links(a, [c])
        with gossamer.connect(c.address, timeout=5, tls=shown) as client, pytest.raises(Unreachable):
            client.counter("sold").value()
        a.client.counter("sold").add(10)

        ours.issue("c", LOOPBACK, LONG)  # too late, and no process is started anew
        until(lambda: lacks_links(a, [c]))
        so(lambda: c.client.counter("sold").value() == 12, "it is back and does not catch up")
