"""A small certificate authority for development and tests: keys on disk, no revocation.

::

    FOLDER/ca.pem, ca-key.pem       the authority
    FOLDER/NAME.pem, NAME-key.pem   a member's, valid for its name and its hosts, or a client's
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .tls import check_name

BACKDATED = timedelta(minutes=5)
"""By which a certificate is valid before it was made: clocks differ."""


class Authority:
    """Signs certificates in one folder."""

    def __init__(self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """For `at`."""
        self.folder, self._certificate, self._key = folder, certificate, key

    @classmethod
    def at(cls, where: str | os.PathLike[str], days: float = 3650.0) -> Authority:
        """The authority in a folder, made there if there is none."""
        folder = Path(where)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "ca.pem").exists():
            return cls._made(folder, days)
        key = serialization.load_pem_private_key((folder / "ca-key.pem").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey), "an authority of this module has such a key"
        return cls(folder, x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes()), key)

    @classmethod
    def _made(cls, folder: Path, days: float) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Gossamer development authority")
        builder = _builder(name, name, key, days).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        certificate = builder.sign(key, hashes.SHA256())
        _write(folder / "ca.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        _write(folder / "ca-key.pem", _pem(key), 0o600)
        return cls(folder, certificate, key)

    def issue(self, name: str, hosts: Iterable[str], days: float, *, is_client: bool = False) -> Path:
        """A certificate for the member ``name``, reached at ``hosts``, or for a client; its file.

        A client's is made out to no host name, so that it makes nobody a member. `ValueError` for a name that no
        certificate can be for.
        """
        check_name(name)
        key = ec.generate_private_key(ec.SECP256R1())
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, *([] if is_client else [ExtendedKeyUsageOID.SERVER_AUTH])]
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"gossamer:client:{name}")]
        if not is_client:
            names = [x509.DNSName(name), *map(_host, hosts)]
        builder = (
            _builder(_name(f"client {name}" if is_client else name), self._certificate.subject, key, days)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        file = self.folder / f"{name}.pem"
        _write(self.folder / f"{name}-key.pem", _pem(key), 0o600)
        _write(file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        return file


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: float
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(file: Path, content: bytes, mode: int) -> None:
    """Replace a file at once, so that nobody reads half of it."""
    draft = file.with_name(file.name + ".new")
    draft.touch(mode)
    draft.write_bytes(content)
    os.replace(draft, file)
