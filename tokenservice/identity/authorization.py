"""The Authorization header, before anything in it is believed (RFC 6750, RFC 9449)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from serving.errors import Unauthenticated
from tokenservice.identity.claims import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TOKEN_CHARS = 8 * 1024
_PRESENTED = re.compile(r"\s*(bearer|dpop)\s+\S", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(bearer|dpop) +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)

Scheme = Literal["Bearer", "DPoP"]


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A token as it was sent, and how."""

    scheme: Scheme
    unverified_token: str = field(repr=False)


def parse_authorization(values: Sequence[str]) -> PresentedToken:
    """Return the token in the Authorization headers of a request.

    Raises:
        WrongCredentials: Two headers, another form, or a token over 8 KiB.
        Unauthenticated: None, which is also a blank one and another scheme than ours.

    """
    if not any(_PRESENTED.match(value) for value in values):
        raise Unauthenticated("Send Authorization: Bearer <token>, or X-API-Key.")
    if len(values) > 1:
        refuse("more than one Authorization header")
    match = _CREDENTIALS.fullmatch(values[0].strip(" "))
    if match is None or len(match[2]) > MAX_TOKEN_CHARS:
        refuse("not a bearer token")
    return PresentedToken("DPoP" if match[1].lower() == "dpop" else "Bearer", match[2])
