"""Where the ledger is kept follows from few settings, and what contradicts them is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.settings import SettingsError, load
from tokenservice.ledger.settings import LedgerSettings

KEY = "k" * 32


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> LedgerSettings:
    """Read settings from these variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load(LedgerSettings)


@pytest.mark.parametrize(
    "variables, path, stream",
    [
        ({}, None, None),
        ({"TOKENSERVICE_LEDGER": "/var/l.jsonl"}, Path("/var/l.jsonl"), None),
        ({"TOKENSERVICE_LEDGER": "off"}, None, None),
        ({"TOKENSERVICE_STORE_URL": "redis://localhost"}, None, "redis://localhost"),
        ({"TOKENSERVICE_STORE_URL": "sqlite:/var/i.db"}, None, None),
        ({"TOKENSERVICE_STORE_URL": "redis://localhost", "TOKENSERVICE_LEDGER": "off"}, None, None),
        (
            {"TOKENSERVICE_STORE_URL": "redis://localhost", "TOKENSERVICE_LEDGER": "l.jsonl"},
            Path("l.jsonl"),
            None,
        ),
    ],
)
def test_where_rows_go(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    path: Path | None,
    stream: str | None,
) -> None:
    """A file that is named goes first, then a Redis that is there anyway; `off` is none."""
    read = settings(monkeypatch, TOKENSERVICE_HASH_KEY=KEY, **variables)
    assert (read.ledger_path, read.ledger_stream) == (path, stream)


@pytest.mark.parametrize(
    "variables, named",
    [
        ({"TOKENSERVICE_LEDGER": "l.jsonl"}, "TOKENSERVICE_HASH_KEY"),
        (
            {"TOKENSERVICE_ON_LEDGER_FAILURE": "refuse", "TOKENSERVICE_HASH_KEY": KEY},
            "TOKENSERVICE_ON_LEDGER_FAILURE",
        ),
        (
            {
                "TOKENSERVICE_ON_LEDGER_FAILURE": "refuse",
                "TOKENSERVICE_LEDGER": "off",
                "TOKENSERVICE_STORE_URL": "redis://localhost",
                "TOKENSERVICE_HASH_KEY": KEY,
            },
            "TOKENSERVICE_ON_LEDGER_FAILURE",
        ),
        ({"TOKENSERVICE_ON_LEDGER_FAILURE": "ignore"}, "TOKENSERVICE_ON_LEDGER_FAILURE"),
        ({"TOKENSERVICE_LEDGER": ""}, "TOKENSERVICE_LEDGER"),
        ({"TOKENSERVICE_LEDGER_MAX_MB": "0"}, "TOKENSERVICE_LEDGER_MAX_MB"),
        ({"TOKENSERVICE_LEDGER_RETENTION_DAYS": "0"}, "TOKENSERVICE_LEDGER_RETENTION_DAYS"),
    ],
)
def test_what_contradicts_itself_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    """A ledger without a key, and rows that are required without a ledger, stop the start."""
    with pytest.raises(SettingsError, match=f"^{named}: "):
        settings(monkeypatch, **variables)
