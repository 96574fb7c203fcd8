"""tokenservice.v1.TokenService: who, allowed, made, answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from serving.errors import PermissionDenied
from serving.health import SERVING
from serving.peers import peer_of
from tokenservice import wire
from tokenservice.deadline import Deadline
from tokenservice.errors import NotServing
from tokenservice.principal import UnverifiedCredentials
from tokenservice.v1 import tokenservice_pb2 as pb, tokenservice_pb2_grpc

if TYPE_CHECKING:
    import grpc

    from serving.clock import Clock
    from serving.health import HealthBoard
    from tokenservice.admission import Admission
    from tokenservice.client_info import TrustedPeers
    from tokenservice.grant import Terms
    from tokenservice.issuer import Issuer
    from tokenservice.policy_port import Policy
    from tokenservice.principal import Caller

    Context = grpc.aio.ServicerContext[Any, Any]


class TokenService(tokenservice_pb2_grpc.TokenServiceServicer):
    """Issues tokens to whom policy allows."""

    def __init__(
        self,
        *,
        admission: Admission,
        trusted_peers: TrustedPeers,
        terms: Terms,
        issuer: Issuer,
        policy: Policy,
        health: HealthBoard,
        clock: Clock,
        deadline: float,
    ) -> None:
        """Give no call more than `deadline` seconds, whatever its caller allows."""
        self._admission = admission
        self._trusted_peers = trusted_peers
        self._terms = terms
        self._issuer = issuer
        self._policy = policy
        self._health = health
        self._clock = clock
        self._started_at = clock()
        self._deadline = deadline

    async def CreateToken(
        self, request: pb.CreateTokenRequest, context: Context
    ) -> pb.CreateTokenResponse:
        """Issue one token."""
        deadline = self._deadline_of(context)
        caller = await self._caller(context, deadline)
        asked = wire.token_request(request)
        grant = await self._admission.grant(caller, asked, deadline)
        issued = await self._issuer.issue(caller, asked, grant, deadline)
        return wire.token_response(issued, grant, self._terms.api_version)

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        """Tell the caller's usage."""
        deadline = self._deadline_of(context)
        caller = await self._caller(context, deadline)
        usage = await self._policy.usage(caller.principal, deadline)
        return pb.GetUsageResponse(data=wire.usage_message(usage))

    async def GetHealth(
        self, request: pb.GetHealthRequest, context: Context
    ) -> pb.GetHealthResponse:
        """Tell whether tokens can be issued."""
        states = self._health.states
        if not self._health.serving:
            raise NotServing({name: s for name, s in states.items() if s != SERVING})
        return pb.GetHealthResponse(data=pb.Health(status=SERVING, dependencies=states))

    async def GetConfig(
        self, request: pb.GetConfigRequest, context: Context
    ) -> pb.GetConfigResponse:
        """Tell the limits and models in force."""
        deadline = self._deadline_of(context)
        caller = await self._caller(context, deadline)
        usage = await self._policy.usage(caller.principal, deadline)
        return pb.GetConfigResponse(data=wire.config_message(self._terms, usage.quota))

    async def GetStats(self, request: pb.GetStatsRequest, context: Context) -> pb.GetStatsResponse:
        """Tell an operator what the whole service has issued."""
        deadline = self._deadline_of(context)
        caller = await self._caller(context, deadline)
        if not caller.principal.operator:
            raise PermissionDenied("Only operators may read the service's numbers.")
        stats = await self._policy.stats(deadline)
        return pb.GetStatsResponse(
            data=wire.stats_message(stats, uptime_ms=self._clock() - self._started_at)
        )

    async def _caller(self, context: Context, deadline: Deadline) -> Caller:
        metadata = context.invocation_metadata() or ()
        credentials = UnverifiedCredentials(
            authorization=tuple(str(v) for k, v in metadata if k == "authorization"),
            api_key=tuple(str(v) for k, v in metadata if k == "x-api-key"),
        )
        client = self._trusted_peers.client_info(peer_of(context), metadata)
        return await self._admission.caller(credentials, client, deadline)

    def _deadline_of(self, context: Context) -> Deadline:
        remaining = cast("float | None", context.time_remaining())  # None: no deadline
        return Deadline.after(
            self._deadline if remaining is None else min(self._deadline, remaining)
        )
