"""What can be configured in the gateway."""

from pydantic import field_validator

from serving.addresses import Networks
from serving.settings import CommaList, Settings, variable


class GatewaySettings(Settings):
    """The settings of the gateway, from the environment."""

    host: str = variable("GATEWAY_HOST", "127.0.0.1", min_length=1)
    port: int = variable("GATEWAY_PORT", 8080, ge=0, le=65535)
    """0: any that is free."""
    tokenservice_target: str = variable(
        "GATEWAY_TOKENSERVICE_TARGET", "unix:.run/tokenservice.sock", min_length=1
    )
    """A gRPC target: `unix:` and a path, or `host:port`."""
    rpc_timeout_ms: int = variable("GATEWAY_RPC_TIMEOUT_MS", 10_000, ge=1, le=600_000)
    body_timeout_ms: int = variable("GATEWAY_BODY_TIMEOUT_MS", 10_000, ge=1, le=600_000)
    max_body_bytes: int = variable("GATEWAY_MAX_BODY_BYTES", 65_536, ge=1, le=262_144)
    keep_alive_seconds: int = variable("GATEWAY_KEEP_ALIVE_SECONDS", 75, ge=1, le=3_600)
    """For how long a connection may be idle."""
    trusted_proxies: CommaList = variable("GATEWAY_TRUSTED_PROXIES", ())
    """Whose word on a client's address is believed: addresses and networks."""

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Networks(value)
        return value

    @property
    def proxies(self) -> Networks:
        """The trusted proxies."""
        return Networks(self.trusted_proxies)
