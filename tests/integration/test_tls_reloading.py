"""Certificates are replaced under load, and nobody notices."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import grpc
import pytest
from authority import Authority, Kit, replace
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs
from tls_server import SERVING, Listening, greet, identities, tls_server

from serving.certificates import Certificates, Material
from serving.renewing import RenewingChannel
from serving.tls import channel_credentials

LOOPBACK = IPv4Address("127.0.0.1")
OLD, NEW = Authority("old"), Authority("new")


@pytest.fixture
def server(tmp_path: Path) -> Kit:
    """Return the server's files."""
    return Kit(tmp_path, "server").put(OLD.issue(ip=LOOPBACK), OLD)


@pytest.fixture
def client(tmp_path: Path) -> Kit:
    """Return a client's files."""
    return Kit(tmp_path, "client").put(OLD.issue("old.client"), OLD)


@pytest.fixture
async def listening(server: Kit) -> AsyncIterator[Listening]:
    """Run the server."""
    async with tls_server(server) as running:
        yield running


@pytest.fixture
def opened() -> list[grpc.aio.Channel]:
    """Return the channels that are opened under the renewing one."""
    return []


@pytest.fixture
async def channel(
    listening: Listening, client: Kit, opened: list[grpc.aio.Channel]
) -> AsyncIterator[RenewingChannel]:
    """Return a channel that looks for a new certificate at each call."""

    def open_(material: Material) -> grpc.aio.Channel:
        opened.append(grpc.aio.secure_channel(listening.target, channel_credentials(material)))
        return opened[-1]

    certificates = Certificates(client.files())
    async with RenewingChannel(certificates, open_, clock=lambda: 0, interval=0) as renewing:
        yield renewing


async def test_everything_is_replaced_under_load(
    server: Kit, client: Kit, channel: RenewingChannel
) -> None:
    """An authority, its successor, and certificates of the latter: no call fails."""
    answered: list[str] = []
    stop = asyncio.Event()

    async def calls() -> None:
        while not stop.is_set():
            answered.extend(await identities(channel))

    async def more(count: int) -> None:
        wanted = len(answered) + count
        while len(answered) < wanted:  # noqa: ASYNC110 - the load is what goes on
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as load:
        for _ in range(8):
            load.create_task(calls())
        await more(50)
        for kit in (server, client):  # first, both learn to trust the new authority
            replace(kit.ca, OLD.pem + NEW.pem)
            await more(50)
        server.put(NEW.issue(ip=LOOPBACK), OLD, NEW)
        await more(50)
        client.put(NEW.issue("new.client"), OLD, NEW)
        await more(50)
        for kit in (server, client):  # and then to trust it alone
            replace(kit.ca, NEW.pem)
            await more(50)
        stop.set()
    assert answered[0] == "dns:old.client"
    assert answered[-1] == "dns:new.client"
    assert await identities(channel) == ["dns:new.client"]


async def test_an_authority_that_is_dropped_is_not_trusted(
    server: Kit, client: Kit, listening: Listening
) -> None:
    """From the next handshake on."""
    assert await greet(listening.target, client)
    server.put(NEW.issue(ip=LOOPBACK), NEW)
    replace(client.ca, NEW.pem)
    assert not await greet(listening.target, client)
    client.put(NEW.issue("new.client"), NEW)
    assert await greet(listening.target, client)


async def test_a_broken_pair_is_not_served(server: Kit, client: Kit, listening: Listening) -> None:
    """Handshakes go on with the old one, and one line says why."""
    whole = server.key.read_bytes()
    with capture_logs() as logs:
        replace(server.key, b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
        for _ in range(3):
            assert await greet(listening.target, client)
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert line["event"] == "new certificate not used"
    assert "c2VjcmV0" not in str(line)
    replace(server.key, whole)
    assert await greet(listening.target, client)


async def test_calls_under_way_end_on_the_old_channel(
    client: Kit,
    listening: Listening,
    channel: RenewingChannel,
    opened: list[grpc.aio.Channel],
) -> None:
    """Which is closed when the last has, and not before."""
    listening.witness.released.clear()
    slow = asyncio.create_task(identities(channel))
    await listening.witness.entered.wait()
    stub: Any = health_pb2_grpc.HealthStub(channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING

    client.put(OLD.issue("new.client"), OLD)
    assert await greet_over(channel)
    first, second = opened
    assert first.get_state() is grpc.ChannelConnectivity.READY
    listening.witness.released.set()
    assert await slow == ["dns:old.client"]
    assert await identities(channel) == ["dns:new.client"]
    assert first.get_state() is grpc.ChannelConnectivity.READY  # the stream is not over
    watch.cancel()
    while first.get_state() is not grpc.ChannelConnectivity.SHUTDOWN:  # noqa: ASYNC110 - gRPC's
        await asyncio.sleep(0)
    assert second.get_state() is grpc.ChannelConnectivity.READY


async def test_the_files_are_not_looked_at_for_each_call(client: Kit, listening: Listening) -> None:
    """But once in a while, so that calls cost nothing more."""
    now = 100.0

    def open_(material: Material) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(listening.target, channel_credentials(material))

    certificates = Certificates(client.files())
    async with RenewingChannel(certificates, open_, clock=lambda: now, interval=5) as channel:
        client.put(OLD.issue("new.client"), OLD)
        now = 104.9
        assert await identities(channel) == ["dns:old.client"]
        now = 105.0
        assert await identities(channel) == ["dns:new.client"]


async def test_a_closed_channel_stays_closed(client: Kit, listening: Listening) -> None:
    """Whatever is replaced later."""
    certificates = Certificates(client.files())
    opened: list[grpc.aio.Channel] = []

    def open_(material: Material) -> grpc.aio.Channel:
        opened.append(grpc.aio.secure_channel(listening.target, channel_credentials(material)))
        return opened[-1]

    async with RenewingChannel(certificates, open_, clock=lambda: 0, interval=0) as channel:
        assert await greet_over(channel)
    client.put(OLD.issue("new.client"), OLD)
    with pytest.raises(grpc.aio.UsageError):
        await greet_over(channel)
    assert [each.get_state() for each in opened] == [grpc.ChannelConnectivity.SHUTDOWN]


async def greet_over(channel: grpc.aio.Channel) -> bool:
    """Make a call that is answered at once."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
    return bool(answer.status == SERVING)
