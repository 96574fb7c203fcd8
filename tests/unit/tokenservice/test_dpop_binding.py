"""What is issued to who proved to hold a key is bound to that key."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from fake_minter import FakeMinter
from ledger import Ledger, Verdict
from proofs import Holder

from tokenservice.client_info import ClientInfo
from tokenservice.deadline import Deadline
from tokenservice.errors import IdempotencyKeyReused, PolicyUnavailable
from tokenservice.grant import Terms, TokenRequest
from tokenservice.issuer import IssuedToken, Issuer
from tokenservice.models import catalogue
from tokenservice.policy_port import Attempt, FleetStats, Quota, Replay, Usage
from tokenservice.principal import Caller, Principal
from tokenservice.seal import BrokenSeal, Minted, Sealer
from tokenservice.token import EphemeralToken, Lifetime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

NOW = 1_767_225_600_000
MODEL = "gemini-3.8-live"
TERMS = Terms(
    catalogue=catalogue((MODEL,), MODEL),
    default_duration_minutes=30,
    max_duration_minutes=60,
    start_window_minutes=2,
    custom_instructions=True,
    default_instruction="You are a helpful assistant.",
    api_version="v1beta",
)
ONE, OTHER = Holder().thumbprint, Holder().thumbprint
HOLDERS = {"one key": ONE, "another key": OTHER, "no key": ""}
USAGE = Usage(1, 1, 1, None, Quota(9, 9, 0, 0), ())
KEY = bytes(range(32))
MINTED = Minted(
    EphemeralToken("auth_tokens/secret"), Lifetime(1_767_227_400_000, 1_767_225_720_000)
)


@dataclass
class FakePolicy:
    """Keeps account in a ledger; `careless`, it compares no fingerprints."""

    careless: bool = False
    ledger: Ledger = field(default_factory=lambda: Ledger(9))
    heard: list[bytes] = field(default_factory=list)

    @asynccontextmanager
    async def reservation(
        self, attempt: Attempt, deadline: Deadline
    ) -> AsyncIterator[FakeReservation]:
        """Charge, or find what was committed before."""
        assert deadline.remaining > 0
        self.heard.append(attempt.fingerprint)
        key = (attempt.subject, attempt.request_id)
        fingerprint = b"any" if self.careless else attempt.fingerprint
        match self.ledger.reserve(*key, attempt.owner, fingerprint):
            case Verdict.REUSED:
                raise IdempotencyKeyReused
            case Verdict.COMMITTED_BEFORE:
                replay = Replay(self.ledger.sealed(*key), USAGE)
                yield FakeReservation(self, attempt, replay)
            case _:
                yield FakeReservation(self, attempt, None)

    async def report_credentials(
        self, client: ClientInfo, fingerprint: bytes, deadline: Deadline
    ) -> str:
        """Not asked for by an issuer."""
        raise NotImplementedError

    async def report_request(self, caller: Caller, asked: TokenRequest, deadline: Deadline) -> str:
        """Not asked for by an issuer."""
        raise NotImplementedError

    async def usage(self, principal: Principal, deadline: Deadline) -> Usage:
        """Not asked for by an issuer."""
        raise NotImplementedError

    async def stats(self, deadline: Deadline) -> FleetStats:
        """Not asked for by an issuer."""
        raise NotImplementedError


@dataclass
class FakeReservation:
    """A charge in the ledger."""

    policy: FakePolicy
    attempt: Attempt
    replay: Replay | None
    decision_id: str = "d"
    tier: str = "default"

    async def commit(
        self, expires: Sequence[int], sealed_result: bytes, sealed_until: int
    ) -> Usage:
        """Make the charge final."""
        assert sealed_until <= min(expires)
        attempt = self.attempt
        key = (attempt.subject, attempt.request_id, attempt.owner)
        assert self.policy.ledger.commit(*key, sealed_result)
        return USAGE


async def issue(policy: FakePolicy, thumbprint: str, minter: FakeMinter) -> IssuedToken:
    """Issue a token to Ann, who has proved to hold a key, at another replica each time."""
    issuer = Issuer(policy, minter, Sealer(KEY), lambda: NOW)
    caller = Caller(Principal("ann", key_thumbprint=thumbprint), ClientInfo())
    asked = TokenRequest(request_id="r")
    return await issuer.issue(caller, asked, TERMS.grant(asked), Deadline.after(60))


@pytest.fixture
async def minter() -> FakeMinter:
    """Return a minter whose gate is open."""
    return FakeMinter()


@pytest.mark.parametrize("thumbprint", HOLDERS.values(), ids=HOLDERS)
async def test_a_repeat_by_the_same_holder_gets_the_same_token(
    thumbprint: str, minter: FakeMinter
) -> None:
    """Each time with a new proof, of the same key, or each time with none."""
    policy = FakePolicy()
    first, again = [await issue(policy, thumbprint, minter) for _ in range(2)]
    assert first.token.reveal() == again.token.reveal()
    assert len(minter.minted) == 1


@pytest.mark.parametrize(
    "first, then",
    [(first, then) for first in HOLDERS for then in HOLDERS if first != then],
)
async def test_a_repeat_by_anybody_else_gets_nothing(
    first: str, then: str, minter: FakeMinter
) -> None:
    """With another key, without one, or with one where there was none: the key was reused."""
    policy = FakePolicy()
    await issue(policy, HOLDERS[first], minter)
    with pytest.raises(IdempotencyKeyReused):
        await issue(policy, HOLDERS[then], minter)
    assert len(minter.minted) == 1


@pytest.mark.parametrize(
    "first, then",
    [(first, then) for first in HOLDERS for then in HOLDERS if first != then],
)
async def test_what_was_sealed_for_one_holder_opens_for_no_other(
    first: str, then: str, minter: FakeMinter
) -> None:
    """Even a policy that mistakes one for the other cannot hand the token over."""
    policy = FakePolicy(careless=True)
    await issue(policy, HOLDERS[first], minter)
    with pytest.raises(PolicyUnavailable):
        await issue(policy, HOLDERS[then], minter)


async def test_without_a_key_the_fingerprint_is_the_grants(minter: FakeMinter) -> None:
    """So a repeat across an upgrade is one; with a key it is another of the same length."""
    policy = FakePolicy(careless=True)
    await issue(policy, "", minter)
    with pytest.raises(PolicyUnavailable):
        await issue(policy, ONE, minter)
    unbound, bound = policy.heard
    assert unbound == TERMS.grant(TokenRequest()).fingerprint
    assert bound != unbound
    assert len(bound) == len(unbound)


@pytest.mark.parametrize("sealed_for", HOLDERS.values(), ids=HOLDERS)
@pytest.mark.parametrize("opened_by", HOLDERS.values(), ids=HOLDERS)
def test_a_seal_is_its_holders(sealed_for: str, opened_by: str) -> None:
    """It opens for who proved the same key, or for nobody's key if it was none."""
    sealed = Sealer(KEY).seal(MINTED, "ann", "r", sealed_for)
    if sealed_for == opened_by:
        assert Sealer(KEY).open(sealed, "ann", "r", opened_by).lifetime == MINTED.lifetime
        return
    with pytest.raises(BrokenSeal):
        Sealer(KEY).open(sealed, "ann", "r", opened_by)


def test_the_parts_of_a_binding_do_not_run_together() -> None:
    """What a user may choose, its request id, cannot stand for a key."""
    sealed = Sealer(KEY).seal(MINTED, "ann", "r", ONE)
    for request_id in (f"r{ONE}", f'r", "{ONE}'):
        with pytest.raises(BrokenSeal):
            Sealer(KEY).open(sealed, "ann", request_id)
