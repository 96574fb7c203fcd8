"""The store's primary is lost and a replica takes its place: policy follows it by itself."""

import asyncio
from pathlib import Path

from servers_cluster import valkey_cluster
from servers_replicated import valkey_sentinel
from servers_waiting import until
from store_failures import BACK, DURABLE, PASSWORD, USER, Answer, Policy, serving, url_of

from policy.v1 import policy_pb2 as pb

CONFIG = {**DURABLE, "user": USER}
FAILED_OVER = 30.0
"""Within what it must be over; the servers' own part takes two seconds."""


class Load:
    """Callers that have tokens issued to ever new users, and what became of them."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.issued: list[str] = []
        self.failures: list[Answer] = []

    async def _one(self) -> None:
        user = self.policy.new_user()
        for ask in (self.policy.reserve, self.policy.commit):
            answer = await ask(user)
            if answer.code != "OK":
                self.failures.append(answer)
                return
            assert answer.outcome in {"granted", "COMMITTED", "LOST"}, answer
        if answer.outcome == "COMMITTED":
            self.issued.append(user)

    async def run(self) -> None:
        """Go on until cancelled."""

        async def caller() -> None:
            while True:
                await self._one()

        async with asyncio.TaskGroup() as callers:
            for _ in range(2):
                callers.create_task(caller())

    async def until_issued(self, more: int) -> None:
        """Wait until so many more tokens were issued."""
        goal = len(self.issued) + more

        async def reached() -> bool:
            return len(self.issued) >= goal

        await until(reached, FAILED_OVER, "tokens are issued")


async def test_sentinel_promotes_a_replica(tmp_path: Path) -> None:
    """In order, then because the primary hangs: no caller waits, and no issued token is lost."""
    # With more replicas than are waited for, the one that is promoted may not be the one that
    # had the commit.
    async with valkey_sentinel(tmp_path, replicas=1, config=CONFIG) as group:
        host, port = group.sentinels[0]
        url = f"redis+sentinel://policy:{PASSWORD}@{host}:{port}/{group.service_name}"
        async with serving(url, store_wait_replicas=1) as policy:
            load = Load(policy)
            running = asyncio.create_task(load.run())
            await load.until_issued(50)
            first = await group.primary()
            second = await group.failover()
            assert second is not first
            await load.until_issued(50)
            second.pause()
            assert await group.failed_over(second) is first
            await policy.until_serving()
            second.resume()  # it becomes a replica, and tokens are issued again
            await load.until_issued(50)
            running.cancel()
            await asyncio.wait([running])
            assert all(answer.no_decision for answer in load.failures), load.failures
            for user in load.issued:
                assert await policy.decided(policy.reserve, user, "again") == "COOLDOWN"
            assert not policy.said("store forgot")


async def test_a_cluster_promotes_a_replica(tmp_path: Path) -> None:
    """Who lives elsewhere is served meanwhile; tokens are withheld until a replica has them."""
    async with valkey_cluster(tmp_path, replicas=1, config=CONFIG) as cluster:
        url = url_of(cluster.nodes[0]).replace("redis://", "redis+cluster://").removesuffix("/0")
        async with serving(url, store_wait_replicas=1, store_max_connections=3) as policy:
            await crowded(policy)
            users = [policy.new_user() for _ in range(24)]
            for user in users:
                await policy.issue(user)
            lost = cluster.nodes[0]
            lost.kill()
            # A third of all users each had their charges on one of the three.
            answers = await asyncio.gather(*(policy.reserve(user, "again") for user in users))
            assert {answer.outcome for answer in answers} == {"COOLDOWN", "POLICY_UNAVAILABLE"}
            assert all(answer.no_decision for answer in answers if answer.code != "OK")
            await policy.until_serving(serving=False)

            await policy.until_serving(within=FAILED_OVER)
            for user in users:
                assert await policy.decided(policy.reserve, user, "again") == "COOLDOWN"
            homeless = next(u for u, a in zip(users, answers, strict=True) if a.code != "OK")
            # The promoted one has no replica: what would be issued there is withheld.
            for _ in range(50):
                user = policy.new_user()
                assert await policy.decided(policy.reserve, user) == "granted"
                if (withheld := await policy.commit(user)).code != "OK":
                    break
            assert withheld.no_decision
            await lost.start()
            assert await policy.decided(policy.commit, user) == "COMMITTED"
            assert await policy.decided(policy.reserve, homeless, "again") == "COOLDOWN"
            assert not policy.said("store forgot")


async def crowded(policy: Policy) -> None:
    """Wait until more callers than connections, with addresses in other slots, are all served."""
    addresses = [f"192.0.2.{n}" for n in range(8)]

    async def served() -> bool:
        answers = await asyncio.gather(
            *(
                policy.reserve(policy.new_user(), client=pb.Client(address=address))
                for address in addresses * 8
            )
        )
        return {answer.outcome for answer in answers} == {"granted"}

    await until(served, BACK, "all are granted")
    causes = {line["cause"] for line in policy.said("rpc") if line["cause"]}
    assert causes <= {"StoreUnavailable: the store failed: TimeoutError"}, "a busy machine's"
