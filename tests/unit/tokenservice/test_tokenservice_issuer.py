"""Issuing as a transaction, over a real memory store."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from policy import decisions
from policy.limits import Limits
from policy.memory import MemoryStore
from serving.errors import QuotaViolation
from tokenservice.deadline import Deadline
from tokenservice.errors import (
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    PolicyUnavailable,
    RateLimitExceeded,
    UpstreamUnavailable,
)
from tokenservice.grant import Grant, Terms, TokenRequest
from tokenservice.issuer import IssuedToken, Issuer
from tokenservice.models import catalogue
from tokenservice.policy_port import Attempt, FleetStats, Quota, Replay, Usage
from tokenservice.principal import Principal
from tokenservice.seal import Sealer
from tokenservice.token import EphemeralToken, Lifetime

NOW = 1_767_225_600_000
ANN = Principal("ann")
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
ONE = Limits(tokens_per_hour=1, tokens_per_day=1, cooldown_ms=0)


class FakePolicy:
    """Policy without a wire: a memory store, asked directly."""

    def __init__(self, limits: Limits) -> None:
        """Charge against `limits`, at a time that stands still."""
        self.store = MemoryStore(lambda: NOW, lease_ms=30_000)
        self.limits = limits
        self.released: list[bool] = []
        self.refuse_commits = False

    @asynccontextmanager
    async def reservation(
        self, attempt: Attempt, deadline: Deadline
    ) -> AsyncIterator["FakeReservation"]:
        """Charge, and give back unless committed."""
        assert deadline.remaining > 0
        key = decisions.Attempt(attempt.subject, attempt.request_id.encode(), attempt.owner)
        decision = await self.store.reserve(key, attempt.fingerprint, attempt.count, self.limits)
        replay = None
        match decision:
            case decisions.Refused(verdict, _):
                raise RateLimitExceeded(
                    "Rate limit exceeded", QuotaViolation(verdict.limit, ""), retry_after=1
                )
            case decisions.InProgress():
                raise IdempotencyKeyInUse
            case decisions.Reused():
                raise IdempotencyKeyReused
            case decisions.Replayed(sealed_result, usage):
                replay = Replay(sealed_result, self.words(usage))
        reservation = FakeReservation(self, key, replay)
        try:
            yield reservation
        finally:
            if not reservation.settled:
                self.released.append(await self.store.release(key))

    def words(self, usage: decisions.Usage) -> Usage:
        """Return usage in the words of the port."""
        return Usage(
            active_tokens=usage.active_tokens,
            tokens_last_hour=usage.tokens_last_hour,
            tokens_last_day=usage.tokens_last_day,
            next_allowed_at=usage.next_allowed_at,
            quota=Quota(self.limits.tokens_per_hour, self.limits.tokens_per_day, 0, 0),
        )

    async def usage(self, subject: str, deadline: Deadline) -> Usage:
        """Read a principal's usage."""
        assert deadline.remaining > 0
        return self.words(await self.store.usage(subject, self.limits))

    async def stats(self, deadline: Deadline) -> FleetStats:
        """Not asked for by an issuer."""
        raise NotImplementedError

    async def charged(self) -> int:
        """Return how many tokens stand on Ann's account, pending ones included."""
        stats = await self.store.stats()
        return stats.tokens_last_hour + stats.pending_reservations


class FakeReservation:
    """A charge in the fake policy's store."""

    def __init__(self, policy: FakePolicy, key: decisions.Attempt, replay: Replay | None) -> None:
        """Hold the charge that `key` names."""
        self.decision_id = "d"
        self.replay = replay
        self.settled = replay is not None
        self._policy = policy
        self._key = key

    async def commit(
        self, expires: Sequence[int], sealed_result: bytes, sealed_until: int
    ) -> Usage:
        """Make the charge final."""
        if self._policy.refuse_commits:
            raise PolicyUnavailable
        outcome = await self._policy.store.commit(
            self._key, expires, sealed_result, sealed_until, self._policy.limits
        )
        self.settled = True
        if not isinstance(outcome, decisions.Committed):
            raise PolicyUnavailable
        return self._policy.words(outcome.usage)


@dataclass
class FakeMinter:
    """Makes tokens, each once, when it is let to."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    away: bool = False
    minted: list[tuple[Grant, Lifetime, Deadline]] = field(default_factory=list)

    async def mint(self, grant: Grant, lifetime: Lifetime, deadline: Deadline) -> EphemeralToken:
        """Return the next token once the gate is open."""
        self.begun.set()
        await self.gate.wait()
        if self.away:
            raise UpstreamUnavailable
        self.minted.append((grant, lifetime, deadline))
        return EphemeralToken(f"auth_tokens/{len(self.minted)}")


@pytest.fixture
def policy() -> FakePolicy:
    """Return a policy that grants one token."""
    return FakePolicy(ONE)


@pytest.fixture
async def minter() -> FakeMinter:
    """Return a minter whose gate is open."""
    minter = FakeMinter()
    minter.gate.set()
    return minter


@pytest.fixture
def issuer(policy: FakePolicy, minter: FakeMinter) -> Issuer:
    """Return an issuer of theirs."""
    return Issuer(policy, minter, Sealer(bytes(32)), lambda: NOW)


async def issue(issuer: Issuer, request_id: str = "", *, grant: Grant = GRANT) -> IssuedToken:
    """Issue a token to Ann, with enough time."""
    return await issuer.issue(ANN, grant, request_id, Deadline.after(60))


async def test_a_token_is_issued_with_its_lifetime_and_usage(
    issuer: Issuer, minter: FakeMinter
) -> None:
    """What is delivered was minted for its grant, counts itself, and lives from the request."""
    deadline = Deadline.after(60)
    issued = await issuer.issue(ANN, GRANT, "", deadline)
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
    minter.away = True
    with pytest.raises(UpstreamUnavailable):
        await issue(issuer, "r")
    assert policy.released == [True]
    assert await policy.charged() == 0
    minter.away = False
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
    assert await policy.charged() == 1
    assert policy.released == []


async def test_a_request_id_with_another_content_is_refused(issuer: Issuer) -> None:
    """A repeat has to be one."""
    await issue(issuer, "r")
    with pytest.raises(IdempotencyKeyReused):
        await issue(issuer, "r", grant=TERMS.grant(TokenRequest(temperature=1.0)))


async def test_requests_without_an_id_are_never_repeats(minter: FakeMinter) -> None:
    """Each request without an id is one of its own."""
    issuer = Issuer(FakePolicy(Limits(9, 9, 0)), minter, Sealer(bytes(32)), lambda: NOW)
    tokens = {(await issue(issuer)).token.reveal() for _ in range(3)}
    assert len(tokens) == 3


async def test_a_seal_of_another_key_is_no_token(
    issuer: Issuer, policy: FakePolicy, minter: FakeMinter
) -> None:
    """A replica that cannot open what another sealed has nothing to deliver."""
    await issue(issuer, "r")
    stranger = Issuer(policy, minter, Sealer(b"k" * 32), lambda: NOW)
    with pytest.raises(PolicyUnavailable):
        await issue(stranger, "r")
    assert await policy.charged() == 1


async def test_fifty_at_once_issue_one_token(
    issuer: Issuer, policy: FakePolicy, minter: FakeMinter
) -> None:
    """Of fifty at the same instant one passes, where one is allowed."""
    results = await asyncio.gather(*(issue(issuer) for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(result, IssuedToken) for result in results) == 1
    assert sum(isinstance(result, RateLimitExceeded) for result in results) == 49
    assert len(minter.minted) == await policy.charged() == 1


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
    assert len(minter.minted) == await policy.charged() == 1


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
    assert (await policy.store.stats()).pending_reservations == 0
    assert (await caller).token.reveal() == "auth_tokens/1"


async def test_drain_takes_failures_as_ends(issuer: Issuer, minter: FakeMinter) -> None:
    """What fails while draining does not stop the drain."""
    minter.gate.clear()
    minter.away = True
    caller = asyncio.create_task(issue(issuer))
    await minter.begun.wait()
    minter.gate.set()
    await issuer.drain()
    with pytest.raises(UpstreamUnavailable):
        await caller
