"""What can be configured of policy."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - pydantic reads it
from typing import Literal, Self

from pydantic import SecretStr, field_validator, model_validator

from policy.limits import Limits
from serving import plaintext
from serving.certificates import CertificateFiles, certificate_files
from serving.peers import is_identity
from serving.redis import connect as redis_connect
from serving.settings import CommaList, Settings, variable

MIN_KEY_BYTES = 32


class PolicySettings(Settings):
    """Policy's environment variables; docs/settings.md says the same at length."""

    listen: CommaList = variable("POLICY_LISTEN", ("unix:.run/policy.sock",), min_length=1)
    hash_key: SecretStr | None = variable("POLICY_HASH_KEY", None)
    tls_cert_file: Path | None = variable("POLICY_TLS_CERT_FILE", None)
    tls_key_file: Path | None = variable("POLICY_TLS_KEY_FILE", None)
    tls_ca_file: Path | None = variable("POLICY_TLS_CA_FILE", None)
    tls_client_auth: Literal["required", "none"] = variable("POLICY_TLS_CLIENT_AUTH", "required")
    allow_plaintext: bool = variable("POLICY_ALLOW_PLAINTEXT", False)  # noqa: FBT003 - a default
    callers: CommaList = variable("POLICY_CALLERS", ())
    """Who may call PolicyService over TCP; empty: whoever can connect."""
    foreign_secrets = ("GEMINI_API_KEY",)

    max_concurrent_requests: int = variable("POLICY_MAX_CONCURRENT_REQUESTS", 512, ge=1, le=590)
    lease_ms: int = variable("POLICY_LEASE_MS", 30_000, ge=1_000, le=600_000)
    file: Path | None = variable("POLICY_FILE", None)
    operator_key: SecretStr | None = variable("POLICY_OPERATOR_KEY", None)

    decision_log: str | None = variable("POLICY_DECISION_LOG", None, min_length=1)
    """`stdout`, or a path."""
    decision_log_max_mb: int = variable("POLICY_DECISION_LOG_MAX_MB", 100, ge=1, le=10_000)
    decision_log_backups: int = variable("POLICY_DECISION_LOG_BACKUPS", 5, ge=1, le=1_000)

    store_url: SecretStr | None = variable("POLICY_STORE_URL", None)
    """None: the memory of this process."""
    store_prefix: str = variable("POLICY_STORE_PREFIX", "lt", pattern=r"^[A-Za-z0-9_.:-]{1,32}$")
    store_timeout_ms: int = variable("POLICY_STORE_TIMEOUT_MS", 250, ge=10, le=5_000)
    store_max_connections: int = variable("POLICY_STORE_MAX_CONNECTIONS", 16, ge=1, le=1_000)
    store_wait_replicas: int = variable("POLICY_STORE_WAIT_REPLICAS", 0, ge=0, le=10)
    store_allow_eviction: bool = variable("POLICY_STORE_ALLOW_EVICTION", False)  # noqa: FBT003 - a default
    on_store_failure: Literal["refuse", "degraded"] = variable("POLICY_ON_STORE_FAILURE", "refuse")
    max_users: int = variable("POLICY_MEMORY_MAX_USERS", 200_000, ge=1)
    tokens_per_hour: int = variable("LIVE_API_MAX_TOKENS_PER_HOUR", 10, ge=1)
    tokens_per_day: int = variable("LIVE_API_MAX_TOKENS_PER_DAY", 100, ge=1)
    cooldown_minutes: float = variable("LIVE_API_COOLDOWN_PERIOD_MINUTES", 5, ge=0, le=1440)
    concurrent_sessions: int = variable("LIVE_API_MAX_CONCURRENT_SESSIONS", 0, ge=0)

    @field_validator("hash_key", "operator_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < MIN_KEY_BYTES:
            raise ValueError(f"must be at least {MIN_KEY_BYTES} bytes")
        return value

    @field_validator("operator_key")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch("[!-~]*", value.get_secret_value()):
            raise ValueError("must be printable ASCII without spaces: it travels in a header")
        return value

    @field_validator("store_url")
    @classmethod
    def _reachable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            redis_connect.parse(value.get_secret_value())
        return value

    @field_validator("callers")
    @classmethod
    def _identities(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(is_identity(each) for each in value):
            raise ValueError("has an entry that is no spiffe://… and no dns:…")
        return value

    @model_validator(mode="after")
    def _provable(self) -> Self:
        if self.callers and (self.tls_files is None or self.tls_client_auth == "none"):
            raise ValueError(
                "POLICY_CALLERS: nobody can prove to be one of them without "
                "POLICY_TLS_CERT_FILE and POLICY_TLS_CLIENT_AUTH=required"
            )
        return self

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        tls, allowed = self.tls_files, self.allow_plaintext
        unless = "or POLICY_ALLOW_PLAINTEXT=true"
        if tls is None and not allowed:
            plaintext.refuse(
                "POLICY_LISTEN", self.listen, unless=f"set POLICY_TLS_CERT_FILE, {unless}"
            )
        url = None if self.store_url is None else self.store_url.get_secret_value()
        if url is not None and not allowed and redis_connect.parse(url).exposed:
            raise ValueError(
                "POLICY_STORE_URL: is plaintext and leaves this machine: "
                f"write rediss:// for redis://, {unless}"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tokens_per_day < self.tokens_per_hour:
            raise ValueError(
                "LIVE_API_MAX_TOKENS_PER_DAY: must not be less than LIVE_API_MAX_TOKENS_PER_HOUR"
            )
        return self

    @model_validator(mode="after")
    def _shareable(self) -> Self:
        if self.store_url is not None and self.hash_key is None:
            raise ValueError(
                "POLICY_HASH_KEY: must be set with POLICY_STORE_URL, "
                "or no two processes would know a user by the same name"
            )
        if self.store_url is None and self.on_store_failure != "refuse":
            raise ValueError("POLICY_ON_STORE_FAILURE: means nothing without POLICY_STORE_URL")
        return self

    @property
    def tls_files(self) -> CertificateFiles | None:
        """Between services: a certificate, its key, and the authorities that are trusted."""
        return certificate_files(
            ("POLICY_TLS_CERT_FILE", self.tls_cert_file),
            ("POLICY_TLS_KEY_FILE", self.tls_key_file),
            ("POLICY_TLS_CA_FILE", self.tls_ca_file),
        )

    @property
    def limits(self) -> Limits:
        """The limits of a user, where the policy file does not say otherwise."""
        return Limits(
            tokens_per_hour=self.tokens_per_hour,
            tokens_per_day=self.tokens_per_day,
            cooldown_ms=round(self.cooldown_minutes * 60_000),
            concurrent_sessions=self.concurrent_sessions,
        )
