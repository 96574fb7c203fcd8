"""What can be configured of policy."""

import asyncio
import re
from pathlib import Path

import pytest

from policy.__main__ import serve
from policy.limits import Limits
from policy.settings import PolicySettings
from serving.settings import SettingsError, load


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment that sets nothing of ours."""
    for field in PolicySettings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
        monkeypatch.delenv(f"{field.validation_alias}_FILE", raising=False)


def test_the_defaults_are_the_contracts() -> None:
    """Ten an hour, a hundred a day, five minutes of cooldown, sessions not capped."""
    settings = load(PolicySettings)
    assert settings.limits == Limits(10, 100, 300_000, 0)
    assert settings.hash_key is None


def test_limits_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each limit has its variable; the cooldown may be a part of a minute."""
    monkeypatch.setenv("LIVE_API_MAX_TOKENS_PER_HOUR", "3")
    monkeypatch.setenv("LIVE_API_MAX_TOKENS_PER_DAY", "4")
    monkeypatch.setenv("LIVE_API_COOLDOWN_PERIOD_MINUTES", "0.05")
    monkeypatch.setenv("LIVE_API_MAX_CONCURRENT_SESSIONS", "2")
    assert load(PolicySettings).limits == Limits(3, 4, 3_000, 2)


@pytest.mark.parametrize(
    "name, value",
    [
        ("LIVE_API_MAX_TOKENS_PER_HOUR", "0"),
        ("LIVE_API_MAX_TOKENS_PER_HOUR", "ten"),
        ("LIVE_API_MAX_TOKENS_PER_HOUR", "2.5"),
        ("LIVE_API_MAX_TOKENS_PER_HOUR", ""),
        ("LIVE_API_MAX_TOKENS_PER_DAY", "-1"),
        ("LIVE_API_MAX_TOKENS_PER_DAY", "9"),
        ("LIVE_API_COOLDOWN_PERIOD_MINUTES", "-1"),
        ("LIVE_API_COOLDOWN_PERIOD_MINUTES", "nan"),
        ("LIVE_API_COOLDOWN_PERIOD_MINUTES", "inf"),
        ("LIVE_API_COOLDOWN_PERIOD_MINUTES", "1441"),
        ("LIVE_API_MAX_CONCURRENT_SESSIONS", "-1"),
        ("POLICY_LEASE_MS", "999"),
        ("POLICY_LEASE_MS", "600001"),
        ("POLICY_MEMORY_MAX_USERS", "0"),
        ("POLICY_HASH_KEY", "too-short-to-be-a-key"),
        ("POLICY_OPERATOR_KEY", "one with a space in it, and too long to be short"),
        ("POLICY_STORE_URL", "http://too-short-to-be-a-key@host"),
        ("POLICY_STORE_PREFIX", "{"),
        ("POLICY_ON_STORE_FAILURE", "degraded"),
        ("POLICY_ON_STORE_FAILURE", "open"),
        ("POLICY_LISTEN", " , "),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("DRAIN_SECONDS", "-1"),
    ],
)
def test_a_wrong_value_stops_the_start_with_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """What does not parse or contradicts another is named, in one line, without its value."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"^{re.escape(name)}: [^\n]+$") as refused:
        load(PolicySettings)
    assert "too-short-to-be-a-key" not in str(refused.value)


def test_a_bad_policy_file_stops_the_start_as_a_bad_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first problem is told, with how many there are; systemd does not try again."""
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\nrules: {volume: {requests: 0}, nonsense: 1}\n")
    monkeypatch.setenv("POLICY_FILE", str(file))
    with pytest.raises(SettingsError) as refused:
        asyncio.run(serve(load(PolicySettings), asyncio.Event()))
    assert str(refused.value) == (
        "POLICY_FILE: policy.yaml:2: rules.volume.requests: must be at least 1 "
        "(2 problems in all; see policy validate)"
    )
