"""Callers of configured issuers, before the whole service as its settings compose it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from fake_policy import FakePolicy, policy_client
from google.rpc import error_details_pb2, status_pb2
from oidc import AUDIENCE, ISSUER, Published, SigningKey, hs256, jws, published, signing_key

from policy.v1 import policy_pb2 as policy_pb
from serving.channel import open_channel
from serving.settings import load
from tokenservice.__main__ import serve
from tokenservice.settings import TokenServiceSettings
from tokenservice.v1 import tokenservice_pb2 as pb, tokenservice_pb2_grpc as pb_grpc

KEY = signing_key("ES256", "key")
STRANGER = signing_key("ES256", "stranger")
SECRET = "a secret of the tests, long enough."
SERVICES = "https://services.example"


def claims(**changed: Any) -> dict[str, Any]:
    """Return claims that are good now."""
    now = int(time.time())
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 300} | changed


@dataclass(frozen=True)
class Service:
    """A running service, and who is around it."""

    stub: Any
    policy: FakePolicy
    issuer: Published

    async def usage(self, token: str, scheme: str = "Bearer") -> None:
        """Ask for the usage of a token's subject."""
        sent = (("authorization", f"{scheme} {token}"),)
        await self.stub.GetUsage(pb.GetUsageRequest(), metadata=sent, timeout=10)

    async def refused(self, token: str, scheme: str = "Bearer") -> tuple[grpc.StatusCode, str]:
        """Ask, and return how that was refused."""
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await self.usage(token, scheme)
        trailers = dict(failed.value.trailing_metadata() or ())
        info = error_details_pb2.ErrorInfo()
        details = status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details
        assert details[0].Unpack(info)
        return failed.value.code(), info.reason

    @property
    def subjects(self) -> list[str]:
        """Of whom policy was asked the usage."""
        return [asked.subject for asked in self.policy.all_heard(policy_pb.GetUsageRequest)]

    @property
    def reports(self) -> list[policy_pb.ReportRequest]:
        """What policy heard of wrong credentials."""
        return self.policy.all_heard(policy_pb.ReportRequest)


@pytest.fixture
async def issuer() -> AsyncIterator[Published]:
    """Run an issuer that publishes its key."""
    async with published() as running:
        running.keys(KEY)
        yield running


@pytest.fixture
def settings(
    issuer: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TokenServiceSettings:
    """Configure an issuer of users, one of services, and a secret."""
    for field in TokenServiceSettings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    issuers = [
        {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": issuer.url},
        {"issuer": SERVICES, "audience": AUDIENCE, "kind": "service", "jwks_url": issuer.url},
    ]
    given = {
        "TOKENSERVICE_ISSUERS": json.dumps(issuers),
        "LIVE_API_JWT_SECRET": SECRET,
        "GEMINI_API_KEY": "key",
        "GOOGLE_GEMINI_BASE_URL": issuer.url,
        "TOKENSERVICE_LISTEN": f"unix:{tmp_path}/t.sock",
        "TOKENSERVICE_POLICY_TARGET": f"unix:{tmp_path}/p.sock",
        "DRAIN_SECONDS": "0",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return load(TokenServiceSettings)


@asynccontextmanager
async def running(settings: TokenServiceSettings, issuer: Published) -> AsyncIterator[Service]:
    """Run the service."""
    policy, stop = FakePolicy(), asyncio.Event()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(policy_client(policy, settings.policy_target))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        group.create_task(serve(settings, stop))
        stack.callback(stop.set)
        channel = await stack.enter_async_context(open_channel(settings.listen[0]))
        await asyncio.wait_for(channel.channel_ready(), timeout=30)
        yield Service(pb_grpc.TokenServiceStub(channel), policy, issuer)


@pytest.fixture
async def service(settings: TokenServiceSettings, issuer: Published) -> AsyncIterator[Service]:
    """Run the service, the issuer being there."""
    async with running(settings, issuer) as service:
        yield service


async def test_each_issuers_callers_are_its_own(service: Service) -> None:
    """The same `sub` is three callers: an issuer's, another's, and the secret's."""
    await service.usage(KEY.token(claims()))
    await service.usage(KEY.token(claims(iss=SERVICES)))
    await service.usage(jws({"alg": "HS256"}, claims(iss="us"), hs256(SECRET.encode())))
    assert service.subjects == [f"{ISSUER}#ann", f"{SERVICES}#ann", "ann"]
    assert service.reports == []


def forged(key: SigningKey) -> dict[str, str]:
    """Return tokens that name Ann and prove nothing."""
    secret = hs256(SECRET.encode())
    return {
        "alg none": jws({"alg": "none", "kid": "key"}, claims(), lambda _: b"\0"),
        "another key": STRANGER.token(claims(), kid="key"),
        "the public key as a secret": jws({"alg": "HS256"}, claims(), hs256(key.public_pem)),
        "the secret in an issuer's name": jws({"alg": "HS256"}, claims(), secret),
        "the issuer's key without its name": key.token(claims(iss="us")),
        "another audience": key.token(claims(aud="another")),
        "bound to a key, without a proof": key.token(claims(cnf={"jkt": "A" * 43})),
    }


@pytest.mark.parametrize("name", [n for n in forged(KEY) if not n.startswith("bound")])
async def test_a_forger_is_reported_and_never_the_victim(service: Service, name: str) -> None:
    """Wrong credentials count against an address: whom they name, policy does not hear."""
    token = forged(KEY)[name]
    assert await service.refused(token) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    (report,) = service.reports
    assert report.outcome == policy_pb.ReportRequest.OUTCOME_CREDENTIALS_REJECTED
    assert not report.subject
    assert b"ann" not in report.SerializeToString()
    assert service.subjects == []


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
async def test_a_bound_token_is_none_without_a_proof(service: Service, scheme: str) -> None:
    """What is bound to a key is refused when the key is not proven (RFC 9449, section 7)."""
    token = forged(KEY)["bound to a key, without a proof"]
    assert await service.refused(token, scheme) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "UNAUTHENTICATED",
    )


async def test_a_key_that_cannot_be_looked_up_is_nobodys_fault(service: Service) -> None:
    """A token of a key that is not known, just after a fetch, is refused but no guess."""
    await service.usage(KEY.token(claims()))
    assert await service.refused(STRANGER.token(claims())) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "UNAUTHENTICATED",
    )
    assert service.reports == []


async def test_an_issuer_that_was_never_reached_makes_its_callers_wait(
    settings: TokenServiceSettings, issuer: Published
) -> None:
    """Without any keys, a caller is answered UNAVAILABLE, and others are served as ever."""
    issuer.status(503)
    async with running(settings, issuer) as service:
        assert await service.refused(KEY.token(claims())) == (
            grpc.StatusCode.UNAVAILABLE,
            "POLICY_UNAVAILABLE",
        )
        await service.usage(jws({"alg": "HS256"}, claims(iss="us"), hs256(SECRET.encode())))
        assert service.subjects == ["ann"]
        assert service.reports == []
