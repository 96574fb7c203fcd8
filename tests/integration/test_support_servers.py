"""The real servers that tests of the store run on do as their harness says."""

import asyncio
import os
import shutil
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import servers_process
import trustme
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError as Unreachable, TimeoutError as Late
from servers import ValkeyServer, valkey_server
from servers_cluster import ValkeyCluster, valkey_cluster
from servers_process import HOST, binary, free_port
from servers_proxy import hole, tls_proxy
from servers_replicated import valkey_replicated, valkey_sentinel
from servers_waiting import until

ONCE = Retry(NoBackoff(), 0)


def alive(pid: int) -> bool:
    """Tell whether there is such a process."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def ping(server: ValkeyServer) -> None:
    """Ask for a sign of life."""
    async with server.client() as redis:
        assert await redis.ping()


async def test_what_the_aof_holds_outlives_a_crash_and_a_restart(tmp_path: Path) -> None:
    """Killed, then stopped: both times the key is there again."""
    config = {"appendonly": "yes", "appendfsync": "always"}
    async with valkey_server(tmp_path, config=config) as server:
        async with server.client() as redis:
            await redis.set("key", "value")
        before = server.pid
        server.kill()
        assert not alive(before)
        with pytest.raises(Unreachable):
            await ping(server)
        await server.start()
        await server.restart()
        async with server.client() as redis:
            assert await redis.get("key") == "value"
        last = server.pid
    assert not alive(last)


async def test_a_paused_server_keeps_silent_until_it_resumes(tmp_path: Path) -> None:
    """Connections open, nothing is answered; stopped all the same, it ends in order."""
    async with valkey_server(tmp_path) as server:
        server.pause()
        with pytest.raises(Late):
            await ping(server)
        server.resume()
        await ping(server)
        server.pause()
        server.pause()
        await server.stop()
        assert "bye bye" in server.log.read_text()


async def test_a_server_is_gone_when_the_test_is_cancelled(tmp_path: Path) -> None:
    """Even a paused one."""
    pids: list[int] = []

    async def paused() -> None:
        async with valkey_server(tmp_path) as server:
            pids.append(server.pid)
            server.pause()
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await paused()
    assert [alive(pid) for pid in pids] == [False]


async def test_a_server_that_loads_is_not_ready_unless_one_asks(tmp_path: Path) -> None:
    """It answers, but that it is busy."""
    config = {"appendonly": "yes", "key-load-delay": "-5"}  # a nap before every fifth key or so
    write = "for n = 1, 50000 do redis.call('set', 'key-' .. n, 'value') end"
    async with valkey_server(tmp_path, config=config) as server:
        await server.ask("EVAL", write, 0)
        await server.restart(loading_ok=True)
        with pytest.raises(BusyLoadingError):
            await server.ask("GET", "key-1")
        await server.restart()
        assert await server.ask("GET", "key-50000") == "value"


@pytest.mark.skipif(
    "CI" not in os.environ and not shutil.which("setpriv"),
    reason="nothing binds a server's life to ours; CI has what does",
)
async def test_a_server_does_not_outlive_a_killed_test_run(tmp_path: Path) -> None:
    """The kernel ends it."""
    child = """if True:
        import pathlib, sys
        from servers_process import spawn
        server = spawn(sys.argv[2:], pathlib.Path(sys.argv[1]))
        input()
    """
    port = free_port()
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", child, tmp_path / "log"),
        *(binary(), "--port", str(port), "--save", ""),
        stdin=asyncio.subprocess.PIPE,  # kept open: the child waits
        env=os.environ | {"PYTHONPATH": str(Path(servers_process.__file__).parent)},
    )

    async def listening() -> bool:  # an orphan that ended may still be there, if none reaps it
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        await writer.wait_closed()
        return True

    await until(listening, 10, "the server listens")
    run.kill()
    await run.wait()

    async def gone() -> bool:
        with suppress(OSError):
            return not await listening()
        return True

    await until(gone, 5, "the orphan is gone")


async def test_a_unix_socket_and_a_password(tmp_path: Path) -> None:
    """However deep the directory is, the socket's address is short enough."""
    deep = tmp_path / ("deep " * 30)
    async with valkey_server(deep, config={"requirepass": "p"}, unix=True) as server:
        for url in (server.url, server.unix_url):
            async with Redis.from_url(url) as redis:
                assert await redis.ping()


async def test_a_taken_port_is_told(tmp_path: Path) -> None:
    """The server that has it is not taken for ours."""
    async with valkey_server(tmp_path / "one") as server:
        with pytest.raises(RuntimeError, match="in use"):
            async with valkey_server(tmp_path / "two", port=server.port):
                pass
        await ping(server)


async def filled(cluster: ValkeyCluster) -> set[int]:
    """Write and read across the slots; return the ports of who served."""
    async with RedisCluster.from_url(cluster.url, decode_responses=True) as redis:
        for number in range(30):
            await redis.set(f"key-{number}", str(number))
            assert await redis.get(f"key-{number}") == str(number)
    return {(await cluster.node_of(f"key-{number}")).port for number in range(30)}


async def test_a_cluster_shares_the_keys(tmp_path: Path) -> None:
    """Each of three nodes serves some of them."""
    async with valkey_cluster(tmp_path) as cluster:
        assert await filled(cluster) == {node.port for node in cluster.nodes}


async def test_a_cluster_promotes_a_replica(tmp_path: Path) -> None:
    """The cluster is whole again without the lost node, and with it."""
    async with valkey_cluster(tmp_path, replicas=1) as cluster:
        lost = await cluster.node_of("key")
        lost.kill()

        async def replaced() -> bool:
            return await cluster.node_of("key") is not lost

        await until(replaced, 20, "a replica serves the key")
        await cluster.settled()
        assert lost.port not in await filled(cluster)
        await lost.start()
        await cluster.settled()


async def test_replicas_follow_their_primary(tmp_path: Path) -> None:
    """They have what the primary has, password and all."""
    async with valkey_replicated(tmp_path, 2, config={"requirepass": "p"}) as group:
        async with group.primary.client() as redis:
            await redis.set("key", "value")
            assert await redis.wait(2, 1000) == 2
        for replica in group.replicas:
            async with replica.client() as redis:
                assert await redis.get("key") == "value"


async def test_sentinels_tell_of_the_new_primary(tmp_path: Path) -> None:
    """And redis-py, which asks them, writes to it."""
    async with valkey_sentinel(tmp_path, config={"requirepass": "p"}) as group:
        first = await group.primary()
        second = await group.failover()
        assert first is not second
        untyped: Any = Sentinel
        watchers = untyped(group.sentinels)
        try:
            assert await watchers.discover_master(group.service_name) == second.address
            async with watchers.master_for(group.service_name, password="p") as redis:
                assert await redis.set("key", "value")
        finally:
            for watcher in watchers.sentinels:
                await watcher.aclose()


async def test_sentinels_replace_a_primary_that_crashes(tmp_path: Path) -> None:
    """Once back, it finds itself a replica."""
    async with valkey_sentinel(tmp_path, 3) as group:
        lost = await group.primary()
        lost.kill()
        assert await group.failed_over(lost) is not lost
        await lost.start()
        await group.watching()
        assert (await lost.info("replication"))["role"] == "slave"


async def test_tls_is_spoken_and_verified(tmp_path: Path) -> None:
    """A client that trusts another authority gets nothing through."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted, other = tmp_path / "trusted.pem", tmp_path / "other.pem"
    authority.cert_pem.write_to_path(str(trusted))
    trustme.CA().cert_pem.write_to_path(str(other))
    async with (
        valkey_server(tmp_path) as server,
        tls_proxy(*server.address, context) as proxy,
    ):
        async with Redis.from_url(proxy.url, ssl_ca_certs=str(trusted)) as redis:
            assert await redis.set("key", "value")
            assert await redis.get("key") == b"value"
        async with Redis.from_url(proxy.url, ssl_ca_certs=str(other), retry=ONCE) as redis:
            with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
                await redis.ping()
        assert proxy.connections == 1


async def test_a_hole_holds_releases_and_cuts(tmp_path: Path) -> None:
    """A call waits for what is held, and fails with what is cut."""
    async with (
        valkey_server(tmp_path) as server,
        hole(server.address) as proxy,
        Redis.from_url(proxy.url, socket_timeout=None, retry=ONCE) as redis,
    ):
        assert await redis.ping()
        proxy.hold()
        for end in (proxy.release, proxy.cut):
            proxy.hold()
            asked = asyncio.ensure_future(redis.ping())
            await asyncio.sleep(0.2)
            assert not asked.done()
            end()
            if end == proxy.release:
                assert await asked
        with pytest.raises(Unreachable):
            await asked
        proxy.release()
        assert await redis.ping()
        server.kill()
        with pytest.raises(Unreachable):
            await redis.ping()
