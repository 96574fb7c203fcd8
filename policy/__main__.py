"""The policy sidecar: `policy serve`, or `python -m policy`."""

from __future__ import annotations

import asyncio
import functools
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NoReturn

import structlog

from policy import record
from policy.decision_log import decision_log
from policy.degraded import DegradingStore, reduced_by
from policy.effective import Tier
from policy.explain import Explainer
from policy.file import reading as policy_file
from policy.file.reading import PolicyFileError
from policy.file.watch import PolicyBook, reader
from policy.judge import Judge
from policy.memory import MemoryStore
from policy.operators import key as operator_key
from policy.operators.refused import MostRefused
from policy.operators.service import OperatorService
from policy.redis.checks import UnsafeStore, start_check
from policy.redis.store import RedisStore
from policy.service import PolicyService
from policy.settings import MIN_KEY_BYTES, PolicySettings
from policy.v1 import policy_pb2_grpc
from policy.watch import STORE, report_store, watch_store
from serving import measuring
from serving.callers import CallersInterceptor
from serving.certificates import open_certificates
from serving.clock import steady_clock
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.process import StartError, run
from serving.pseudonym import Pseudonyms
from serving.redis.connect import RedisOptions, open_redis
from serving.server import grpc_server
from serving.settings import SettingsError
from serving.shedding import Shedding
from serving.stores import StoreUnavailable
from serving.tls import server_credentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from policy.store import Store
    from serving.clock import Clock

log = structlog.get_logger(__name__)

OPERATOR_SERVICE = "policy.v1.OperatorService"  # asks for the operator key
SERVICES = ("policy.v1.PolicyService", OPERATOR_SERVICE)
_MEGABYTE = 1_000_000


def main() -> NoReturn:
    """Run until told to stop."""
    run("policy", PolicySettings, serve)


async def serve(settings: PolicySettings, stop: asyncio.Event) -> None:
    """Compose the sidecar and serve until `stop`."""
    clock = steady_clock()
    health = HealthBoard(SERVICES, [STORE])
    credentials = server_credentials(
        open_certificates(settings.tls_files),
        require_client=settings.tls_client_auth == "required",
    )
    async with AsyncExitStack() as stack:
        book = _book(settings, clock)
        pseudonyms = Pseudonyms(_hash_key(settings))
        store = await stack.enter_async_context(_store(settings, book, pseudonyms, clock))
        recorder = stack.enter_context(
            decision_log(
                settings.decision_log or "",
                max_bytes=settings.decision_log_max_mb * _MEGABYTE,
                backups=settings.decision_log_backups,
            )
        )
        kept_in = "memory" if settings.store_url is None else "redis"
        recorder.write(record.started(clock(), store=kept_in, digest=book.current.digest))
        explainer = Explainer(store, book)
        refused = MostRefused(clock)
        service = PolicyService(
            Judge(store, book), explainer, pseudonyms, recorder, clock, refused=refused
        )
        operators = OperatorService(
            store, explainer, book, pseudonyms, recorder=recorder, clock=clock, refused=refused
        )
        key = settings.operator_key.get_secret_value() if settings.operator_key else None

        callers = CallersInterceptor(settings.callers, open_services=[OPERATOR_SERVICE])

        def add_services(server: grpc.aio.Server) -> None:
            policy_pb2_grpc.add_PolicyServiceServicer_to_server(service, server)
            operator_key.add_to_server(operators, server, key=key)

        stack.enter_context(measuring.capacity(settings.max_concurrent_requests))
        await report_store(store, health)
        await stack.enter_async_context(
            grpc_server(
                settings.listen,
                add_services,
                health=health,
                services=SERVICES,
                interceptors=[
                    RequestInterceptor(),
                    callers,
                    Shedding(settings.max_concurrent_requests),
                ],
                grace=settings.drain_seconds,
                credentials=credentials,
                reflected=settings.grpc_reflection,
            )
        )
        async with asyncio.TaskGroup() as watchers:
            watching = [watchers.create_task(watch_store(store, health))]
            if settings.file:
                watching.append(watchers.create_task(book.watch()))
            await stop.wait()
            for watcher in watching:
                watcher.cancel()


def _book(settings: PolicySettings, clock: Clock) -> PolicyBook:
    parse = functools.partial(
        policy_file.parse,
        defaults=settings.limits,
        degraded_defaults=Tier().degraded_limits,
        name=settings.file.name if settings.file else "",
    )
    read = reader(settings.file) if settings.file else lambda: b"version: 1"
    try:
        return PolicyBook(read, parse, clock)
    except PolicyFileError as error:
        count = len(error.problems)
        more = f" ({count} problems in all; see policy validate)" if count > 1 else ""
        raise SettingsError(f"POLICY_FILE: {error.problems[0]}{more}") from error


@asynccontextmanager
async def _store(
    settings: PolicySettings, book: PolicyBook, pseudonyms: Pseudonyms, clock: Clock
) -> AsyncIterator[Store]:
    """Open the store that the settings name, and make sure that it can be relied on."""
    memory = MemoryStore(clock, lease_ms=settings.lease_ms, max_users=settings.max_users)
    if settings.store_url is None:
        yield memory
        return
    patience_ms = settings.store_timeout_ms
    options = RedisOptions(
        connect_timeout_ms=patience_ms,
        socket_timeout_ms=patience_ms,
        max_connections=settings.store_max_connections,
    )
    async with open_redis(settings.store_url.get_secret_value(), options) as client:
        shared = RedisStore(
            client,
            lease_ms=settings.lease_ms,
            prefix=settings.store_prefix,
            # A connection may have to be made first; the sum is what a call may take.
            timeout_ms=patience_ms * 3 // 2,
            max_calls=settings.store_max_connections,
            wait_replicas=settings.store_wait_replicas,
            wait_ms=patience_ms // 2,
            allow_eviction=settings.store_allow_eviction,
            names=pseudonyms.fingerprint,
        )
        try:
            await start_check(client, allow_eviction=settings.store_allow_eviction)
            await shared.check()
        except UnsafeStore as error:
            raise StartError(f"POLICY_STORE_URL: {error}") from error
        except StoreUnavailable as error:
            # Processes start in any order: until the store is there, nothing is decided.
            log.warning("store is away", cause=str(error))
        if settings.on_store_failure == "degraded":
            yield DegradingStore(shared, memory, lambda limits: reduced_by(book.current, limits))
        else:
            yield shared


def _hash_key(settings: PolicySettings) -> bytes:
    """Return the key to hash with. The memory store needs none that outlives it."""
    if settings.hash_key is None:
        return secrets.token_bytes(MIN_KEY_BYTES)
    return settings.hash_key.get_secret_value().encode()


if __name__ == "__main__":
    main()
