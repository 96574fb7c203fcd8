"""Who may call which method of policy: every kind of peer, every method that is served."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from authority import Authority, Kit
from google.protobuf import empty_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from servers_process import free_port

from policy.__main__ import SERVICES, serve
from policy.settings import PolicySettings
from policy.v1 import operator_pb2, policy_pb2
from serving.callers import CallersInterceptor
from serving.certificates import Certificates
from serving.channel import open_channel

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS = Authority()
LISTED = "spiffe://example.org/tokenservice"
KEY = "an-operator-key-of-the-tests-long-enough"
PEERS = {
    "listed by SPIFFE ID": (LISTED,),
    "listed by DNS name": ("tokenservice.internal",),
    "listed among others": ("other.internal", "tokenservice.internal"),
    "another SPIFFE ID": ("spiffe://example.org/gateway",),
    "another DNS name": ("gateway.internal",),
    "a DNS name in a listed one's form": (LISTED.replace("://", "."),),
    "two SPIFFE IDs, one listed": (LISTED, "spiffe://example.org/gateway"),
    "over the socket": (),
}
ALLOWED = {
    "listed by SPIFFE ID",
    "listed by DNS name",
    "listed among others",
    "over the socket",
}
DESCRIPTORS = [
    service
    for file in (policy_pb2.DESCRIPTOR, operator_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
]
METHODS = [
    (service.full_name, method.name) for service in DESCRIPTORS for method in service.methods
]
POLICY = "policy.v1.PolicyService"


@dataclass(frozen=True)
class Policy:
    """A running policy, and a channel to it of each kind of peer."""

    target: str
    channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    async def outcome(self, peer: str, service: str, method: str, *key: str) -> str:
        """Call a method with nothing; return the reason it gives, or the status."""
        call: Any = self.channels[peer].unary_unary(
            f"/{service}/{method}",
            request_serializer=empty_pb2.Empty.SerializeToString,
        )
        metadata = tuple(("authorization", f"Bearer {each}") for each in key)
        try:
            await call(empty_pb2.Empty(), metadata=metadata, timeout=10)
        except grpc.aio.AioRpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            info = error_details_pb2.ErrorInfo()
            status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
            for detail in status.details:
                detail.Unpack(info)
            return info.reason or error.code().name
        return "OK"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def policy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Policy]:
    """Run policy on a socket and over TLS, as its process does."""
    directory = tmp_path_factory.mktemp("tls")
    kit = Kit(directory, "policy").put(OURS.issue(ip=IPv4Address("127.0.0.1")), OURS)
    unix, target = f"unix:{directory}/p.sock", f"127.0.0.1:{free_port()}"
    settings = PolicySettings.model_validate(
        {
            "listen": (unix, target),
            "tls_cert_file": kit.chain,
            "tls_key_file": kit.key,
            "tls_ca_file": kit.ca,
            "callers": (LISTED, "dns:tokenservice.internal"),
            "operator_key": KEY,
            "drain_seconds": 0,
        }
    )
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(settings, stop))
    running = Policy(target)
    for number, (peer, names) in enumerate(PEERS.items()):
        shown = Kit(directory, str(number)).put(OURS.issue(*names), OURS) if names else None
        running.channels[peer] = open_channel(
            target if shown else unix, Certificates(shown.files()) if shown else None
        )
    await asyncio.gather(*(channel.channel_ready() for channel in running.channels.values()))
    yield running
    await asyncio.gather(*(channel.close() for channel in running.channels.values()))
    stop.set()
    await serving


async def test_all_that_is_served_is_in_the_matrix() -> None:
    """A service or a method that is added is asked as well."""
    assert {service.full_name for service in DESCRIPTORS} == set(SERVICES)
    assert len(METHODS) > len(SERVICES)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("service, method", METHODS)
async def test_who_is_not_listed_calls_nothing_but_what_asks_for_a_key(
    policy: Policy, peer: str, service: str, method: str
) -> None:
    """PolicyService is for the listed and for the socket; OperatorService for the key's holders."""
    outcome = await policy.outcome(peer, service, method)
    if service == POLICY:
        assert (outcome == "CALLER_NOT_ALLOWED") is (peer not in ALLOWED)
        assert outcome != "UNIMPLEMENTED"
    else:
        assert outcome == "NOT_AN_OPERATOR"
        with_key = await policy.outcome(peer, service, method, KEY)
        assert with_key not in {"NOT_AN_OPERATOR", "CALLER_NOT_ALLOWED", "UNIMPLEMENTED"}


@pytest.mark.parametrize("peer", PEERS)
async def test_health_is_open(policy: Policy, peer: str) -> None:
    """Whoever can connect may ask."""
    call: Any = policy.channels[peer].unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    answer = await call(health_pb2.HealthCheckRequest(service=POLICY), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("peer", PEERS)
async def test_reflection_is_off(policy: Policy, peer: str) -> None:
    """Nobody is told what there is to try."""
    method = ("grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo")
    assert await policy.outcome(peer, *method) == "UNIMPLEMENTED"


@pytest.mark.parametrize("peer", PEERS)
async def test_saying_it_proves_nothing(policy: Policy, peer: str) -> None:
    """Metadata that name a listed service change nothing."""
    call: Any = policy.channels[peer].unary_unary(f"/{POLICY}/GetStats")
    said = tuple(
        (key, LISTED)
        for key in ("x-spiffe-id", "x-forwarded-client-cert", "x-peer", "peer_spiffe_id")
    )
    code = await call(b"", metadata=said, timeout=10).code()
    denied, ok = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.OK
    assert code is (ok if peer in ALLOWED else denied)


async def test_an_operator_comes_over_tls(policy: Policy, tmp_path: Path) -> None:
    """With any certificate of ours and the key; not in plaintext, not with half of it."""
    shown = Kit(tmp_path, "operator").put(OURS.issue("operator.internal"), OURS)
    variables = shown.variables("POLICY_TLS")
    code, said = await operator_command(policy.target, **variables)
    assert (code, said) == (0, "")
    code, said = await operator_command(policy.target, **variables, POLICY_SERVER_NAME="other")
    assert (code, said) == (1, f"policy: cannot reach policy at {policy.target}")
    code, said = await operator_command(policy.target)
    assert (code, said) == (1, f"policy: cannot reach policy at {policy.target}")
    code, said = await operator_command("policy.internal:50052")
    assert code == 2
    assert said.startswith("policy: --target: is plaintext and leaves this machine: set POLICY_TLS")
    code, said = await operator_command(policy.target, POLICY_TLS_CERT_FILE=str(shown.chain))
    assert code == 2
    assert said == "policy: POLICY_TLS_KEY_FILE: must be set with POLICY_TLS_CERT_FILE"


async def operator_command(target: str, **variables: str) -> tuple[int | None, str]:
    """List the blocks; return how that ended, and what was wrong."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "policy.cli", "blocks", "list", "--target", target),
        env=os.environ | {"POLICY_OPERATOR_KEY": KEY} | variables,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    return process.returncode, errors.decode().strip()


async def test_a_stream_is_not_served_unchecked() -> None:
    """A method of a kind that is not checked is not there for anybody, once callers are listed."""

    @dataclass(frozen=True)
    class Details:
        method: str

    async def continuation(_: Any) -> Any:
        return grpc.unary_stream_rpc_method_handler(lambda *_: None)

    details = Details(f"/{POLICY}/Watch")
    listed, unlisted = CallersInterceptor([LISTED]), CallersInterceptor([])
    assert await listed.intercept_service(continuation, details) is None
    assert await unlisted.intercept_service(continuation, details) is not None
