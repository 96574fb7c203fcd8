"""Which services may call, and which of them for a user whom they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.errors import InvalidArgument, PermissionDenied
from tokenservice.client_info import ClientInfo
from tokenservice.principal import Caller, Principal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenservice.call import Call

MAX_SUBJECT_CHARS = 255


class Services:
    """The allow lists of services."""

    def __init__(self, by_certificate: Iterable[str] = (), delegates: Iterable[str] = ()) -> None:
        """Know services `by_certificate`; let `delegates` ask on behalf of users.

        The first are names in certificates, the second subjects of services: such a
        name, or what a service's token says.
        """
        self._by_certificate = frozenset(by_certificate)
        self._delegates = frozenset(delegates)

    def principal(self, identities: Iterable[str]) -> Principal | None:
        """Return the service that a certificate is of, if we know it."""
        known = [name for name in identities if name in self._by_certificate]
        if len(known) != 1:
            return None
        return Principal(subject=known[0], service=True, credential="certificate")

    def caller(self, principal: Principal, call: Call) -> Caller:
        """Return for whom `principal` calls.

        Raises:
            PermissionDenied: It names somebody else, and may not.
            InvalidArgument: It may, but what it names is no subject.

        """
        named = call.on_behalf_of
        if named in {"", principal.subject}:
            return Caller(principal, call.client)
        if not principal.service or principal.subject not in self._delegates:
            raise PermissionDenied("You may not ask on behalf of somebody else.")
        if len(named) > MAX_SUBJECT_CHARS or not named.isprintable():
            raise InvalidArgument(
                "onBehalfOf", f"must be 1 to {MAX_SUBJECT_CHARS} printable characters"
            )
        user = Principal(
            subject=named,
            tier=principal.tier,
            key_thumbprint=principal.key_thumbprint,
            credential=principal.credential,
        )
        # The address is the service's own: all its users would have it.
        return Caller(user, ClientInfo(), acting=principal.subject)
