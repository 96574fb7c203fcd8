"""PolicyClient against the real sidecar, on a line that loses answers."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest

from policy.limits import Limits
from policy.memory import MemoryStore
from policy.pseudonym import Pseudonyms
from policy.service import PolicyService
from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving.channel import open_channel
from serving.health import HealthBoard
from serving.server import grpc_server
from tokenservice.deadline import Deadline
from tokenservice.errors import IdempotencyKeyInUse, PolicyUnavailable, RateLimitExceeded
from tokenservice.policy_client import PolicyClient
from tokenservice.policy_port import Attempt

T = TypeVar("T")

NOW = 1_767_225_600_000
LEASE = 30_000
EXPIRES = NOW + 1_800_000


class LossyPolicy(PolicyService):
    """Does what it is asked, but the next answers of a method are lost on the way."""

    def __init__(self) -> None:
        self.now = NOW
        store = MemoryStore(lambda: self.now, lease_ms=LEASE)
        super().__init__(store, Limits(), Pseudonyms(b"k" * 32))
        self.lost = {"Reserve": 0, "Commit": 0}

    async def Reserve(  # noqa: N802 - gRPC's name
        self, request: pb.ReserveRequest, context: Any
    ) -> pb.ReserveResponse:
        """Decide, and perhaps lose the answer."""
        return await self._perhaps("Reserve", await super().Reserve(request, context), context)

    async def Commit(  # noqa: N802 - gRPC's name
        self, request: pb.CommitRequest, context: Any
    ) -> pb.CommitResponse:
        """Commit, and perhaps lose the answer."""
        return await self._perhaps("Commit", await super().Commit(request, context), context)

    async def _perhaps(self, method: str, answer: T, context: Any) -> T:
        if self.lost[method]:
            self.lost[method] -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE)
        return answer


@asynccontextmanager
async def serving(address: str, policy: LossyPolicy) -> AsyncIterator[PolicyClient]:
    """Serve `policy`, and yield a client of it."""
    async with (
        grpc_server(
            [address],
            lambda server: policy_pb2_grpc.add_PolicyServiceServicer_to_server(policy, server),
            health=HealthBoard([]),
            services=[],
            interceptors=[],
            grace=0,
        ),
        open_channel(address) as channel,
    ):
        yield PolicyClient(channel, timeout=5)


@pytest.fixture
def policy() -> LossyPolicy:
    """Return a sidecar that loses nothing yet."""
    return LossyPolicy()


@pytest.fixture
async def client(policy: LossyPolicy, tmp_path: Path) -> AsyncIterator[PolicyClient]:
    """Return a client of it."""
    async with serving(f"unix:{tmp_path}/p.sock", policy) as client:
        yield client


def attempt(request_id: str = "r") -> Attempt:
    """Return a new attempt at a request of one user."""
    return Attempt("user", request_id, secrets.token_bytes(8), b"f" * 16)


async def issued(client: PolicyClient) -> int:
    """Return how many tokens the user was issued."""
    return (await client.usage("user", Deadline.after(5))).tokens_last_day


async def test_a_block_that_ends_without_a_commit_gives_back(client: PolicyClient) -> None:
    """Whatever is raised inside, the charge is released, cooldown included."""
    with pytest.raises(ZeroDivisionError):
        async with client.reservation(attempt(), Deadline.after(5)):
            raise ZeroDivisionError
    assert await issued(client) == 0
    async with client.reservation(attempt("other"), Deadline.after(5)) as reservation:
        assert (await reservation.commit([EXPIRES], b"s", EXPIRES)).tokens_last_day == 1
    assert await issued(client) == 1


async def test_a_lost_answer_to_reserve_leaves_no_charge(
    client: PolicyClient, policy: LossyPolicy
) -> None:
    """The caller sees POLICY_UNAVAILABLE, and the next request is not held up by it."""
    policy.lost["Reserve"] = 1
    with pytest.raises(PolicyUnavailable):
        async with client.reservation(attempt(), Deadline.after(5)):
            pytest.fail("there was no decision")
    async with client.reservation(attempt("other"), Deadline.after(5)) as reservation:
        await reservation.commit([EXPIRES], b"s", EXPIRES)


async def test_a_lost_answer_to_commit_is_asked_for_again(
    client: PolicyClient, policy: LossyPolicy
) -> None:
    """Commit is idempotent: asked twice, it is charged once, and the token is delivered."""
    policy.lost["Commit"] = 1
    async with client.reservation(attempt(), Deadline.after(5)) as reservation:
        assert (await reservation.commit([EXPIRES], b"s", EXPIRES)).tokens_last_day == 1
    assert await issued(client) == 1


async def test_an_unknown_commit_is_no_commit(client: PolicyClient, policy: LossyPolicy) -> None:
    """With both answers lost nothing is delivered; a repeat of the request finds the result."""
    policy.lost["Commit"] = 2
    with pytest.raises(PolicyUnavailable):
        async with client.reservation(attempt(), Deadline.after(5)) as reservation:
            await reservation.commit([EXPIRES], b"sealed", EXPIRES)
    async with client.reservation(attempt(), Deadline.after(5)) as again:
        assert again.replay
        assert again.replay.sealed_result == b"sealed"


async def test_a_commit_after_the_lease_is_refused(
    client: PolicyClient, policy: LossyPolicy
) -> None:
    """From the millisecond the lease ends, a commit is LOST and counts nothing."""
    async with client.reservation(attempt(), Deadline.after(5)) as reservation:
        policy.now = NOW + LEASE
        with pytest.raises(PolicyUnavailable):
            await reservation.commit([EXPIRES], b"s", EXPIRES)
    assert await issued(client) == 0


async def test_refusals_are_told_apart(client: PolicyClient) -> None:
    """A concurrent duplicate and the cooldown are different outcomes, each with its wait."""
    async with client.reservation(attempt(), Deadline.after(5)) as reservation:
        with pytest.raises(IdempotencyKeyInUse) as busy:
            async with client.reservation(attempt(), Deadline.after(5)):
                pytest.fail("it is in progress")
        await reservation.commit([EXPIRES], b"s", EXPIRES)
    with pytest.raises(RateLimitExceeded) as limited:
        async with client.reservation(attempt("other"), Deadline.after(5)):
            pytest.fail("it is the cooldown")
    assert busy.value.retry_after == LEASE / 1000
    assert limited.value.retry_after == 300
    assert limited.value.message == ("Rate limit exceeded: cooldown, try again in 300 seconds")
