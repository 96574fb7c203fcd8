"""Certificates in files that others replace."""

import os
from pathlib import Path

import pytest
from authority import Authority, Kit, replace
from cryptography.hazmat.primitives import serialization
from structlog.testing import capture_logs

from serving.certificates import Certificates, certificate_files, open_certificates
from serving.settings import SettingsError

AUTHORITY = Authority()


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """Return the files of a process."""
    return Kit(tmp_path, "a").put(AUTHORITY.issue("a.internal"), AUTHORITY)


def test_what_did_not_change_is_not_read_again(kit: Kit) -> None:
    """The same object says so."""
    certificates = Certificates(kit.files())
    with capture_logs() as logs:
        assert certificates.current() is certificates.current()
    assert logs == []


def test_a_new_pair_is_taken(kit: Kit) -> None:
    """Certificate, key and authorities together."""
    certificates = Certificates(kit.files())
    other = Authority()
    issued = other.issue("a.internal")
    kit.put(issued, AUTHORITY, other)
    material = certificates.current()
    assert (material.chain, material.key) == (issued.chain, issued.key)
    assert material.ca == AUTHORITY.pem + other.pem


def test_an_exchange_that_keeps_size_and_time_is_seen(kit: Kit) -> None:
    """A secret that is mounted anew may be as old and as long as the one before."""
    certificates = Certificates(kit.files())
    before = kit.ca.stat()
    other = Authority()
    assert len(other.pem) in range(before.st_size - 8, before.st_size + 8)
    replace(kit.ca, other.pem)
    os.utime(kit.ca, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert certificates.current().ca == other.pem


@pytest.mark.parametrize("broken", [b"", b"junk", b"\xff\xfe", None])
@pytest.mark.parametrize("file", ["chain", "key", "ca"])
def test_a_broken_file_keeps_what_was_and_is_logged_once(
    kit: Kit, file: str, broken: bytes | None
) -> None:
    """Without what it holds; and once it is whole, it is taken."""
    certificates = Certificates(kit.files())
    before = certificates.current()
    path: Path = getattr(kit, file)
    whole = path.read_bytes()
    path.unlink()
    if broken is not None:
        path.write_bytes(broken)
    with capture_logs() as logs:
        assert [certificates.current() for _ in range(3)] == [before] * 3
    (line,) = logs
    assert line["log_level"] == "warning"
    assert "junk" not in str(line)
    replace(path, whole)
    assert certificates.current() is not before


def test_half_a_replacement_is_not_served(kit: Kit) -> None:
    """The new certificate waits for its key."""
    certificates = Certificates(kit.files())
    before = certificates.current()
    issued = AUTHORITY.issue("a.internal")
    replace(kit.chain, issued.chain)
    with capture_logs() as logs:
        assert certificates.current() is before
    assert [line["cause"] for line in logs] == [
        "A_TLS_CERT_FILE: is no PEM certificate whose key is, unencrypted, in A_TLS_KEY_FILE"
    ]
    replace(kit.key, issued.key)
    assert certificates.current().chain == issued.chain


@pytest.mark.parametrize(
    "file, variable", [("chain", "A_TLS_CERT_FILE"), ("key", "A_TLS_KEY_FILE"), ("ca", "A_TLS_CA")]
)
def test_a_file_that_is_not_there_stops_the_start(kit: Kit, file: str, variable: str) -> None:
    """One line names its variable."""
    getattr(kit, file).unlink()
    with pytest.raises(SettingsError, match=rf"\A{variable}.*: cannot read the file: No such.*\Z"):
        Certificates(kit.files())


def test_a_key_of_another_stops_the_start(kit: Kit) -> None:
    """Nobody could be served with it."""
    replace(kit.key, AUTHORITY.issue("b.internal").key)
    with pytest.raises(SettingsError, match=r"\AA_TLS_CERT_FILE: is no PEM certificate whose key"):
        Certificates(kit.files())


def test_an_encrypted_key_is_refused_without_asking_the_terminal(kit: Kit) -> None:
    """A service has nobody to type a password."""
    key = serialization.load_pem_private_key(kit.key.read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    replace(kit.key, encrypted)
    with pytest.raises(SettingsError, match="unencrypted, in A_TLS_KEY_FILE"):
        Certificates(kit.files())


def test_the_material_does_not_show_itself(kit: Kit) -> None:
    """Its repr can be logged."""
    assert repr(Certificates(kit.files()).current()) == "Material()"


def test_none_is_plaintext() -> None:
    """Nothing is set, nothing is read."""
    files = certificate_files(("A", None), ("B", None), ("C", None))
    assert files is None
    assert open_certificates(files) is None


@pytest.mark.parametrize("missing", [0, 1, 2])
@pytest.mark.parametrize("alone", [False, True])
def test_half_a_configuration_is_refused(missing: int, *, alone: bool) -> None:
    """What is missing is named."""
    path = Path("x")
    names = ["A", "B", "C"]
    settings = [(name, None if i == missing else path) for i, name in enumerate(names)]
    if alone:
        settings = [(name, path if i == missing else None) for i, name in enumerate(names)]
    unset = next(name for name, value in settings if value is None)
    with pytest.raises(ValueError, match=rf"\A{unset}: must be set with [ABC]\Z"):
        certificate_files(*settings)


def test_authorities_may_be_optional() -> None:
    """A browser needs no certificate."""
    path = Path("x")
    pair = certificate_files(("A", path), ("B", path), ("C", None), ca_optional=True)
    assert pair is not None
    assert pair.ca is None
    with pytest.raises(ValueError, match=r"\AA: must be set with C\Z"):
        certificate_files(("A", None), ("B", None), ("C", path), ca_optional=True)
