"""What became of each request for a token: in the ledger, and on its trace."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import trace

from serving import tracing
from tokenservice.errors import Unaccountable
from tokenservice.ledger.record import entry_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving.clock import Clock
    from serving.pseudonym import Pseudonyms
    from tokenservice.call import Call
    from tokenservice.grant import Grant, TokenRequest
    from tokenservice.issuer import IssuedToken
    from tokenservice.ledger.ledger import Ledger
    from tokenservice.policy_port import Attempt
    from tokenservice.principal import Caller


@dataclass(slots=True)
class Account:
    """What is known of a request so far."""

    caller: Caller | None = None
    issued: IssuedToken | None = None


class Books:
    """Keeps account of requests. Without a ledger it is on their traces alone."""

    def __init__(
        self, ledger: Ledger | None, pseudonyms: Pseudonyms, clock: Clock, *, required: bool = False
    ) -> None:
        """Write to `ledger`; where it is `required`, what it has no room for is not issued."""
        self._ledger = ledger
        self._pseudonyms = pseudonyms
        self._clock = clock
        self._required = required

    def require_room(self) -> None:
        """Raise Unaccountable if a token would be issued that could not be accounted for."""
        if self._required and self._ledger is not None and not self._ledger.has_room:
            raise Unaccountable

    @contextmanager
    def rejection(self, call: Call, asked: TokenRequest) -> Iterator[Account]:
        """Account for what ends in the block with an error; without one, nothing has ended."""
        account = Account()
        try:
            yield account
        except BaseException as error:
            self._record(call, account, asked, None, error)
            raise
        finally:
            self._show(account.caller)

    @contextmanager
    def issue(self, call: Call, attempt: Attempt, grant: Grant) -> Iterator[Account]:
        """Account for what ends in the block, with a token or with an error."""
        account = Account(attempt.caller)
        try:
            yield account
        except BaseException as error:
            self._record(call, account, attempt.asked, grant, error)
            raise
        else:
            self._record(call, account, attempt.asked, grant, None)

    def _record(
        self,
        call: Call,
        account: Account,
        asked: TokenRequest,
        grant: Grant | None,
        error: BaseException | None,
    ) -> None:
        if self._ledger is None:
            return
        self._ledger.record(
            entry_of(
                self._pseudonyms,
                call=call,
                caller=account.caller,
                asked=asked,
                grant=grant,
                issued=account.issued,
                error=error,
                now=self._clock(),
            )
        )

    def _show(self, caller: Caller | None) -> None:
        span = trace.get_current_span()
        if caller is None or not span.is_recording():
            return
        span.set_attribute(tracing.USER_HASH, self._pseudonyms.user(caller.principal.subject))
        if caller.acting:
            span.set_attribute(tracing.ACTING, caller.acting)
