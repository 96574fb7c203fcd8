"""Both ports, from start to stop."""

import asyncio
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest

from emulator.options import Options
from emulator.server import CannotListen, EmulatorServer


async def test_tls_is_trusted_by_its_authority_and_nobody_else(
    http: aiohttp.ClientSession, emulator: EmulatorServer
) -> None:
    """The TLS port answers to all names of this machine, for those who trust the CA file."""
    trusting = ssl.create_default_context(cafile=str(emulator.ca_file))
    assert emulator.tls_base_url
    port = emulator.tls_base_url.rsplit(":", 1)[1]
    for host in ("127.0.0.1", "localhost"):
        async with http.get(f"https://{host}:{port}/healthz", ssl=trusting) as answer:
            assert answer.status == 200
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await http.get(f"{emulator.tls_base_url}/healthz")


async def test_a_temporary_authority_is_removed() -> None:
    """The CA file exists while the emulator runs; without a given place it goes with it."""
    async with EmulatorServer(Options(port=0, tls_port=0)) as emulator:
        assert emulator.ca_file
        assert emulator.ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert not emulator.ca_file.parent.exists()


async def test_a_named_authority_stays(tmp_path: Path) -> None:
    """A CA file that somebody asked for is theirs."""
    wanted = tmp_path / "ca.pem"
    async with EmulatorServer(Options(port=0, tls_port=0, ca_file=wanted)) as emulator:
        assert emulator.ca_file == wanted
    assert wanted.exists()


async def test_tls_can_be_left_out() -> None:
    """With the TLS port -1 there is neither address nor authority."""
    async with EmulatorServer(Options(port=0, tls_port=-1)) as emulator:
        assert (emulator.tls_base_url, emulator.ca_file) == (None, None)


async def test_ipv6_is_served() -> None:
    """An IPv6 host is served and written in brackets."""
    async with (
        EmulatorServer(Options(host="::1", port=0, tls_port=-1)) as emulator,
        aiohttp.ClientSession() as http,
        http.get(f"{emulator.base_url}/healthz") as answer,
    ):
        assert emulator.base_url.startswith("http://[::1]:")
        assert answer.status == 200


async def test_a_malformed_request_is_not_quoted_in_the_log(
    emulator: EmulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What was sent in a request that cannot be parsed is not logged: it may hold a token."""
    port = int(emulator.base_url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /?access_token=auth_tokens/secret HTTP/9.9\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 400")
    writer.close()
    assert "Error handling request" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("flag", ["--port", "--tls-port"])
async def test_a_busy_port_is_named(flag: str) -> None:
    """A port that is taken is named in one line with its flag."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"port": 0, "tls_port": 0, flag.strip("-").replace("-", "_"): port}
        with pytest.raises(CannotListen, match=rf"^{flag}: cannot listen on 127.0.0.1:{port}: "):
            await EmulatorServer(Options(**ports)).start()


async def test_a_ca_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A CA file in a directory that does not exist is a mistake of the flag."""
    options = Options(port=0, tls_port=0, ca_file=tmp_path / "missing" / "ca.pem")
    with pytest.raises(CannotListen, match=r"^--ca-file: "):
        await EmulatorServer(options).start()
