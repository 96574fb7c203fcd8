"""What can be the matter with a store, and how it comes and goes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from servers_process import HOST, free_port
from servers_waiting import until
from store_failures import BACK, PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from servers import ValkeyServer
    from servers_proxy import Proxy


@dataclass(frozen=True)
class Fault:
    """What is the matter for the length of a block."""

    begin: Callable[[ValkeyServer, Proxy], AbstractAsyncContextManager[None]]
    cause: str
    """A word of what policy's log gives as the cause."""
    behind_proxy: bool = False

    def __str__(self) -> str:
        """Return its name."""
        return self.begin.__name__


@asynccontextmanager
async def killed(server: ValkeyServer, _: Proxy) -> AsyncIterator[None]:
    """Crash it; it comes back on the same port, with what its AOF holds."""
    server.kill()
    yield
    await server.start()


@asynccontextmanager
async def stopped(server: ValkeyServer, _: Proxy) -> AsyncIterator[None]:
    """End it in order."""
    await server.stop()
    yield
    await server.start()


@asynccontextmanager
async def hung(server: ValkeyServer, _: Proxy) -> AsyncIterator[None]:
    """Stop its process in its tracks: connections are accepted, nothing is answered."""
    server.pause()
    yield
    server.resume()


@asynccontextmanager
async def black_hole(_: ValkeyServer, proxy: Proxy) -> AsyncIterator[None]:
    """Swallow what goes over the network, without a word."""
    proxy.hold()
    yield
    proxy.release()


@asynccontextmanager
async def busy(server: ValkeyServer, _: Proxy) -> AsyncIterator[None]:
    """Keep it busy with a script that does not end."""
    await server.ask("CONFIG", "SET", "busy-reply-threshold", 1)
    async with server.client() as somebody:
        pool: Any = somebody.connection_pool
        connection = await pool.get_connection()
        await connection.send_command("EVAL", "while true do end", 0)
        yield
        await server.ask("SCRIPT", "KILL")
        await connection.disconnect()


@asynccontextmanager
async def read_only(server: ValkeyServer, _: Proxy) -> AsyncIterator[None]:
    """Make it the replica of one that is not there."""
    await server.ask("REPLICAOF", HOST, free_port())
    yield
    await server.ask("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def stale(server: ValkeyServer, proxy: Proxy) -> AsyncIterator[None]:
    """Make it a replica that does not even answer reads while its primary is away."""
    await server.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
    async with read_only(server, proxy):
        yield


@asynccontextmanager
async def loading(server: ValkeyServer, _: Proxy) -> AsyncIterator[None]:
    """Restart it, on an AOF that it takes long to read."""
    write = "for n = 1, 5000 do redis.call('set', KEYS[1] .. n, 'value') end"
    for part in range(12):
        await server.ask("EVAL", write, 1, f"other-{part}-")
    await server.ask("CONFIG", "SET", "key-load-delay", 20)  # µs: 4 s in all
    await server.ask("CONFIG", "REWRITE")
    await server.restart(loading_ok=True)
    yield

    async def hastened() -> bool:
        await server.ask("CONFIG", "SET", "key-load-delay", 0)  # it listens now and then
        return True

    await until(hastened, BACK, "the server reads faster")


@asynccontextmanager
async def too_few_replicas(server: ValkeyServer, _: Proxy) -> AsyncIterator[None]:
    """Have it refuse writes because no replica would have them."""
    await server.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    yield
    await server.ask("CONFIG", "SET", "min-replicas-to-write", 0)


@asynccontextmanager
async def not_permitted(server: ValkeyServer, _: Proxy) -> AsyncIterator[None]:
    """Take policy's user its rights."""
    await server.ask("ACL", "SETUSER", "policy", "-evalsha", "-eval", "-set", "-get")
    yield
    await server.ask("ACL", "SETUSER", "policy", "+evalsha", "+eval", "+set", "+get")


@asynccontextmanager
async def wrong_password(server: ValkeyServer, _: Proxy) -> AsyncIterator[None]:
    """Change the password of policy's user, and end its connections."""
    await server.ask("ACL", "SETUSER", "policy", "resetpass", ">another")
    await server.ask("CLIENT", "KILL", "USER", "policy")
    yield
    await server.ask("ACL", "SETUSER", "policy", f">{PASSWORD}")


@asynccontextmanager
async def no_connections(server: ValkeyServer, _: Proxy) -> AsyncIterator[None]:
    """Have it take no more connections, and end those that policy has."""
    async with server.client() as held:
        untyped: Any = held
        await untyped.execute_command("CONFIG", "SET", "maxclients", 1)
        await untyped.execute_command("CLIENT", "KILL", "USER", "policy")
        yield
        await untyped.execute_command("CONFIG", "SET", "maxclients", 1_000)


FAULTS = (
    Fault(killed, "ConnectionError"),
    Fault(stopped, "ConnectionError"),
    Fault(hung, "TimeoutError"),
    Fault(black_hole, "TimeoutError", behind_proxy=True),
    Fault(busy, "BUSY"),
    Fault(read_only, "replica"),
    Fault(stale, "replica"),
    Fault(loading, "loading its data"),
    Fault(too_few_replicas, "NOREPLICAS"),
    Fault(not_permitted, "NoPermission"),
    Fault(wrong_password, "AuthenticationError"),
    Fault(no_connections, "ConnectionError"),
)
