"""An issuer's published keys: rotated, away, and asked for by strangers."""

import asyncio
import json
from typing import Any

import pytest
from oidc import jwks, signing_key
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from serving.errors import Unauthenticated
from tokenservice.errors import IdentityUnavailable, WrongCredentials
from tokenservice.identity.jwks import JwksCache

OLD = signing_key("RS256", "old")
NEW = signing_key("RS256", "new")
ALG = "RS256"


class Issuer:
    """Publishes keys, is away, or holds its answer back; and it has a clock."""

    def __init__(self) -> None:
        """Publish the old key."""
        self.answer: bytes | Exception = json.dumps(jwks(OLD)).encode()
        self.held: asyncio.Event | None = None
        self.fetches: list[float] = []
        self.naps: asyncio.Queue[float] = asyncio.Queue()
        self.woken = asyncio.Semaphore(0)
        self.seconds = 1000.0

    def publish(self, *keys: Any) -> None:
        """Publish these keys from now on."""
        self.answer = json.dumps(jwks(*keys)).encode()

    def leave(self) -> None:
        """Be away from now on."""
        self.answer = ConnectionError("https://user:password@issuer.example/jwks?key=s3cret")

    async def fetch(self) -> bytes:
        """Answer."""
        self.fetches.append(self.seconds)
        if self.held:
            await self.held.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def sleep(self, seconds: float) -> None:
        """Sleep until woken, for that long by the clock."""
        self.naps.put_nowait(seconds)
        await self.woken.acquire()
        self.seconds += seconds

    async def next_nap(self) -> float:
        """Return how long somebody is about to sleep, and wake it."""
        seconds = await self.naps.get()
        self.woken.release()
        return seconds


@pytest.fixture
def issuer() -> Issuer:
    """Return an issuer that publishes the old key."""
    return Issuer()


@pytest.fixture
def cache(issuer: Issuer) -> JwksCache:
    """Return a cache of its keys, empty yet."""
    return JwksCache(
        issuer.fetch, [ALG], lambda: int(issuer.seconds * 1000), name="i", sleep=issuer.sleep
    )


async def settled() -> None:
    """Let everybody come as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_keys_are_fetched_when_first_needed_and_then_kept(
    cache: JwksCache, issuer: Issuer
) -> None:
    """One fetch answers everybody who waits, and everybody after."""
    assert cache.age is None
    found = await asyncio.gather(*(cache.find("old", ALG) for _ in range(100)))
    assert all(found)
    issuer.seconds += 7
    assert await cache.find("old", ALG)
    assert issuer.fetches == [1000]
    assert cache.age == 7


async def test_a_new_key_is_known_at_once(cache: JwksCache, issuer: Issuer) -> None:
    """A `kid` that is not known is looked up, so a rotation refuses nobody."""
    await cache.find("old", ALG)
    issuer.publish(OLD, NEW)
    issuer.seconds += 10
    assert await cache.find("new", ALG)
    assert await cache.find("old", ALG)
    assert len(issuer.fetches) == 2


async def test_a_key_that_was_taken_back_is_refused_after_the_next_refresh(
    cache: JwksCache, issuer: Issuer
) -> None:
    """What the issuer does not publish any more is gone with the next fetch, and known to be."""
    await cache.find("old", ALG)
    issuer.publish(NEW)
    assert await cache.find("old", ALG)
    issuer.seconds += 300
    await cache.refresh()
    issuer.seconds += 10
    assert await cache.find("old", ALG) is None


async def test_a_flood_of_unknown_kids_is_no_flood_of_fetches(
    cache: JwksCache, issuer: Issuer
) -> None:
    """10,000 kids in 100 s are 10 fetches, and a new key still gets through."""
    await cache.find("old", ALG)
    for number in range(10_000):
        issuer.seconds = 1000 + number / 100
        if number == 5_000:
            issuer.publish(OLD, NEW)
        try:
            assert await cache.find(f"kid-{number}", ALG) is None
        except Unauthenticated as refused:
            assert not isinstance(refused, WrongCredentials)  # noqa: PT017 - either is right
        assert await cache.find("old", ALG)
    assert issuer.fetches == [1000 + 10 * n for n in range(10)]
    fetches = len(issuer.fetches)
    assert await cache.find("new", ALG)
    assert len(issuer.fetches) == fetches


async def test_at_once_many_unknown_kids_share_a_fetch(cache: JwksCache, issuer: Issuer) -> None:
    """Those who come while it is under way wait for it; those after have their answer at once."""
    await cache.find("old", ALG)
    issuer.seconds += 10
    issuer.held = asyncio.Event()
    waiting = [asyncio.create_task(cache.find(f"kid-{n}", ALG)) for n in range(1000)]
    await settled()
    assert await cache.find("old", ALG), "who is known does not wait"
    issuer.held.set()
    assert await asyncio.gather(*waiting) == [None] * 1000
    assert len(issuer.fetches) == 2
    with pytest.raises(Unauthenticated):
        await cache.find("kid", ALG)
    assert len(issuer.fetches) == 2


async def test_who_hangs_up_takes_the_answer_from_nobody(cache: JwksCache, issuer: Issuer) -> None:
    """The fetch goes on when the caller who began it is gone."""
    issuer.held = asyncio.Event()
    first, second = (asyncio.create_task(cache.find("old", ALG)) for _ in range(2))
    await settled()
    first.cancel()
    await settled()
    assert first.cancelled()
    issuer.held.set()
    assert await second
    assert len(issuer.fetches) == 1


async def test_an_issuer_that_is_away_keeps_its_keys_for_a_day(
    cache: JwksCache, issuer: Issuer
) -> None:
    """Known keys verify until a day after they were last had, and then nothing does."""
    await cache.find("old", ALG)
    issuer.leave()
    for _ in range(24 * 60):
        issuer.seconds += 60
        await cache.refresh()
        assert await cache.find("old", ALG)
    assert cache.age == 86_400
    issuer.seconds += 10.001
    with pytest.raises(IdentityUnavailable):
        await cache.find("old", ALG)
    issuer.publish(OLD)
    issuer.seconds += 10
    assert await cache.find("old", ALG)


async def test_unknown_while_the_issuer_is_away_is_no_guess(
    cache: JwksCache, issuer: Issuer
) -> None:
    """A key that could not be looked up may be a new one: refused, but nobody's fault."""
    await cache.find("old", ALG)
    issuer.leave()
    issuer.seconds += 10
    for _ in range(2):
        with pytest.raises(Unauthenticated) as refused:
            await cache.find("new", ALG)
        assert not isinstance(refused.value, WrongCredentials)
    assert len(issuer.fetches) == 2


async def test_before_the_first_keys_nobody_is_judged(cache: JwksCache, issuer: Issuer) -> None:
    """An issuer that is away from the start makes no caller wrong; and is not asked by each."""
    issuer.leave()
    for _ in range(100):
        with pytest.raises(IdentityUnavailable) as refused:
            await cache.find("old", ALG)
        assert refused.value.reason == "POLICY_UNAVAILABLE"
        assert refused.value.retry_after == 1
    assert len(issuer.fetches) == 1
    issuer.publish(OLD)
    issuer.seconds += 10
    assert await cache.find("old", ALG)


GARBAGE = {
    "nothing": b"",
    "HTML": b"<!doctype html><title>Down for maintenance</title>",
    "a list": b"[]",
    "null": b"null",
    "no keys": b"{}",
    "an empty list of keys": b'{"keys": []}',
    "keys in an object": b'{"keys": {}}',
    "keys twice": b'{"keys": [], "keys": %b}' % json.dumps(jwks(NEW)["keys"]).encode(),
    "half of it": json.dumps(jwks(NEW)).encode()[:-20],
    "very deep": b'{"keys": ' + b"[" * 60_000,
    "not UTF-8": b'{"keys": ["\xff"]}',
    "NaN": b'{"keys": [], "a": NaN}',
    "only useless keys": b'{"keys": [{"kty": "oct", "k": "AAAA"}, 7]}',
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_takes_no_keys_away(cache: JwksCache, issuer: Issuer, garbage: bytes) -> None:
    """An answer that is no set of usable keys is a failure, and the keys at hand stay."""
    await cache.find("old", ALG)
    issuer.answer = garbage
    assert not await cache.refresh()
    assert await cache.find("old", ALG)


async def test_a_failure_is_one_warning_without_the_address(
    cache: JwksCache, issuer: Issuer
) -> None:
    """The log says whose keys, and what kind of failure; an address may hold a secret."""
    issuer.leave()
    with capture_logs([merge_contextvars]) as logs:
        await cache.refresh()
    assert logs == [
        {
            "event": "jwks_not_fetched",
            "issuer": "i",
            "error": "ConnectionError",
            "log_level": "warning",
        }
    ]


async def test_a_published_private_key_is_warned_of_by_its_issuer(
    cache: JwksCache, issuer: Issuer
) -> None:
    """The log says who has lost a key; the key is not used, and others are."""
    issuer.answer = json.dumps({"keys": [NEW.private_jwk(), OLD.jwk()]}).encode()
    with capture_logs([merge_contextvars]) as logs:
        assert await cache.find("old", ALG)
    assert logs == [
        {"event": "jwks_private_keys", "issuer": "i", "ignored": 1, "log_level": "warning"}
    ]
    with pytest.raises(Unauthenticated):
        await cache.find("new", ALG)


async def test_the_watch_refreshes_and_comes_back_sooner_after_a_failure(
    cache: JwksCache, issuer: Issuer
) -> None:
    """Every 300 s while it works, every 10 s while it does not, whoever calls or not."""
    watch = asyncio.create_task(cache.watch())
    assert [await issuer.next_nap() for _ in range(3)] == [300, 300, 300]
    assert await issuer.naps.get() == 300
    issuer.leave()
    issuer.woken.release()
    assert [await issuer.next_nap() for _ in range(3)] == [10, 10, 10]
    assert await issuer.naps.get() == 10
    issuer.publish(OLD, NEW)
    issuer.woken.release()
    assert await issuer.next_nap() == 300
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    assert watch.cancelled()
    fetches = len(issuer.fetches)
    assert await cache.find("new", ALG)
    assert len(issuer.fetches) == fetches
