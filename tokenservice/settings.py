"""What can be configured of tokenservice."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from functools import cached_property
from pathlib import Path  # noqa: TC003 - pydantic reads it
from typing import Literal, Self

from pydantic import SecretStr, ValidationError, field_validator, model_validator

from serving import plaintext
from serving.certificates import CertificateFiles, certificate_files
from serving.peers import is_identity
from serving.settings import CommaList, variable
from tokenservice.client_info import TrustedPeers
from tokenservice.gemini import GeminiOptions
from tokenservice.grant import MAX_INSTRUCTION_CHARS, Terms, plain_text
from tokenservice.identity.issuers import MIN_SECRET_BYTES, read_issuers
from tokenservice.identity.origins import Origins
from tokenservice.identity.services import Services
from tokenservice.identity.settings import MIN_KEY_BYTES
from tokenservice.identity.trust import Trust
from tokenservice.ledger.settings import LedgerSettings
from tokenservice.models import Catalogue, ModelsFileError, catalogue, known_models
from tokenservice.seal import KEY_BYTES

_OPERATOR_KEY = re.compile("[!-~]{32,}")
_MAX_LIFETIME_MINUTES = 20 * 60 - 1  # Gemini refuses 20 hours and more


class TokenServiceSettings(LedgerSettings):
    """Tokenservice's environment variables; docs/settings.md says the same at length."""

    listen: CommaList = variable(
        "TOKENSERVICE_LISTEN", ("unix:.run/tokenservice.sock", "127.0.0.1:50051"), min_length=1
    )
    tls_cert_file: Path | None = variable("TOKENSERVICE_TLS_CERT_FILE", None)
    tls_key_file: Path | None = variable("TOKENSERVICE_TLS_KEY_FILE", None)
    tls_ca_file: Path | None = variable("TOKENSERVICE_TLS_CA_FILE", None)
    tls_client_auth: Literal["required", "none"] = variable(
        "TOKENSERVICE_TLS_CLIENT_AUTH", "required"
    )
    trusted_peers: CommaList = variable("TOKENSERVICE_TRUSTED_PEERS", ("unix",))
    services: CommaList = variable("TOKENSERVICE_SERVICES", ())
    delegates: CommaList = variable("TOKENSERVICE_DELEGATES", ())
    policy_target: str = variable(
        "TOKENSERVICE_POLICY_TARGET", "unix:.run/policy.sock", min_length=1
    )
    policy_server_name: str | None = variable("TOKENSERVICE_POLICY_SERVER_NAME", None, min_length=1)
    """What policy's certificate is for, where that is not the target's host."""
    policy_timeout_ms: int = variable("TOKENSERVICE_POLICY_TIMEOUT_MS", 500, ge=10, le=10_000)
    policy_operator_key: SecretStr | None = variable("TOKENSERVICE_POLICY_OPERATOR_KEY", None)
    """Policy's POLICY_OPERATOR_KEY, for operators who ask us; None: they cannot."""
    deadline_ms: int = variable("TOKENSERVICE_DEADLINE_MS", 8_000, ge=1_000, le=25_000)
    max_concurrent_requests: int = variable(
        "TOKENSERVICE_MAX_CONCURRENT_REQUESTS", 512, ge=1, le=590
    )
    seal_key: SecretStr | None = variable("TOKENSERVICE_SEAL_KEY", None)

    issuers_json: SecretStr | None = variable("TOKENSERVICE_ISSUERS", None)
    jwks_refresh_seconds: int = variable("TOKENSERVICE_JWKS_REFRESH_SECONDS", 300, ge=10, le=86_400)
    jwks_stale_seconds: int = variable("TOKENSERVICE_JWKS_STALE_SECONDS", 86_400, ge=60, le=604_800)
    jwt_secret: SecretStr | None = variable("LIVE_API_JWT_SECRET", None)
    jwt_issuer: str | None = variable("LIVE_API_JWT_ISSUER", None)
    jwt_audience: str | None = variable("LIVE_API_JWT_AUDIENCE", None)
    jwt_tier_claim: str = variable("LIVE_API_JWT_TIER_CLAIM", "tier", min_length=1)

    dpop: Literal["off", "optional", "required"] = variable("TOKENSERVICE_DPOP", "off")
    dpop_origins: CommaList = variable("TOKENSERVICE_DPOP_ORIGINS", ())
    """By which URLs callers know us, for their proofs say for which one they are."""

    gemini_api_key: SecretStr = variable("GEMINI_API_KEY", min_length=1)
    gemini_api_version: Literal["v1alpha", "v1beta"] = variable("GEMINI_API_VERSION", "v1beta")
    gemini_base_url: str | None = variable("GOOGLE_GEMINI_BASE_URL", None, pattern="^https?://")
    gemini_attempt_timeout_ms: int = variable("GEMINI_ATTEMPT_TIMEOUT_MS", 4_000, ge=100)
    gemini_attempts: int = variable("GEMINI_ATTEMPTS", 2, ge=1, le=5)
    gemini_probe_seconds: float = variable("GEMINI_PROBE_SECONDS", 30, gt=0)

    duration_minutes: int = variable("LIVE_API_TOKEN_DURATION_MINUTES", 30, ge=1)
    max_duration_minutes: int = variable(
        "LIVE_API_MAX_TOKEN_DURATION_MINUTES", 60, ge=1, le=_MAX_LIFETIME_MINUTES
    )
    start_window_minutes: int = variable(
        "LIVE_API_SESSION_START_WINDOW_MINUTES", 2, ge=1, le=_MAX_LIFETIME_MINUTES
    )
    default_model: str = variable("LIVE_API_DEFAULT_MODEL", "gemini-3.8-live")
    allowed_models: CommaList = variable(
        "LIVE_API_ALLOWED_MODELS",
        ("gemini-3.8-live", "gemini-3.8-live-extended-thinking"),
        min_length=1,
    )
    models_file: Path | None = variable("LIVE_API_MODELS_FILE", None)
    custom_instructions: bool = variable("LIVE_API_ALLOW_CUSTOM_INSTRUCTIONS", False)  # noqa: FBT003 - a default
    default_instruction: str = variable(
        "LIVE_API_DEFAULT_SYSTEM_INSTRUCTION",
        "You are a helpful assistant.",
        min_length=1,
        max_length=MAX_INSTRUCTION_CHARS,
    )

    @field_validator("trusted_peers")
    @classmethod
    def _peers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        TrustedPeers(value)
        return value

    @field_validator("services")
    @classmethod
    def _certificates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(is_identity(entry) for entry in value):
            raise ValueError("has an entry that is neither spiffe://DOMAIN/PATH nor dns:NAME")
        return value

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes")
        return value

    @field_validator("policy_operator_key")
    @classmethod
    def _as_policy_takes_it(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _OPERATOR_KEY.fullmatch(value.get_secret_value()):
            raise ValueError("must be at least 32 characters of printable ASCII without spaces")
        return value

    @field_validator("dpop_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value:
            Origins(value)
        return value

    @field_validator("default_instruction")
    @classmethod
    def _plain(cls, value: str) -> str:
        return plain_text(value)

    @field_validator("seal_key")
    @classmethod
    def _a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(_decoded(value)) != KEY_BYTES:
            raise ValueError(f"must be {KEY_BYTES} bytes in base64")
        return value

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if set(self.services) & set(self.trusted_peers):
            raise ValueError(
                "TOKENSERVICE_SERVICES: must have none of TOKENSERVICE_TRUSTED_PEERS: a gateway "
                "speaks for its clients, and one without credentials would be the gateway"
            )
        return self

    @model_validator(mode="after")
    def _provable(self) -> Self:
        if self.tls_files is not None and self.tls_client_auth == "required":
            return self
        # A service's token may name it as a certificate would.
        by_token = any(each.kind == "service" for each in self.trust.issuers)
        for name, entries in (
            ("TOKENSERVICE_SERVICES", self.services),
            ("TOKENSERVICE_TRUSTED_PEERS", self.trusted_peers),
            ("TOKENSERVICE_DELEGATES", () if by_token else self.delegates),
        ):
            if any(is_identity(entry) for entry in entries):
                raise ValueError(
                    f"{name}: nobody can prove to have a certificate's name without "
                    "TOKENSERVICE_TLS_CERT_FILE and TOKENSERVICE_TLS_CLIENT_AUTH=required"
                )
        return self

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        tls = self.tls_files
        if self.allow_plaintext:
            return self
        unless = "or TOKENSERVICE_ALLOW_PLAINTEXT=true"
        if tls is None:
            unless_tls = f"set TOKENSERVICE_TLS_CERT_FILE, {unless}"
            plaintext.refuse("TOKENSERVICE_LISTEN", self.listen, unless=unless_tls)
            plaintext.refuse("TOKENSERVICE_POLICY_TARGET", [self.policy_target], unless=unless_tls)
        url = self.gemini_base_url or ""
        if url.startswith("http:") and not plaintext.is_local_url(url):
            raise ValueError(
                "GOOGLE_GEMINI_BASE_URL: is plaintext and leaves this machine: "
                f"write https://, {unless}"
            )
        return self

    @field_validator("issuers_json")
    @classmethod
    def _issuers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            read_issuers(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.jwt_secret is None and self.issuers_json is None:
            raise ValueError("LIVE_API_JWT_SECRET: must be set, or else TOKENSERVICE_ISSUERS")
        if self.jwt_issuer in {each.issuer for each in self.trust.issuers}:
            raise ValueError("LIVE_API_JWT_ISSUER: is one of TOKENSERVICE_ISSUERS as well")
        if self.jwks_stale_seconds < self.jwks_refresh_seconds:
            raise ValueError(
                "TOKENSERVICE_JWKS_STALE_SECONDS: "
                "must not be less than TOKENSERVICE_JWKS_REFRESH_SECONDS"
            )
        if self.dpop != "off" and not self.dpop_origins:
            raise ValueError(
                "TOKENSERVICE_DPOP_ORIGINS: must be set, or else TOKENSERVICE_DPOP=off"
            )
        if self.duration_minutes > self.max_duration_minutes:
            raise ValueError(
                "LIVE_API_TOKEN_DURATION_MINUTES: "
                "must not be more than LIVE_API_MAX_TOKEN_DURATION_MINUTES"
            )
        self.catalogue  # noqa: B018 - raises if the models contradict each other
        return self

    @property
    def tls_files(self) -> CertificateFiles | None:
        """Between services: a certificate, its key, and the authorities that are trusted."""
        return certificate_files(
            ("TOKENSERVICE_TLS_CERT_FILE", self.tls_cert_file),
            ("TOKENSERVICE_TLS_KEY_FILE", self.tls_key_file),
            ("TOKENSERVICE_TLS_CA_FILE", self.tls_ca_file),
        )

    @property
    def secrets(self) -> list[str]:
        """What must not be seen of these settings, what is inside of them included."""
        inline = [each.secret.get_secret_value() for each in self.trust.issuers if each.secret]
        return [*super().secrets, *inline]

    @property
    def trust(self) -> Trust:
        """Whom we trust to say who calls."""
        issuers, secret = self.issuers_json, self.jwt_secret
        return Trust(
            issuers=read_issuers(issuers.get_secret_value()) if issuers else (),
            secret=secret.get_secret_value().encode() if secret else None,
            required_issuer=self.jwt_issuer,
            required_audience=self.jwt_audience,
            tier_claim=self.jwt_tier_claim,
            refresh_seconds=self.jwks_refresh_seconds,
            stale_seconds=self.jwks_stale_seconds,
        )

    @property
    def peers(self) -> TrustedPeers:
        """Whose metadata say who their client is."""
        return TrustedPeers(self.trusted_peers)

    @property
    def known_services(self) -> Services:
        """Which services may call, and which of them for users."""
        return Services(self.services, self.delegates)

    @property
    def identity_key(self) -> bytes:
        """What users are named by; without one that is set, by this process alone."""
        if self.hash_key is None:
            return secrets.token_bytes(MIN_KEY_BYTES)
        return self.hash_key.get_secret_value().encode()

    @property
    def terms(self) -> Terms:
        """What may be granted."""
        return Terms(
            catalogue=self.catalogue,
            default_duration_minutes=self.duration_minutes,
            max_duration_minutes=self.max_duration_minutes,
            start_window_minutes=self.start_window_minutes,
            custom_instructions=self.custom_instructions,
            default_instruction=self.default_instruction,
            api_version=self.gemini_api_version,
        )

    @property
    def gemini(self) -> GeminiOptions:
        """How to reach Gemini."""
        return GeminiOptions(
            api_key=self.gemini_api_key.get_secret_value(),
            api_version=self.gemini_api_version,
            base_url=self.gemini_base_url,
            attempts=self.gemini_attempts,
            attempt_timeout=self.gemini_attempt_timeout_ms / 1000,
        )

    @property
    def operator_key(self) -> str | None:
        """The key to policy's operators' API, if one is set."""
        key = self.policy_operator_key
        return None if key is None else key.get_secret_value()

    @property
    def seal_key_bytes(self) -> bytes | None:
        """The key to seal with, if one is set."""
        return _decoded(self.seal_key) if self.seal_key else None

    @cached_property
    def catalogue(self) -> Catalogue:
        """The allowed models, by the file of models as it was at the start."""
        try:
            known = known_models(self.models_file)
            return catalogue(self.allowed_models, self.default_model, known)
        except ModelsFileError as error:
            raise ValueError(f"LIVE_API_MODELS_FILE: {error}") from error
        except ValidationError as error:
            raise ValueError(
                "LIVE_API_ALLOWED_MODELS: has a name that no model can have"
            ) from error
        except ValueError as error:
            raise ValueError(
                "LIVE_API_DEFAULT_MODEL: must be one of LIVE_API_ALLOWED_MODELS"
            ) from error


def _decoded(key: SecretStr) -> bytes:
    try:
        return base64.b64decode(key.get_secret_value(), validate=True)
    except binascii.Error:
        return b""
