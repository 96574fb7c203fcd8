"""tokenservice.v1.TokenService: who, allowed, made, answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.errors import PermissionDenied
from serving.health import SERVING
from tokenservice import wire
from tokenservice.errors import NotServing
from tokenservice.v1 import tokenservice_pb2 as pb, tokenservice_pb2_grpc

if TYPE_CHECKING:
    import grpc

    from serving.clock import Clock
    from serving.health import HealthBoard
    from tokenservice.admission import Admission
    from tokenservice.calls import Calls
    from tokenservice.grant import Terms
    from tokenservice.issuer import Issuer
    from tokenservice.ledger.recorder import Recorder
    from tokenservice.policy_port import Policy

    Context = grpc.aio.ServicerContext[Any, Any]


class TokenService(tokenservice_pb2_grpc.TokenServiceServicer):
    """Issues tokens to whom policy allows."""

    def __init__(
        self,
        *,
        calls: Calls,
        admission: Admission,
        recorder: Recorder,
        terms: Terms,
        issuer: Issuer,
        policy: Policy,
        health: HealthBoard,
        clock: Clock,
    ) -> None:
        """Read calls with `calls`; record what becomes of each that asks for a token."""
        self._calls = calls
        self._admission = admission
        self._recorder = recorder
        self._terms = terms
        self._issuer = issuer
        self._policy = policy
        self._health = health
        self._clock = clock
        self._started_at = clock()

    async def CreateToken(
        self, request: pb.CreateTokenRequest, context: Context
    ) -> pb.CreateTokenResponse:
        """Issue one token."""
        call = self._calls.read("CreateToken", context, request.on_behalf_of)
        asked = wire.token_request(request)
        with self._recorder.request(call.request_id, call.trace_id) as row:
            row.asked = asked
            row.caller = await self._admission.authenticated(call)
            row.credential = row.caller.principal.credential
            caller = row.caller = self._admission.named(row.caller, call)
            self._admission.ensure_welcome(caller)
            grant = row.grant = await self._admission.grant(caller, asked, call)
            issued = await row.issuing(self._issuer.issue(caller, asked, grant, call.deadline))
        return wire.token_response(issued, grant, self._terms.api_version)

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        """Tell the caller's usage."""
        call = self._calls.read("GetUsage", context, request.on_behalf_of)
        caller = await self._admission.caller(call)
        usage = await self._policy.usage(caller.principal, call.deadline)
        return pb.GetUsageResponse(data=wire.usage_message(usage))

    async def GetHealth(
        self, request: pb.GetHealthRequest, context: Context
    ) -> pb.GetHealthResponse:
        """Tell whether tokens can be issued."""
        if missing := self._health.missing:
            raise NotServing(missing)
        states = self._health.states
        return pb.GetHealthResponse(data=pb.Health(status=SERVING, dependencies=states))

    async def GetConfig(
        self, request: pb.GetConfigRequest, context: Context
    ) -> pb.GetConfigResponse:
        """Tell the limits and models in force."""
        call = self._calls.read("GetConfig", context, request.on_behalf_of)
        caller = await self._admission.caller(call)
        usage = await self._policy.usage(caller.principal, call.deadline)
        return pb.GetConfigResponse(data=wire.config_message(self._terms, usage.quota))

    async def GetStats(self, request: pb.GetStatsRequest, context: Context) -> pb.GetStatsResponse:
        """Tell an operator what the whole service has issued."""
        call = self._calls.read("GetStats", context)
        caller = await self._admission.caller(call)
        if not caller.principal.operator:
            raise PermissionDenied("Only operators may read the service's numbers.")
        stats = await self._policy.stats(call.deadline)
        return pb.GetStatsResponse(
            data=wire.stats_message(stats, uptime_ms=self._clock() - self._started_at)
        )
