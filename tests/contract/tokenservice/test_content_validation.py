"""What is wrong with a mint request is said in the same words over gRPC and over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from structlog.testing import capture_logs

from gateway import http_server
from gateway.app import make_app
from gateway.settings import GatewaySettings
from policy.v1 import policy_pb2 as policy_pb
from serving.channel import open_channel
from tokenservice.v1 import tokenservice_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MINT = "/api/v1/live-token"
RETIRED = "gemini-2.0-flash-live-001"
NOT_ALLOWED = ("model", "is not one of the allowed models")
NOT_A_MODALITY = ("responseModality", "must be TEXT or AUDIO")
DURATION = ("duration", "must be a whole number of minutes, 1 to 60")
LONG = ("systemInstruction", "must be at most 1000 characters")
NO_TEXT = (
    "systemInstruction",
    "must be text, without control characters or marks that change its direction",
)
TEMPERATURE = ("temperature", "must be a number from 0 to 2")
CASES: list[tuple[dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = [
    ({"model": "gemini-9"}, {"model": "gemini-9"}, [NOT_ALLOWED]),
    ({"model": "../x"}, {"model": "../x"}, [NOT_ALLOWED]),
    (
        {"response_modality": "VIDEO"},
        {"responseModality": "VIDEO"},
        [NOT_A_MODALITY],
    ),
    ({"duration_minutes": 0}, {"duration": 0}, [DURATION]),
    ({"duration_minutes": 61}, {"duration": "61"}, [DURATION]),
    ({"duration_minutes": -(2**31)}, {"duration": -(2**31)}, [DURATION]),
    ({"system_instruction": "x" * 1001}, {"systemInstruction": "x" * 1001}, [LONG]),
    ({"system_instruction": "a\0"}, {"systemInstruction": "a\0"}, [NO_TEXT]),
    ({"system_instruction": "a\u202e"}, {"systemInstruction": "a\u202e"}, [NO_TEXT]),
    ({"temperature": 2.5}, {"temperature": 2.5}, [TEMPERATURE]),
    ({"temperature": -1}, {"temperature": -1}, [TEMPERATURE]),
    (
        {"model": "x", "response_modality": "x", "duration_minutes": 0, "temperature": 9},
        {"model": "x", "responseModality": "x", "duration": 0, "temperature": 9},
        [NOT_ALLOWED, NOT_A_MODALITY, DURATION, TEMPERATURE],
    ),
]


@pytest.fixture
async def browser(service: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """Return a browser before a gateway, before the service."""
    settings = GatewaySettings(port=0, tokenservice_target=service.unix_target, drain_seconds=1)
    listener = http_server.listen(settings.host, settings.port)
    host, port = listener.getsockname()
    stop = asyncio.Event()
    async with open_channel(service.unix_target) as channel:
        app = make_app(settings, channel)
        server = asyncio.create_task(http_server.serve(app, listener, settings, stop))
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
            yield session
        stop.set()
        await server


async def over_grpc(service: Any, fields: dict[str, Any]) -> tuple[str, str, list[tuple[str, str]]]:
    """Return sentence, reason and fields of a refusal over gRPC."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await service.tcp.CreateToken(
            pb.CreateTokenRequest(**fields), metadata=(service.bearer(),), timeout=10
        )
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailers = dict(failed.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    fields_named = [(each.field, each.description) for each in bad.field_violations]
    return failed.value.details() or "", info.reason, fields_named


async def over_http(
    service: Any, browser: aiohttp.ClientSession, body: dict[str, Any]
) -> tuple[str, str, list[tuple[str, str]]]:
    """Return sentence, code and fields of a refusal over HTTP."""
    name, value = service.bearer()
    async with browser.post(MINT, json=body, headers={name: value}) as answer:
        assert answer.status == 400
        said = await answer.json()
    (bad,) = [each for each in said["details"] if each["@type"].endswith("google.rpc.BadRequest")]
    named = [(each["field"], each["description"]) for each in bad["fieldViolations"]]
    return said["error"], said["code"], named


@pytest.mark.parametrize("fields, body, named", CASES)
async def test_a_wrong_field_is_named_alike_over_grpc_and_http(
    service: Any,
    browser: aiohttp.ClientSession,
    fields: dict[str, Any],
    body: dict[str, Any],
    named: list[tuple[str, str]],
) -> None:
    """One field or several: names, words, sentence and reason are the same; no quota is asked."""
    direct = await over_grpc(service, fields)
    assert direct == await over_http(service, browser, body)
    sentence, reason, violations = direct
    assert violations == named
    assert sentence == f"{named[0][0]}: {named[0][1]}"
    assert reason == ("MODEL_NOT_ALLOWED" if named[0] == NOT_ALLOWED else "INVALID_ARGUMENT")
    assert service.policy.all_heard(policy_pb.ReserveRequest) == []
    assert service.minter.minted == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
async def test_a_temperature_that_is_no_number_is_refused(service: Any, value: float) -> None:
    """Protobuf can say it, JSON cannot; neither gets past the check."""
    assert (await over_grpc(service, {"temperature": value}))[2] == [TEMPERATURE]


async def test_a_retired_name_is_answered_with_its_successor(
    service: Any, browser: aiohttp.ClientSession
) -> None:
    """The answer says what is locked, what was asked for, and since when that is gone."""
    name, value = service.bearer()
    async with browser.post(MINT, json={"model": RETIRED}, headers={name: value}) as answer:
        constraints = (await answer.json())["constraints"]
    assert constraints == {
        "model": "gemini-3.8-live",
        "maxDuration": 30,
        "responseModality": "TEXT",
        "requestedModel": RETIRED,
        "requestedModelRetiredOn": "2025-12-09",
    }
    issued = await service.tcp.CreateToken(
        pb.CreateTokenRequest(model=RETIRED), metadata=(service.bearer(sub="bob"),), timeout=10
    )
    assert issued.constraints.requested_model_retired_on == "2025-12-09"
    present = await service.tcp.CreateToken(
        pb.CreateTokenRequest(), metadata=(service.bearer(sub="cat"),), timeout=10
    )
    assert not present.constraints.HasField("requested_model_retired_on")


async def test_what_is_sent_at_length_is_neither_echoed_nor_logged(
    service: Any, browser: aiohttp.ClientSession
) -> None:
    """A name of 200 KB comes back in no answer and no log line."""
    name = "canary-" * 30_000
    with capture_logs() as logged:
        said = await over_grpc(service, {"model": name, "response_modality": name})
    assert "canary-" not in json.dumps([said, logged], default=repr)
    short = "canary-" * 1_500
    with capture_logs() as logged:
        told = await over_http(service, browser, {"model": short, "responseModality": short})
    assert "canary-" not in json.dumps([told, logged], default=repr)
    for report in service.policy.all_heard(policy_pb.ReportRequest):
        assert len(report.content.model) <= 256
