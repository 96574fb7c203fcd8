"""Operators watch the service at work, and nobody else: on a real server over a Unix socket."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from fake_policy import FakePolicy
from operations_server import SECRET, Operations, fake_policy, refused, tokenservice
from policy_server import NOW

from tokenservice.operations.watching import MAX_WATCHERS
from tokenservice.v1 import operations_pb2 as pb, tokenservice_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

REQUESTS: dict[str, Any] = {
    "WatchOperations": pb.WatchOperationsRequest(),
    "ListRefused": pb.ListRefusedRequest(),
    "ListBlocks": pb.ListBlocksRequest(),
    "LiftBlock": pb.LiftBlockRequest(),
}
LONG = 3_600.0


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Operations]:
    """Run a service that tells its watchers something every few milliseconds."""
    async with (
        fake_policy(tmp_path, FakePolicy()) as target,
        tokenservice(tmp_path, target, interval=0.01, max_concurrent=4) as running,
    ):
        yield running


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.001)


async def mint(service: Operations, request_id: str, subject: str = "ann") -> Any:
    """Ask for a token."""
    request = tokenservice_pb2.CreateTokenRequest(request_id=request_id)
    return await service.tokens.CreateToken(request, metadata=service.bearer(subject))


async def opened(service: Operations) -> Any:
    """Return a stream that has begun, None if there is no place for one."""
    stream = service.watch()
    try:
        await stream.read()
    except grpc.aio.AioRpcError:
        return None
    return stream


async def gathered(stream: Any, whole: Callable[[Counter[str]], bool]) -> Counter[str]:
    """Add up the counts of messages until they are whole."""
    sums: Counter[str] = Counter()
    async with asyncio.timeout(20):
        while not whole(sums):
            message = await stream.read()
            sums += Counter({each.reason: each.count for each in message.refused})
            sums += Counter(issued=message.issued, replayed=message.replayed)
    return sums


def test_every_method_is_in_these_tests() -> None:
    """A method that is added is refused to strangers, or a test says so."""
    methods = pb.DESCRIPTOR.services_by_name["OperationsService"].methods_by_name
    assert set(methods) == set(REQUESTS)


@pytest.mark.parametrize("method", REQUESTS)
async def test_only_operators_are_answered(watched: Operations, method: str) -> None:
    """Without credentials it is UNAUTHENTICATED, as a user PERMISSION_DENIED: each method."""
    call = getattr(watched.operations, method)
    nobody = await refused(call(REQUESTS[method], timeout=20))
    assert (nobody.code, nobody.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    for roles in ([], ["user"], "operator", None):
        user = await refused(
            call(REQUESTS[method], metadata=watched.bearer("ann", roles=roles), timeout=20)
        )
        assert (user.code, user.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert watched.shedding.calls.taken == 0


async def test_the_first_message_comes_at_once_and_is_of_nothing(tmp_path: Path) -> None:
    """It says which process it is, since when, how busy, and has no counts."""
    async with (
        fake_policy(tmp_path, FakePolicy()) as target,
        tokenservice(tmp_path, target, interval=LONG) as service,
    ):
        await mint(service, "before")
        service.clock.now += 5_000
        first = await service.watch().read()
    assert first.time.ToMilliseconds() == NOW + 5_000
    assert first.start_time.ToMilliseconds() == NOW
    assert first.period.ToMilliseconds() == 0
    assert first.instance == service.activity.instance
    assert (first.issued, first.replayed, list(first.refused)) == (0, 0, [])
    assert (first.active_calls, first.capacity) == (0, 100)
    assert [(each.name, each.state) for each in first.dependencies] == [("policy", "UNKNOWN")]
    assert [each.name for each in first.hops] == ["tokenservice", "policy", "gemini"]
    assert all(each.count for each in first.hops)
    assert all(
        0 < each.p50.ToNanoseconds() <= each.p99.ToNanoseconds() < 60e9 for each in first.hops
    )


async def test_what_becomes_of_requests_is_told_once(watched: Operations) -> None:
    """Tokens, repeats and refusals are each in exactly one message of each watcher."""
    streams = [watched.watch(), watched.watch()]
    for stream in streams:
        await stream.read()
    await mint(watched, "one")
    await mint(watched, "one")  # a repeat
    for request_id in ("two", "three"):  # beyond what policy grants
        with pytest.raises(grpc.aio.AioRpcError):
            await mint(watched, request_id)
    with pytest.raises(grpc.aio.AioRpcError):
        await watched.tokens.CreateToken(tokenservice_pb2.CreateTokenRequest())
    told = {"issued": 1, "replayed": 1, "RATE_LIMIT_EXCEEDED": 2, "UNAUTHENTICATED": 1}
    for stream in streams:
        assert await gathered(stream, lambda sums: sums.total() >= 5) == told
    for stream in streams:
        message = await stream.read()
        assert (message.issued, message.replayed, list(message.refused)) == (0, 0, [])
        assert {each.name: each.count for each in message.hops} == {
            "tokenservice": 5,
            "policy": 5,  # of those who reserved, one also committed; nobody knows a stranger
            "gemini": 1,
        }


async def test_calls_at_work_are_told_and_what_is_shed(tmp_path: Path) -> None:
    """Watching takes no place of a caller; who finds none is counted among the refused."""
    fake = FakePolicy(limit=9)
    async with (
        fake_policy(tmp_path, fake) as target,
        tokenservice(tmp_path, target, interval=0.01, max_concurrent=2) as service,
    ):
        stream = service.watch()
        assert (await stream.read()).active_calls == 0
        fake.held = asyncio.Event()
        held = [asyncio.ensure_future(mint(service, f"{number}")) for number in range(2)]
        await until(lambda: service.shedding.calls.taken == 2)
        with pytest.raises(grpc.aio.AioRpcError):
            await mint(service, "third")
        assert await gathered(stream, lambda sums: sums.total() >= 1) == {"UPSTREAM_UNAVAILABLE": 1}
        message = await stream.read()
        assert (message.active_calls, message.capacity) == (2, 2)
        fake.held.set()
        await asyncio.gather(*held)
        assert await gathered(stream, lambda sums: sums.total() >= 2) == {"issued": 2}


async def test_a_defect_is_a_refusal_too(watched: Operations) -> None:
    """What nobody thought of is counted by what its caller is told."""
    stream = watched.watch()
    await stream.read()
    watched.minter.failure = ZeroDivisionError()
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await mint(watched, "one")
    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert await gathered(stream, lambda sums: sums.total() >= 1) == {"INTERNAL": 1}


async def test_a_token_counts_for_a_caller_who_has_gone(watched: Operations) -> None:
    """It is charged, and kept for a repeat: counted once, as a token, and as no refusal."""
    stream = watched.watch()
    await stream.read()
    watched.minter.gate.clear()
    leaving = asyncio.ensure_future(mint(watched, "one"))
    await watched.minter.begun.wait()
    leaving.cancel()
    await until(lambda: watched.shedding.calls.taken == 0)
    watched.minter.gate.set()
    assert await gathered(stream, lambda sums: sums.total() >= 1) == {"issued": 1}
    await mint(watched, "one")
    assert await gathered(stream, lambda sums: sums.total() >= 1) == {"replayed": 1}


async def test_only_so_many_watch(watched: Operations) -> None:
    """One more than may is told to come again, and finds a place when somebody leaves."""
    streams = [watched.watch() for _ in range(MAX_WATCHERS)]
    for stream in streams:
        await stream.read()
    one_more = await refused(watched.watch())
    assert (one_more.code, one_more.reason) == (
        grpc.StatusCode.UNAVAILABLE,
        "TOO_MANY_WATCHERS",
    )
    streams[0].cancel()
    async with asyncio.timeout(20):
        while (found := await opened(watched)) is None:
            pass
    assert (await refused(watched.watch())).reason == "TOO_MANY_WATCHERS"
    assert (await found.read()).instance


async def test_who_leaves_before_the_first_message_leaves_no_place_taken(
    watched: Operations,
) -> None:
    """However a caller leaves, its place is another's."""
    for _ in range(3 * MAX_WATCHERS):
        watched.watch().cancel()
    async with asyncio.timeout(20):
        streams: list[Any] = []
        while len(streams) < MAX_WATCHERS:
            if (stream := await opened(watched)) is not None:
                streams.append(stream)


async def test_no_stream_lasts_for_ever(tmp_path: Path) -> None:
    """After its time a stream ends, and well: who comes again is judged again."""
    async with (
        fake_policy(tmp_path, FakePolicy()) as target,
        tokenservice(tmp_path, target, interval=0.01, lasting=0.05) as service,
    ):
        stream = service.watch()
        async with asyncio.timeout(20):
            messages = [message async for message in stream]
        assert await stream.code() is grpc.StatusCode.OK
    assert messages


async def test_who_stops_does_not_wait_for_watchers(tmp_path: Path) -> None:
    """When the service stops, streams end at once and well, whatever their interval and grace."""
    async with (
        fake_policy(tmp_path, FakePolicy()) as target,
        tokenservice(tmp_path, target, interval=LONG, grace=LONG) as service,
    ):
        streams = [service.watch() for _ in range(3)]
        for stream in streams:
            await stream.read()
        service.stop.set()
        async with asyncio.timeout(20):
            await service.server.stop(LONG)
        for stream in streams:
            assert await stream.read() == grpc.aio.EOF
            assert await stream.code() is grpc.StatusCode.OK


async def test_nothing_of_a_caller_is_in_what_is_told(watched: Operations) -> None:
    """A subject, a token or a key is in no message."""
    stream = watched.watch()
    await stream.read()
    answer = await mint(watched, "one", "canary@example.com")
    messages = [await stream.read() for _ in range(3)]
    for text in map(str, messages):
        for secret in ("canary", answer.token, SECRET.decode(), "olga"):
            assert secret not in text
