"""The token service: `tokenservice`, or `python -m tokenservice`."""

from __future__ import annotations

import asyncio
import secrets
import warnings
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NoReturn

from google.genai import errors as genai_errors

from serving import measuring
from serving.certificates import open_certificates
from serving.channel import open_channel
from serving.clock import steady_clock
from serving.health import HealthBoard
from serving.interceptor import RequestInterceptor
from serving.process import run
from serving.pseudonym import Pseudonyms
from serving.server import grpc_server
from serving.shedding import Shedding
from serving.tls import server_credentials
from tokenservice.admission import Admission
from tokenservice.calls import Calls
from tokenservice.gemini import GeminiMinter, gemini_client
from tokenservice.identity.authenticator import Authenticator
from tokenservice.identity.opening import open_directory
from tokenservice.identity.proofs import open_possession
from tokenservice.identity.trust import open_bearers
from tokenservice.identity.watch import IDENTITY, watch_directory
from tokenservice.issuer import Issuer
from tokenservice.ledger.opening import open_recorder
from tokenservice.operations.activity import Activity
from tokenservice.operations.counting import Counting
from tokenservice.operations.policy import PolicyOperator
from tokenservice.operations.service import OperationsService
from tokenservice.operations.watching import Watching
from tokenservice.policy_client import PolicyClient
from tokenservice.seal import KEY_BYTES, Sealer
from tokenservice.service import TokenService
from tokenservice.settings import TokenServiceSettings
from tokenservice.v1 import operations_pb2_grpc, tokenservice_pb2_grpc
from tokenservice.watch import GEMINI, POLICY, ReportingMinter, watch_gemini, watch_policy

if TYPE_CHECKING:
    import grpc

LEDGER = "ledger"
SERVICE = "tokenservice.v1.TokenService"
SERVICES = (SERVICE, "tokenservice.v1.OperationsService")  # this one works while others do not
_UNTRACED = frozenset({f"/{SERVICE}/GetHealth"})


def main() -> NoReturn:
    """Run until told to stop."""
    warnings.simplefilter("ignore", genai_errors.ExperimentalWarning)  # we know, and pin it
    run("tokenservice", TokenServiceSettings, serve)


async def serve(settings: TokenServiceSettings, stop: asyncio.Event) -> None:
    """Compose the service and serve until `stop`."""
    clock = steady_clock()
    required = settings.on_ledger_failure == "refuse"
    needs = [POLICY, GEMINI, IDENTITY, *([LEDGER] if required else [])]
    health = HealthBoard([SERVICE], needs, noted=[] if required else [LEDGER])
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        certificates = open_certificates(settings.tls_files)
        channel = await enter(
            open_channel(
                settings.policy_target, certificates, server_name=settings.policy_server_name
            )
        )
        recorder = await enter(open_recorder(settings, clock))
        client = await enter(gemini_client(settings.gemini))
        activity = Activity(clock)
        minter = GeminiMinter(client, settings.gemini, timing=activity.hops[GEMINI].timing)
        policy = PolicyClient(
            channel,
            timeout=settings.policy_timeout_ms / 1000,
            timing=activity.hops[POLICY].timing,
        )
        # Without a key that replicas share, a repeat is answered by this process alone.
        sealer = Sealer(settings.seal_key_bytes or secrets.token_bytes(KEY_BYTES))
        issuer = Issuer(
            policy, ReportingMinter(minter, health), sealer, clock, delivered=activity.delivered
        )
        stack.push_async_callback(issuer.drain)
        bearers = await enter(open_bearers(settings.trust, clock))
        directory = await enter(open_directory(settings, clock, proofs=settings.dpop != "off"))
        possession = await enter(open_possession(settings, clock))
        services = settings.known_services
        pseudonyms = Pseudonyms(settings.identity_key)
        calls = Calls(settings.peers, settings.deadline_ms / 1000)
        admission = Admission(
            authenticator=Authenticator(bearers.verifier, directory, services, possession),
            services=services,
            denials=directory,
            terms=settings.terms,
            policy=policy,
            pseudonyms=pseudonyms,
        )
        service = TokenService(
            calls=calls,
            admission=admission,
            recorder=recorder,
            terms=settings.terms,
            issuer=issuer,
            policy=policy,
            health=health,
            clock=clock,
        )
        shedding = Shedding(settings.max_concurrent_requests, exempt=_UNTRACED)
        stack.enter_context(measuring.capacity(settings.max_concurrent_requests))
        operations = OperationsService(
            calls=calls,
            admission=admission,
            watching=Watching(activity, shedding.calls, lambda: health.states, clock, stop),
            policy=PolicyOperator(
                channel, settings.operator_key, timeout=settings.policy_timeout_ms / 1000
            ),
            pseudonyms=pseudonyms,
        )

        def add_services(server: grpc.aio.Server) -> None:
            tokenservice_pb2_grpc.add_TokenServiceServicer_to_server(service, server)
            operations_pb2_grpc.add_OperationsServiceServicer_to_server(operations, server)

        await enter(
            grpc_server(
                settings.listen,
                add_services,
                health=health,
                services=SERVICES,
                interceptors=[RequestInterceptor(_UNTRACED), Counting(activity), shedding],
                grace=settings.drain_seconds,
                credentials=server_credentials(
                    certificates, require_client=settings.tls_client_auth == "required"
                ),
                reflected=settings.grpc_reflection,
            )
        )
        async with asyncio.TaskGroup() as watchers:
            watching = [
                watchers.create_task(each)
                for each in (
                    bearers.watch(),
                    watch_directory(directory, health, settings.revocation_seconds),
                    recorder.watch(lambda state: health.report(LEDGER, state)),
                    watch_policy(channel, health),
                    watch_gemini(minter, health, settings.gemini_probe_seconds),
                )
            ]
            await stop.wait()
            for watcher in watching:
                watcher.cancel()


if __name__ == "__main__":
    main()
