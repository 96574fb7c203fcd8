"""Who is let in, and with what: policy hears of those who are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.errors import DECISION_ID, InvalidArgument, ServiceError
from tokenservice.errors import WrongCredentials
from tokenservice.principal import Caller

if TYPE_CHECKING:
    from tokenservice.authenticate import Authenticator
    from tokenservice.client_info import ClientInfo
    from tokenservice.deadline import Deadline
    from tokenservice.grant import Grant, Terms, TokenRequest
    from tokenservice.policy_port import Policy
    from tokenservice.principal import UnverifiedCredentials


class Admission:
    """Authenticates and checks.

    A report is awaited, but decides nothing here: of its answer, the refusal
    names what policy made of it.
    """

    def __init__(self, authenticator: Authenticator, terms: Terms, policy: Policy) -> None:
        """Let in whom `authenticator` knows, grant what `terms` allow, report to `policy`."""
        self._authenticator = authenticator
        self._terms = terms
        self._policy = policy

    async def caller(
        self, credentials: UnverifiedCredentials, client: ClientInfo, deadline: Deadline
    ) -> Caller:
        """Return who calls.

        Raises:
            Unauthenticated: See Authenticator. Wrong credentials are reported.

        """
        try:
            return Caller(await self._authenticator.authenticate(credentials), client)
        except WrongCredentials as error:
            fingerprint = credentials.fingerprint
            _name(error, await self._policy.report_credentials(client, fingerprint, deadline))
            raise

    async def grant(self, caller: Caller, asked: TokenRequest, deadline: Deadline) -> Grant:
        """Return what a caller is granted.

        Raises:
            InvalidArgument: See Terms. Each is reported.

        """
        try:
            return self._terms.grant(asked)
        except InvalidArgument as error:
            _name(error, await self._policy.report_request(caller, asked, deadline))
            raise


def _name(error: ServiceError, decision_id: str) -> None:
    if decision_id:
        error.metadata[DECISION_ID] = decision_id
