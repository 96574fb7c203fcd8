"""The whole stack, with a canary wherever a secret can be, and the doors through which one leaks.

Each canary is random and looks like nothing: no pattern that redacts by shape can save us.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from client import TOKEN_PATH, Caller, caller
from otlp import receiving
from secrets_watch import Watch
from servers import valkey_server
from servers_waiting import until
from store_failures import BACK, DURABLE

from stack.supervisor import running
from tokenservice.v1 import tokenservice_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stack.layout import Layout
    from stack.supervisor import Stack

LOUD = {
    "LOG_LEVEL": "debug",
    "LIVE_API_DEBUG": "*",
    "GRPC_VERBOSITY": "info",
    "LIVE_API_COOLDOWN_PERIOD_MINUTES": "0",
    "LIVE_API_ALLOW_CUSTOM_INSTRUCTIONS": "true",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": ".*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": ".*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST": ".*",
}
OF_TOKENSERVICE = {
    "GEMINI_API_KEY",
    "LIVE_API_JWT_SECRET",
    "TOKENSERVICE_HASH_KEY",
    "TOKENSERVICE_POLICY_OPERATOR_KEY",
    "TOKENSERVICE_SEAL_KEY",
    "TOKENSERVICE_STORE_URL",
}
OF_POLICY = {"POLICY_HASH_KEY", "POLICY_OPERATOR_KEY", "POLICY_STORE_URL"}


@dataclass
class Canaries:
    """Makes canaries, and knows them all."""

    watch: Watch = field(default_factory=Watch)
    by_name: dict[str, str] = field(default_factory=dict)

    def new(self, name: str) -> str:
        """Return a new one."""
        return self.know(name, f"canary{secrets.token_hex(16)}")

    def know(self, name: str, secret: str) -> str:
        """Look for a secret that was made elsewhere."""
        self.by_name[name] = secret
        self.watch.know(name, secret)
        return secret


def files(directory: Path) -> Iterator[Path]:
    """Yield all files under a directory."""
    return (path for path in directory.rglob("*") if path.is_file())


def of_process(stack: Stack, name: str, what: str) -> bytes:
    """Return what the kernel tells of a running process."""
    return Path(f"/proc/{stack.processes[name].pid}/{what}").read_bytes()


async def mint(client: Caller, canaries: Canaries, number: int) -> None:
    """Mint, and mint again by the same key, with canaries in all that a browser can send."""
    subject = canaries.new(f"subject {number}")
    headers = {
        "Authorization": client.bearer(subject, note=canaries.new("claim")),
        "Idempotency-Key": canaries.new("idempotency key"),
        "Origin": "https://evil.example",
        "Cookie": f"session={canaries.new('cookie')}",
        "Proxy-Authorization": f"Basic {canaries.new('proxy credential')}",
        "X-Goog-Api-Key": canaries.new("foreign key"),
        "X-Client-Secret": canaries.new("unknown header"),
        "Grpc-Metadata-Authorization": canaries.new("metadata header"),
        "X-Request-Id": f"no-canary-{number}",
        "baggage": f"secret={canaries.new('baggage')}",
    }
    body = {"systemInstruction": canaries.new("instruction"), "duration": 5}
    canaries.know("bearer", headers["Authorization"].removeprefix("Bearer "))
    for _ in range(2):
        answer = await client.call(headers=headers, json=body)
        assert answer.status == 200, answer.body
        canaries.know("token", answer.body.pop("token"))
        keep(canaries, answer)


def keep(canaries: Canaries, answer: Any) -> None:
    """Look at an answer, from which its token has been taken."""
    assert answer.headers["Cache-Control"] == "no-store"
    assert "access-control-allow-origin" not in {name.lower() for name in answer.headers}
    canaries.watch.look(f"answer {answer.status}", json.dumps(answer.body), dict(answer.headers))


async def with_api_key(client: Caller, canaries: Canaries, environment: dict[str, str]) -> None:
    """Mint with an API key, as soon as it counts; and try one that it is like."""
    owner = canaries.new("owner")
    command = (*(sys.executable, "-m", "tokenservice.cli", "keys", "create"), "--owner", owner)
    process = await asyncio.create_subprocess_exec(
        *(*command, "--expires", "1h", "--actor", "sre"),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    made, said = await process.communicate()
    assert process.returncode == 0, said
    key = made.decode().strip()
    canaries.know("API key", key.rpartition("_")[2])  # its id is public
    canaries.watch.look("what the command says", said)
    headers = {"X-API-Key": key}

    async def counts() -> bool:
        return (await client.call("GET", f"{TOKEN_PATH}/usage", headers=headers)).status == 200

    await until(counts, BACK, "the key counts")
    answer = await client.call(headers=headers)
    canaries.know("token by key", answer.body.pop("token"))
    keep(canaries, answer)


async def go_wrong(client: Caller, canaries: Canaries) -> None:
    """Send what is refused, canaries in the values of it."""
    good = {"Authorization": client.bearer(canaries.new("subject of bad requests"))}
    bodies: list[dict[str, Any]] = [
        {"json": {"model": canaries.new("model")}},
        {"json": {"responseModality": canaries.new("modality")}},
        {"json": {"temperature": canaries.new("temperature")}},
        {"json": {"duration": canaries.new("duration")}},
        {"json": {"systemInstruction": [canaries.new("instruction of a wrong type")]}},
        {"json": {"systemInstruction": canaries.new("long instruction") * 100}},
        {"data": b'{"model": "' + canaries.new("broken JSON").encode()},
        {"data": canaries.new("no JSON").encode()},
        {"data": canaries.new("form"), "headers": {**good, "Content-Type": "text/plain"}},
    ]
    for options in bodies:
        headers = {"Content-Type": "application/json", **good, **options.pop("headers", {})}
        answer = await client.call(headers=headers, **options)
        assert 400 <= answer.status < 500, answer.body
        keep(canaries, answer)
    for name in ("access_token", "key", "token"):
        query = {name: canaries.new(f"query {name}")}
        for method, path in (("POST", TOKEN_PATH), ("GET", f"{TOKEN_PATH}/usage")):
            answer = await client.call(method, path, params=query, headers=good)
            assert answer.status == 400
            keep(canaries, answer)
    for headers in (
        {"Authorization": f"Bearer {canaries.new('guessed bearer')}"},
        {"X-API-Key": canaries.new("guessed key")},
        {"Authorization": f"Basic {canaries.new('basic credential')}"},
        {**good, "DPoP": canaries.new("proof")},
    ):
        keep(canaries, await client.call("GET", f"{TOKEN_PATH}/usage", headers=headers))
    keep(canaries, await client.call("GET", f"{TOKEN_PATH}/{canaries.new('path')}"))


async def as_operator(client: Caller, canaries: Canaries) -> None:
    """Look at all that operators see of those who were refused, and of one who is blocked."""
    for _ in range(5):
        guess = {"Authorization": f"Bearer {canaries.new('one more guess')}"}
        keep(canaries, await client.call("GET", f"{TOKEN_PATH}/usage", headers=guess))
    operator = {"Authorization": client.bearer(canaries.new("operator"), roles=["operator"])}
    for path in ("refused", "blocks"):
        answer = await client.call("GET", f"/api/v1/operations/{path}", headers=operator)
        assert answer.status == 200, answer.body
        keep(canaries, answer)
    assert answer.body["blocks"]
    for block in answer.body["blocks"]:
        body = {"offender": block["offender"], "reason": "a test"}
        path = "/api/v1/operations/blocks:lift"
        answer = await client.call("POST", path, headers=operator, json=body)
        assert answer.body["lifted"] is True
        keep(canaries, answer)


async def upstream_talks(client: Caller, canaries: Canaries, key: str) -> None:
    """Let Gemini say our key, and a token, in what it refuses with."""
    token = f"auth_tokens/{canaries.new('upstream token')}"
    said = f"API key {key} is bad: access_token={token}"
    good = {"Authorization": client.bearer(canaries.new("subject of upstream failures"))}
    for fault in (
        {"status": 400, "message": said},
        {"status": 403, "message": said, "googleStatus": "PERMISSION_DENIED"},
        {"status": 429, "message": said},
        {"status": 503, "message": said},
        {"garbage": True},
        {"emptyName": True},
        {"disconnect": True},
    ):
        await client.emulator("POST", "faults/mint", {**fault, "count": 2})
        answer = await client.call(headers=good)
        assert answer.status in (502, 503), answer.body
        keep(canaries, answer)
    await client.emulator("DELETE", "faults")


async def over_grpc(client: Caller, canaries: Canaries) -> None:
    """Call past the gateway, with canaries in metadata and message."""
    metadata = (
        ("authorization", client.bearer(canaries.new("subject over gRPC"))),
        ("x-secret", canaries.new("metadata")),
        ("cookie", canaries.new("metadata cookie")),
    )
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await client.grpc.CreateToken(
            pb.CreateTokenRequest(model=canaries.new("model over gRPC")),
            metadata=metadata,
            timeout=5,
        )
    canaries.watch.look("status", str(failed.value), failed.value.trailing_metadata())
    issued = await client.grpc.CreateToken(
        pb.CreateTokenRequest(request_id=canaries.new("request id")), metadata=metadata, timeout=5
    )
    canaries.know("token over gRPC", issued.token)


async def test_no_canary_is_seen_through_any_door(
    make_layout: Callable[..., Layout], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Logs, spans, error answers, the store, the decision log, the ledger: no secret in any."""
    canaries = Canaries()
    key = canaries.new("GEMINI_API_KEY")
    password = canaries.new("store password")
    written = tmp_path / "written"
    written.mkdir()
    config = {**DURABLE, "requirepass": password, "rdbcompression": "no"}
    async with (
        receiving() as (endpoint, receiver),
        valkey_server(tmp_path / "store", config=config) as store,
    ):
        variables = {
            "GEMINI_LIVE_EMULATOR_API_KEY": key,
            "LIVE_API_JWT_SECRET": canaries.new("LIVE_API_JWT_SECRET"),
            "TOKENSERVICE_SEAL_KEY": canaries.know(
                "TOKENSERVICE_SEAL_KEY", base64.b64encode(secrets.token_bytes(32)).decode()
            ),
            "POLICY_HASH_KEY": canaries.new("POLICY_HASH_KEY"),
            "POLICY_OPERATOR_KEY": canaries.new("POLICY_OPERATOR_KEY"),
            "POLICY_STORE_URL": store.url,
            "TOKENSERVICE_HASH_KEY": canaries.new("TOKENSERVICE_HASH_KEY"),
            "TOKENSERVICE_STORE_URL": f"sqlite:{written / 'tokenservice.db'}",
            "POLICY_DECISION_LOG": str(written / "decisions.jsonl"),
            "TOKENSERVICE_LEDGER": str(written / "ledger.jsonl"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={canaries.new('collector credential')}",
        }
        layout = make_layout(**LOUD, **variables)
        async with running(layout) as stack, caller(stack.layout) as client:
            for number in range(2):
                await mint(client, canaries, number)
            await over_grpc(client, canaries)
            await with_api_key(client, canaries, variables)
            await upstream_talks(client, canaries, key)
            await go_wrong(client, canaries)
            await as_operator(client, canaries)
            each_has_its_own_secrets(stack, canaries)
            await until(lambda: _enough(receiver.spans), BACK, "spans arrive")
        await store.ask("SAVE")
        stored = [path for path in files(tmp_path / "store") if path.name != "server.conf"]
        assert sum(path.stat().st_size for path in stored) > 1000
        for path in stored:
            canaries.watch.look(f"the store's {path.name}", path.read_bytes())
    logged = capfd.readouterr()
    for area in ("http", "identity", "ledger", "policy", "store"):
        assert f'"area": "{area}"' in logged.err
    assert "no-canary-1" in logged.err  # or nothing that was sent would be seen here
    for line in (logged.out + logged.err).splitlines():
        canaries.watch.look("a log", line)
    canaries.watch.look("spans", receiver.received)
    assert {"decisions.jsonl", "ledger.jsonl", "tokenservice.db"} <= {
        path.name for path in files(written)
    }
    for path in files(written):
        canaries.watch.look(path.name, path.read_bytes())
    assert len(canaries.by_name) > 40
    assert [str(leak) for leak in canaries.watch.leaks] == []


async def _enough(spans: list[Any]) -> bool:
    return {service for service, _ in spans} == {"gateway", "tokenservice", "policy"}


def each_has_its_own_secrets(stack: Stack, canaries: Canaries) -> None:
    """Assert that no process has a secret in its command line, nor another's in its environment."""
    variables: dict[str, bytes] = {}
    for name in ("gateway", "policy", "tokenservice"):
        assert canaries.watch.seen("command line", of_process(stack, name, "cmdline")) == []
        variables[name] = of_process(stack, name, "environ")
        limits = of_process(stack, name, "limits").decode()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    own = {"gateway": set[str](), "policy": OF_POLICY, "tokenservice": OF_TOKENSERVICE}
    for name, environment in variables.items():
        named = {line.partition(b"=")[0].decode() for line in environment.split(b"\0")}
        assert named & (OF_TOKENSERVICE | OF_POLICY) == own[name]
    gemini = canaries.by_name["GEMINI_API_KEY"].encode()
    holders = [name for name, environment in variables.items() if gemini in environment]
    assert holders == ["tokenservice"]
