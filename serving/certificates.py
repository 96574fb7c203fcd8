"""Certificates and keys in files that others replace while we run."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import structlog

from serving.settings import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger(__name__)

Setting: TypeAlias = "tuple[str, Path | None]"
"""A variable, and the path that it is set to."""
_Stamp: TypeAlias = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file, and the variable that names it."""

    variable: str
    path: Path

    def stamp(self) -> _Stamp:
        """Return what changes when the file does; None: it is not there."""
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino, stat.st_size

    def read(self) -> bytes:
        """Return the content. Raises SettingsError."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise SettingsError(
                f"{self.variable}: cannot read the file: {error.strerror}"
            ) from error


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where a certificate chain is, its key, and the authorities that vouch for peers."""

    chain: NamedFile
    key: NamedFile
    ca: NamedFile | None = None

    def stamps(self) -> tuple[_Stamp, ...]:
        """Return what changes when one of the files does."""
        return tuple(file.stamp() for file in (self.chain, self.key, self.ca) if file)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What the files held at one moment. All in PEM."""

    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)
    ca: bytes | None = field(repr=False)
    context: ssl.SSLContext = field(repr=False)
    """For servers. With authorities, it asks each client for a certificate."""


class Certificates:
    """The newest certificate, key and authorities that were whole."""

    def __init__(self, files: CertificateFiles) -> None:
        """Read the files.

        Raises:
            SettingsError: A file that cannot be read, or a key that is another's.

        """
        self._files = files
        self._lock = threading.Lock()  # gRPC asks from threads of its own
        self._seen = files.stamps()
        self._current = _read(files)

    def current(self) -> Material:
        """Return the material, read anew if a file has changed; the same object if not.

        What cannot be used, as while one file is replaced and another not yet, is
        logged once, and what was before stays.
        """
        with self._lock:
            stamps = self._files.stamps()
            if stamps != self._seen:
                self._seen = stamps
                self._renew()
            return self._current

    def _renew(self) -> None:
        file = self._files.chain.variable
        try:
            self._current = _read(self._files)
        except SettingsError as error:
            log.warning("new certificate not used", file=file, cause=str(error))
        else:
            log.info("new certificate", file=file)


def open_certificates(files: CertificateFiles | None) -> Certificates | None:
    """Read what the files hold; None where none are set. Raises SettingsError."""
    return None if files is None else Certificates(files)


def certificate_files(
    chain: Setting, key: Setting, ca: Setting, *, ca_optional: bool = False
) -> CertificateFiles | None:
    """Return the files that settings name; None where none is set.

    Raises:
        ValueError: One is set and another, which it needs, is not; the message names that.

    """
    given = [variable for variable, path in (chain, key, ca) if path is not None]
    if not given:
        return None
    for variable, path in (chain, key) if ca_optional else (chain, key, ca):
        if path is None:
            raise ValueError(f"{variable}: must be set with {given[0]}")
    named = [NamedFile(variable, path) for variable, path in (chain, key, ca) if path is not None]
    return CertificateFiles(*named)


def _read(files: CertificateFiles) -> Material:
    before = files.stamps()
    chain, key = files.chain.read(), files.key.read()
    ca = files.ca.read() if files.ca else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A password, or OpenSSL would ask the terminal for that of an encrypted key.
        context.load_cert_chain(files.chain.path, files.key.path, password="")
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{files.chain.variable}: is no PEM certificate whose key is, "
            f"unencrypted, in {files.key.variable}"
        ) from error
    if files.ca is not None and ca is not None:
        try:
            context.load_verify_locations(cadata=ca.decode("ascii"))
        except (OSError, ValueError) as error:
            raise SettingsError(f"{files.ca.variable}: has no PEM certificates") from error
        context.verify_mode = ssl.CERT_REQUIRED
        # A resumed session is not verified again: not under newer authorities either.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    if files.stamps() != before:
        raise SettingsError(f"{files.chain.variable}: was replaced while it was read")
    return Material(chain, key, ca, context)
