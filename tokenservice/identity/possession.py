"""When a caller must prove that it holds a key, and to which key it is bound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serving.errors import Unauthenticated
from tokenservice.errors import BadProof
from tokenservice.identity.dpop import matches

if TYPE_CHECKING:
    from tokenservice.identity.dpop import ProofVerifier


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A verified access token, as it came."""

    text: str = field(repr=False)
    confirmation: str = ""
    """The thumbprint of the key that it is bound to, its `cnf.jkt`; empty: to none."""
    scheme: str = "bearer"
    """Of the Authorization header, in lower case: `bearer` or `dpop`."""


class Possession:
    """Asks for proofs: never, of those whose token is bound to a key, or of everybody."""

    def __init__(self, verifier: ProofVerifier | None, *, required: bool = False) -> None:
        """Verify with `verifier`; without one, proofs are ignored, and so is `cnf`."""
        self._verifier = verifier
        self._required = required

    async def key(
        self, proofs: tuple[str, ...], token: AccessToken | None, *, method: str, path: str
    ) -> str:
        """Return the thumbprint of the key that a caller is bound to; empty: to none.

        Its credentials must have been verified before; `token` is None where they
        are an API key.

        Raises:
            BadProof: No proof where there must be one, or one that is not valid.
            Unauthenticated: The scheme is DPoP, and DPoP is off.
            IdentityUnavailable: See ProofVerifier.

        """
        dpop = token is not None and token.scheme == "dpop"
        bound_to = token.confirmation if token is not None else ""
        if self._verifier is None:
            if dpop:
                raise Unauthenticated("Send Authorization: Bearer <token>, or X-API-Key.")
            return ""
        # RFC 9449, sections 7.1 and 7.2: bound tokens have the scheme, and only they.
        if dpop != bool(bound_to):
            raise BadProof from ValueError("the scheme is not the one of such a token")
        if not proofs and not dpop and not self._required:
            return ""
        if not proofs:
            raise BadProof("Send a DPoP proof with the request.")
        text = token.text if token is not None else None
        thumbprint = await self._verifier.verify(proofs, text, method=method, path=path)
        if bound_to and not matches(bound_to, thumbprint):
            raise BadProof from ValueError("the token is bound to another key")
        return thumbprint
