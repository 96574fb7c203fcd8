"""A certificate authority of the tests: what trustme makes, and SPIFFE IDs besides."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serving.certificates import CertificateFiles, NamedFile

if TYPE_CHECKING:
    from ipaddress import IPv4Address
    from pathlib import Path

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, in PEM."""

    chain: bytes
    key: bytes = field(repr=False)


class Authority:
    """Vouches for whoever it is asked to."""

    def __init__(self, name: str = "tests") -> None:
        """Make a key, and a certificate of its own."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
        certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, *names: str, ip: IPv4Address | None = None, expired: bool = False) -> Issued:
        """Issue a certificate to DNS names, to URIs, and to an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(name) if "://" in name else x509.DNSName(name)
            for name in names
        ]
        if ip is not None:
            alternatives.append(x509.IPAddress(ip))
        common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a service")])
        certificate = (
            self._builder(common, key.public_key(), expired=expired)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Issued(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, expired: bool = False
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * _DAY)
            .not_valid_after(now - _DAY if expired else now + _DAY)
        )


class Kit:
    """The three files of a process, which can be replaced."""

    def __init__(self, directory: Path, name: str) -> None:
        """Keep them in a directory of their own."""
        self.directory = directory / name
        self.directory.mkdir(parents=True)
        self.chain, self.key, self.ca = (
            self.directory / file for file in ("chain.pem", "key.pem", "ca.pem")
        )

    def put(self, issued: Issued, *trusted: Authority) -> Kit:
        """Replace them, each at once."""
        replace(self.key, issued.key)
        replace(self.chain, issued.chain)
        replace(self.ca, b"".join(each.pem for each in trusted))
        return self

    def files(self, role: str = "A", *, ca: bool = True) -> CertificateFiles:
        """Name them by variables."""
        return CertificateFiles(
            NamedFile(f"{role}_TLS_CERT_FILE", self.chain),
            NamedFile(f"{role}_TLS_KEY_FILE", self.key),
            NamedFile(f"{role}_TLS_CA_FILE", self.ca) if ca else None,
        )

    def variables(self, prefix: str) -> dict[str, str]:
        """Set them as the variables of a process."""
        return {
            f"{prefix}_CERT_FILE": str(self.chain),
            f"{prefix}_KEY_FILE": str(self.key),
            f"{prefix}_CA_FILE": str(self.ca),
        }


def replace(path: Path, content: bytes) -> None:
    """Replace a file as those do who renew certificates: never half of it."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    os.replace(beside, path)  # noqa: PTH105 - atomic, whatever Path's does
