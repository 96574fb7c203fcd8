"""Where identities are kept, as it is configured."""

from __future__ import annotations

import os
import re

import pytest

from serving.settings import SettingsError, load
from tokenservice.identity.settings import IdentitySettings

KEY = "a key to hash with, of the tests, long enough"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing set."""
    for name in list(os.environ):
        if name.startswith("TOKENSERVICE_"):
            monkeypatch.delenv(name)


def test_without_a_store_nothing_needs_to_be_set() -> None:
    """By default there is no store, and no key is needed for it."""
    settings = load(IdentitySettings)
    assert (settings.store_url, settings.hash_key) == (None, None)
    assert (settings.revocation_seconds, settings.revocation_stale_seconds) == (2, 60)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:identity.db",
        "sqlite:/var/lib/live-token/identity.db",
        "redis://user:pass@127.0.0.1:6379/0",
        "rediss://redis.example",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://localhost:1,[::1]:2/main/0",
        "rediss+cluster://a:1,b:2",
    ],
)
def test_a_store_is_a_file_or_a_redis(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """All forms of a Redis are taken, and a file by its path; none of it is shown."""
    monkeypatch.setenv("TOKENSERVICE_STORE_URL", url)
    monkeypatch.setenv("TOKENSERVICE_HASH_KEY", KEY)
    settings = load(IdentitySettings)
    assert settings.store_url is not None
    assert settings.store_url.get_secret_value() == url
    assert "pass" not in repr(settings)
    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    "name, value",
    [
        ("TOKENSERVICE_STORE_URL", ""),
        ("TOKENSERVICE_STORE_URL", "sqlite:"),
        ("TOKENSERVICE_STORE_URL", "mysql://user:p4ssword@db"),
        ("TOKENSERVICE_STORE_URL", "/var/lib/identity.db"),
        ("TOKENSERVICE_HASH_KEY", "too short to be a key"),
        ("TOKENSERVICE_STORE_PREFIX", "{a}"),
        ("TOKENSERVICE_STORE_PREFIX", ""),
        ("TOKENSERVICE_STORE_TIMEOUT_MS", "9"),
        ("TOKENSERVICE_REVOCATION_SECONDS", "0"),
        ("TOKENSERVICE_REVOCATION_SECONDS", "61"),
        ("TOKENSERVICE_REVOCATION_SECONDS", "nan"),
        ("TOKENSERVICE_REVOCATION_STALE_SECONDS", "3601"),
        ("TOKENSERVICE_REVOCATION_STALE_SECONDS", "3"),
    ],
)
def test_a_store_that_cannot_be_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The variable is named in one line; a secret is not repeated."""
    monkeypatch.setenv("TOKENSERVICE_STORE_URL", "sqlite:identity.db")
    monkeypatch.setenv("TOKENSERVICE_HASH_KEY", KEY)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"\A{re.escape(name)}: [^\n]+\Z") as told:
        load(IdentitySettings)
    assert len(value) < 8 or value not in str(told.value)
    assert "p4ssword" not in str(told.value)


def test_a_store_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key to hash with nothing is kept."""
    monkeypatch.setenv("TOKENSERVICE_STORE_URL", "sqlite:identity.db")
    with pytest.raises(SettingsError, match=r"^TOKENSERVICE_HASH_KEY: must be set with"):
        load(IdentitySettings)
