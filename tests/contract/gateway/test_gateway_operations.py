"""What operators watch, over real HTTP, before a real tokenservice and a real policy."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from operations_server import Operations, Policy, policy, tokenservice
from policy_server import NOW, PSEUDONYMS, StillClock
from yarl import URL

from gateway import http_server
from gateway.app import make_app
from gateway.settings import GatewaySettings
from policy.standing import Offender, Party
from serving.channel import open_channel
from serving.shedding import MAX_STREAMS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WATCH = "/api/v1/operations:watch"
REFUSED = "/api/v1/operations/refused"
BLOCKS = "/api/v1/operations/blocks"
LIFT = f"{BLOCKS}:lift"
TOKEN = "/api/v1/live-token"
ROUTES = (("GET", WATCH), ("GET", REFUSED), ("GET", BLOCKS), ("POST", LIFT))
ANN = Offender(Party.USER, PSEUDONYMS.user("ann"))
LONG = 3_600.0


@dataclass(frozen=True)
class Edge:
    """A gateway with all that is behind it, and a client of it."""

    url: str
    http: aiohttp.ClientSession
    service: Operations
    policy: Policy
    stop: asyncio.Event
    serving: asyncio.Task[None]

    def call(self, method: str, path: str, *, bearer: Any = None, **request: Any) -> Any:
        """Begin a request: an operator's, unless it has another bearer, or "" for none."""
        headers = dict(request.pop("headers", {}))
        if bearer is None:
            bearer = self.service.bearer()[0][1]
        if bearer:
            headers["Authorization"] = bearer
        return self.http.request(method, self.url + path, headers=headers, **request)

    async def answer(self, method: str, path: str, **request: Any) -> tuple[int, Any]:
        """Make a request; return its status and what is in its body."""
        async with self.call(method, path, **request) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def gateway(
    directory: Path, *, ops: bool = True, interval: float = 1.0
) -> AsyncIterator[Edge]:
    """Run everything; what a test does not end ends here."""
    stop = asyncio.Event()
    listener = http_server.listen("127.0.0.1", 0)
    host, port = listener.getsockname()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        behind = await enter(policy(directory))
        service = await enter(tokenservice(directory, behind.target, interval=interval))
        target = f"unix:{directory}/t.sock"
        settings = GatewaySettings(tokenservice_target=target, ops=ops, drain_seconds=30)
        channel = await enter(open_channel(target))
        app = make_app(settings, channel, StillClock(), stop)
        serving = asyncio.create_task(http_server.serve(app, listener, settings, stop))
        http = await enter(aiohttp.ClientSession(trust_env=False))
        try:
            yield Edge(f"http://{host}:{port}", http, service, behind, stop, serving)
        finally:
            await http.close()
            stop.set()
            await serving


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    """Run a gateway that shows operators what happens."""
    async with gateway(tmp_path, interval=0.01) as running:
        yield running


async def event(answer: aiohttp.ClientResponse) -> tuple[str, Any]:
    """Return the next event of a stream: its type, and what is in it."""
    kind, data = "message", ""
    async with asyncio.timeout(20):
        while line := (await answer.content.readline()).decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                data = value
            elif not name and data:
                return kind, json.loads(data)
    raise AssertionError("the stream ended within an event")


async def test_it_is_off_unless_it_is_switched_on(tmp_path: Path) -> None:
    """By default all of it is 404, to an operator as well."""
    assert GatewaySettings().ops is False
    async with gateway(tmp_path, ops=False) as edge:
        for method, path in ROUTES:
            status, body = await edge.answer(method, path)
            assert (status, body["code"]) == (404, "NOT_FOUND")
        assert (await edge.answer("POST", TOKEN))[0] == 200


@pytest.mark.parametrize("method, path", ROUTES)
async def test_only_operators_are_answered(edge: Edge, method: str, path: str) -> None:
    """Refusals have the one body of the contract, whatever form was asked for."""
    ann = edge.service.bearer("ann", roles=[])[0][1]
    for accept in ("text/event-stream", "application/json", "*/*"):
        if accept == "text/event-stream" and path != WATCH:
            continue
        asked = {"headers": {"Accept": accept}}
        async with edge.call(method, path, bearer="", **asked) as answer:
            assert answer.status == 401
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert (await answer.json())["code"] == "UNAUTHENTICATED"
        status, body = await edge.answer(method, path, bearer=ann, **asked)
        assert (status, body["success"], body["code"]) == (403, False, "PERMISSION_DENIED")


async def test_events_tell_what_becomes_of_requests(edge: Edge) -> None:
    """An issue and a refusal are in the events, with the gateway's own time as the first hop."""
    accept = {"Accept": "text/event-stream"}
    async with edge.call("GET", WATCH, headers=accept) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Content-Encoding" not in answer.headers
        kind, first = await event(answer)
        assert kind == "message"
        assert (first["period"], first["issued"], first["refused"]) == ("0s", 0, [])
        assert first["hops"][0] == {"name": "gateway", "count": 0}
        ann = edge.service.bearer("ann", roles=[])[0][1]
        assert (await edge.answer("POST", TOKEN, bearer=ann))[0] == 200
        assert (await edge.answer("POST", f"{TOKEN}/", bearer=ann))[0] == 429
        issued, refused = 0, 0
        while not (issued and refused):
            _, message = await event(answer)
            issued += message["issued"]
            refused += sum(each["count"] for each in message["refused"])
        _, last = await event(answer)
    assert (issued, refused) == (1, 1)
    assert message["refused"] == [{"reason": "RATE_LIMIT_EXCEEDED", "count": 1}]
    assert [each["name"] for each in last["hops"]] == [
        "gateway",
        "tokenservice",
        "policy",
        "gemini",
    ]
    hops = {each["name"]: each for each in last["hops"]}
    assert hops["gateway"]["count"] == hops["tokenservice"]["count"] == 2
    assert all(each["p50"].endswith("s") and each["p99"].endswith("s") for each in last["hops"])


async def test_lines_of_json_are_for_programs(edge: Edge) -> None:
    """Who takes JSON gets a line for each message."""
    async with edge.call("GET", WATCH, headers={"Accept": "application/x-ndjson"}) as answer:
        async with asyncio.timeout(20):
            line = json.loads(await answer.content.readline())
    assert line["result"]["instance"] == edge.service.activity.instance


async def test_blocks_are_lifted(edge: Edge) -> None:
    """Who was refused most is listed, and a block, which then is lifted."""
    ann = edge.service.bearer("ann", roles=[])[0][1]
    for status in (200, 429):
        assert (await edge.answer("POST", TOKEN, bearer=ann))[0] == status
    status, listed = await edge.answer("GET", REFUSED, params={"pageSize": "5"})
    assert (status, listed["success"]) == (200, True)
    (client,) = listed["clients"]
    assert client["offender"] == {"user": ANN.name}
    assert (client["refusals"], client["lastReason"]) == (1, "cooldown")
    await edge.policy.store.block(ANN, until=NOW + 1_000, reason="guesses", actor="otto")
    async with edge.call("GET", BLOCKS) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        (block,) = (await answer.json())["blocks"]
    assert block["offender"] == {"user": ANN.name}
    body = {"offender": {"user": ANN.name}, "reason": "a mistake"}
    status, lifted = await edge.answer("POST", LIFT, json=body)
    assert (status, lifted["lifted"]) == (200, True)
    assert (await edge.answer("POST", LIFT, json=body))[1]["lifted"] is False


@pytest.mark.parametrize(
    "body, field",
    [
        ({}, "offender"),
        ({"offender": {"user": "ann"}, "reason": "r"}, "offender.user"),
        ({"offender": {"user": ANN.name}}, "reason"),
        ({"offender": {"user": ANN.name}, "reason": 1}, "reason"),
        ({"offender": {"user": ANN.name}, "reason": "r", "actor": "me"}, "actor"),
    ],
)
async def test_bad_input_is_refused_by_field(edge: Edge, body: Any, field: str) -> None:
    """What is wrong with a lift is told by the caller's name of it; nothing is lifted."""
    await edge.policy.store.block(ANN, until=NOW + 1_000, reason="guesses", actor="otto")
    status, refused = await edge.answer("POST", LIFT, json=body)
    assert (status, refused["code"]) == (400, "INVALID_ARGUMENT")
    assert refused["error"].startswith(field)
    assert len((await edge.answer("GET", BLOCKS))[1]["blocks"]) == 1


async def test_pages_of_other_origins_learn_nothing(tmp_path: Path) -> None:
    """Even an origin that may use the API gets no permission for operators' routes."""
    origin = "https://app.example.com"
    stop = asyncio.Event()
    async with (
        gateway(tmp_path) as edge,
        open_channel(f"unix:{tmp_path}/t.sock") as channel,
    ):
        settings = GatewaySettings(
            tokenservice_target="unix:unused", ops=True, cors_origins=(origin,)
        )
        listener = http_server.listen("127.0.0.1", 0)
        host, port = listener.getsockname()
        app = make_app(settings, channel, StillClock(), stop)
        serving = asyncio.create_task(http_server.serve(app, listener, settings, stop))
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        encoded = REFUSED.replace("operations", "%6Fperations")
        for path, allowed in ((TOKEN, True), (WATCH, False), (REFUSED, False), (encoded, False)):
            for method in ("OPTIONS", "POST" if path == TOKEN else "GET"):
                url = URL(f"http://{host}:{port}{path}", encoded=True)
                async with edge.http.request(method, url, headers=asked) as answer:
                    found = {name for name in answer.headers if name.startswith("Access-Control")}
                    assert bool(found) == allowed, (path, method)
        stop.set()
        await serving


async def test_who_stops_does_not_wait_for_watchers(tmp_path: Path) -> None:
    """When the gateway stops, streams end at once, with the event that says so."""
    async with gateway(tmp_path, interval=LONG) as edge:
        answers = [
            await edge.call("GET", WATCH, headers={"Accept": "text/event-stream"}) for _ in range(3)
        ]
        for answer in answers:
            assert (await event(answer))[0] == "message"
        edge.stop.set()
        for answer in answers:
            assert (await event(answer))[0] == "end"
        async with asyncio.timeout(20):
            await edge.serving


async def test_who_leaves_gives_the_place_back(edge: Edge) -> None:
    """A page that is closed ends its stream at tokenservice too."""
    accept = {"Accept": "text/event-stream"}
    for _ in range(MAX_STREAMS + 1):
        answer = await edge.call("GET", WATCH, headers=accept)
        if answer.status == 503:  # the last ones are still leaving
            assert (await answer.json())["code"] in {"TOO_MANY_WATCHERS", "UPSTREAM_UNAVAILABLE"}
        answer.close()
    async with asyncio.timeout(20):
        while True:
            async with edge.call("GET", WATCH, headers=accept) as answer:
                if answer.status == 200:
                    return
