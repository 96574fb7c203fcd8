"""Published keys over real connections, from a server that may answer anything."""

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import trustme
from aiohttp import ClientError, web
from oidc import AUDIENCE, CLAIMS, ISSUER, NOW, Published, jwks, published, signing_key

from serving.errors import Unauthenticated
from tokenservice.errors import IdentityUnavailable, WrongCredentials
from tokenservice.identity.issuers import read_issuers
from tokenservice.identity.jwks_http import MAX_BYTES, NoKeysAnswered, fetch_from, jwks_session
from tokenservice.identity.trust import Bearers, Trust, open_bearers

OLD = signing_key("RS256", "old")
NEW = signing_key("ES256", "new")
SUBJECT = f"{ISSUER}#ann"


class Clock:
    """Stands still until told otherwise."""

    def __init__(self) -> None:
        """Begin at NOW."""
        self.seconds = NOW

    def __call__(self) -> int:
        """Tell the time."""
        return self.seconds * 1000


def trust_in(endpoint: Published) -> Trust:
    """Trust the issuer that publishes there."""
    issuer = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": endpoint.url}
    return Trust(issuers=read_issuers(json.dumps([issuer])))


@pytest.fixture
async def endpoint() -> AsyncIterator[Published]:
    """Publish the old key on loopback."""
    async with published() as running:
        running.keys(OLD)
        yield running


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
async def bearers(endpoint: Published, clock: Clock) -> AsyncIterator[Bearers]:
    """Trust that endpoint's issuer."""
    async with open_bearers(trust_in(endpoint), clock) as running:
        yield running


async def subject(bearers: Bearers, token: str) -> str:
    """Return the subject that a token proves."""
    return (await bearers.verifier.verify(token)).principal.subject


async def test_a_rotation_refuses_nobody_and_ends_the_old_key(
    bearers: Bearers, endpoint: Published, clock: Clock
) -> None:
    """A new key counts within 10 s; one that was taken back is refused after the next refresh."""
    assert await subject(bearers, OLD.token()) == SUBJECT
    clock.seconds += 10
    endpoint.keys(OLD, NEW)
    assert await subject(bearers, NEW.token()) == SUBJECT
    assert await subject(bearers, OLD.token()) == SUBJECT
    endpoint.keys(NEW)
    await bearers.published[ISSUER].refresh()
    assert await subject(bearers, NEW.token()) == SUBJECT
    clock.seconds += 10
    with pytest.raises(WrongCredentials):
        await bearers.verifier.verify(OLD.token())


async def test_an_issuer_that_is_gone_takes_nobody_along(clock: Clock) -> None:
    """Without its server, known keys count for a day and unknown ones do not; then none does."""
    async with AsyncExitStack() as stack:
        async with published() as endpoint:
            endpoint.keys(OLD)
            bearers = await stack.enter_async_context(open_bearers(trust_in(endpoint), clock))
            assert await subject(bearers, OLD.token()) == SUBJECT
        clock.seconds += 86_400
        claims = CLAIMS | {"iat": clock.seconds, "exp": clock.seconds + 60}
        assert not await bearers.published[ISSUER].refresh()
        assert await subject(bearers, OLD.token(claims)) == SUBJECT
        with pytest.raises(Unauthenticated):
            await bearers.verifier.verify(NEW.token(claims))
        clock.seconds += 1
        with pytest.raises(IdentityUnavailable):
            await bearers.verifier.verify(OLD.token(claims))


async def test_the_watch_fetches_before_anybody_calls(
    bearers: Bearers, endpoint: Published
) -> None:
    """While the watch runs, the keys are there without a call."""
    watch = asyncio.create_task(bearers.watch())
    await asyncio.sleep(0)
    assert await bearers.published[ISSUER].refresh(), "shares the fetch that the watch began"
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    assert await subject(bearers, OLD.token()) == SUBJECT
    assert endpoint.visits == 1


GOOD = json.dumps(jwks(NEW)).encode()
ANSWERS: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "not found": (404, GOOD, {}),
    "an error": (500, GOOD, {}),
    "no content": (204, b"", {}),
    "nothing": (200, b"", {}),
    "HTML": (200, b"<!doctype html>", {"Content-Type": "text/html"}),
    "compressed": (200, gzip.compress(GOOD), {"Content-Encoding": "gzip"}),
    "a bomb": (200, gzip.compress(bytes(10_000_000)), {"Content-Encoding": "gzip"}),
    "longer than 64 KiB": (200, GOOD[:-1] + b" " * MAX_BYTES + b"}", {}),
    "much longer": (200, b" " * 10_000_000 + GOOD, {}),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_a_bad_answer_takes_no_keys_away(
    bearers: Bearers, endpoint: Published, answer: tuple[int, bytes, dict[str, str]]
) -> None:
    """Whatever a server answers that is no set of keys, those at hand go on."""
    cache = bearers.published[ISSUER]
    assert await cache.refresh()
    status, body, headers = answer
    endpoint.status(status, body, **headers)
    assert not await cache.refresh()
    assert await subject(bearers, OLD.token()) == SUBJECT
    endpoint.keys(OLD, NEW)
    assert await cache.refresh()
    assert await subject(bearers, NEW.token()) == SUBJECT


async def test_64_kib_are_read(endpoint: Published) -> None:
    """The limit itself is good."""
    endpoint.status(200, b" " * MAX_BYTES)
    async with jwks_session() as session:
        assert len(await fetch_from(session, endpoint.url)()) == MAX_BYTES


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    bearers: Bearers, endpoint: Published, status: int
) -> None:
    """Nobody but the address that is configured is asked."""
    async with published() as elsewhere:
        elsewhere.keys(NEW)
        endpoint.status(status, Location=elsewhere.url)
        assert not await bearers.published[ISSUER].refresh()
    assert elsewhere.visits == 0


async def test_a_server_that_does_not_finish_is_given_up(endpoint: Published) -> None:
    """Neither a head nor a body is waited for longer than the time-out."""
    held = asyncio.Event()

    async def no_head(_: web.Request) -> web.StreamResponse:
        await held.wait()
        return web.json_response(jwks(OLD))

    async def half_a_body(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(GOOD)
        await response.prepare(request)
        await response.write(GOOD[:20])
        await held.wait()
        return response

    async with jwks_session(timeout_seconds=0.05) as session:
        for slow in (no_head, half_a_body):
            endpoint.answer = slow
            with pytest.raises(TimeoutError):
                await fetch_from(session, endpoint.url)()
    held.set()


async def test_the_environment_names_no_proxy(
    endpoint: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys come from the issuer itself, whatever HTTP_PROXY says."""
    async with published() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with jwks_session() as session:
            assert json.loads(await fetch_from(session, endpoint.url)()) == jwks(OLD)
    assert proxy.visits == 0


async def test_a_server_without_a_name_that_is_vouched_for_is_not_believed() -> None:
    """Over https, a certificate of an authority that nobody trusts gives no keys."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with published(ssl=context) as impostor, jwks_session() as session:
        impostor.keys(NEW)
        with pytest.raises(ClientError):
            await fetch_from(session, impostor.url)()
    assert impostor.visits == 0


async def test_a_failure_does_not_tell_the_address(endpoint: Published) -> None:
    """What is raised for an answer has its status, and nothing of the query."""
    endpoint.status(503)
    async with jwks_session() as session:
        with pytest.raises(NoKeysAnswered, match=r"^status 503$"):
            await fetch_from(session, f"{endpoint.url}?key=s3cret")()
