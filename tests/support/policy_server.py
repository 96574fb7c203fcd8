"""A policy sidecar on a Unix socket, and the requests one sends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from policy.effective import EffectivePolicy
from policy.explain import Explainer
from policy.judge import Judge
from policy.service import PolicyService
from policy.v1 import policy_pb2 as pb, policy_pb2_grpc
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.pseudonym import Pseudonyms
from serving.server import grpc_server

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from policy.record import Entry
    from policy.store import Store

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
SERVICE = "policy.v1.PolicyService"
PSEUDONYMS = Pseudonyms(b"k" * 32)


@dataclass
class StillClock:
    """Tells the same time until it is moved."""

    now: int = NOW

    def __call__(self) -> int:
        """Tell the time."""
        return self.now


@dataclass
class Page:
    """A book of one page, which can be turned."""

    current: EffectivePolicy = field(default_factory=EffectivePolicy)


@dataclass
class Tape:
    """Keeps what is recorded."""

    entries: list[Entry] = field(default_factory=list)

    def write(self, entry: Entry) -> None:
        """Keep an entry."""
        self.entries.append(entry)


def serving_policy(
    address: str,
    store: Store,
    book: Page,
    *,
    health: HealthBoard | None = None,
    recorder: Tape | None = None,
    clock: StillClock | None = None,
    reflected: bool = False,
) -> AbstractAsyncContextManager[Any]:
    """Serve policy on an address."""
    service = PolicyService(
        Judge(store, book),
        Explainer(store, book),
        PSEUDONYMS,
        recorder or Tape(),
        clock or StillClock(),
    )
    return grpc_server(
        [address],
        lambda server: policy_pb2_grpc.add_PolicyServiceServicer_to_server(service, server),
        health=health or HealthBoard([SERVICE]),
        services=[SERVICE],
        interceptors=[RequestInterceptor()],
        grace=1,
        reflected=reflected,
    )


def key(
    request: str = "r", *, owner: bytes = b"ownerone", subject: str = "ann"
) -> pb.ReservationKey:
    """Name an attempt."""
    return pb.ReservationKey(subject=subject, request_id=request, owner=owner)


def reserve(
    request: str = "r",
    *,
    count: int = 1,
    owner: bytes = b"ownerone",
    subject: str = "ann",
    body: bytes = b"print",
    **more: Any,
) -> pb.ReserveRequest:
    """Ask for tokens."""
    return pb.ReserveRequest(
        key=key(request, owner=owner, subject=subject), fingerprint=body, count=count, **more
    )


def commit(
    request: str = "r",
    *,
    owner: bytes = b"ownerone",
    subject: str = "ann",
    now: int = NOW,
    tokens: int = 1,
) -> pb.CommitRequest:
    """Say that tokens were minted."""
    return pb.CommitRequest(
        key=key(request, owner=owner, subject=subject),
        token_expire_times=[at(now + 1_800_000)] * tokens,
        sealed_result=b"sealed",
        sealed_expire_time=at(now + 120_000),
    )


def at(millis: int) -> Timestamp:
    """Return a time on the wire."""
    time = Timestamp()
    time.FromMilliseconds(millis)
    return time
