"""Issuing as a transaction, over a ledger."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from fake_minter import FakeMinter
from ledger import Ledger, Verdict
from structlog.testing import capture_logs

from serving.errors import QuotaViolation
from tokenservice.client_info import ClientInfo
from tokenservice.deadline import Deadline
from tokenservice.errors import (
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    PolicyUnavailable,
    RateLimitExceeded,
    UpstreamUnavailable,
)
from tokenservice.grant import Terms, TokenRequest
from tokenservice.issuer import IssuedToken, Issuer
from tokenservice.models import catalogue
from tokenservice.policy_port import Attempt, FleetStats, Quota, Replay, Usage
from tokenservice.principal import Caller, Principal
from tokenservice.seal import Sealer
from tokenservice.token import Lifetime

NOW = 1_767_225_600_000
ANN = Caller(Principal("ann"), ClientInfo())
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
GRANT = TERMS.grant(TokenRequest())


class FakePolicy:
    """Policy without a wire: a ledger, asked directly."""

    def __init__(self, limit: int = 1) -> None:
        """Grant each user `limit` tokens."""
        self.ledger = Ledger(limit)
        self.released: list[bool] = []
        self.refuse_commits = False

    @asynccontextmanager
    async def reservation(
        self, attempt: Attempt, deadline: Deadline
    ) -> AsyncIterator["FakeReservation"]:
        """Charge, and give back unless committed."""
        assert deadline.remaining > 0
        key = (attempt.subject, attempt.request_id)
        match self.ledger.reserve(*key, attempt.owner, attempt.fingerprint):
            case Verdict.FULL:
                raise RateLimitExceeded(
                    "Rate limit exceeded", QuotaViolation("", ""), retry_after=1
                )
            case Verdict.IN_PROGRESS:
                raise IdempotencyKeyInUse
            case Verdict.REUSED:
                raise IdempotencyKeyReused
            case Verdict.COMMITTED_BEFORE:
                replay = Replay(self.ledger.sealed(*key), self.used(attempt.subject))
                yield FakeReservation(self, attempt, replay)
                return
        reservation = FakeReservation(self, attempt, None)
        try:
            yield reservation
        finally:
            if not reservation.settled:
                self.released.append(self.ledger.release(*key, attempt.owner))

    def used(self, subject: str) -> Usage:
        """Return usage in the words of the port."""
        issued, limit = self.ledger.issued(subject), self.ledger.limit
        return Usage(issued, issued, issued, None, Quota(limit, limit, 0, 0), ())

    async def usage(self, principal: Principal, deadline: Deadline) -> Usage:
        """Read a principal's usage."""
        assert deadline.remaining > 0
        return self.used(principal.subject)

    async def report_credentials(
        self, client: ClientInfo, fingerprint: bytes, deadline: Deadline
    ) -> str:
        """Not asked for by an issuer."""
        raise NotImplementedError

    async def report_request(self, caller: Caller, asked: TokenRequest, deadline: Deadline) -> str:
        """Not asked for by an issuer."""
        raise NotImplementedError

    async def stats(self, deadline: Deadline) -> FleetStats:
        """Not asked for by an issuer."""
        raise NotImplementedError

    def charged(self) -> int:
        """Return how many tokens stand on Ann's account, pending ones included."""
        return self.ledger.issued("ann") + self.ledger.pending("ann")


class FakeReservation:
    """A charge in the fake policy's ledger."""

    def __init__(self, policy: FakePolicy, attempt: Attempt, replay: Replay | None) -> None:
        """Hold the charge of `attempt`."""
        self.decision_id, self.tier = "d", "default"
        self.replay = replay
        self.settled = False
        self._policy = policy
        self._attempt = attempt

    async def commit(
        self, expires: Sequence[int], sealed_result: bytes, sealed_until: int
    ) -> Usage:
        """Make the charge final."""
        assert sealed_until <= min(expires), "a repeat would be answered with an expired token"
        attempt, ledger = self._attempt, self._policy.ledger
        key = (attempt.subject, attempt.request_id, attempt.owner)
        if self._policy.refuse_commits or not ledger.commit(*key, sealed_result):
            raise PolicyUnavailable
        self.settled = True
        return self._policy.used(attempt.subject)


@pytest.fixture
def policy() -> FakePolicy:
    """Return a policy that grants one token."""
    return FakePolicy()


@pytest.fixture
async def minter() -> FakeMinter:
    """Return a minter whose gate is open."""
    return FakeMinter()


@pytest.fixture
def issuer(policy: FakePolicy, minter: FakeMinter) -> Issuer:
    """Return an issuer of theirs."""
    return Issuer(policy, minter, Sealer(bytes(32)), lambda: NOW)


async def issue(
    issuer: Issuer, request_id: str = "", *, temperature: float | None = None
) -> IssuedToken:
    """Issue a token to Ann, with enough time."""
    asked = TokenRequest(request_id=request_id, temperature=temperature)
    return await issuer.issue(ANN, asked, TERMS.grant(asked), Deadline.after(60))


async def test_a_token_is_issued_with_its_lifetime_and_usage(
    issuer: Issuer, minter: FakeMinter
) -> None:
    """What is delivered was minted for its grant, counts itself, and lives from the request."""
    deadline = Deadline.after(60)
    issued = await issuer.issue(ANN, TokenRequest(), GRANT, deadline)
    assert issued.token.reveal() == "auth_tokens/1"
    assert issued.lifetime == Lifetime(NOW + 30 * 60_000, NOW + 2 * 60_000)
    assert (issued.usage.active_tokens, issued.usage.tokens_last_hour) == (1, 1)
    ((grant, lifetime, mint_by),) = minter.minted
    assert (grant, lifetime) == (GRANT, issued.lifetime)
    assert mint_by.at < deadline.at


async def test_a_mint_that_fails_gives_its_charge_back_once(
    issuer: Issuer, policy: FakePolicy, minter: FakeMinter
) -> None:
    """A failed mint costs nothing, and the next one finds the place free."""
    minter.failure = UpstreamUnavailable()
    with pytest.raises(UpstreamUnavailable):
        await issue(issuer, "r")
    assert policy.released == [True]
    assert policy.charged() == 0
    minter.failure = None
    await issue(issuer, "r")
    assert policy.released == [True]


async def test_a_token_whose_commit_is_refused_is_not_delivered(
    issuer: Issuer, policy: FakePolicy, minter: FakeMinter
) -> None:
    """Without a commit there is no token, though one was minted."""
    policy.refuse_commits = True
    with pytest.raises(PolicyUnavailable) as failed:
        await issue(issuer)
    assert len(minter.minted) == 1
    assert "auth_tokens/1" not in repr(failed.value)


async def test_a_refused_request_mints_nothing(issuer: Issuer, minter: FakeMinter) -> None:
    """Quota is asked first."""
    await issue(issuer)
    with pytest.raises(RateLimitExceeded):
        await issue(issuer)
    assert len(minter.minted) == 1


async def test_a_caller_who_hangs_up_finds_the_token_by_repeating(
    issuer: Issuer, policy: FakePolicy, minter: FakeMinter
) -> None:
    """Mint and commit run on; the repeat gets that token, minted and charged once."""
    minter.gate.clear()
    caller = asyncio.create_task(issue(issuer, "r"))
    await minter.begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    with pytest.raises(IdempotencyKeyInUse):
        await issue(issuer, "r")
    minter.gate.set()
    await issuer.drain()
    again = await issue(issuer, "r")
    assert again.token.reveal() == "auth_tokens/1"
    assert again.lifetime == Lifetime(NOW + 30 * 60_000, NOW + 2 * 60_000)
    assert len(minter.minted) == 1
    assert policy.charged() == 1
    assert policy.released == []


async def test_a_request_id_with_another_content_is_refused(issuer: Issuer) -> None:
    """A repeat has to be one."""
    await issue(issuer, "r")
    with pytest.raises(IdempotencyKeyReused):
        await issue(issuer, "r", temperature=1.0)


async def test_requests_without_an_id_are_never_repeats(minter: FakeMinter) -> None:
    """Each request without an id is one of its own."""
    issuer = Issuer(FakePolicy(9), minter, Sealer(bytes(32)), lambda: NOW)
    tokens = {(await issue(issuer)).token.reveal() for _ in range(3)}
    assert len(tokens) == 3


async def test_a_seal_of_another_key_is_no_token(
    issuer: Issuer, policy: FakePolicy, minter: FakeMinter
) -> None:
    """A replica that cannot open what another sealed has nothing to deliver, and says so.

    The caller is told to stay away for as long as the seal may last, the operator why.
    """
    await issue(issuer, "r")
    stranger = Issuer(policy, minter, Sealer(b"k" * 32), lambda: NOW)
    with capture_logs() as logs, pytest.raises(PolicyUnavailable) as failed:
        await issue(stranger, "r")
    assert (failed.value.reason, failed.value.retry_after) == ("POLICY_UNAVAILABLE", 120)
    assert "idempotency key" in failed.value.message
    (line,) = logs
    assert (line["log_level"], line["decision_id"]) == ("warning", "d")
    assert line["event"] == "repeat sealed under another key"
    assert "TOKENSERVICE_SEAL_KEY" in line["hint"]
    assert policy.charged() == 1


async def test_a_seal_lasts_no_longer_than_its_token(
    policy: FakePolicy, minter: FakeMinter
) -> None:
    """Where the token ends before the start window would, the wait is as short."""
    asked = TokenRequest(duration_minutes=1, request_id="r")
    grant = TERMS.grant(asked)
    one, other = (Issuer(policy, minter, Sealer(key * 32), lambda: NOW) for key in (b"k", b"l"))
    await one.issue(ANN, asked, grant, Deadline.after(60))
    with pytest.raises(PolicyUnavailable) as failed:
        await other.issue(ANN, asked, grant, Deadline.after(60))
    assert failed.value.retry_after == 60


async def test_fifty_at_once_issue_one_token(
    issuer: Issuer, policy: FakePolicy, minter: FakeMinter
) -> None:
    """Of fifty at the same instant one passes, where one is allowed."""
    results = await asyncio.gather(*(issue(issuer) for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(result, IssuedToken) for result in results) == 1
    assert sum(isinstance(result, RateLimitExceeded) for result in results) == 49
    assert len(minter.minted) == policy.charged() == 1


async def test_fifty_repeats_at_once_share_one_token(
    issuer: Issuer, policy: FakePolicy, minter: FakeMinter
) -> None:
    """One of fifty repeats mints; the others wait their turn and find its token."""
    minter.gate.clear()
    first = asyncio.gather(*(issue(issuer, "r") for _ in range(50)), return_exceptions=True)
    await minter.begun.wait()
    minter.gate.set()
    second = asyncio.gather(*(issue(issuer, "r") for _ in range(50)), return_exceptions=True)
    results = [*await first, *await second]
    issued = [result for result in results if isinstance(result, IssuedToken)]
    assert {each.token.reveal() for each in issued} == {"auth_tokens/1"}
    in_use = sum(isinstance(result, IdempotencyKeyInUse) for result in results)
    assert len(issued) + in_use == 100
    assert len(minter.minted) == policy.charged() == 1


async def test_drain_waits_for_what_has_begun(
    issuer: Issuer, policy: FakePolicy, minter: FakeMinter
) -> None:
    """A drained issuer has no charge that is neither committed nor given back."""
    minter.gate.clear()
    caller = asyncio.create_task(issue(issuer))
    await minter.begun.wait()
    drain = asyncio.create_task(issuer.drain())
    done, _ = await asyncio.wait({drain}, timeout=0)
    assert not done
    minter.gate.set()
    await drain
    assert policy.ledger.pending("ann") == 0
    assert (await caller).token.reveal() == "auth_tokens/1"


async def test_drain_takes_failures_as_ends(issuer: Issuer, minter: FakeMinter) -> None:
    """What fails while draining does not stop the drain."""
    minter.gate.clear()
    minter.failure = UpstreamUnavailable()
    caller = asyncio.create_task(issue(issuer))
    await minter.begun.wait()
    minter.gate.set()
    await issuer.drain()
    with pytest.raises(UpstreamUnavailable):
        await caller
