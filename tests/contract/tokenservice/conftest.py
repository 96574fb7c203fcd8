"""TokenService on a Unix socket and on loopback, before a policy that behaves."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from fake_minter import FakeMinter
from fake_policy import FakePolicy, policy_client
from google.rpc import error_details_pb2, status_pb2

from serving.channel import open_channel
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.pseudonym import Pseudonyms
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
from tokenservice.seal import Sealer
from tokenservice.service import TokenService
from tokenservice.v1 import tokenservice_pb2_grpc as pb_grpc

NOW = 1_767_225_600
SECRET = b"a secret of the tests, long enough."
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


@dataclass(frozen=True)
class Refused:
    """How a call ended that did not end well."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]


@dataclass(frozen=True)
class Service:
    """A running service, what is behind it, and stubs for its two addresses."""

    policy: FakePolicy
    minter: FakeMinter
    unix: Any
    tcp: Any
    unix_target: str

    def bearer(self, *, secret: bytes = SECRET, **claims: Any) -> tuple[str, str]:
        """Return Ann's credentials as metadata."""
        claims = {"sub": "ann", "exp": NOW + 60, "tier": "gold"} | claims
        return ("authorization", f"Bearer {jwt.encode(claims, secret, algorithm='HS256')}")

    async def refused(self, method: Any, request: Any, *metadata: tuple[str, str]) -> Refused:
        """Make a call that must fail, and return how it did."""
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await method(request, metadata=metadata, timeout=10)
        trailers = dict(failed.value.trailing_metadata() or ())
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        details = failed.value.details() or ""
        return Refused(failed.value.code(), details, info.reason, dict(info.metadata))


@pytest.fixture
def possession() -> Possession:
    """Return what asks nobody for proofs, as by default."""
    return Possession(None)


@pytest.fixture
async def service(tmp_path: Path, possession: Possession) -> AsyncIterator[Service]:
    """Run a service that trusts its Unix socket, as by default."""
    policy, minter = FakePolicy(), FakeMinter()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        client = await enter(policy_client(policy, f"unix:{tmp_path}/p.sock"))
        issuer = Issuer(client, minter, Sealer(bytes(32)), lambda: NOW * 1000)
        bearers = BearerVerifier({}, lambda: NOW * 1000, simple=simple_issuer(SECRET))
        service = TokenService(
            calls=Calls(TrustedPeers(["unix"]), 8),
            admission=Admission(
                authenticator=Authenticator(bearers, NoDirectory(), Services(), possession),
                services=Services(),
                denials=NoDirectory(),
                terms=TERMS,
                policy=client,
                pseudonyms=Pseudonyms(bytes(32)),
            ),
            recorder=Recorder(None, Names(bytes(32)), lambda: NOW * 1000),
            terms=TERMS,
            issuer=issuer,
            policy=client,
            health=HealthBoard([]),
            clock=lambda: NOW * 1000,
        )
        server = grpc.aio.server(interceptors=[RequestInterceptor()])
        pb_grpc.add_TokenServiceServicer_to_server(service, server)
        unix_target = f"unix:{tmp_path}/t.sock"
        server.add_insecure_port(unix_target)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        stack.push_async_callback(server.stop, grace=None)
        unix, tcp = [
            pb_grpc.TokenServiceStub(await enter(open_channel(target)))
            for target in (unix_target, f"127.0.0.1:{port}")
        ]
        yield Service(policy, minter, unix, tcp, unix_target)
