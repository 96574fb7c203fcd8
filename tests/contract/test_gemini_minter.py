"""Minting over HTTP, at an emulator of Gemini."""

import datetime as dt
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest

from emulator.options import Options
from emulator.server import EmulatorServer
from serving.clock import steady_clock
from serving.errors import ServiceError
from tokenservice.deadline import Deadline
from tokenservice.errors import UpstreamMisconfigured, UpstreamUnavailable, token_may_exist
from tokenservice.gemini import GeminiMinter, GeminiOptions, gemini_client
from tokenservice.grant import Grant, Terms, TokenRequest
from tokenservice.models import catalogue
from tokenservice.token import EphemeralToken, Lifetime

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")

KEY = "emulator-key"
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
GRANT = TERMS.grant(TokenRequest(temperature=0.5))


@dataclass
class Naps:
    """Waits no time, and remembers how long it should have been."""

    lengths: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        """Return at once."""
        self.lengths.append(seconds)


@dataclass
class Bench:
    """A minter, the emulator that it asks, and how to order its faults."""

    emulator: EmulatorServer
    http: aiohttp.ClientSession
    stack: AsyncExitStack
    naps: Naps = field(default_factory=Naps)

    async def minter(self, **changes: Any) -> GeminiMinter:
        """Return a minter with options of its own."""
        options = GeminiOptions(api_key=KEY, base_url=self.emulator.base_url)
        options = replace(options, **changes)
        client = await self.stack.enter_async_context(gemini_client(options))
        return GeminiMinter(client, options, self.naps)

    async def fault(self, *faults: dict[str, Any], target: str = "mint") -> None:
        """Order faults."""
        path = f"/emulator/v1/faults/{target}"
        async with self.http.post(path, json=list(faults)) as answer:
            assert answer.status < 300, await answer.text()

    async def look(self, name: str) -> Any:
        """Return what the emulator tells of itself."""
        async with self.http.get(f"/emulator/v1/{name}") as answer:
            return await answer.json()

    async def requests(self) -> int:
        """Return how often a token was asked for."""
        count: int = (await self.look("counters"))["mintRequests"]
        return count


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Run an emulator on a free port."""
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(EmulatorServer(Options(port=0, tls_port=-1)))
        http = await stack.enter_async_context(aiohttp.ClientSession(emulator.base_url))
        yield Bench(emulator, http, stack)


async def mint(
    minter: GeminiMinter, *, seconds: float = 20, grant: Grant = GRANT, lifetime: Any = None
) -> EphemeralToken:
    """Mint a token that starts now."""
    lifetime = lifetime or grant.lifetime(steady_clock()())
    return await minter.mint(grant, lifetime, Deadline.after(seconds))


def as_millis(time: str) -> int:
    """Return an RFC 3339 time in milliseconds."""
    return round(dt.datetime.fromisoformat(time).timestamp() * 1000)


async def test_a_token_is_locked_to_all_of_its_grant(bench: Bench) -> None:
    """One use, both expiries, the whole setup and no field mask reach Gemini."""
    now = steady_clock()()
    lifetime = Lifetime(now + 1_800_123, now + 120_123)
    token = await mint(await bench.minter(), lifetime=lifetime)
    (locked,) = (await bench.look("tokens"))["tokens"]
    assert token.reveal() == locked["name"]
    assert token.reveal().startswith("auth_tokens/")
    assert locked["setup"] == GRANT.setup
    assert not locked["fieldMask"]
    assert locked["uses"] == 1
    assert as_millis(locked["expireTime"]) == lifetime.expires_at
    assert as_millis(locked["newSessionExpireTime"]) == lifetime.session_start_until


async def test_a_session_can_be_minted_for_either_version(bench: Bench) -> None:
    """The configured API version is the one that is asked."""
    await mint(await bench.minter(api_version="v1alpha"))
    assert (await bench.look("mints"))["mints"][0]["version"] == "v1alpha"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_what_is_our_fault_is_not_repeated(bench: Bench, status: int) -> None:
    """A refusal for key, project or content is a misconfiguration, found out once."""
    await bench.fault({"status": status, "message": "project 4711 is bad"})
    with pytest.raises(UpstreamMisconfigured) as failed:
        await mint(await bench.minter())
    assert await bench.requests() == 1
    assert bench.naps.lengths == []
    assert failed.value.retry_after is None
    assert failed.value.ambiguous is False
    assert_says_nothing(failed.value, "4711")


async def test_a_wrong_key_is_our_fault(bench: Bench) -> None:
    """A key that Gemini does not know is a misconfiguration, and not shown."""
    minter = await bench.minter(api_key="wrong-key-of-ours")
    with pytest.raises(UpstreamMisconfigured) as failed:
        await mint(minter)
    assert_says_nothing(failed.value, "wrong-key-of-ours")
    with pytest.raises(UpstreamMisconfigured):
        await minter.check(5)


PASSING: dict[str, dict[str, Any]] = {
    "429": {"status": 429, "message": "quota of project 4711"},
    "500": {"status": 500, "message": "quota of project 4711"},
    "503": {"status": 503, "message": "quota of project 4711"},
    "disconnect": {"disconnect": True},
    "garbage": {"garbage": True},
    "no name": {"emptyName": True},
    "hang": {"hang": True},
}


OPEN_ENDED = (False, False, False, True, True, True, True)
"""Which of these leave open whether a token was made."""


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
async def test_what_may_pass_is_tried_twice_and_no_more(
    bench: Bench, fault: dict[str, Any]
) -> None:
    """Away, slow, over quota or nonsense: unavailable after the second attempt."""
    await bench.fault(fault)
    with pytest.raises(UpstreamUnavailable) as failed:
        await mint(await bench.minter(attempt_timeout=1.2))
    assert await bench.requests() == 2
    assert failed.value.retry_after == 1.0
    assert_says_nothing(failed.value, "4711")


@pytest.mark.parametrize(
    "fault, ambiguous", list(zip(PASSING.values(), OPEN_ENDED, strict=True)), ids=PASSING.keys()
)
async def test_a_mint_without_an_answer_is_ambiguous(
    bench: Bench, fault: dict[str, Any], *, ambiguous: bool
) -> None:
    """Where Gemini refused in so many words no token exists; where it broke off, one may."""
    await bench.fault(fault)
    with pytest.raises(UpstreamUnavailable) as failed:
        await mint(await bench.minter(attempt_timeout=1.2, attempts=1))
    assert failed.value.ambiguous is ambiguous


@pytest.mark.parametrize(
    "faults, ambiguous",
    [
        (({"status": 503}, {"status": 503}), False),
        (({"disconnect": True}, {"status": 503}), True),
        (({"status": 503}, {"disconnect": True}), True),
        (({"status": 503}, {"status": 403}), False),
        (({"disconnect": True}, {"status": 403}), True),
    ],
)
async def test_a_later_refusal_does_not_undo_an_earlier_attempt(
    bench: Bench, faults: tuple[dict[str, Any], ...], *, ambiguous: bool
) -> None:
    """One attempt without an answer is enough for a token that nobody has."""
    await bench.fault(*({**fault, "count": 1} for fault in faults))
    with pytest.raises((UpstreamUnavailable, UpstreamMisconfigured)) as failed:
        await mint(await bench.minter())
    assert token_may_exist(failed.value) is ambiguous
    assert await bench.requests() == 2


async def test_what_was_never_sent_is_not_ambiguous(bench: Bench) -> None:
    """A connection that is refused made no token."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UpstreamUnavailable) as failed:
        await mint(await bench.minter(base_url=f"http://127.0.0.1:{port}"))
    assert failed.value.ambiguous is False


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
async def test_a_second_attempt_can_succeed(bench: Bench, fault: dict[str, Any]) -> None:
    """A failure that passes costs one short wait and no error."""
    await bench.fault({**fault, "count": 1})
    token = await mint(await bench.minter(attempt_timeout=1.2))
    assert token.reveal().startswith("auth_tokens/")
    assert await bench.requests() == 2
    (wait,) = bench.naps.lengths
    assert 0.05 <= wait <= 0.15


async def test_one_attempt_is_one_attempt(bench: Bench) -> None:
    """With a single attempt configured nothing is repeated."""
    await bench.fault({"status": 503})
    with pytest.raises(UpstreamUnavailable):
        await mint(await bench.minter(attempts=1))
    assert await bench.requests() == 1


async def test_gemini_says_how_long_to_wait(bench: Bench) -> None:
    """A Retry-After that the deadline allows is waited for, and passed on in the end."""
    await bench.fault({"status": 429, "retryAfter": "3"})
    with pytest.raises(UpstreamUnavailable) as failed:
        await mint(await bench.minter())
    assert bench.naps.lengths == [3.0]
    assert failed.value.retry_after == 3.0


async def test_a_wait_beyond_the_deadline_is_left_to_the_caller(bench: Bench) -> None:
    """Where there is no time for the wait there is no second attempt."""
    await bench.fault({"status": 503, "retryAfter": "60"})
    with pytest.raises(UpstreamUnavailable) as failed:
        await mint(await bench.minter())
    assert await bench.requests() == 1
    assert bench.naps.lengths == []
    assert failed.value.retry_after == 60.0


@pytest.mark.parametrize("nonsense", ["soon", "-1", "1e9", "9999999", "Wed, 21 Oct 2026 07:28:00"])
async def test_a_retry_after_that_is_no_number_of_seconds_is_ignored(
    bench: Bench, nonsense: str
) -> None:
    """What is not a small whole number counts as not said."""
    await bench.fault({"status": 503, "retryAfter": nonsense})
    with pytest.raises(UpstreamUnavailable) as failed:
        await mint(await bench.minter())
    assert failed.value.retry_after == 1.0
    assert await bench.requests() == 2


async def test_a_deadline_that_is_over_ends_the_first_attempt(bench: Bench) -> None:
    """A hanging Gemini is given what the deadline leaves, and nothing is repeated after it."""
    await bench.fault({"hang": True})
    with pytest.raises(UpstreamUnavailable):
        await mint(await bench.minter(), seconds=0.3)
    assert await bench.requests() == 1


async def test_the_health_check_mints_nothing(bench: Bench) -> None:
    """Asking whether Gemini would mint costs no token."""
    minter = await bench.minter()
    await minter.check(5)
    counters = await bench.look("counters")
    assert (counters["mintRequests"], counters["modelsRequests"]) == (0, 1)
    await bench.fault({"status": 503}, target="models")
    with pytest.raises(UpstreamUnavailable):
        await minter.check(5)
    await bench.fault({"status": 403}, target="models")
    with pytest.raises(UpstreamMisconfigured):
        await minter.check(5)


async def test_an_environment_made_for_vertex_does_not_matter(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that turn other programs to Vertex AI, or to another key, leave ours alone."""
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "a-project")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west4")
    token = await mint(await bench.minter())
    assert token.reveal().startswith("auth_tokens/")


def assert_says_nothing(error: ServiceError, secret: str) -> None:
    """Assert that what goes to the caller has nothing of Gemini's words or our key."""
    assert secret not in f"{error!r} {error} {error.message} {error.reason}"
    assert error.message == type(error).message
