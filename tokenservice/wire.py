"""Between what issuing speaks of and its protobuf messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tokenservice.grant import Grant, Terms, TokenRequest
from tokenservice.v1 import tokenservice_pb2 as pb

if TYPE_CHECKING:
    from tokenservice.issuer import IssuedToken
    from tokenservice.policy_port import FleetStats, LimitUse, Quota, Usage

_IN_MILLISECONDS = "cooldown"
"""The one limit that is a time; callers read it in seconds."""


def token_request(request: pb.CreateTokenRequest) -> TokenRequest:
    """Return what was asked for, absent fields as None."""

    def given(name: str) -> bool:
        return request.HasField(name)

    return TokenRequest(
        model=request.model,
        response_modality=request.response_modality,
        duration_minutes=request.duration_minutes if given("duration_minutes") else None,
        system_instruction=request.system_instruction if given("system_instruction") else None,
        temperature=request.temperature if given("temperature") else None,
        request_id=request.request_id,
    )


def token_response(issued: IssuedToken, grant: Grant, api_version: str) -> pb.CreateTokenResponse:
    """Return an issued token and what it is locked to."""
    constraints = pb.TokenConstraints(
        model=grant.model.name,
        max_duration_minutes=grant.duration_minutes,
        response_modality=grant.modality,
        temperature=grant.temperature,
    )
    if grant.requested_model != grant.model.name:
        constraints.requested_model = grant.requested_model
        if grant.requested_model_retired_on is not None:
            retired_on = grant.requested_model_retired_on.isoformat()
            constraints.requested_model_retired_on = retired_on
    return pb.CreateTokenResponse(
        token=issued.token.reveal(),
        expire_time=_timestamp(issued.lifetime.expires_at),
        new_session_expire_time=_timestamp(issued.lifetime.session_start_until),
        constraints=constraints,
        usage=usage_message(issued.usage),
        decision_id=issued.decision_id,
        api_version=api_version,
    )


def usage_message(usage: Usage) -> pb.Usage:
    """Return a caller's usage."""
    message = pb.Usage(
        active_tokens=usage.active_tokens,
        tokens_last_hour=usage.tokens_last_hour,
        tokens_last_day=usage.tokens_last_day,
        limits=_limits(usage.quota),
        by_limit=[_limit_use(use) for use in usage.by_limit],
    )
    if usage.next_allowed_at is not None:
        message.next_allowed_time.CopyFrom(_timestamp(usage.next_allowed_at))
    return message


def config_message(terms: Terms, quota: Quota) -> pb.Config:
    """Return what a caller may ask for."""
    return pb.Config(
        default_model=terms.catalogue.default.name,
        allowed_models=[model.name for model in terms.catalogue.models],
        model_aliases=terms.catalogue.aliases,
        token_duration_minutes=terms.default_duration_minutes,
        max_token_duration_minutes=terms.max_duration_minutes,
        session_start_window_minutes=terms.start_window_minutes,
        custom_instructions_allowed=terms.custom_instructions,
        limits=_limits(quota),
        cooldown_minutes=quota.cooldown_ms / 60_000,
        max_concurrent_sessions=quota.concurrent_sessions,
        api_version=terms.api_version,
    )


def stats_message(stats: FleetStats, *, uptime_ms: int) -> pb.Stats:
    """Return the service's numbers."""
    uptime = Duration()
    uptime.FromMilliseconds(uptime_ms)
    return pb.Stats(
        tokens_last_hour=stats.tokens_last_hour,
        tokens_last_day=stats.tokens_last_day,
        active_tokens=stats.active_tokens,
        active_users=stats.active_users,
        pending_reservations=stats.pending_reservations,
        uptime=uptime,
    )


def _limit_use(use: LimitUse) -> pb.LimitUse:
    unit = 1000 if use.limit == _IN_MILLISECONDS else 1
    message = pb.LimitUse(limit=use.limit, value=use.value / unit, used=use.used / unit)
    if use.next_allowed_at is not None:
        message.next_allowed_time.CopyFrom(_timestamp(use.next_allowed_at))
    return message


def _limits(quota: Quota) -> pb.UsageLimits:
    return pb.UsageLimits(
        tokens_per_hour=quota.tokens_per_hour, tokens_per_day=quota.tokens_per_day
    )


def _timestamp(millis: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(millis)
    return time
