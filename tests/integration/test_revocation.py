"""Two tokenservices on one store: what an operator's command ends, ends at both, in seconds."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import sys
import time
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import jwt
import pytest
from chaos_processes import fleet, short_directory
from chaos_quota import policy_environment
from chaos_token_load import stubs_of
from emulator_process import KEY, emulator
from servers import ValkeyServer, valkey_server
from servers_waiting import until

from tokenservice.v1 import tokenservice_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]
PATIENCE = 30
STALE = 2
TIER = "burst"


@dataclass
class Site:
    """Running replicas, their store, and an operator beside them."""

    replicas: list[Any]
    store: ValkeyServer
    environment: dict[str, str]
    jwt_secret: str
    request: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Of every call: what is repeated is answered with the same token, if it is."""

    async def operator(self, *arguments: str) -> str:
        """Run the operator's command, and return what it prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tokenservice.cli", *arguments, "--actor", "the tests"),
            env=os.environ | self.environment,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err
        return out.decode().strip()

    def bearer(self, user: str) -> tuple[str, str]:
        """Return a user's credentials."""
        now = int(time.time())
        claims = {"sub": user, "tier": TIER, "iat": now, "exp": now + 3600}
        return ("authorization", f"Bearer {jwt.encode(claims, self.jwt_secret, 'HS256')}")

    async def answers(self, credential: tuple[str, str]) -> list[str]:
        """Return what each replica answers the holder of a credential."""
        return [await self._answer(replica, credential) for replica in self.replicas]

    async def _answer(self, replica: Any, credential: tuple[str, str]) -> str:
        try:
            await replica.CreateToken(
                pb.CreateTokenRequest(request_id=self.request), metadata=[credential], timeout=10
            )
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        return "OK"

    async def until_all_say(self, credential: tuple[str, str], answer: str) -> None:
        """Wait until every replica answers so."""
        last: list[str] = []

        async def said() -> bool:
            last[:] = await self.answers(credential)
            return last == [answer] * len(self.replicas)

        try:
            await until(said, PATIENCE, f"all say {answer}", every=0.1)
        except TimeoutError as error:
            raise AssertionError(f"instead of {answer} they say {last}") from error


@asynccontextmanager
async def running() -> AsyncIterator[Site]:
    """Run a policy, two tokenservices, and all that they need."""
    async with AsyncExitStack() as stack:
        place = stack.enter_context(short_directory())
        store = await stack.enter_async_context(valkey_server(place / "valkey"))
        identities = await stack.enter_async_context(valkey_server(place / "identities"))
        gemini = await stack.enter_async_context(emulator(place))
        (policy,) = (
            await stack.enter_async_context(
                fleet(place, "policy", policy_environment(place, store.url), [{}])
            )
        ).targets
        jwt_secret = secrets.token_hex(32)
        shared = {
            "TOKENSERVICE_STORE_URL": identities.url,
            "TOKENSERVICE_HASH_KEY": secrets.token_hex(32),
        }
        tokenservices = await stack.enter_async_context(
            fleet(
                place,
                "tokenservice",
                {
                    **shared,
                    "TOKENSERVICE_SEAL_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
                    "TOKENSERVICE_POLICY_TARGET": policy,
                    "TOKENSERVICE_REVOCATION_SECONDS": "0.2",
                    "TOKENSERVICE_REVOCATION_STALE_SECONDS": str(STALE),
                    "LIVE_API_JWT_SECRET": jwt_secret,
                    "GEMINI_API_KEY": KEY,
                    "GOOGLE_GEMINI_BASE_URL": gemini,
                },
                [{}, {}],
            )
        )
        replicas = await stubs_of(tokenservices.targets, stack)
        yield Site(replicas, identities, shared, jwt_secret)


@pytest.mark.timeout(180)
async def test_what_an_operator_ends_ends_everywhere() -> None:
    """A revoked key and a denied user stop at every replica, repeats too; without the store, all.

    What the operator ended while a replica did not hear of it is ended when it does again.
    """
    refused = "UNAUTHENTICATED: The API key is not valid."
    denied = "PERMISSION_DENIED: This user may not use the service any more."
    unknown = "UNAVAILABLE: Tokens cannot be issued now: it cannot be told who may have one."
    create = ("keys", "create", "--owner", "ann", "--expires", "1d", "--tier", TIER)
    async with running() as site:
        one = ("x-api-key", await site.operator(*create))
        other = ("x-api-key", await site.operator(*create))
        for credential in (one, other, site.bearer("ann"), site.bearer("eve")):
            await site.until_all_say(credential, "OK")

        await site.operator("keys", "revoke", one[1].split("_")[1])
        await site.until_all_say(one, refused)
        await site.until_all_say(other, "OK")

        await site.operator("users", "deny", "eve", "--reason", "left")
        await site.until_all_say(site.bearer("eve"), denied)
        await site.until_all_say(site.bearer("ann"), "OK")
        await site.operator("users", "deny", "ann", "--reason", "left")
        for credential in (other, site.bearer("ann")):
            await site.until_all_say(credential, denied)
        await site.operator("users", "allow", "ann")
        for credential in (other, site.bearer("ann")):
            await site.until_all_say(credential, "OK")

        site.store.pause()
        for credential in (one, other, site.bearer("ann"), site.bearer("eve")):
            await site.until_all_say(credential, unknown)
        site.store.resume()
        await site.until_all_say(site.bearer("ann"), "OK")
        await site.until_all_say(site.bearer("eve"), denied)
        await site.until_all_say(one, refused)
