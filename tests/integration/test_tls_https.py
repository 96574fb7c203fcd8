"""The gateway's public side: HTTPS, its certificate replaced under load."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from authority import Authority, Issued, Kit, replace
from starlette.responses import PlainTextResponse
from structlog.testing import capture_logs

from gateway import http_server
from gateway.settings import GatewaySettings
from serving.certificates import Certificates

LOOPBACK = IPv4Address("127.0.0.1")
OURS, THEIRS = Authority("our"), Authority("their")
REFUSED = (aiohttp.ClientError, ssl.SSLError)

Run = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """Return the gateway's files."""
    return Kit(tmp_path, "gateway").put(OURS.issue("localhost", ip=LOOPBACK), OURS)


@pytest.fixture
def run(kit: Kit) -> Run:
    """Return what serves HTTPS, and tells where."""

    @asynccontextmanager
    async def run_(*, clients: bool = False, **settings_: Any) -> AsyncIterator[str]:
        settings = GatewaySettings(port=0, drain_seconds=1, **settings_)
        listener = http_server.listen(settings.host, settings.port)
        stop = asyncio.Event()
        https = Certificates(kit.files(ca=clients))
        app = PlainTextResponse("served")
        server = asyncio.create_task(http_server.serve(app, listener, settings, stop, https=https))
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        stop.set()
        await server

    return run_


def trusting(*authorities: Authority, shown: Path | None = None) -> ssl.SSLContext:
    """Return a browser's context."""
    context = ssl.create_default_context(cadata=b"".join(a.pem for a in authorities).decode())
    if shown is not None:
        context.load_cert_chain(shown)
    return context


async def fetch(url: str, context: ssl.SSLContext | None = None) -> str:
    """Fetch a page over a connection of its own."""
    connector = aiohttp.TCPConnector(ssl=context or True, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, trust_env=False) as http,
        http.get(url) as answer,
    ):
        return await answer.text()


async def serial(address: str, context: ssl.SSLContext, name: str | None = None) -> Any:
    """Return the serial number of the certificate that a handshake gets."""
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(
        host, int(port), ssl=context, server_hostname=name or host
    )
    certificate = writer.get_extra_info("peercert")
    writer.close()
    await writer.wait_closed()
    return certificate["serialNumber"]


def pem(issued: Issued, path: Path) -> Path:
    """Write a certificate and its key into one file."""
    path.write_bytes(issued.chain + issued.key)
    return path


async def test_browsers_are_served(run: Run) -> None:
    """By address or by name, without a certificate of their own."""
    async with run() as address:
        assert await fetch(f"https://{address}/", trusting(OURS)) == "served"


async def test_who_does_not_trust_us_hangs_up(run: Run) -> None:
    """And that is all that happens."""
    async with run() as address:
        with pytest.raises(REFUSED):
            await fetch(f"https://{address}/", trusting(THEIRS))
        assert await fetch(f"https://{address}/", trusting(OURS)) == "served"


async def test_plaintext_is_not_served(run: Run) -> None:
    """Not on the port of HTTPS."""
    async with run() as address:
        with pytest.raises(REFUSED):
            await fetch(f"http://{address}/")


async def test_old_protocols_are_refused(run: Run) -> None:
    """TLS 1.2 is the least."""
    context = trusting(OURS)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with run() as address:
        with pytest.raises(REFUSED):
            await fetch(f"https://{address}/", context)


async def test_clients_may_be_asked_for_certificates(run: Run, tmp_path: Path) -> None:
    """Ours are served; none, another's and an expired one are not."""
    ours = pem(OURS.issue("a"), tmp_path / "ours.pem")
    theirs = pem(THEIRS.issue("a"), tmp_path / "theirs.pem")
    expired = pem(OURS.issue("a", expired=True), tmp_path / "expired.pem")
    async with run(clients=True) as address:
        url = f"https://{address}/"
        assert await fetch(url, trusting(OURS, shown=ours)) == "served"
        for shown in (None, theirs, expired):
            with pytest.raises(REFUSED):
                await fetch(url, trusting(OURS, shown=shown))


@pytest.mark.parametrize("name", [None, "localhost"])
async def test_a_new_certificate_is_served_under_load(run: Run, kit: Kit, name: str | None) -> None:
    """No request fails, and the next handshake gets it, with a server name (SNI) or without."""
    context = trusting(OURS, THEIRS)
    served: list[str] = []
    stop = asyncio.Event()

    async def requests(url: str) -> None:
        while not stop.is_set():
            served.append(await fetch(url, context))

    async with run() as address, asyncio.TaskGroup() as load:
        for _ in range(4):
            load.create_task(requests(f"https://{address}/"))
        serials = [await serial(address, context, name)]
        for issuer in (OURS, THEIRS, OURS):
            kit.put(issuer.issue("localhost", ip=LOOPBACK), OURS)
            serials += [await serial(address, context, name) for _ in range(2)]
        stop.set()
    assert len(set(serials)) == 4
    assert serials[1::2] == serials[2::2]
    assert set(served) == {"served"}


async def test_a_broken_pair_is_not_served_to_browsers(run: Run, kit: Kit) -> None:
    """The old one stays, and one line says why."""
    context = trusting(OURS)
    async with run() as address:
        before = await serial(address, context)
        with capture_logs() as logs:
            replace(kit.chain, OURS.issue("localhost", ip=LOOPBACK).chain)
            assert [await serial(address, context) for _ in range(3)] == [before] * 3
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
        "new certificate not used"
    ]


async def test_an_authority_of_clients_that_is_dropped_is_not_trusted(
    run: Run, kit: Kit, tmp_path: Path
) -> None:
    """From the next handshake on."""
    context = trusting(OURS, shown=pem(OURS.issue("a"), tmp_path / "ours.pem"))
    async with run(clients=True) as address:
        url = f"https://{address}/"
        assert await fetch(url, context) == "served"
        replace(kit.ca, THEIRS.pem)
        with pytest.raises(REFUSED):
            await fetch(url, context)
        replace(kit.ca, OURS.pem)
        assert await fetch(url, context) == "served"


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x02\x00\x01"])
async def test_a_handshake_that_does_not_go_on_is_given_up(run: Run, begun: bytes) -> None:
    """After the time that a request's head has, not the minute that asyncio gives it."""
    async with run(head_timeout_ms=200) as address, asyncio.timeout(30):
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(begun)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


async def test_a_client_with_a_certificate_cannot_resume(run: Run, tmp_path: Path) -> None:
    """What it resumes would not be verified again."""
    context = trusting(OURS, shown=pem(OURS.issue("a"), tmp_path / "ours.pem"))
    for clients in (False, True):
        async with run(clients=clients) as address:
            assert await asyncio.to_thread(gets_ticket, address, context) is not clients


def gets_ticket(address: str, context: ssl.SSLContext) -> bool:
    """Fetch a page; return whether a ticket to resume with came along."""
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port))) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while connection.recv(4096):
            pass
        return connection.session is not None and connection.session.has_ticket
