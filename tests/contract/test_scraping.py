"""What Prometheus scrapes, over HTTP: its formats, its exemplars, and a port for that alone."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import aiohttp
import metering
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from span_tap import tapped

from serving import measuring, metrics, prometheus_names, scrape_http, scraping, tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OPENMETRICS = "application/openmetrics-text"
PROMETHEUS = (
    f"{OPENMETRICS};version=1.0.0;escaping=allow-utf-8;q=0.5,{OPENMETRICS};version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1"
)
"""What Prometheus 3 sends."""
READERS: dict[str, Any] = {"": plain, OPENMETRICS: openmetrics}
METHOD, FORMS = "test.Service/Scraped", "test.Service/Forms"


@dataclass
class Port:
    """Where it is scraped."""

    number: int

    @property
    def url(self) -> str:
        """The address of the metrics."""
        return f"http://127.0.0.1:{self.number}/metrics"

    async def scrape(self, accept: str = "", method: str = "GET") -> tuple[int, Any, str]:
        """Scrape once."""
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            session.request(method, self.url, headers={"Accept": accept}) as answer,
        ):
            return answer.status, answer.headers, await answer.text()

    async def say(self, raw: bytes) -> bytes:
        """Send bytes as they are, and return all that is answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        try:
            writer.write(raw)
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            await left(writer)

    async def status(self, raw: bytes) -> int:
        """Send bytes as they are, and return the status of the answer."""
        return int((await self.say(raw)).split(b" ")[1])


@pytest.fixture
def port() -> Iterator[Port]:
    """Serve what this process measures, on a free port of localhost."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number = probe.getsockname()[1]
    measuring.process()
    metrics.RPC_SERVER_DURATION.record(0.02, method=METHOD, code="OK")
    metrics.RPC_ACTIVE.add(1)
    metrics.SHED.add()
    close = scraping.serve(metering.READER, "localhost", number)
    yield Port(number)
    close()
    metrics.RPC_ACTIVE.add(-1)


def scrape_threads() -> int:
    """Return how many threads answer scrapes: others come and go."""
    return sum(each.name == "scrapes" for each in threading.enumerate())


async def families(port: Port, accept: str) -> dict[str, Any]:
    """Scrape, and read that with the library's own parser of the format."""
    status, headers, text = await port.scrape(accept)
    assert status == 200
    assert headers["Content-Type"].startswith(accept or "text/plain; version=0.0.4")
    return {each.name: each for each in READERS[accept](text)}


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_each_form_parses(port: Port, accept: str) -> None:
    """Prometheus's text, and OpenMetrics, with types, help and what is measured."""
    metrics.RPC_SERVER_DURATION.record(0.02, method=FORMS, code="OK")
    found = await families(port, accept)
    calls = found["rpc_server_call_duration_seconds"]
    assert (calls.type, calls.documentation) == ("histogram", metrics.RPC_SERVER_DURATION.about)
    samples = {
        (each.name.rpartition("_")[2], each.labels.get("le")): each.value
        for each in calls.samples
        if each.labels["rpc_method"] == FORMS
    }
    bounds = [repr(bound) for bound in metrics.RPC_SERVER_DURATION.bounds]
    assert [le for name, le in samples if name == "bucket"] == [*bounds, "+Inf"]
    assert samples["bucket", "0.01"] == 0
    assert samples["bucket", "0.025"] == samples["bucket", "+Inf"] == samples["count", None] >= 1
    assert found["live_token_shed"].type == "counter"
    assert found["live_token_shed"].samples[0].name == "live_token_shed_total"
    assert found["live_token_rpc_active"].type == "gauge"
    (build,) = found["live_token_build_info"].samples
    assert build.value == 1
    assert set(build.labels) == {"service_version", "process_runtime_version"}
    (target,) = (each for each in found.values() if each.name.startswith("target"))
    assert target.samples[0].labels["service_name"] == "test"


async def test_prometheus_itself_gets_openmetrics(port: Port) -> None:
    """With exemplars it asks for both forms, and prefers the one that has them."""
    status, headers, text = await port.scrape(PROMETHEUS)
    assert status == 200
    assert headers["Content-Type"] == f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
    assert text.endswith("# EOF\n")


async def test_names_are_those_of_the_reference(port: Port) -> None:
    """What is scraped has the names that docs/metrics.md says."""
    _, _, text = await port.scrape()
    scraped = {line.partition("{")[0].partition(" ")[0] for line in text.splitlines()}
    for instrument in (metrics.RPC_SERVER_DURATION, metrics.SHED, metrics.BUILD, metrics.MEMORY):
        assert set(prometheus_names.series_of(instrument)) <= scraped


def exemplars(found: dict[str, Any]) -> dict[str, Any]:
    """Return the exemplars of a method's calls, by their trace."""
    return {
        each.exemplar.labels["trace_id"]: each
        for each in found["rpc_server_call_duration_seconds"].samples
        if each.labels["rpc_method"] == METHOD and each.exemplar
    }


async def test_a_sampled_request_is_an_exemplar(port: Port) -> None:
    """Its bucket names the very span that is exported, and how long it took."""
    await port.scrape()  # what came before is told
    with tapped(ALWAYS_ON) as tap:
        with tracing.server_span(METHOD, {}) as span:
            metrics.RPC_SERVER_DURATION.record(
                0.3, tracing.exemplar_of(span), method=METHOD, code="OK"
            )
        exported = tap.named(METHOD).context
    ((trace, sample),) = exemplars(await families(port, OPENMETRICS)).items()
    assert trace == format(exported.trace_id, "032x")
    assert sample.exemplar.labels["span_id"] == format(exported.span_id, "016x")
    assert sample.exemplar.value == 0.3
    assert sample.labels["le"] == "0.5"


@pytest.mark.parametrize("kept", [True, False])
async def test_a_kept_request_is_an_exemplar_too(port: Port, *, kept: bool) -> None:
    """One that was not sampled leads to its span where that is kept, and nowhere if it is not."""
    await port.scrape()
    with tapped() as tap:
        with tracing.server_span(METHOD, {}) as span:
            if kept:
                tracing.fail(span, "INTERNAL")
            metrics.RPC_SERVER_DURATION.record(
                0.3, tracing.exemplar_of(span), method=METHOD, code="INTERNAL"
            )
        exported = {format(each.context.trace_id, "032x") for each in tap.spans}
    found = exemplars(await families(port, OPENMETRICS))
    assert set(found) == exported
    assert bool(found) is kept
    for sample in found.values():
        assert sample.exemplar.labels["span_id"] == format(tap.spans[0].context.span_id, "016x")


async def test_the_plain_form_has_no_exemplars(port: Port) -> None:
    """It cannot have them: a scraper that asks for no other form still gets all the rest."""
    with tapped(ALWAYS_ON), tracing.server_span(METHOD, {}) as span:
        context = tracing.exemplar_of(span)
        metrics.RPC_SERVER_DURATION.record(0.3, context, method=METHOD, code="OK")
    _, _, text = await port.scrape()
    assert "trace_id" not in text
    assert not text.endswith("# EOF\n")


async def left(writer: asyncio.StreamWriter) -> None:
    """Leave a connection, which may be gone already."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until another thread has done something."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.01)


HOST = b"Host: a\r\n\r\n"


@pytest.mark.parametrize(
    "raw, status",
    [
        (b"GET / HTTP/1.1\r\n", 404),
        (b"GET /metrics/ HTTP/1.1\r\n", 404),
        (b"GET /favicon.ico HTTP/1.1\r\n", 404),
        (b"GET //metrics HTTP/1.1\r\n", 404),
        (b"GET http://a/metrics HTTP/1.1\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\n", 405),
        (b"DELETE /metrics HTTP/1.1\r\n", 405),
        (b"OPTIONS * HTTP/1.1\r\n", 404),
        (b"get /metrics HTTP/1.1\r\n", 405),
        (b"GET /metrics?name[]=up HTTP/1.1\r\n", 200),
        (b"GET /metrics HTTP/1.0\r\n", 200),
        (b"HEAD /metrics HTTP/1.1\r\n", 200),
        (b"GET /metrics HTTP/2\r\n", 400),
        (b"GET /metrics\r\n", 400),
        (b"nonsense\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400),
    ],
)
async def test_nothing_else_is_served(port: Port, raw: bytes, status: int) -> None:
    """One path, two methods; all else gets a short refusal, and the next one its metrics."""
    assert await port.status(raw + HOST) == status
    assert (await port.scrape())[0] == 200


async def test_a_head_without_end_is_not_heard_out(port: Port) -> None:
    """Who sends more than a head may be is dropped, whatever is still to come."""
    with suppress(ConnectionError):
        assert await port.say(b"GET /metrics HTTP/1.1\r\nA: " + b"x" * 1_000_000) == b""
    assert (await port.scrape())[0] == 200


async def test_a_refusal_repeats_nothing(port: Port) -> None:
    """What a stranger sent is in no answer, nor does it make headers of its own."""
    answer = await port.say(
        b"GET /metrics HTTP/1.1\r\nHost: a\r\n"
        b"Accept: application/openmetrics-text;version=a\nSet-Cookie: b\r\n\r\n"
    )
    assert b"Set-Cookie" not in answer
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"secret" not in await port.say(b"GET /secret HTTP/1.1\r\n" + HOST)


async def test_a_head_has_no_body(port: Port) -> None:
    """It tells how long one would be."""
    answer = await port.say(b"HEAD /metrics HTTP/1.1\r\n" + HOST)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b""
    assert int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]) > 1000


async def test_many_scrape_at_once(port: Port) -> None:
    """All get all of it, and it takes no further threads."""
    before = scrape_threads()
    answers = await asyncio.gather(*(port.scrape(OPENMETRICS) for _ in range(12)))
    assert scrape_threads() == before
    for _, _, text in answers:
        assert METHOD in text
        assert list(READERS[OPENMETRICS](text))


@pytest.mark.parametrize("said", [b"", b"GET /metrics HTTP/1.1\r\n", b"GET /metrics HTTP/1.1\r\nA"])
async def test_a_stuck_scraper_stops_nobody(port: Port, said: bytes) -> None:
    """However many connect and say nothing more: the oldest of them go, and others are served."""
    before = scrape_threads()
    stuck = []
    for _ in range(2 * scrape_http.MAX_CONNECTIONS):
        stuck.append(await asyncio.open_connection("127.0.0.1", port.number))
        stuck[-1][1].write(said)
    async with asyncio.timeout(8):  # less than a connection may last
        assert (await port.scrape())[0] == 200
        for reader, _ in stuck[: scrape_http.MAX_CONNECTIONS]:
            with suppress(ConnectionError):
                assert await reader.read() == b""
    assert scrape_threads() == before
    await asyncio.gather(*(left(writer) for _, writer in stuck))


async def test_who_reads_slowly_is_let_go() -> None:
    """A connection has its seconds for everything, however it spends them."""
    much = b"x" * 50_000_000
    listeners = scrape_http.listen("127.0.0.1", 0)
    number = listeners[0].getsockname()[1]
    server = scrape_http.ScrapeServer(listeners, lambda _: (much, "text/plain"), seconds=1)
    with closing(server), socket.create_connection(("127.0.0.1", number)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        await eventually(lambda: server.connected == 1)
        await eventually(lambda: server.connected == 0)
        received = 0
        with suppress(ConnectionError):
            while part := client.recv(1_000_000):
                received += len(part)
        assert received < len(much)


async def test_it_is_closed_at_the_end() -> None:
    """Also while somebody is connected: the port is free, and the thread gone."""
    before = scrape_threads()
    listeners = scrape_http.listen("127.0.0.1", 0)
    number = listeners[0].getsockname()[1]
    server = scrape_http.ScrapeServer(listeners, lambda _: (b"", "a"))
    assert scrape_threads() == before + 1
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    server.close()
    assert scrape_threads() == before
    with suppress(ConnectionError):
        assert await reader.read() == b""
    await left(writer)
    socket.create_server(("127.0.0.1", number)).close()


@pytest.mark.parametrize("attempt", range(20))
def test_who_connects_as_it_closes_is_let_go(attempt: int) -> None:
    """No connection is left to nobody: that would be a warning, and so an error here."""
    listeners = scrape_http.listen("127.0.0.1", 0)
    server = scrape_http.ScrapeServer(listeners, lambda _: (b"", "a"))
    with socket.create_connection(listeners[0].getsockname()) as client:
        for _ in range(attempt):
            assert server.connected <= 1
        server.close()
        with suppress(ConnectionError):
            assert client.recv(1) == b""
    gc.collect()


async def test_a_metric_that_cannot_be_shown_ends_nothing() -> None:
    """The scrape fails, and the next is answered again."""
    broken = [ValueError("secret")]

    def expose(_: str) -> tuple[bytes, str]:
        if broken:
            raise broken.pop()
        return b"fine", "text/plain"

    listeners = scrape_http.listen("127.0.0.1", 0)
    port = Port(listeners[0].getsockname()[1])
    server = scrape_http.ScrapeServer(listeners, expose)
    try:
        answer = await port.say(b"GET /metrics HTTP/1.1\r\n" + HOST)
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"secret" not in answer
        assert (await port.scrape())[2] == "fine"
    finally:
        server.close()


async def test_a_scrape_holds_nobody_up(port: Port) -> None:
    """It is collected and written in its own thread: the event loop goes on meanwhile."""
    threads: set[int] = set()
    going = asyncio.Event()
    collected = threading.Event()
    loop = asyncio.get_running_loop()

    def read() -> list[tuple[float, dict[str, str | None]]]:
        threads.add(threading.get_ident())
        loop.call_soon_threadsafe(going.set)
        collected.wait(20)
        return []

    with metrics.JWKS_AGE.reading(read):
        scrape = asyncio.ensure_future(port.scrape())
        await going.wait()  # a loop that was held up would never come here
        assert not scrape.done()
        collected.set()
        assert (await scrape)[0] == 200
    assert threading.get_ident() not in threads


def test_a_busy_port_is_told() -> None:
    """What is listened on already is not shared, on any of the addresses of a name."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(scraping.ScrapeError, match=rf"^localhost:{number} is in use$"):
            scraping.serve(metering.READER, "localhost", number)


def test_a_host_that_is_none_is_told() -> None:
    """A name that stands for nothing, and an address that is not ours."""
    for host in ("no-such-host.invalid", "192.0.2.1"):
        with pytest.raises(scraping.ScrapeError, match=f"^{host}:1 "):
            scraping.serve(metering.READER, host, 1)


def test_a_name_may_have_an_address_too_many() -> None:
    """`localhost` may be an IPv6 address that the machine lacks: the other one does."""
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    with mock.patch.object(socket, "getaddrinfo", return_value=found):
        (listener,) = scrape_http.listen("localhost", 0)
    assert listener.family is socket.AF_INET
    listener.close()
