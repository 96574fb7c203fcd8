"""The gateway as an ASGI application, put together from its parts."""

import asyncio

import grpc
import structlog
from starlette.requests import Request
from starlette.types import ASGIApp

from gateway import deadlines, forwarding, negotiation, operations
from gateway.client_metadata import ClientMetadata
from gateway.cors import Cors, Preflights
from gateway.credentials_first import CredentialsFirst
from gateway.envelope import V2Envelope
from gateway.observing import Observed
from gateway.pages.site import Site, make_pages
from gateway.settings import GatewaySettings
from gateway.shedding import SheddingCaller
from gateway.tracing import TracedCaller
from gateway.transcoding.asgi import Transcoder
from gateway.transcoding.calling import Caller, CallOptions, ChannelCaller, Metadata
from gateway.transcoding.router import make_router
from serving.clock import Clock, steady_clock
from serving.log_areas import debugging
from serving.recent import RecentDurations
from serving.shedding import MAX_STREAMS
from tokenservice.v1 import tokenservice_pb2

log = structlog.get_logger(__name__)

_SERVICE = tokenservice_pb2.DESCRIPTOR.services_by_name["TokenService"]
_HEALTH = frozenset({_SERVICE.methods_by_name["GetHealth"].full_name})
_UNTRACED = _HEALTH


def make_app(
    settings: GatewaySettings,
    channel: grpc.aio.Channel,
    clock: Clock | None = None,
    stop: asyncio.Event | None = None,
) -> ASGIApp:
    """Return the application that serves TokenService, reached by `channel`, over HTTP.

    By `clock`, the wall's by default, callers are told how long they must wait. Streams
    end when `stop` is set.
    """
    clock = clock or steady_clock()
    router = make_router([_SERVICE, operations.SERVICE] if settings.ops else [_SERVICE])
    streamed = frozenset(each.template.text for each in router.bindings if each.streams)
    call = TracedCaller(ChannelCaller(channel, timeout=settings.rpc_timeout_ms / 1000), _UNTRACED)
    client = ClientMetadata(settings.proxies)
    baggage_keys = frozenset(settings.baggage_keys)

    def metadata(request: Request) -> Metadata:
        if request.scope["path"].rstrip("/") not in streamed:  # which have other forms
            negotiation.ensure_acceptable(request.headers)
        entries = forwarding.metadata(request, baggage_keys) + client(request)
        if debugging(__name__):
            log.debug(
                "forwarded",
                request_id=request.state.request_id,
                keys=[key for key, _ in entries],
                problems=negotiation.wants_problem(request.headers),
            )
        return entries

    def options(request: Request) -> CallOptions:
        return CallOptions(metadata(request), deadlines.timeout(request.headers))

    shedding: Caller = SheddingCaller(call, settings.max_concurrent_requests, exempt=_HEALTH)
    recent = RecentDurations(clock)
    if settings.ops:
        streams = SheddingCaller(call, MAX_STREAMS, exempt=frozenset())
        shedding = operations.OperationsCaller(shedding, streams, recent, stop or asyncio.Event())
    transcoder = Transcoder(
        router,
        shedding,
        V2Envelope(clock),
        metadata=metadata,
        timeout=lambda request: deadlines.timeout(request.headers),
        prepare=forwarding.idempotency_key,
        max_body_bytes=settings.max_body_bytes,
        body_timeout=settings.body_timeout_ms / 1000,
        before_refusal=CredentialsFirst(shedding, options),
        text_floats=False,  # the contract has numbers, and nothing that is none
    )
    pages = make_pages(settings)
    cors = Cors.of(settings)
    app: ASGIApp = Observed(
        Preflights(Site(transcoder, pages), cors), router, _UNTRACED, pages=pages, cors=cors
    )
    return operations.Measured(app, router, recent) if settings.ops else app
