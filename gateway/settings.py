"""What can be configured in the gateway."""

import re
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import field_validator, model_validator

from gateway import baggage
from gateway.origins import Origins
from serving import plaintext
from serving.addresses import Networks
from serving.certificates import CertificateFiles, certificate_files
from serving.settings import CommaList, Settings, variable

# As a Content-Security-Policy takes it: that knows no IPv6, and a `;` would end the rule.
_SOCKET_ORIGIN = re.compile(r"wss?://[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[1-9][0-9]{0,4})?")


class GatewaySettings(Settings):
    """The settings of the gateway, from the environment."""

    host: str = variable("GATEWAY_HOST", "127.0.0.1", min_length=1)
    port: int = variable("GATEWAY_PORT", 8080, ge=0, le=65535)
    """0: any that is free."""
    https_cert_file: Path | None = variable("GATEWAY_HTTPS_CERT_FILE", None)
    https_key_file: Path | None = variable("GATEWAY_HTTPS_KEY_FILE", None)
    https_client_ca_file: Path | None = variable("GATEWAY_HTTPS_CLIENT_CA_FILE", None)
    """Whose certificates HTTPS clients must have; None: they need none."""
    tls_cert_file: Path | None = variable("GATEWAY_TLS_CERT_FILE", None)
    tls_key_file: Path | None = variable("GATEWAY_TLS_KEY_FILE", None)
    tls_ca_file: Path | None = variable("GATEWAY_TLS_CA_FILE", None)
    allow_plaintext: bool = variable("GATEWAY_ALLOW_PLAINTEXT", False)  # noqa: FBT003 - a default
    foreign_secrets = ("GEMINI_API_KEY",)

    tokenservice_target: str = variable(
        "GATEWAY_TOKENSERVICE_TARGET", "unix:.run/tokenservice.sock", min_length=1
    )
    """A gRPC target: `unix:` and a path, or `host:port`."""
    tokenservice_server_name: str | None = variable(
        "GATEWAY_TOKENSERVICE_SERVER_NAME", None, min_length=1
    )
    """What tokenservice's certificate is for, where that is not the target's host."""
    rpc_timeout_ms: int = variable("GATEWAY_RPC_TIMEOUT_MS", 10_000, ge=1, le=600_000)
    body_timeout_ms: int = variable("GATEWAY_BODY_TIMEOUT_MS", 10_000, ge=1, le=600_000)
    max_body_bytes: int = variable("GATEWAY_MAX_BODY_BYTES", 65_536, ge=1, le=262_144)
    keep_alive_seconds: int = variable("GATEWAY_KEEP_ALIVE_SECONDS", 75, ge=1, le=3_600)
    """For how long a connection may be idle."""
    head_timeout_ms: int = variable("GATEWAY_HEAD_TIMEOUT_MS", 10_000, ge=1, le=600_000)
    write_timeout_ms: int = variable("GATEWAY_WRITE_TIMEOUT_MS", 10_000, ge=1, le=600_000)
    max_head_bytes: int = variable("GATEWAY_MAX_HEAD_BYTES", 16_384, ge=1_024, le=65_536)
    max_headers: int = variable("GATEWAY_MAX_HEADERS", 64, ge=8, le=1_000)
    max_connections: int = variable("GATEWAY_MAX_CONNECTIONS", 1_000, ge=1, le=100_000)
    max_connections_per_address: int = variable(
        "GATEWAY_MAX_CONNECTIONS_PER_ADDRESS", 100, ge=1, le=100_000
    )
    max_concurrent_requests: int = variable("GATEWAY_MAX_CONCURRENT_REQUESTS", 256, ge=1, le=590)
    """Of calls to tokenservice: one connection carries them all, and no more."""
    trusted_proxies: CommaList = variable("GATEWAY_TRUSTED_PROXIES", ())
    """Whose word on a client's address is believed: addresses and networks."""
    baggage_keys: CommaList = variable("GATEWAY_BAGGAGE_KEYS", ())
    """Which members of a caller's `baggage` go on to tokenservice."""
    cors_origins: CommaList = variable("GATEWAY_CORS_ORIGINS", ())
    """Whose pages may read answers: see gateway.origins."""
    cors_credentials: bool = variable("GATEWAY_CORS_CREDENTIALS", True)  # noqa: FBT003 - a default
    cors_max_age_seconds: int = variable("GATEWAY_CORS_MAX_AGE_SECONDS", 7_200, ge=0, le=86_400)
    hsts_max_age_seconds: int = variable(
        "GATEWAY_HSTS_MAX_AGE_SECONDS", 31_536_000, ge=0, le=63_072_000
    )
    """For how long browsers ask for HTTPS alone, where the gateway itself serves that."""
    docs: bool = variable("GATEWAY_DOCS", True)  # noqa: FBT003 - a default
    ops: bool = variable("GATEWAY_OPS", False)  # noqa: FBT003 - a default
    """The operators' API, and the page that shows it."""
    playground: bool = variable("GATEWAY_PLAYGROUND", False)  # noqa: FBT003 - a default
    playground_live_url: str = variable(
        "GATEWAY_PLAYGROUND_LIVE_URL", "wss://generativelanguage.googleapis.com"
    )
    """The origin to which the playground opens the socket of the Live API."""
    heed_sampling: bool = variable("GATEWAY_HEED_SAMPLING", False)  # noqa: FBT003 - a default
    """Whether the sampled flag of a caller's `traceparent` is followed."""

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Networks(value)
        return value

    @field_validator("baggage_keys")
    @classmethod
    def _tokens(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for key in value:
            if not baggage.KEY.fullmatch(key):
                raise ValueError("is a list of keys as W3C Baggage has them")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Origins(value)
        return value

    @field_validator("playground_live_url")
    @classmethod
    def _socket_origin(cls, value: str) -> str:
        if not _SOCKET_ORIGIN.fullmatch(value):
            raise ValueError("is no origin such as wss://live.example or ws://127.0.0.1:8090")
        _ = urlsplit(value).port  # raises ValueError for one that is none
        if value.startswith("ws:") and not plaintext.is_local_url(value):
            raise ValueError("is plaintext and leaves this machine: use wss://")
        return value

    @model_validator(mode="after")
    def _nobody_in_particular(self) -> Self:
        if self.origins.anyone and self.cors_credentials:
            raise ValueError("GATEWAY_CORS_ORIGINS: * needs GATEWAY_CORS_CREDENTIALS=false")
        return self

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        tls, https = self.tls_files, self.https_files
        if self.allow_plaintext:
            return self
        unless = "or GATEWAY_ALLOW_PLAINTEXT=true"
        if https is None and not plaintext.is_loopback(self.host):
            raise ValueError(
                "GATEWAY_HOST: is plaintext and leaves this machine: "
                f"set GATEWAY_HTTPS_CERT_FILE, {unless}"
            )
        if tls is None:
            plaintext.refuse(
                "GATEWAY_TOKENSERVICE_TARGET",
                [self.tokenservice_target],
                unless=f"set GATEWAY_TLS_CERT_FILE, {unless}",
            )
        return self

    @property
    def heeds_sampling(self) -> bool:
        """See Settings."""
        return self.heed_sampling

    @property
    def tls_files(self) -> CertificateFiles | None:
        """Between services: a certificate, its key, and the authorities that are trusted."""
        return certificate_files(
            ("GATEWAY_TLS_CERT_FILE", self.tls_cert_file),
            ("GATEWAY_TLS_KEY_FILE", self.tls_key_file),
            ("GATEWAY_TLS_CA_FILE", self.tls_ca_file),
        )

    @property
    def https_files(self) -> CertificateFiles | None:
        """What browsers see."""
        return certificate_files(
            ("GATEWAY_HTTPS_CERT_FILE", self.https_cert_file),
            ("GATEWAY_HTTPS_KEY_FILE", self.https_key_file),
            ("GATEWAY_HTTPS_CLIENT_CA_FILE", self.https_client_ca_file),
            ca_optional=True,
        )

    @property
    def origins(self) -> Origins:
        """The origins whose pages may read answers."""
        return Origins(self.cors_origins)

    @property
    def proxies(self) -> Networks:
        """The trusted proxies."""
        return Networks(self.trusted_proxies)
