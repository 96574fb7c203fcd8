"""Tokenservice with what operators watch, on a Unix socket, before policies of several kinds."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import jwt
import pytest
from fake_minter import FakeMinter
from google.rpc import error_details_pb2, status_pb2
from policy_server import NOW, PSEUDONYMS, StillClock, Tape

from policy.effective import EffectivePolicy
from policy.explain import Explainer
from policy.judge import Judge
from policy.memory import MemoryStore
from policy.operators import key as operator_key
from policy.operators.refused import MostRefused
from policy.operators.service import OperatorService
from policy.service import PolicyService
from policy.v1 import policy_pb2_grpc
from serving.channel import open_channel
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.pseudonym import Pseudonyms
from serving.server import grpc_server
from serving.shedding import Shedding
from tokenservice.admission import Admission
from tokenservice.calls import Calls
from tokenservice.client_info import TrustedPeers
from tokenservice.grant import Terms
from tokenservice.identity.authenticator import Authenticator
from tokenservice.identity.bearer import BearerVerifier, simple_issuer
from tokenservice.identity.directory import NoDirectory
from tokenservice.identity.possession import Possession
from tokenservice.identity.services import Services
from tokenservice.issuer import Issuer
from tokenservice.ledger.names import Names
from tokenservice.ledger.recorder import Recorder
from tokenservice.models import catalogue
from tokenservice.operations.activity import GEMINI, POLICY, Activity
from tokenservice.operations.counting import Counting
from tokenservice.operations.policy import PolicyOperator
from tokenservice.operations.service import OperationsService
from tokenservice.operations.watching import Watching
from tokenservice.policy_client import PolicyClient
from tokenservice.seal import Sealer
from tokenservice.service import TokenService
from tokenservice.v1 import operations_pb2 as pb, operations_pb2_grpc, tokenservice_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fake_policy import FakePolicy

    from tokenservice.deadline import Deadline
    from tokenservice.grant import Grant
    from tokenservice.token import EphemeralToken, Lifetime

SERVICES = ("tokenservice.v1.TokenService", "tokenservice.v1.OperationsService")
SECRET = b"a secret of the tests, long enough."
OPERATOR_KEY = "an-operator-key-of-more-than-32-characters"
OPERATOR = "olga@example.com"
NAMES = Pseudonyms(b"t" * 32)
_MODEL = "gemini-3.8-live"
_TERMS = Terms(
    catalogue=catalogue((_MODEL,), _MODEL),
    default_duration_minutes=30,
    max_duration_minutes=60,
    start_window_minutes=2,
    custom_instructions=True,
    default_instruction="You are a helpful assistant.",
    api_version="v1beta",
)


@dataclass(frozen=True)
class Refused:
    """How a call ended that did not end well."""

    code: grpc.StatusCode
    reason: str
    message: str
    field: str


@dataclass(frozen=True)
class Operations:
    """A running service, and stubs of it."""

    tokens: Any
    operations: Any
    server: grpc.aio.Server
    activity: Activity
    minter: FakeMinter
    shedding: Shedding
    stop: asyncio.Event
    clock: StillClock

    def bearer(self, subject: str = OPERATOR, **claims: Any) -> tuple[tuple[str, str]]:
        """Return somebody's credentials as metadata: an operator's, unless `roles` says else."""
        claims = {"sub": subject, "exp": NOW // 1000 + 60, "roles": ["operator"]} | claims
        return (("authorization", f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"),)

    def watch(self) -> Any:
        """Return a stream, as an operator."""
        return self.operations.WatchOperations(
            pb.WatchOperationsRequest(), metadata=self.bearer(), timeout=60
        )


async def refused(call: Any) -> Refused:
    """Return how a call ends that must fail, be it a stream's first message."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await (call.read() if hasattr(call, "read") else call)
    trailers = dict(failed.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for packed in status.details:
        packed.Unpack(info)
        packed.Unpack(bad)
    named = bad.field_violations[0].field if bad.field_violations else ""
    return Refused(failed.value.code(), info.reason, failed.value.details() or "", named)


class TimedMinter(FakeMinter):
    """Makes tokens, and is measured as Gemini is."""

    def __init__(self, activity: Activity) -> None:
        """Tell `activity`."""
        super().__init__()
        self._timing = activity.hops[GEMINI].timing

    async def mint(self, grant: Grant, lifetime: Lifetime, deadline: Deadline) -> EphemeralToken:
        """Return the next token."""
        with self._timing():
            return await super().mint(grant, lifetime, deadline)


@asynccontextmanager
async def tokenservice(
    directory: Path,
    policy_target: str,
    *,
    key: str | None = OPERATOR_KEY,
    timeout: float = 20,  # noqa: ASYNC109 - of a call to policy
    max_concurrent: int = 100,
    grace: float = 30,
    **watching: float,
) -> AsyncIterator[Operations]:
    """Run tokenservice in front of the policy at a target; `watching` is as Watching has it."""
    clock, stop = StillClock(), asyncio.Event()
    activity, shedding = Activity(clock), Shedding(max_concurrent)
    health = HealthBoard(SERVICES[:1], ["policy"])
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        channel = await enter(open_channel(policy_target))
        policy = PolicyClient(channel, timeout=timeout, timing=activity.hops[POLICY].timing)
        minter = TimedMinter(activity)
        issuer = Issuer(policy, minter, Sealer(bytes(32)), clock, delivered=activity.delivered)
        stack.push_async_callback(issuer.drain)
        bearers = BearerVerifier({}, clock, simple=simple_issuer(SECRET))
        calls = Calls(TrustedPeers(["unix"]), 30)
        admission = Admission(
            authenticator=Authenticator(bearers, NoDirectory(), Services(), Possession(None)),
            services=Services(),
            denials=NoDirectory(),
            terms=_TERMS,
            policy=policy,
            pseudonyms=NAMES,
        )
        tokens = TokenService(
            calls=calls,
            admission=admission,
            recorder=Recorder(None, Names(bytes(32)), clock),
            terms=_TERMS,
            issuer=issuer,
            policy=policy,
            health=health,
            clock=clock,
        )
        operations = OperationsService(
            calls=calls,
            admission=admission,
            watching=Watching(
                activity, shedding.calls, lambda: health.states, clock, stop, **watching
            ),
            policy=PolicyOperator(channel, key, timeout=timeout),
            pseudonyms=NAMES,
        )

        def add(server: grpc.aio.Server) -> None:
            tokenservice_pb2_grpc.add_TokenServiceServicer_to_server(tokens, server)
            operations_pb2_grpc.add_OperationsServiceServicer_to_server(operations, server)

        address = f"unix:{directory}/t.sock"
        opened = await enter(open_channel(address))
        server = await enter(
            grpc_server(
                [address],
                add,
                health=health,
                services=SERVICES,
                interceptors=[RequestInterceptor(), Counting(activity), shedding],
                grace=grace,
            )
        )
        stack.callback(stop.set)
        yield Operations(
            tokens=tokenservice_pb2_grpc.TokenServiceStub(opened),
            operations=operations_pb2_grpc.OperationsServiceStub(opened),
            server=server,
            activity=activity,
            minter=minter,
            shedding=shedding,
            stop=stop,
            clock=clock,
        )


@dataclass(frozen=True)
class Book:
    """A policy in force that no file changes."""

    current: EffectivePolicy = field(default_factory=EffectivePolicy)
    loaded_at: int = NOW
    rejected: str = ""


@dataclass(frozen=True)
class Policy:
    """A running policy."""

    target: str
    store: MemoryStore
    tape: Tape


@asynccontextmanager
async def policy(directory: Path, *, key: str | None = OPERATOR_KEY) -> AsyncIterator[Policy]:
    """Run policy, with its operators' API."""
    clock, tape, book = StillClock(), Tape(), Book()
    store, most = MemoryStore(clock, lease_ms=30_000), MostRefused(clock)
    explainer = Explainer(store, book)
    service = PolicyService(Judge(store, book), explainer, PSEUDONYMS, tape, clock, refused=most)
    operators = OperatorService(
        store, explainer, book, PSEUDONYMS, recorder=tape, clock=clock, refused=most
    )

    def add(server: grpc.aio.Server) -> None:
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(service, server)
        operator_key.add_to_server(operators, server, key=key)

    target = f"unix:{directory}/p.sock"
    async with grpc_server(
        [target],
        add,
        health=HealthBoard([]),
        services=(),
        interceptors=[RequestInterceptor()],
        grace=1,
    ):
        yield Policy(target, store, tape)


@asynccontextmanager
async def fake_policy(directory: Path, fake: FakePolicy) -> AsyncIterator[str]:
    """Serve a policy that behaves as it is told; yield its target."""
    target = f"unix:{directory}/p.sock"
    server = grpc.aio.server()
    policy_pb2_grpc.add_PolicyServiceServicer_to_server(fake, server)
    server.add_insecure_port(target)
    await server.start()
    try:
        yield target
    finally:
        await server.stop(grace=None)
