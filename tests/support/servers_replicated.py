"""A primary with replicas, and Sentinels that watch it, for the length of a test."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from servers import NOTHING, ValkeyServer, valkey_server
from servers_process import HOST
from servers_waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

# Sentinels look and speak every few seconds; ours shall not keep a test waiting. (A restarted one
# takes its time again.) Not faster: after four periods without news of a failover, Sentinels turn
# the promoted replica back, and a promotion takes up to a second to be noticed.
HASTE = ("INFO-PERIOD", 200, "PUBLISH-PERIOD", 750, "PING-PERIOD", 100, "ASK-PERIOD", 100)


@dataclass(frozen=True)
class ValkeyReplicated:
    """A primary and its replicas, as they were started."""

    primary: ValkeyServer
    replicas: list[ValkeyServer]

    async def linked(self, within: float = 10) -> None:
        """Wait until every running replica follows a primary, and has all it had before."""

        async def up() -> bool:
            for replica in self.replicas:
                if replica.running:
                    told = await replica.info("replication")
                    if told.get("master_link_status") != "up":
                        return False
            return True

        await until(up, within, "every replica is linked to its primary")


@asynccontextmanager
async def valkey_replicated(
    directory: Path, replicas: int = 1, *, config: Mapping[str, str] = NOTHING
) -> AsyncIterator[ValkeyReplicated]:
    """Run a primary with so many `replicas`, linked to it."""
    settings = {"repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0", **config}
    if "requirepass" in config:  # the primary has it too: it may come to be a replica
        settings["masterauth"] = config["requirepass"]
    async with AsyncExitStack() as stack:
        run = stack.enter_async_context
        primary = await run(valkey_server(directory / "primary", config=settings))
        followers = []
        for number in range(replicas):
            following = {**settings, "replicaof": f"{HOST} {primary.port}"}
            place = directory / f"replica-{number}"
            followers.append(await run(valkey_server(place, config=following)))
        group = ValkeyReplicated(primary, followers)
        await group.linked()
        yield group


@dataclass(frozen=True)
class ValkeySentinel:
    """Sentinels, and the data servers that they watch under `service_name`."""

    data: ValkeyReplicated
    watchers: list[ValkeyServer]
    service_name: str = field(default="mymaster")

    @property
    def nodes(self) -> list[ValkeyServer]:
        """The data servers, whatever their roles are now."""
        return [self.data.primary, *self.data.replicas]

    @property
    def sentinels(self) -> list[tuple[str, int]]:
        """The Sentinels' addresses."""
        return [watcher.address for watcher in self.watchers]

    @property
    def sentinel_urls(self) -> list[str]:
        """The Sentinels' URLs; they have no databases."""
        return [watcher.url.removesuffix("/0") for watcher in self.watchers]

    async def primary(self) -> ValkeyServer:
        """Return the data server that the first Sentinel to answer calls the primary."""
        for watcher in self.watchers:
            if watcher.running:
                try:
                    return await self._primary_of(watcher)
                except (OSError, RedisError):
                    continue  # the next may know
        raise RuntimeError("no Sentinel answers")

    async def _primary_of(self, watcher: ValkeyServer) -> ValkeyServer:
        _, port = await watcher.ask("SENTINEL GET-MASTER-ADDR-BY-NAME", self.service_name)
        return next(node for node in self.nodes if node.port == int(port))

    async def failover(self, within: float = 30) -> ValkeyServer:
        """Have a replica promoted, and return it when all agree that it is the primary."""
        before = await self.primary()
        watcher = next(watcher for watcher in self.watchers if watcher.running)

        async def begun() -> bool:
            # This is an error while the last failover goes on, or no replica is known to be good.
            await watcher.ask("SENTINEL FAILOVER", self.service_name)
            return True

        await until(begun, within, "Sentinel begins a failover", every=0.1)
        return await self.failed_over(before, within)

    async def failed_over(self, before: ValkeyServer, within: float = 30) -> ValkeyServer:
        """Wait until all running Sentinels agree on another primary than `before`; return it."""

        async def agreed() -> bool:
            ports = set()
            for watcher in self.watchers:
                if watcher.running:
                    # Not by address: while it lasts, a failover has told that one the new address,
                    # but those who list the primaries, as redis-py does, the old one.
                    told = await watcher.ask("SENTINEL MASTER", self.service_name)
                    ports.add(int(told["port"]) if told["flags"] == "master" else 0)
            found = [node for node in self.nodes if node is not before and {node.port} == ports]
            return bool(found) and (await found[0].info("replication"))["role"] == "master"

        await until(agreed, within, "the Sentinels agree on a new primary", every=0.02)
        return await self.primary()

    async def watching(self, within: float = 30) -> None:
        """Wait until every Sentinel knows the others, and a replica that it could promote."""

        async def ready() -> bool:
            for watcher in self.watchers:
                told = (await watcher.info("sentinel"))["master0"]
                replicas = await watcher.ask("SENTINEL SLAVES", self.service_name)
                good = [each for each in replicas if each["flags"] == "slave"]
                linked = all(each["master-link-status"] == "ok" for each in good)
                if told["sentinels"] != len(self.watchers) or told["status"] != "ok":
                    return False
                if len(good) != len(self.data.replicas) or not linked:
                    return False
            return True

        await until(ready, within, "the Sentinels know each other and the replicas", every=0.02)


@asynccontextmanager
async def valkey_sentinel(
    directory: Path, sentinels: int = 1, *, replicas: int = 1, config: Mapping[str, str] = NOTHING
) -> AsyncIterator[ValkeySentinel]:
    """Run a primary with `replicas`, watched by so many `sentinels`, most of whom must agree."""
    async with (
        valkey_replicated(directory, replicas, config=config) as data,
        AsyncExitStack() as st,
    ):
        name = ValkeySentinel.service_name
        settings = {
            "sentinel monitor": f"{name} {HOST} {data.primary.port} {sentinels // 2 + 1}",
            "sentinel down-after-milliseconds": f"{name} 500",
            "sentinel failover-timeout": f"{name} 2000",
            "sentinel parallel-syncs": f"{name} 1",
            "sentinel announce-ip": HOST,
        }
        if "requirepass" in config:
            settings["sentinel auth-pass"] = f"{name} {config['requirepass']}"
        watchers = []
        for number in range(sentinels):
            server = valkey_server(directory / f"sentinel-{number}", config=settings, sentinel=True)
            watchers.append(await st.enter_async_context(server))
            await watchers[-1].ask("SENTINEL DEBUG", *HASTE)
        group = ValkeySentinel(data, watchers)
        await group.watching()
        yield group
