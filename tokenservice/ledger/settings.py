"""Where the ledger is kept, for tokenservice and for its operator's commands alike."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from serving.settings import variable
from tokenservice.identity.settings import SQLITE, IdentitySettings

OFF = "off"


class LedgerSettings(IdentitySettings):
    """The part of tokenservice's settings that `tokenservice ledger` needs as well."""

    ledger: str | None = variable("TOKENSERVICE_LEDGER", None, min_length=1)
    ledger_max_mb: int = variable("TOKENSERVICE_LEDGER_MAX_MB", 100, ge=1, le=10_000)
    ledger_backups: int = variable("TOKENSERVICE_LEDGER_BACKUPS", 10, ge=1, le=100)
    ledger_max_rows: int = variable(
        "TOKENSERVICE_LEDGER_MAX_ROWS", 200_000, ge=1_000, le=100_000_000
    )
    ledger_max_waiting: int = variable(
        "TOKENSERVICE_LEDGER_MAX_WAITING", 10_000, ge=100, le=1_000_000
    )
    ledger_retention_days: int = variable("TOKENSERVICE_LEDGER_RETENTION_DAYS", 90, ge=1, le=3_660)
    on_ledger_failure: Literal["count", "refuse"] = variable(
        "TOKENSERVICE_ON_LEDGER_FAILURE", "count"
    )

    @model_validator(mode="after")
    def _keyed_ledger(self) -> Self:
        if self.ledger_path is not None and self.hash_key is None:
            raise ValueError("TOKENSERVICE_HASH_KEY: must be set with TOKENSERVICE_LEDGER")
        if self.on_ledger_failure == "refuse" and not (self.ledger_path or self.ledger_stream):
            raise ValueError(
                "TOKENSERVICE_ON_LEDGER_FAILURE: there is no ledger: set TOKENSERVICE_LEDGER"
            )
        return self

    @property
    def ledger_path(self) -> Path | None:
        """The file, if it is one."""
        return None if self.ledger in {None, OFF} else Path(self.ledger or "")

    @property
    def ledger_stream(self) -> str | None:
        """The URL of the Redis with the stream, if it is one."""
        if self.ledger is not None or self.store_url is None:
            return None
        url = self.store_url.get_secret_value()
        return None if not url or url.startswith(SQLITE) else url
