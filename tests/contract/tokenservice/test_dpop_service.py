"""Proofs of possession at the service: who gets in, and who gets the token again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import jwt
import pytest
from proofs import NOW, ORIGIN, Holder

from policy.v1 import policy_pb2
from tokenservice.identity.dpop import ProofVerifier
from tokenservice.identity.possession import Possession
from tokenservice.identity.replays import MemoryReplays
from tokenservice.v1 import tokenservice_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = b"a secret of the tests, long enough."
CREATE, USAGE = "/tokenservice.v1.TokenService/CreateToken", "/api/v1/live-token/usage"
HTTP = ("x-client-headers", "user-agent")
"""What a gateway says of a call that reached it over HTTP."""


def clock() -> int:
    """Tell the same time always."""
    return NOW * 1000


@pytest.fixture(params=["optional", "required"])
def possession(request: pytest.FixtureRequest) -> Possession:
    """Return what asks for proofs, of some or of everybody."""
    verifier = ProofVerifier(MemoryReplays(clock), clock, origins=(ORIGIN,))
    return Possession(verifier, required=request.param == "required")


def token(**claims: Any) -> str:
    """Return Ann's token."""
    return jwt.encode({"sub": "ann", "exp": NOW + 60, **claims}, SECRET, algorithm="HS256")


def proven(
    holder: Holder, ann: str, scheme: str = "Bearer", **claims: Any
) -> tuple[tuple[str, str], ...]:
    """Return Ann's token and a proof of `holder` for it as metadata."""
    proof = holder.proof(token=ann, **{"path": CREATE, **claims})
    return ("authorization", f"{scheme} {ann}"), ("dpop", proof)


async def create(service: Any, *metadata: tuple[str, str]) -> str:
    """Return the token of Ann's one request."""
    issued = await service.tcp.CreateToken(
        pb.CreateTokenRequest(request_id="r"), metadata=metadata, timeout=10
    )
    return str(issued.token)


async def refused(service: Any, *metadata: tuple[str, str]) -> tuple[grpc.StatusCode, str, str]:
    """Return how the same request was refused."""
    request = pb.CreateTokenRequest(request_id="r")
    how = await service.refused(service.tcp.CreateToken, request, *metadata)
    return how.code, how.reason, how.message


async def test_the_holder_alone_gets_the_token_again(service: Any) -> None:
    """Another key is another request, and the same proof is none."""
    holder, ann = Holder(), token()
    first = proven(holder, ann)
    issued = await create(service, *first)
    assert await create(service, *proven(holder, ann)) == issued
    reused = (grpc.StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED")
    assert (await refused(service, *proven(Holder(), ann)))[:2] == reused
    bad = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", "The DPoP proof is not valid.")
    assert await refused(service, *first) == bad


async def test_without_a_proof_nobody_gets_it(service: Any) -> None:
    """Where proofs are required nobody gets in, else it is another request."""
    ann = token()
    await create(service, *proven(Holder(), ann))
    code, reason, _ = await refused(service, ("authorization", f"Bearer {ann}"))
    assert (code, reason) in {
        (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
        (grpc.StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED"),
    }


async def test_a_token_that_is_bound_is_its_holders(service: Any) -> None:
    """It comes under the scheme DPoP, with a proof of that key, or not at all."""
    holder = Holder()
    ann = token(cnf={"jkt": holder.thumbprint})
    for stolen in (
        (("authorization", f"Bearer {ann}"),),
        (("authorization", f"DPoP {ann}"),),
        proven(Holder(), ann, "DPoP"),
        proven(holder, ann, "Bearer"),
        (*proven(holder, token(jti="another"), "DPoP")[1:], ("authorization", f"DPoP {ann}")),
    ):
        code, reason, _ = await refused(service, *stolen)
        assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert await create(service, *proven(holder, ann, "DPoP"))


@pytest.mark.parametrize(
    "claims",
    [
        {"path": "/tokenservice.v1.TokenService/GetUsage"},
        {"path": "/api/v1/live-token"},
        {"method": "GET"},
        {"htu": f"https://evil.example{CREATE}"},
    ],
)
async def test_a_proof_is_for_the_call_that_was_made(
    service: Any, claims: Mapping[str, Any]
) -> None:
    """Over gRPC, that is POST and the path of the method."""
    code, *_ = await refused(service, *proven(Holder(), token(), **claims))
    assert code is grpc.StatusCode.UNAUTHENTICATED


async def test_behind_a_gateway_a_proof_is_for_what_the_client_called(service: Any) -> None:
    """Over HTTP, that is the route; and the word of a gateway is needed for it."""
    ann = token()
    over_http = proven(Holder(), ann, path=USAGE, method="GET")
    await service.unix.GetUsage(pb.GetUsageRequest(), metadata=(*over_http, HTTP), timeout=10)
    over_http = proven(Holder(), ann, path=USAGE, method="GET")
    how = await service.refused(service.tcp.GetUsage, pb.GetUsageRequest(), *over_http, HTTP)
    assert how.code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_bad_proof_is_not_told_as_wrong_credentials(service: Any) -> None:
    """Or a client whose clock is wrong would be blocked for guessing."""
    await refused(service, *proven(Holder(), token(), iat=NOW - 3600))
    assert service.policy.all_heard(policy_pb2.ReportRequest) == []


async def test_two_proofs_are_none(service: Any) -> None:
    """Whatever they say."""
    ann = token()
    one, other = proven(Holder(), ann), proven(Holder(), ann)
    code, *_ = await refused(service, *one, other[1])
    assert code is grpc.StatusCode.UNAUTHENTICATED
