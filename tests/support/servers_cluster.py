"""A real cluster of Valkey servers, for the length of a test."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from servers import NOTHING, ValkeyServer, valkey_server
from servers_process import HOST, free_port
from servers_waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

SLOTS = 16_384


@dataclass(frozen=True)
class ValkeyCluster:
    """Servers that share the slots; the first `size` of them began as primaries."""

    nodes: list[ValkeyServer]
    size: int

    @property
    def url(self) -> str:
        """The URL of the first node, by which a client discovers the others."""
        return self.nodes[0].url.removesuffix("/0")  # a cluster has no numbered databases

    async def node_of(self, key: str) -> ValkeyServer:
        """Return the primary that serves `key`, as the first running node knows it."""
        running = next(node for node in self.nodes if node.running)
        slot = await running.ask("CLUSTER KEYSLOT", key)
        ranges = await running.ask("CLUSTER SLOTS")  # [first, last, [host, port, …] of each node]
        port = next(owner[1] for first, last, owner, *_ in ranges if first <= slot <= last)
        return next(node for node in self.nodes if node.port == port)

    async def settled(self, within: float = 15) -> None:
        """Wait until every running node finds the cluster whole, and its replicas are in sync."""
        running = [node for node in self.nodes if node.running]

        async def whole() -> bool:
            told = [await node.info("replication") for node in running]
            following = [each["master_link_status"] for each in told if each["role"] == "slave"]
            for node in running:
                state = await node.ask("CLUSTER INFO")
                seen = [each["flags"] for each in (await node.ask("CLUSTER NODES")).values()]
                replicas = [flags for flags in seen if "slave" in flags and "fail" not in flags]
                if state["cluster_state"] != "ok" or len(seen) != len(self.nodes):
                    return False
                if len(replicas) != len(following):
                    return False
            return set(following) <= {"up"}

        await until(whole, within, "every node finds the cluster whole", every=0.02)


@asynccontextmanager
async def valkey_cluster(
    directory: Path, nodes: int = 3, *, replicas: int = 0, config: Mapping[str, str] = NOTHING
) -> AsyncIterator[ValkeyCluster]:
    """Run a cluster of `nodes` primaries, each with so many `replicas`."""
    async with AsyncExitStack() as stack:
        buses: dict[ValkeyServer, int] = {}
        for number in range(nodes * (1 + replicas)):
            bus = free_port()  # by default it is 10000 more than the port, and may be taken
            settings = {
                "cluster-enabled": "yes",
                "cluster-announce-ip": HOST,  # a node learns its own only from who meets it
                "cluster-node-timeout": "1000",
                "cluster-require-full-coverage": "yes",
                "cluster-port": str(bus),
                "repl-diskless-sync-delay": "0",
                **config,
            }
            if "requirepass" in config:
                settings["masterauth"] = config["requirepass"]
            server = valkey_server(directory / f"node-{number}", config=settings)
            buses[await stack.enter_async_context(server)] = bus
        cluster = ValkeyCluster(list(buses), nodes)
        await _join(cluster, buses)
        yield cluster


async def _join(cluster: ValkeyCluster, buses: Mapping[ValkeyServer, int]) -> None:
    """Make the servers a cluster, as `valkey-cli --cluster create` does."""
    primaries, replicas = cluster.nodes[: cluster.size], cluster.nodes[cluster.size :]
    for epoch, server in enumerate(cluster.nodes, start=1):
        await server.ask("CLUSTER SET-CONFIG-EPOCH", epoch)  # or they would have to agree first
    for number, server in enumerate(primaries):
        first, end = (SLOTS * n // len(primaries) for n in (number, number + 1))
        await server.ask("CLUSTER ADDSLOTSRANGE", first, end - 1)
    for server in cluster.nodes:
        for other in cluster.nodes:
            if other is not server:  # everyone meets everyone: waiting for gossip takes longer
                await server.ask("CLUSTER MEET", HOST, other.port, buses[other])
    for number, server in enumerate(replicas):
        primary = await primaries[number % len(primaries)].ask("CLUSTER MYID")

        async def replicates(server: ValkeyServer = server, primary: str = primary) -> bool:
            await server.ask("CLUSTER REPLICATE", primary)  # an error while it has not met it
            return True

        await until(replicates, 10, f"the server on port {server.port} replicates {primary}")
    await cluster.settled()
