"""What a verified JWT says of its bearer, read strictly (RFC 7519, RFC 7800).

PyJWT is lenient where it must not matter: it takes an `exp` of 400 digits or in
a string, an empty `sub`, and the last of two `sub`s. So claims are read here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from serving.errors import Unauthenticated
from tokenservice.errors import WrongCredentials
from tokenservice.principal import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping

LEEWAY_SECONDS = 30
MAX_NAMESPACE_CHARS = 127
NOT_VALID = "The bearer token is not valid."
_MAX_SUBJECT_CHARS = 128  # so with its namespace never more than 255
_MAX_TIME_S = 253_402_300_799  # the year 9999: beyond it a time is a mistake
_TIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url (RFC 7638)
_OLDER_SUBJECT = "userId"

Path = tuple[str, ...]
"""Where a claim stands: its name, and those of the members of objects below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """What the claims of an issuer's tokens must say, and where they say it."""

    issuer: str | None = None
    """The only `iss`; None: whatever it says."""
    audiences: tuple[str, ...] = ()
    """One of these must be in `aud`; none: whatever it says."""
    subject: Path = ("sub",)
    older_subject: bool = False
    """Whether a token without `sub` may name its subject as `userId`."""
    tier: Path = ("tier",)
    operator: Path = ("roles",)
    operator_value: str = "operator"
    service: bool = False
    """Whether the subjects are services of ours."""
    namespace: str = ""
    """What is put before the subject, so that no two issuers have the same."""
    foreign_namespaces: tuple[str, ...] = ()
    """Longer ones of others: a subject that falls into one would be somebody else's."""
    max_lifetime: float | None = None
    """Seconds from `iat`, or else from now, to `exp`; None: any."""


def json_value(data: bytes) -> Any:
    """Return the JSON value that `data` is to every reader alike (RFC 8259, section 4).

    Raises:
        ValueError: No UTF-8, no JSON, or a member twice at any depth.

    """
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def json_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object that `data` is.

    Raises:
        ValueError: See json_value; or another value.

    """
    value = json_value(data)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - of the caller's, not a defect
    return value


def principal(claims: Mapping[str, Any], rules: ClaimRules, now: float) -> Principal:
    """Return whom verified `claims` name at `now`, in seconds since the epoch.

    Raises:
        WrongCredentials: They say something that no honest bearer's do.
        Unauthenticated: They are of another time.

    """
    _of_this_time(claims, rules.max_lifetime, now)
    if rules.issuer is not None and claims.get("iss") != rules.issuer:
        refuse("wrong issuer")
    if rules.audiences and not set(rules.audiences) & _audiences(claims):
        refuse("wrong audience")
    roles = _at(claims, rules.operator)
    return Principal(
        subject=_subject(claims, rules),
        operator=isinstance(roles, list) and rules.operator_value in roles,
        tier=_tier(_at(claims, rules.tier)),
        service=rules.service,
    )


def confirmation(claims: Mapping[str, Any]) -> str:
    """Return the thumbprint of the key that a token is bound to; empty: to none.

    Raises:
        WrongCredentials: It is bound in another way than RFC 9449's, section 6.1:
            what cannot be checked must not be ignored.

    """
    if "cnf" not in claims:
        return ""
    cnf = claims["cnf"]
    thumbprint = cnf.get("jkt") if isinstance(cnf, dict) and set(cnf) == {"jkt"} else None
    if not isinstance(thumbprint, str) or not _THUMBPRINT.fullmatch(thumbprint):
        refuse("bound in a way that cannot be checked")
    return thumbprint


def refuse(why: str) -> NoReturn:
    """Refuse wrong credentials: the caller learns that they failed; why is for the log."""
    raise WrongCredentials(NOT_VALID) from ValueError(why)


def _of_this_time(claims: Mapping[str, Any], max_lifetime: float | None, now: float) -> None:
    expires = _time(claims, "exp", required=True)
    if expires <= now - LEEWAY_SECONDS:
        raise Unauthenticated("The bearer token has expired.")
    for name in ("nbf", "iat"):
        if _time(claims, name, required=False) > now + LEEWAY_SECONDS:
            raise Unauthenticated(NOT_VALID) from ValueError(f"{name} is in the future")
    if max_lifetime is not None:
        issued = now if claims.get("iat") is None else claims["iat"]
        if expires - issued > max_lifetime:
            raise Unauthenticated(NOT_VALID) from ValueError("lives too long")


def _subject(claims: Mapping[str, Any], rules: ClaimRules) -> str:
    path = rules.subject
    if rules.older_subject and path == ("sub",) and "sub" not in claims:
        path = (_OLDER_SUBJECT,)
    if path == (_OLDER_SUBJECT,) and claims.get("type") != "access":
        refuse("not an access token of the older form")  # it signed refresh tokens as well
    subject = _at(claims, path)
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT_CHARS:
        refuse("no usable subject")
    if not subject.isprintable():
        refuse("the subject has unprintable characters")
    whole = rules.namespace + subject
    if whole.startswith(rules.foreign_namespaces):
        refuse("the subject is in another issuer's namespace")
    return whole


def _at(claims: Mapping[str, Any], path: Path) -> Any:
    value: Any = claims
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _tier(value: Any) -> str:
    """Return the tier; what is none is the default, for tiers are no matter of access."""
    return value if isinstance(value, str) and _TIER.fullmatch(value) else ""


def _time(claims: Mapping[str, Any], name: str, *, required: bool) -> float:
    value = claims.get(name)
    if value is None and not required:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(f"{name} is not a number")
    if not 0 <= value <= _MAX_TIME_S:
        refuse(f"{name} is out of range")
    return float(value)


def _audiences(claims: Mapping[str, Any]) -> set[str]:
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    return {each for each in listed if isinstance(each, str)}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
