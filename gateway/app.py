"""The gateway as an ASGI application, put together from its parts."""

import grpc
from starlette.requests import Request
from starlette.types import ASGIApp

from gateway import deadlines, forwarding, negotiation
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
from gateway.transcoding.calling import CallOptions, ChannelCaller, Metadata
from gateway.transcoding.router import make_router
from serving.clock import Clock, steady_clock
from tokenservice.v1 import tokenservice_pb2

_SERVICE = tokenservice_pb2.DESCRIPTOR.services_by_name["TokenService"]
_HEALTH = frozenset({_SERVICE.methods_by_name["GetHealth"].full_name})
_UNTRACED = _HEALTH


def make_app(
    settings: GatewaySettings, channel: grpc.aio.Channel, clock: Clock | None = None
) -> ASGIApp:
    """Return the application that serves TokenService, reached by `channel`, over HTTP.

    By `clock`, the wall's by default, callers are told how long they must wait.
    """
    router = make_router([_SERVICE])
    call = TracedCaller(ChannelCaller(channel, timeout=settings.rpc_timeout_ms / 1000), _UNTRACED)
    client = ClientMetadata(settings.proxies)
    baggage_keys = frozenset(settings.baggage_keys)

    def metadata(request: Request) -> Metadata:
        negotiation.ensure_acceptable(request.headers)
        return forwarding.metadata(request, baggage_keys) + client(request)

    def options(request: Request) -> CallOptions:
        return CallOptions(metadata(request), deadlines.timeout(request.headers))

    shedding = SheddingCaller(call, settings.max_concurrent_requests, exempt=_HEALTH)
    transcoder = Transcoder(
        router,
        shedding,
        V2Envelope(clock or steady_clock()),
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
    return Observed(
        Preflights(Site(transcoder, pages), cors), router, _UNTRACED, pages=pages, cors=cors
    )
