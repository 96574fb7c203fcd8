"""Between what operators see and its protobuf messages, ours and policy's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from policy.v1 import operator_pb2 as policy_pb
from serving.errors import InvalidArgument
from tokenservice.v1 import operations_pb2 as pb

if TYPE_CHECKING:
    from serving.recent import Quantiles
    from tokenservice.operations.watching import Moment


def moment(seen: Moment) -> pb.WatchOperationsResponse:
    """Return a moment on the wire."""
    return pb.WatchOperationsResponse(
        time=_timestamp(seen.at),
        period=_millis(seen.period_ms),
        instance=seen.instance,
        start_time=_timestamp(seen.started_at),
        issued=seen.issued,
        replayed=seen.replayed,
        refused=[
            pb.RefusalCount(reason=reason, count=count)
            for reason, count in sorted(seen.refused.items())
        ],
        hops=[_hop(name, quantiles) for name, quantiles in seen.hops.items()],
        dependencies=[
            pb.Dependency(name=name, state=state)
            for name, state in sorted(seen.dependencies.items())
        ],
        active_calls=seen.active,
        capacity=seen.capacity,
    )


def refused_request(request: pb.ListRefusedRequest) -> policy_pb.ListRefusedRequest:
    """Return what policy is asked for."""
    return policy_pb.ListRefusedRequest(page_size=request.page_size)


def refused_response(answer: policy_pb.ListRefusedResponse) -> pb.ListRefusedResponse:
    """Return what policy answered."""
    return pb.ListRefusedResponse(
        clients=[
            pb.RefusedClient(
                offender=_offender(each.party),
                refusals=each.refusals,
                last_reason=each.last_reason,
                last_time=each.last_time,
            )
            for each in answer.parties
        ],
        since=answer.since,
    )


def blocks_request(request: pb.ListBlocksRequest) -> policy_pb.ListBlocksRequest:
    """Return what policy is asked for."""
    return policy_pb.ListBlocksRequest(page_size=request.page_size, page_token=request.page_token)


def blocks_response(answer: policy_pb.ListBlocksResponse) -> pb.ListBlocksResponse:
    """Return what policy answered."""
    return pb.ListBlocksResponse(
        blocks=[
            pb.Block(
                offender=_offender(each.party),
                reason=each.reason,
                actor=each.actor,
                create_time=each.create_time,
                expire_time=each.expire_time,
            )
            for each in answer.blocks
        ],
        next_page_token=answer.next_page_token,
    )


def lift_request(request: pb.LiftBlockRequest, actor: str) -> policy_pb.LiftBlockRequest:
    """Return what policy is asked to do, by whom.

    Raises:
        InvalidArgument: Nobody is named.

    """
    offender = request.offender
    match offender.WhichOneof("offender"):
        case "user":
            party = policy_pb.Party(user_pseudonym=offender.user)
        case "address":
            party = policy_pb.Party(address_pseudonym=offender.address)
        case _:
            raise InvalidArgument("offender", "must name a user or an address")
    return policy_pb.LiftBlockRequest(party=party, reason=request.reason, actor=actor)


def _offender(party: policy_pb.Party) -> pb.Offender:
    if party.address_pseudonym:
        return pb.Offender(address=party.address_pseudonym)
    return pb.Offender(user=party.user_pseudonym)


def _hop(name: str, took: Quantiles) -> pb.Hop:
    if not took.count:
        return pb.Hop(name=name)
    return pb.Hop(name=name, count=took.count, p50=_seconds(took.p50), p99=_seconds(took.p99))


def _seconds(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1e6))
    return duration


def _millis(millis: int) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(millis)
    return duration


def _timestamp(millis: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(millis)
    return time
