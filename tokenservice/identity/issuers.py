"""Who may say who calls: the issuers of bearer tokens, as they are configured."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from tokenservice.identity.claims import MAX_NAMESPACE_CHARS, ClaimRules, json_value
from tokenservice.identity.keys import ASYMMETRIC, KeySet, OneKey, key_set, secret_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenservice.identity.keys import Keys

MIN_SECRET_BYTES = 32  # RFC 7518, section 3.2: no shorter than the hash
MAX_LIFETIME_SECONDS = 24 * 60 * 60
_DEFAULT_ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
_SECRET_ALGORITHMS = ("HS256",)
_KEY_FIELDS = ("jwks_url", "jwks", "public_key", "secret")


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be printable")
    return value


Text = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
Names = Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1)]
"""A string, or several."""


class IssuerOptions(BaseModel):
    """One issuer of `TOKENSERVICE_ISSUERS`; docs/identity.md says the same at length."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: Text
    audience: Names
    jwks_url: str | None = None
    jwks: dict[str, Any] | None = Field(None, repr=False)
    public_key: str | None = Field(None, repr=False)
    secret: SecretStr | None = None
    algorithms: tuple[str, ...] = Field((), min_length=1, validate_default=False)
    subject_claim: Names = ("sub",)
    tier_claim: Names = ("tier",)
    operator_claim: Names = ("roles",)
    operator_value: Text = "operator"
    kind: Literal["user", "service"] = "user"
    namespace: Annotated[str, AfterValidator(_printable)] | None = None

    @field_validator("jwks_url")
    @classmethod
    def _safe(cls, value: str | None) -> str | None:
        if value is not None and not _is_safe(value):
            raise ValueError("must be an https URL, or http on a loopback address")
        return value

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes")
        return value

    @field_validator("jwks", "public_key")
    @classmethod
    def _no_secret(cls, value: Any) -> Any:
        if value is not None and _holds_a_secret(value):
            raise ValueError("must be public: it holds a private key")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(getattr(self, name) is not None for name in _KEY_FIELDS) != 1:
            raise ValueError(f"needs exactly one of {', '.join(_KEY_FIELDS)}")
        known = _SECRET_ALGORITHMS if self.secret else tuple(ASYMMETRIC)
        if not set(self.algorithms) <= set(known):
            raise ValueError(f"algorithms: for this kind of key, of {', '.join(known)}")
        if len(self.prefix) > MAX_NAMESPACE_CHARS:
            raise ValueError(f"namespace: must be one of at most {MAX_NAMESPACE_CHARS} characters")
        self.fixed_keys  # noqa: B018 - raises if there is no usable one
        return self

    @property
    def allowed(self) -> tuple[str, ...]:
        """The algorithms that its tokens may be signed with."""
        return self.algorithms or (_SECRET_ALGORITHMS if self.secret else _DEFAULT_ALGORITHMS)

    @property
    def prefix(self) -> str:
        """What is put before the subjects."""
        return f"{self.issuer}#" if self.namespace is None else self.namespace

    @property
    def fixed_keys(self) -> Keys | None:
        """The keys, unless they are to be fetched."""
        if self.secret is not None:
            return OneKey(secret_key(self.secret.get_secret_value().encode()))
        if self.public_key is not None:
            return OneKey(_keys("public_key", {"keys": [_jwk(self.public_key)]}, self.allowed))
        return None if self.jwks is None else _keys("jwks", self.jwks, self.allowed)

    def rules(self, namespaces: Sequence[str]) -> ClaimRules:
        """Return how its claims are read; `namespaces` are those of all issuers."""
        return ClaimRules(
            issuer=self.issuer,
            audiences=self.audience,
            subject=self.subject_claim,
            tier=self.tier_claim,
            operator=self.operator_claim,
            operator_value=self.operator_value,
            service=self.kind == "service",
            namespace=self.prefix,
            foreign_namespaces=longer(namespaces, self.prefix)
            + (() if self.kind == "service" else CERTIFICATES),
            max_lifetime=MAX_LIFETIME_SECONDS,
        )


def read_issuers(text: str) -> tuple[IssuerOptions, ...]:
    """Read the list of issuers, a JSON array.

    Raises:
        ValueError: It names the entry, from 1, and the field; never a value.

    """
    try:
        entries = json_value(text.encode())
    except ValueError as error:
        raise ValueError("must be JSON, with each member of an object once") from error
    try:
        issuers = _ISSUERS.validate_python(entries)
    except ValidationError as error:
        raise ValueError(_told(error.errors()[0])) from None
    for number, each in enumerate(issuers, start=1):
        earlier = issuers[: number - 1]
        if each.issuer in {other.issuer for other in earlier}:
            raise ValueError(f"entry {number}: issuer: is that of an earlier entry")
        if each.prefix in {other.prefix for other in earlier}:
            raise ValueError(f"entry {number}: namespace: is that of an earlier entry")
    return issuers


CERTIFICATES = ("spiffe://", "dns:")
"""What the subjects of services begin with that a certificate names: no user's does."""


def longer(namespaces: Sequence[str], own: str) -> tuple[str, ...]:
    """Return the namespaces into which a subject under `own` could fall by its own text."""
    return tuple(each for each in namespaces if len(each) > len(own))


_ISSUERS = TypeAdapter(Annotated[tuple[IssuerOptions, ...], Field(min_length=1)])


def _told(problem: Mapping[str, Any]) -> str:
    message: str = problem["msg"].removeprefix("Value error, ").splitlines()[0]
    if problem["type"] == "missing":
        message = "must be set"
    where = [part for part in problem["loc"] if part != "function-before"]
    if not where:
        return message
    field = str(where[1]) if len(where) > 1 else ""
    named = f" {field}:" if field.isidentifier() else ""
    return f"entry {int(where[0]) + 1}:{named} {message}"


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _holds_a_secret(value: str | Mapping[str, Any]) -> bool:
    if isinstance(value, str):
        return "PRIVATE KEY" in value
    keys = value.get("keys")
    listed = keys if isinstance(keys, list) else []
    return any(isinstance(each, dict) and {"d", "k"} & set(each) for each in listed)


def _jwk(pem: str) -> dict[str, Any]:
    try:
        key = load_pem_public_key(pem.encode())
    except Exception as error:
        raise ValueError("public_key: must be a public key in PEM") from error
    match key:
        case RSAPublicKey():
            return jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)
        case EllipticCurvePublicKey():
            return jwt.algorithms.ECAlgorithm.to_jwk(key, as_dict=True)
        case Ed25519PublicKey():
            return jwt.algorithms.OKPAlgorithm.to_jwk(key, as_dict=True)
        case _:
            raise ValueError("public_key: must be an RSA, EC or Ed25519 key")


def _keys(field: str, jwks: Mapping[str, Any], algorithms: Sequence[str]) -> KeySet:
    try:
        return key_set(jwks, algorithms)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error
