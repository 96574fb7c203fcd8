"""Who is let in, and with what: policy hears of those who are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opentelemetry import trace

from serving import tracing
from serving.errors import DECISION_ID, InvalidArgument, ServiceError
from tokenservice.errors import WrongCredentials
from tokenservice.principal import Caller

if TYPE_CHECKING:
    from serving.pseudonym import Pseudonyms
    from tokenservice.call import Call
    from tokenservice.grant import Grant, Terms, TokenRequest
    from tokenservice.identity.authenticator import Authenticator
    from tokenservice.identity.services import Services
    from tokenservice.policy_port import Policy


class Denials(Protocol):
    """Knows who may not use the service any more."""

    def check(self, subject: str) -> None:
        """Raise SubjectDenied, or IdentityUnavailable where that cannot be told."""
        ...


class Admission:
    """Authenticates and checks.

    A report is awaited, but decides nothing here: of its answer, the refusal
    names what policy made of it.
    """

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        services: Services,
        denials: Denials,
        terms: Terms,
        policy: Policy,
        pseudonyms: Pseudonyms,
    ) -> None:
        """Let in whom `authenticator` knows, grant what `terms` allow, report to `policy`.

        On traces, users are named by `pseudonyms`.
        """
        self._authenticator = authenticator
        self._services = services
        self._denials = denials
        self._terms = terms
        self._policy = policy
        self._pseudonyms = pseudonyms

    async def caller(self, call: Call) -> Caller:
        """Return who calls, and for whom. Raises what the three steps of it do."""
        caller = self.named(await self.authenticated(call), call)
        self.ensure_welcome(caller)
        return caller

    async def authenticated(self, call: Call) -> Caller:
        """Return who calls, be it welcome or not.

        Raises:
            Unauthenticated: See Authenticator. Wrong credentials are reported.

        """
        try:
            principal = await self._authenticator.authenticate(call)
        except WrongCredentials as error:
            fingerprint = call.credentials.fingerprint
            _name(
                error,
                await self._policy.report_credentials(call.client, fingerprint, call.deadline),
            )
            raise
        return Caller(principal, call.client)

    def named(self, caller: Caller, call: Call) -> Caller:
        """Return for whom `caller` calls.

        Raises:
            PermissionDenied: It names somebody for whom it may not ask.
            InvalidArgument: It may, but what it names is no subject.

        """
        whole = self._services.caller(caller.principal, call)
        self._show(whole)
        return whole

    def ensure_welcome(self, caller: Caller) -> None:
        """Return if neither the user nor the service that acts is denied.

        Raises:
            SubjectDenied: One of them may not use the service any more.
            IdentityUnavailable: Nobody knows now.

        """
        for subject in filter(None, (caller.principal.subject, caller.acting)):
            self._denials.check(subject)

    async def grant(self, caller: Caller, asked: TokenRequest, call: Call) -> Grant:
        """Return what a caller is granted.

        Raises:
            InvalidArgument: See Terms. Each is reported.

        """
        try:
            grant = self._terms.grant(asked)
        except InvalidArgument as error:
            _name(error, await self._policy.report_request(caller, asked, call.deadline))
            raise
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attribute(tracing.GEN_AI_MODEL, grant.model.name)
        return grant

    def _show(self, caller: Caller) -> None:
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attribute(tracing.USER_HASH, self._pseudonyms.user(caller.principal.subject))
            if caller.acting:
                span.set_attribute(tracing.ACTING, caller.acting)


def _name(error: ServiceError, decision_id: str) -> None:
    if decision_id:
        error.metadata[DECISION_ID] = decision_id
