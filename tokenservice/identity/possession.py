"""When a caller must prove that it holds a key, and to which key it is bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.errors import Unauthenticated
from tokenservice.errors import BadProof
from tokenservice.identity.dpop import matches

if TYPE_CHECKING:
    from tokenservice.identity.authorization import PresentedToken
    from tokenservice.identity.dpop import ProofVerifier


class Possession:
    """Asks for proofs: never, of those whose token is bound to a key, or of everybody."""

    def __init__(self, verifier: ProofVerifier | None, *, required: bool = False) -> None:
        """Verify with `verifier`; without one, proofs are ignored, and bound tokens refused."""
        self._verifier = verifier
        self._required = required

    async def key(
        self,
        proofs: tuple[str, ...],
        token: PresentedToken | None,
        confirmation: str = "",
        *,
        method: str,
        path: str,
    ) -> str:
        """Return the thumbprint of the key that a caller has proven; empty: of none.

        Its credentials must have been verified before. `token` is None where they
        are an API key; `confirmation` names the key that the token is bound to,
        where it is.

        Raises:
            BadProof: No proof where there must be one, or one that is not valid.
            Unauthenticated: A token that needs a proof, and nobody verifies any.
            IdentityUnavailable: See ProofVerifier.

        """
        dpop = token is not None and token.scheme == "DPoP"
        if self._verifier is None:
            if dpop or confirmation:
                raise Unauthenticated("Send Authorization: Bearer <token>, or X-API-Key.")
            return ""
        # RFC 9449, sections 7.1 and 7.2: bound tokens have the scheme, and only they.
        if dpop != bool(confirmation):
            raise BadProof from ValueError("the scheme is not the one of such a token")
        if not proofs and not dpop and not self._required:
            return ""
        if not proofs:
            raise BadProof("Send a DPoP proof with the request.")
        text = None if token is None else token.unverified_token
        thumbprint = await self._verifier.verify(proofs, text, method=method, path=path)
        if confirmation and not matches(confirmation, thumbprint):
            raise BadProof from ValueError("the token is bound to another key")
        return thumbprint
