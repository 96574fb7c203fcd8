"""Where identities are kept, for tokenservice and for its operator's commands alike."""

from __future__ import annotations

from typing import Self

from pydantic import SecretStr, field_validator, model_validator

from serving.redis import connect
from serving.settings import Settings, variable

MIN_KEY_BYTES = 32
SQLITE = "sqlite:"
"""What the URL of a file begins with; its path follows."""


class IdentitySettings(Settings):
    """The part of tokenservice's settings that its commands need as well."""

    store_url: SecretStr | None = variable("TOKENSERVICE_STORE_URL", None)
    """None: there are no API keys, and nobody is denied."""
    store_prefix: str = variable(
        "TOKENSERVICE_STORE_PREFIX", "lt-id", pattern=r"^[A-Za-z0-9_.:-]{1,32}$"
    )
    store_timeout_ms: int = variable("TOKENSERVICE_STORE_TIMEOUT_MS", 250, ge=10, le=5_000)
    allow_plaintext: bool = variable("TOKENSERVICE_ALLOW_PLAINTEXT", False)  # noqa: FBT003 - a default
    hash_key: SecretStr | None = variable("TOKENSERVICE_HASH_KEY", None)
    revocation_seconds: float = variable("TOKENSERVICE_REVOCATION_SECONDS", 2.0, ge=0.1, le=60)
    revocation_stale_seconds: float = variable(
        "TOKENSERVICE_REVOCATION_STALE_SECONDS", 60.0, ge=1, le=3_600
    )

    @field_validator("hash_key")
    @classmethod
    def _long_enough_to_hash(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < MIN_KEY_BYTES:
            raise ValueError(f"must be at least {MIN_KEY_BYTES} bytes")
        return value

    @field_validator("store_url")
    @classmethod
    def _a_store(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        url = value.get_secret_value()
        if url == SQLITE:
            raise ValueError("names no file after sqlite:")
        if not url.startswith(SQLITE):
            connect.parse(url)
        return value

    @model_validator(mode="after")
    def _encrypted_store(self) -> Self:
        url = self.shared_store_url
        if url is not None and not self.allow_plaintext and connect.parse(url).exposed:
            raise ValueError(
                "TOKENSERVICE_STORE_URL: is plaintext and leaves this machine: "
                "write rediss:// for redis://, or TOKENSERVICE_ALLOW_PLAINTEXT=true"
            )
        return self

    @model_validator(mode="after")
    def _keyed(self) -> Self:
        if self.store_url is not None and self.hash_key is None:
            raise ValueError("TOKENSERVICE_HASH_KEY: must be set with TOKENSERVICE_STORE_URL")
        if self.revocation_stale_seconds < 2 * self.revocation_seconds:
            raise ValueError(
                "TOKENSERVICE_REVOCATION_STALE_SECONDS: "
                "must be at least twice TOKENSERVICE_REVOCATION_SECONDS"
            )
        return self

    @property
    def shared_store_url(self) -> str | None:
        """The store, if it is one that replicas on several machines can share."""
        url = "" if self.store_url is None else self.store_url.get_secret_value()
        return url if url and not url.startswith(SQLITE) else None
