"""The whole chain in one process, each part composed as it is when it is deployed.

Over real sockets: a client, the gateway, tokenservice, policy and the emulator of
Gemini. What each reads from its environment is the test's, and so is the time.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from unittest import mock

import aiohttp
import jwt
import yaml
from client import TOKEN_PATH, Answer
from identity_rows import StillClock
from secrets_watch import WATCH

from emulator.clock import Clock
from emulator.options import Options
from emulator.server import EmulatorServer
from gateway import http_server
from gateway.app import make_app
from gateway.settings import GatewaySettings
from policy import __main__ as policy_main
from policy.settings import PolicySettings
from serving.channel import open_channel
from serving.settings import load
from tokenservice import __main__ as tokenservice_main
from tokenservice.identity.keyring import Keyring
from tokenservice.identity.opening import open_rows
from tokenservice.identity.registry import Registry
from tokenservice.settings import TokenServiceSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from serving.settings import Settings

MINT = TOKEN_PATH
USAGE = f"{TOKEN_PATH}/usage"
CONFIG = f"{TOKEN_PATH}/config"
STATS = f"{TOKEN_PATH}/stats"
HEALTH = f"{TOKEN_PATH}/health"
MODEL = "gemini-3.8-live"
HASH_KEY = "k" * 32
SECRET = "the contract's own secret, 32 bytes or more"
SECOND, MINUTE, HOUR, DAY = 1, 60, 3_600, 86_400
_PATIENCE_SECONDS = 20


@dataclass
class Role:
    """A process's whole work, begun and ended in this one."""

    name: str
    serve: Callable[[asyncio.Event], Awaitable[None]]
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """Ask it to end, as a signal does, and wait until it has."""
        self._stop.set()
        if self._task is not None:
            await self._task
            self._task = None

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself, or was told to."""
        return self._task is None or self._task.done()

    async def _run(self) -> None:
        await self.serve(self._stop)


@dataclass
class Chain:
    """A running chain, and a caller of it."""

    clock: StillClock
    url: str
    emulator: EmulatorServer
    policy: Role
    tokenservice: Role
    registry: Registry | None
    """Where there are API keys; without them, time may leap as far as it likes."""
    http: aiohttp.ClientSession
    _sessions: dict[str, aiohttp.ClientSession] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def bearer(self, subject: str = "ann", *, secret: str = SECRET, **claims: Any) -> str:
        """Return a user's bearer token; a claim that is None is left out."""
        content = {"sub": subject, "exp": self.clock() // 1000 + 30 * DAY, **claims}
        content = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(content, secret, algorithm="HS256")

    async def call(
        self,
        method: str = "POST",
        path: str = MINT,
        *,
        subject: str = "",
        address: str = "127.0.0.1",
        **request: Any,
    ) -> Answer:
        """Make one HTTP request, as `subject` if there is one, from a loopback address."""
        headers = dict(request.pop("headers", {}))
        if subject:
            headers["Authorization"] = f"Bearer {self.bearer(subject)}"
        session = await self._session(address)
        async with session.request(method, self.url + path, headers=headers, **request) as answer:
            body = await answer.json() if await answer.read() else None
            if isinstance(body, dict):
                WATCH.know("a token", body.get("token", ""))
            return Answer(answer.status, answer.headers, body)

    async def mint(
        self, subject: str = "ann", /, *, address: str = "127.0.0.1", **json: Any
    ) -> Answer:
        """Ask for a token, without a body if there is nothing to say."""
        body: dict[str, Any] = {"json": json} if json else {}
        return await self.call(subject=subject, address=address, **body)

    async def usage(self, subject: str = "ann") -> Any:
        """Return what `usage` tells a user."""
        answer = await self.call("GET", USAGE, subject=subject)
        assert answer.status == 200, answer
        return answer.body["data"]

    def fail(self, target: str = "mint", **fault: Any) -> None:
        """Order what Gemini does wrong next; once, unless `count` says else."""
        faults: Any = self.emulator.core.faults
        faults.order(target, {"count": 1} | fault)

    def mend(self) -> None:
        """Let Gemini do right from now on."""
        self.emulator.core.faults.clear()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Let Gemini answer the next mint after the block; yield what waits until it is asked."""
        counters = self.emulator.core.journal.counters
        before = counters.faults_met
        self.fail(latencyMs=1000)

        async def asked() -> None:
            await eventually(lambda: counters.faults_met > before)

        yield asked
        self.emulator.core.clock.advance(timedelta(seconds=1))

    @property
    def minted(self) -> int:
        """How many tokens Gemini has made."""
        return self.emulator.core.journal.counters.tokens_minted

    async def until_healthy(self) -> None:
        """Wait until tokens can be issued."""
        await self.until(lambda answer: answer.status == 200)

    async def until(self, good: Callable[[Answer], bool]) -> Answer:
        """Ask for the health until it is as it should be, and return the answer."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                answer = await self.call("GET", HEALTH)
                if good(answer):
                    return answer
                await asyncio.sleep(0.01)

    async def key(self, owner: str = "ann", *, days: float = 90, **more: Any) -> str:
        """Make an API key, wait until it is known, and return its text."""
        assert self.registry is not None
        text, _ = await self.registry.create_key(
            owner, lifetime_ms=round(days * DAY * 1000), actor="op", **more
        )
        WATCH.know("an API key", text)
        await self.until_known(text)
        return text

    async def until_known(self, key: str, *, known: bool = True) -> None:
        """Wait until an API key is known, or is not any more, as the replicas learn of it."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                # From where nobody else is: an unknown key is a guess.
                answer = await self.call(
                    "GET", CONFIG, headers={"X-API-Key": key}, address="127.0.0.9"
                )
                if answer.status == (HTTPStatus.OK if known else HTTPStatus.UNAUTHORIZED):
                    return
                await asyncio.sleep(0.01)

    async def _session(self, address: str) -> aiohttp.ClientSession:
        if address == "127.0.0.1":
            return self.http
        if address not in self._sessions:
            connector = aiohttp.TCPConnector(local_addr=(address, 0))
            self._sessions[address] = await self._stack.enter_async_context(
                aiohttp.ClientSession(connector=connector, trust_env=False)
            )
        return self._sessions[address]


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.001)


@asynccontextmanager
async def live_token(
    directory: Path,
    rules: Mapping[str, Any] | None = None,
    *,
    clock: StillClock | None = None,
    **variables: str,
) -> AsyncIterator[Chain]:
    """Run the chain on free ports, its sockets and files in `directory`.

    `rules` is the content of the policy file, if there shall be one; `variables`
    are what an operator sets.
    """
    clock = clock or StillClock()
    sockets = {name: f"unix:{directory}/{name}" for name in ("p", "t")}
    if rules is not None:
        file = directory / "policy.yaml"
        file.write_text(yaml.safe_dump({"version": 1, **rules}), encoding="utf-8")
        variables["POLICY_FILE"] = str(file)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        emulated = Clock(lambda: datetime.fromtimestamp(clock() / 1000, UTC))
        emulator = await enter(EmulatorServer(Options(port=0, tls_port=-1), emulated))
        environment = {
            "POLICY_LISTEN": sockets["p"],
            "TOKENSERVICE_LISTEN": sockets["t"],
            "TOKENSERVICE_POLICY_TARGET": sockets["p"],
            "TOKENSERVICE_HASH_KEY": HASH_KEY,
            "TOKENSERVICE_REVOCATION_SECONDS": "0.1",
            "GATEWAY_TOKENSERVICE_TARGET": sockets["t"],
            "GATEWAY_PORT": "0",
            "LIVE_API_JWT_SECRET": SECRET,
            "GEMINI_API_KEY": "emulator-key",
            "GEMINI_PROBE_SECONDS": "0.05",
            "GOOGLE_GEMINI_BASE_URL": emulator.base_url,
            "DRAIN_SECONDS": "1",
            # Patience, for a machine that is busy: no test is about time that really passes.
            "GEMINI_ATTEMPT_TIMEOUT_MS": "10000",
            "TOKENSERVICE_POLICY_TIMEOUT_MS": "10000",
            "TOKENSERVICE_STORE_TIMEOUT_MS": "5000",
            "TOKENSERVICE_DEADLINE_MS": "25000",
            "GATEWAY_RPC_TIMEOUT_MS": "30000",
            **variables,
        }
        kinds: list[type[Settings]] = [PolicySettings, TokenServiceSettings, GatewaySettings]
        with mock.patch.dict(os.environ, environment, clear=True):
            settings: list[Any] = [load(kind) for kind in kinds]
        enter_now = stack.enter_context
        for module in (policy_main, tokenservice_main):
            enter_now(mock.patch.object(module, "steady_clock", return_value=clock))
        policy = Role("policy", lambda stop: policy_main.serve(settings[0], stop))
        tokenservice = Role("tokenservice", lambda stop: tokenservice_main.serve(settings[1], stop))
        registry = None
        if settings[1].store_url is not None:
            keyring = Keyring(HASH_KEY.encode())
            rows = await enter(open_rows(settings[1], keyring))
            registry = Registry(rows, keyring, clock)
        url = await enter(_gateway(settings[2], clock))
        session = await enter(aiohttp.ClientSession(trust_env=False))
        for role in (policy, tokenservice):
            await role.start()
            stack.push_async_callback(role.stop)
        chain = Chain(
            clock=clock,
            url=url,
            emulator=emulator,
            policy=policy,
            tokenservice=tokenservice,
            registry=registry,
            http=session,
            _stack=stack,
        )
        await chain.until_healthy()
        yield chain


@asynccontextmanager
async def _gateway(settings: GatewaySettings, clock: StillClock) -> AsyncIterator[str]:
    listener = http_server.listen(settings.host, settings.port)
    host, port = listener.getsockname()
    async with open_channel(settings.tokenservice_target) as channel:
        app = make_app(settings, channel, clock)
        serving = Role("gateway", lambda stop: http_server.serve(app, listener, settings, stop))
        await serving.start()
        try:
            yield f"http://{host}:{port}"
        finally:
            await serving.stop()
