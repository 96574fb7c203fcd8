"""What can be configured of policy."""

from __future__ import annotations

from typing import Self

from pydantic import SecretStr, field_validator, model_validator

from policy.limits import Limits
from serving.settings import CommaList, Settings, variable

MIN_KEY_BYTES = 32


class PolicySettings(Settings):
    """Policy's environment variables; docs/settings.md says the same at length."""

    listen: CommaList = variable("POLICY_LISTEN", ("unix:.run/policy.sock",), min_length=1)
    hash_key: SecretStr | None = variable("POLICY_HASH_KEY", None)
    lease_ms: int = variable("POLICY_LEASE_MS", 30_000, ge=1_000, le=600_000)
    max_users: int = variable("POLICY_MEMORY_MAX_USERS", 200_000, ge=1)
    tokens_per_hour: int = variable("LIVE_API_MAX_TOKENS_PER_HOUR", 10, ge=1)
    tokens_per_day: int = variable("LIVE_API_MAX_TOKENS_PER_DAY", 100, ge=1)
    cooldown_minutes: float = variable("LIVE_API_COOLDOWN_PERIOD_MINUTES", 5, ge=0, le=1440)
    concurrent_sessions: int = variable("LIVE_API_MAX_CONCURRENT_SESSIONS", 0, ge=0)

    @field_validator("hash_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < MIN_KEY_BYTES:
            raise ValueError(f"must be at least {MIN_KEY_BYTES} bytes")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tokens_per_day < self.tokens_per_hour:
            raise ValueError(
                "LIVE_API_MAX_TOKENS_PER_DAY: must not be less than LIVE_API_MAX_TOKENS_PER_HOUR"
            )
        return self

    @property
    def limits(self) -> Limits:
        """The limits of a user."""
        return Limits(
            tokens_per_hour=self.tokens_per_hour,
            tokens_per_day=self.tokens_per_day,
            cooldown_ms=round(self.cooldown_minutes * 60_000),
            concurrent_sessions=self.concurrent_sessions,
        )
