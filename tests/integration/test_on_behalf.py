"""A service that asks for its users: by its certificate, by its token, and seen in the ledger."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
import pytest_asyncio
from authority import Authority, Kit
from client import new_user
from emulator_process import KEY, emulator
from fake_policy import FakePolicy, policy_client
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from servers_process import HOST, free_port

from policy.v1 import policy_pb2 as policy_pb
from serving import tracing
from serving.certificates import Certificates
from serving.channel import open_channel
from serving.pseudonym import Pseudonyms
from serving.settings import load
from tokenservice.__main__ import serve
from tokenservice.settings import TokenServiceSettings
from tokenservice.v1 import tokenservice_pb2 as pb, tokenservice_pb2_grpc as pb_grpc

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning"),
]

BACKEND = "spiffe://example.org/backend"
REPORTS = "spiffe://example.org/reports"
STRANGER = "spiffe://example.org/stranger"
GATEWAY = "spiffe://example.org/gateway"
GATEWAYS_OTHER = "dns:gateway.internal"
ISSUER, AUDIENCE = "https://services.example", "live-token"
ROBOT = f"{ISSUER}#robot"
SERVICES_SECRET = "a secret of the services' issuer"
USERS_SECRET = "a secret of the users, long enough"
HASH_KEY = "a hash key of the tests, long enough"
PSEUDONYMS = Pseudonyms(HASH_KEY.encode())
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Site:
    """A running service, what is behind it, and stubs by whose certificate is shown."""

    stubs: dict[str, Any]
    policy: FakePolicy
    ledger: Path

    async def rows(self, count: int) -> list[Any]:
        """Return the newest rows of the ledger and its refusals, once there are so many."""
        files = (self.ledger, self.ledger.with_name("ledger-refusals.jsonl"))
        while True:
            lines = [
                line for file in files if file.exists() for line in file.read_text().splitlines()
            ]
            if len(lines) >= count:
                return sorted(map(json.loads, lines), key=lambda row: row["at"])
            await asyncio.sleep(0.01)  # until the writer's turn


def kits(place: Path) -> dict[str, Kit]:
    """Return certificates of one authority, by the name in them."""
    authority = Authority()
    more = {GATEWAY: ("gateway.internal",)}
    return {
        name: Kit(place, name.rpartition("/")[2]).put(
            authority.issue(name, *more.get(name, ()), ip=IPv4Address(HOST)), authority
        )
        for name in ("spiffe://example.org/tokenservice", BACKEND, REPORTS, STRANGER, GATEWAY)
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run tokenservice with TLS, two services that it knows, and an issuer of others."""
    place = tmp_path_factory.mktemp("behalf")
    certificates = kits(place)
    own = certificates["spiffe://example.org/tokenservice"]
    issuer = {"issuer": ISSUER, "audience": AUDIENCE, "kind": "service", "secret": SERVICES_SECRET}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        target = f"{HOST}:{free_port()}"
        given = {
            **own.variables("TOKENSERVICE_TLS"),
            "TOKENSERVICE_LISTEN": target,
            "TOKENSERVICE_TRUSTED_PEERS": GATEWAY,
            # The gateway has a second name, by which it would be a service, and a delegate.
            "TOKENSERVICE_SERVICES": f"{BACKEND},{REPORTS},{GATEWAYS_OTHER}",
            "TOKENSERVICE_DELEGATES": f"{BACKEND},{ROBOT},{GATEWAYS_OTHER}",
            "TOKENSERVICE_ISSUERS": json.dumps([issuer]),
            "TOKENSERVICE_HASH_KEY": HASH_KEY,
            "TOKENSERVICE_LEDGER": str(place / "ledger.jsonl"),
            "TOKENSERVICE_POLICY_TARGET": f"unix:{place}/p.sock",
            "LIVE_API_JWT_SECRET": USERS_SECRET,
            "GEMINI_API_KEY": KEY,
            "GOOGLE_GEMINI_BASE_URL": await enter(emulator(place)),
        }
        with pytest.MonkeyPatch.context() as patch:
            for field in TokenServiceSettings.model_fields.values():
                patch.delenv(str(field.validation_alias), raising=False)
            for name, value in given.items():
                patch.setenv(name, value)
            settings = load(TokenServiceSettings)
        policy, stop = FakePolicy(), asyncio.Event()
        await enter(policy_client(policy, settings.policy_target))
        group = await enter(asyncio.TaskGroup())
        group.create_task(serve(settings, stop))
        stack.callback(stop.set)
        stubs = {}
        for name, kit in certificates.items():
            channel = await enter(open_channel(target, Certificates(kit.files())))
            stubs[name] = pb_grpc.TokenServiceStub(channel)
        ready: Any = stubs[BACKEND].GetUsage
        await ready(pb.GetUsageRequest(), wait_for_ready=True, timeout=30)
        yield Site(stubs, policy, place / "ledger.jsonl")


def bearer(subject: str, secret: str, **claims: Any) -> Metadata:
    """Return a token as metadata."""
    now = int(time.time())
    content = {"sub": subject, "iat": now, "exp": now + 300} | claims
    return (("authorization", f"Bearer {jwt.encode(content, secret, algorithm='HS256')}"),)


def service_token() -> Metadata:
    """Return the token of a service."""
    return bearer("robot", SERVICES_SECRET, iss=ISSUER, aud=AUDIENCE)


async def create(
    site: Site, peer: str, on_behalf_of: str, metadata: Metadata = ()
) -> grpc.StatusCode:
    """Ask for a token, and return how that ended."""
    request = pb.CreateTokenRequest(on_behalf_of=on_behalf_of)
    call: Any = site.stubs[peer].CreateToken(request, metadata=metadata, timeout=20)
    code: grpc.StatusCode = await call.code()
    return code


@pytest.mark.parametrize(
    "peer, metadata, acting, credential",
    [(BACKEND, (), BACKEND, "certificate"), (STRANGER, service_token(), ROBOT, "jwt")],
    ids=["certificate", "token"],
)
async def test_a_delegate_issues_for_the_user_whom_it_names(
    site: Site, peer: str, metadata: Metadata, acting: str, credential: str
) -> None:
    """The user's quota is charged, and the ledger shows the user and who asked."""
    before, user = len(await site.rows(0)), new_user()
    assert await create(site, peer, user, metadata) is grpc.StatusCode.OK
    reserved = site.policy.all_heard(policy_pb.ReserveRequest)[-1]
    assert reserved.key.subject == user
    row = (await site.rows(before + 1))[-1]
    assert (row["outcome"], row["credential"]) == ("issued", credential)
    assert (row["user"], row["acting"]) == (PSEUDONYMS.user(user), acting)


async def test_a_delegates_address_is_not_its_users(site: Site) -> None:
    """All that a service asks for comes from one address, which says nothing of its users."""
    assert await create(site, BACKEND, new_user()) is grpc.StatusCode.OK
    assert site.policy.all_heard(policy_pb.ReserveRequest)[-1].client.address == ""


@pytest.mark.parametrize(
    "peer, metadata",
    [
        (STRANGER, bearer("ann", USERS_SECRET)),
        (STRANGER, bearer("ann", USERS_SECRET, roles=["operator"])),
        (BACKEND, bearer("ann", USERS_SECRET)),
        (REPORTS, ()),
        (STRANGER, bearer("other", SERVICES_SECRET, iss=ISSUER, aud=AUDIENCE)),
    ],
    ids=["a user", "an operator", "a user beside a delegate's certificate", "another", "unlisted"],
)
async def test_nobody_else_may_name_anybody(site: Site, peer: str, metadata: Metadata) -> None:
    """Users, operators and services that are not listed are refused before policy is asked."""
    asked = len(site.policy.all_heard(policy_pb.ReserveRequest))
    before = len(await site.rows(0))
    assert await create(site, peer, "bob", metadata) is grpc.StatusCode.PERMISSION_DENIED
    assert len(site.policy.all_heard(policy_pb.ReserveRequest)) == asked
    row = (await site.rows(before + 1))[-1]
    assert (row["outcome"], row["reason"]) == ("refused", "PERMISSION_DENIED")
    assert row["user"] not in {"", PSEUDONYMS.user("bob")}


@pytest.mark.parametrize("peer", [GATEWAY, STRANGER])
@pytest.mark.parametrize("named", ["", "ann"])
async def test_a_certificate_that_is_no_services_proves_nobody(
    site: Site, peer: str, named: str
) -> None:
    """The gateway above all: without its client's credentials it is nobody."""
    assert await create(site, peer, named) is grpc.StatusCode.UNAUTHENTICATED


async def test_usage_is_the_named_users_too(site: Site) -> None:
    """Who may issue for a user may see how much is left."""
    stub = site.stubs[BACKEND]
    await stub.GetUsage(pb.GetUsageRequest(on_behalf_of="ann"), timeout=20)
    assert site.policy.all_heard(policy_pb.GetUsageRequest)[-1].subject == "ann"
    call: Any = site.stubs[REPORTS].GetUsage(pb.GetUsageRequest(on_behalf_of="ann"), timeout=20)
    assert await call.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_the_trace_shows_both(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The span of the call names the service, and the user by its pseudonym alone."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("tests"))
    user = new_user()
    assert await create(site, BACKEND, user) is grpc.StatusCode.OK
    span = next(
        span
        for span in exporter.get_finished_spans()
        if span.kind is trace.SpanKind.SERVER and span.name.endswith("TokenService/CreateToken")
    )
    assert span.attributes is not None
    assert span.attributes["live_token.acting"] == BACKEND
    assert span.attributes["user.hash"] == PSEUDONYMS.user(user)
    assert user not in span.to_json()
