"""From an RPC to a Call: what its metadata and its connection say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from google.api import annotations_pb2
from opentelemetry import trace

from serving.peers import peer_of
from tokenservice.call import Call
from tokenservice.deadline import Deadline
from tokenservice.principal import UnverifiedCredentials
from tokenservice.v1 import operations_pb2, tokenservice_pb2

if TYPE_CHECKING:
    import grpc
    from google.protobuf.descriptor import MethodDescriptor

    from tokenservice.client_info import TrustedPeers

    Context = grpc.aio.ServicerContext[Any, Any]

_SERVICES = (
    tokenservice_pb2.DESCRIPTOR.services_by_name["TokenService"],
    operations_pb2.DESCRIPTOR.services_by_name["OperationsService"],
)
_MAX_ID_CHARS = 128


class Calls:
    """Reads calls."""

    def __init__(self, trusted_peers: TrustedPeers, deadline: float) -> None:
        """Give no call more than `deadline` seconds, whatever its caller allows."""
        self._trusted_peers = trusted_peers
        self._deadline = deadline

    def read(self, method: str, context: Context, on_behalf_of: str = "") -> Call:
        """Return a call of `method`."""
        metadata = tuple(context.invocation_metadata() or ())
        peer = peer_of(context)
        client = self._trusted_peers.client_info(peer, metadata)
        over_http = client.headers is not None
        verb, path = (_HTTP if over_http else _GRPC)[method]
        return Call(
            deadline=self._deadline_of(context),
            client=client,
            credentials=UnverifiedCredentials(
                authorization=_values(metadata, "authorization"),
                api_key=_values(metadata, "x-api-key"),
                dpop=_values(metadata, "dpop"),
            ),
            # Who speaks for others is not taken for them: a client without credentials would
            # be its gateway.
            identities=() if self._trusted_peers.trusts(peer) else peer.identities,
            method=verb,
            path=path,
            on_behalf_of=on_behalf_of,
            request_id="".join(_values(metadata, "x-request-id")[:1])[:_MAX_ID_CHARS],
            trace_id=_trace_id(),
        )

    def _deadline_of(self, context: Context) -> Deadline:
        remaining = cast("float | None", context.time_remaining())  # None: no deadline
        return Deadline.after(
            self._deadline if remaining is None else min(self._deadline, remaining)
        )


def _values(metadata: tuple[tuple[str, str | bytes], ...], key: str) -> tuple[str, ...]:
    return tuple(str(value) for name, value in metadata if name == key)


def _http(method: MethodDescriptor) -> tuple[str, str]:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    return verb.upper(), getattr(rule, verb)


_METHODS = [method for service in _SERVICES for method in service.methods]
_HTTP = {method.name: _http(method) for method in _METHODS}
"""Each method's verb and path over HTTP: what a caller of the gateway called."""
_GRPC = {
    each.name: ("POST", f"/{each.containing_service.full_name}/{each.name}") for each in _METHODS
}
"""And what any other caller called."""


def _trace_id() -> str:
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else ""
