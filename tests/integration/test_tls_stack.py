"""The whole stack with TLS on every hop, and who is believed where a client is."""

import asyncio
import dataclasses
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cached_property
from http import HTTPStatus
from ipaddress import IPv4Address
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio
from authority import Authority, Kit
from client import TOKEN_PATH, new_user
from servers_process import free_port

from serving.certificates import Certificates
from serving.channel import open_channel
from stack.layout import Layout, Program
from stack.supervisor import running
from tokenservice.v1 import tokenservice_pb2 as pb, tokenservice_pb2_grpc

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOOPBACK = IPv4Address("127.0.0.1")
DENIED = "192.0.2.66"
POLICY_FILE = f"version: 1\naddresses: {{deny: [{DENIED}]}}\n"
NAMES = {
    "policy": "policy.internal",
    "tokenservice": "spiffe://example.org/tokenservice",
    "gateway": "spiffe://example.org/gateway",
    "stranger": "spiffe://example.org/stranger",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncryptedLayout(Layout):
    """A stack that speaks TLS wherever it speaks TCP."""

    @cached_property
    def authority(self) -> Authority:
        """Who vouches for all of them."""
        return Authority()

    @cached_property
    def kits(self) -> dict[str, Kit]:
        """The files of each, and of a stranger that the same authority vouches for."""
        kits = {}
        for name, identity in NAMES.items():
            ip = LOOPBACK if name in {"tokenservice", "gateway"} else None
            issued = self.authority.issue(identity, ip=ip)
            kits[name] = Kit(self.directory / "tls", name).put(issued, self.authority)
        return kits

    @cached_property
    def policy_address(self) -> str:
        """Where policy serves TLS; its certificate is for a name alone."""
        return f"127.0.0.1:{free_port()}"

    @property
    def trust(self) -> ssl.SSLContext:
        """What a browser trusts."""
        return ssl.create_default_context(cadata=self.authority.pem.decode())

    @property
    def programs(self) -> list[Program]:
        """The programs, with their certificates."""
        policy_file = self.directory / "policy.yaml"
        policy_file.write_text(POLICY_FILE)
        own: dict[str, dict[str, str]] = {
            "policy": {
                "POLICY_LISTEN": self.policy_address,
                "POLICY_CALLERS": NAMES["tokenservice"],
                "POLICY_FILE": str(policy_file),
            },
            "tokenservice": {
                "TOKENSERVICE_LISTEN": self.tokenservice_target,
                "TOKENSERVICE_TRUSTED_PEERS": NAMES["gateway"],
                "TOKENSERVICE_POLICY_TARGET": self.policy_address,
                "TOKENSERVICE_POLICY_SERVER_NAME": NAMES["policy"],
            },
            "gateway": {
                "GATEWAY_TOKENSERVICE_TARGET": self.tokenservice_target,
                "GATEWAY_HTTPS_CERT_FILE": str(self.kits["gateway"].chain),
                "GATEWAY_HTTPS_KEY_FILE": str(self.kits["gateway"].key),
                "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
            },
        }
        return [
            dataclasses.replace(
                program,
                environment={
                    **program.environment,
                    **self.kits[program.name].variables(f"{program.name.upper()}_TLS"),
                    **own[program.name],
                },
                ready=self._listening,
            )
            if program.name in own
            else program
            for program in super().programs
        ]

    @property
    def _listening(self) -> Callable[[], Awaitable[bool]]:
        async def healthy() -> bool:
            url = f"https://127.0.0.1:{self.gateway.number}{TOKEN_PATH}/health"
            try:
                async with (
                    aiohttp.ClientSession(trust_env=False) as http,
                    http.get(url, ssl=self.trust) as answer,
                ):
                    return answer.status == HTTPStatus.OK
            except aiohttp.ClientError:
                return False

        return healthy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def layout(make_layout: Callable[..., Layout]) -> AsyncIterator[EncryptedLayout]:
    """Run the stack for all tests of this module."""
    plain = make_layout()
    fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(Layout)}
    encrypted = EncryptedLayout(**fields)
    async with running(encrypted):
        yield encrypted


async def issue(layout: EncryptedLayout, **headers: str) -> int:
    """Ask for a token over HTTPS."""
    bearer = layout.bearer(new_user(), time.time())
    url = f"https://127.0.0.1:{layout.gateway.number}{TOKEN_PATH}"
    async with (
        aiohttp.ClientSession(trust_env=False) as http,
        http.post(
            url, ssl=layout.trust, headers={"Authorization": f"Bearer {bearer}"} | headers
        ) as answer,
    ):
        return answer.status


async def issue_as(layout: EncryptedLayout, who: str, *said: tuple[str, str]) -> grpc.StatusCode:
    """Ask for a token over gRPC, with a certificate."""
    bearer = layout.bearer(new_user(), time.time())
    certificates = Certificates(layout.kits[who].files())
    async with open_channel(layout.tokenservice_target, certificates) as channel:
        stub = tokenservice_pb2_grpc.TokenServiceStub(channel)
        call: Any = stub.CreateToken(
            pb.CreateTokenRequest(),
            metadata=(("authorization", f"Bearer {bearer}"), *said),
            timeout=10,
        )
        code: grpc.StatusCode = await call.code()
        return code


async def test_a_token_is_issued_over_tls_alone(layout: EncryptedLayout) -> None:
    """Browser to gateway to tokenservice to policy, and each names itself by its certificate."""
    assert await issue(layout) == 200


async def test_the_gateway_is_believed_by_its_certificate(layout: EncryptedLayout) -> None:
    """What its proxy says of a client reaches policy."""
    assert await issue(layout, **{"X-Forwarded-For": DENIED}) == 403
    assert await issue(layout, **{"X-Forwarded-For": "192.0.2.67"}) == 200


async def test_the_gateways_word_counts_over_grpc(layout: EncryptedLayout) -> None:
    """Its certificate is what makes the word count."""
    code = await issue_as(layout, "gateway", ("x-client-address", DENIED))
    assert code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("who", ["stranger", "policy", "tokenservice"])
async def test_nobody_else_is_believed(layout: EncryptedLayout, who: str) -> None:
    """A certificate of the same authority is not the gateway's, whatever is said beside it."""
    said = (
        ("x-client-address", DENIED),
        ("x-forwarded-for", DENIED),
        ("x-forwarded-client-cert", f"URI={NAMES['gateway']}"),
        ("forwarded", f"for={DENIED}"),
    )
    assert await issue_as(layout, who, *said) is grpc.StatusCode.OK


async def test_a_browser_cannot_say_where_it_is(layout: EncryptedLayout) -> None:
    """Neither by the name that the gateway uses nor by that of its metadata."""
    for name in (
        "X-Client-Address",
        "Grpc-Metadata-X-Client-Address",
        "Grpc-Metadata-x-client-headers",
    ):
        assert await issue(layout, **{name: DENIED}) == 200


async def test_certificates_are_replaced_while_it_runs(layout: EncryptedLayout) -> None:
    """Of all three at once: tokens go on being issued."""
    stop = asyncio.Event()
    answers: list[int] = []

    async def issues() -> None:
        while not stop.is_set():
            answers.append(await issue(layout))

    async with asyncio.TaskGroup() as load:
        load.create_task(issues())
        for _ in range(3):
            for name, identity in NAMES.items():
                ip = LOOPBACK if name in {"tokenservice", "gateway"} else None
                layout.kits[name].put(layout.authority.issue(identity, ip=ip), layout.authority)
            wanted = len(answers) + 5
            while len(answers) < wanted:  # noqa: ASYNC110 - other processes' work
                await asyncio.sleep(0.01)
        stop.set()
    assert set(answers) == {200}
