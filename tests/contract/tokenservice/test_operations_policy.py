"""Operators list and lift blocks through tokenservice, before a real policy and its failures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import structlog
from fake_policy import FakePolicy
from operations_server import (
    NAMES,
    OPERATOR,
    OPERATOR_KEY,
    Operations,
    Policy,
    fake_policy,
    policy,
    refused,
    tokenservice,
)
from policy_server import NOW, PSEUDONYMS

from policy.standing import Offender, Party
from tokenservice.v1 import operations_pb2 as pb, tokenservice_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOUR = 3_600_000
ANN = Offender(Party.USER, PSEUDONYMS.user("ann@example.com"))
HOME = Offender(Party.ADDRESS, PSEUDONYMS.address("203.0.113.7"))
METHODS: dict[str, Any] = {
    "ListRefused": pb.ListRefusedRequest(),
    "ListBlocks": pb.ListBlocksRequest(),
    "LiftBlock": pb.LiftBlockRequest(offender=pb.Offender(user=ANN.name), reason="r"),
}
each_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Policy]:
    """Run policy."""
    async with policy(tmp_path) as running:
        yield running


@pytest.fixture
async def service(tmp_path: Path, behind: Policy) -> AsyncIterator[Operations]:
    """Run tokenservice with policy's operator key."""
    async with tokenservice(tmp_path, behind.target) as running:
        yield running


async def ask(service: Operations, method: str, request: Any = None) -> Any:
    """Call a method as an operator."""
    call = getattr(service.operations, method)
    return await call(request or METHODS[method], metadata=service.bearer(), timeout=60)


async def failing(service: Operations, method: str, request: Any = None) -> Any:
    """Return how a call of a method by an operator fails."""
    return await refused(ask(service, method, request))


async def test_blocks_are_listed_and_lifted(service: Operations, behind: Policy) -> None:
    """Blocks are shown by pseudonym, page by page; a lift says whether there was one."""
    for offender, lasting in ((ANN, HOUR), (HOME, 2 * HOUR)):
        await behind.store.block(offender, until=NOW + lasting, reason="guesses", actor="otto")
    first = await ask(service, "ListBlocks", pb.ListBlocksRequest(page_size=1))
    (block,) = first.blocks
    assert block.offender == pb.Offender(address=HOME.name)
    assert (block.reason, block.actor) == ("guesses", "otto")
    assert block.create_time.ToMilliseconds() == NOW
    assert block.expire_time.ToMilliseconds() == NOW + 2 * HOUR
    rest = await ask(service, "ListBlocks", pb.ListBlocksRequest(page_token=first.next_page_token))
    assert [each.offender for each in rest.blocks] == [pb.Offender(user=ANN.name)]
    assert rest.next_page_token == ""
    for named in (pb.Offender(user=ANN.name), pb.Offender(address=HOME.name)):
        request = pb.LiftBlockRequest(offender=named, reason="a mistake")
        assert (await ask(service, "LiftBlock", request)).lifted
        assert not (await ask(service, "LiftBlock", request)).lifted
    assert not (await ask(service, "ListBlocks")).blocks


async def test_the_operator_is_in_the_record_by_pseudonym(
    service: Operations, behind: Policy
) -> None:
    """Policy's record says who lifted a block, why, and nobody's own name."""
    with structlog.testing.capture_logs() as logs:
        await ask(service, "LiftBlock")
    (entry,) = behind.tape.entries
    assert (entry["event"], entry["actor"]) == ("block_lifted", NAMES.user(OPERATOR))
    assert (entry["name"], entry["reason"]) == (ANN.name, "r")
    assert OPERATOR not in f"{entry}{logs}"


async def test_who_was_refused_is_listed(service: Operations) -> None:
    """Users who met a limit and addresses with wrong credentials, the most first."""
    request = tokenservice_pb2.CreateTokenRequest()
    for _ in range(4):
        call = service.tokens.CreateToken(request, metadata=service.bearer("ann@example.com"))
        try:
            await call
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # noqa: PT017
    client = (("x-client-address", "203.0.113.7"), ("authorization", "Bearer e30.e30.c2ln"))
    assert (await refused(service.tokens.CreateToken(request, metadata=client))).reason
    listed = await ask(service, "ListRefused")
    assert [(each.offender, each.refusals, each.last_reason) for each in listed.clients] == [
        (pb.Offender(user=ANN.name), 3, "cooldown"),
        (pb.Offender(address=HOME.name), 1, "failed_credentials"),
    ]
    assert listed.since.ToMilliseconds() == NOW
    assert listed.clients[0].last_time.ToMilliseconds() == NOW
    one = await ask(service, "ListRefused", pb.ListRefusedRequest(page_size=1))
    assert len(one.clients) == 1
    assert "ann" not in str(listed).replace(ANN.name, "")
    assert "203.0" not in str(listed)


@pytest.mark.parametrize(
    "method, asked, field",
    [
        ("ListRefused", pb.ListRefusedRequest(page_size=101), "pageSize"),
        ("ListBlocks", pb.ListBlocksRequest(page_size=-1), "pageSize"),
        ("ListBlocks", pb.ListBlocksRequest(page_token="x"), "pageToken"),
        ("LiftBlock", pb.LiftBlockRequest(reason="r"), "offender"),
        (
            "LiftBlock",
            pb.LiftBlockRequest(reason="r", offender=pb.Offender(user="ann")),
            "offender.user",
        ),
        (
            "LiftBlock",
            pb.LiftBlockRequest(reason="r", offender=pb.Offender(address="203.0.113.7")),
            "offender.address",
        ),
        ("LiftBlock", pb.LiftBlockRequest(offender=pb.Offender(user=ANN.name)), "reason"),
    ],
)
async def test_bad_input_is_refused_by_the_callers_field(
    service: Operations, behind: Policy, method: str, asked: Any, field: str
) -> None:
    """What policy does not take is told by the name that the caller has for it."""
    told = await failing(service, method, asked)
    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    assert told.field == field
    assert told.message.startswith(f"{field}: must ")
    assert behind.tape.entries == []


@each_method
async def test_without_a_key_policy_cannot_be_asked(
    tmp_path: Path, behind: Policy, method: str
) -> None:
    """The refusal names the setting that is missing, and watching works."""
    async with tokenservice(tmp_path, behind.target, key=None) as service:
        told = await failing(service, method)
        assert (await service.watch().read()).instance
    assert (told.code, told.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "OPERATOR_KEY_NOT_SET",
    )
    assert "TOKENSERVICE_POLICY_OPERATOR_KEY is not set" in told.message
    assert behind.tape.entries == []


@each_method
@pytest.mark.parametrize("policys", ["another-key-of-more-than-32-characters", None])
async def test_a_key_that_policy_does_not_take_is_told(
    tmp_path: Path, method: str, policys: str | None
) -> None:
    """It is our fault and not the caller's: its own reason, and the cause is in the log."""
    with structlog.testing.capture_logs() as logs:
        async with (
            policy(tmp_path, key=policys) as behind,
            tokenservice(tmp_path, behind.target) as service,
        ):
            told = await failing(service, method)
    assert (told.code, told.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "OPERATOR_KEY_REFUSED",
    )
    assert OPERATOR_KEY not in f"{told}{logs}"
    (failed,) = [each for each in logs if each["event"] == "policy failed"]
    assert failed["method"] == method
    assert failed["code"] in {"UNAUTHENTICATED", "PERMISSION_DENIED"}
    assert [each["cause"] for each in logs if each.get("reason") == told.reason]


@each_method
async def test_without_policy_there_is_no_answer(tmp_path: Path, method: str) -> None:
    """With policy away, or one that knows no such call, it is POLICY_UNAVAILABLE."""
    async with tokenservice(tmp_path, f"unix:{tmp_path}/nobody.sock") as service:
        away = await failing(service, method)
    async with (
        fake_policy(tmp_path, FakePolicy()) as target,
        tokenservice(tmp_path, target) as service,
    ):
        older = await failing(service, method)
    for told in (away, older):
        assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "POLICY_UNAVAILABLE")


async def hang(_request: Any, _context: Any) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def test_nobody_waits_for_a_policy_that_hangs(tmp_path: Path) -> None:
    """A call that is not answered in its time is POLICY_UNAVAILABLE."""
    target = f"unix:{tmp_path}/p.sock"
    server = grpc.aio.server()
    methods: dict[str, Any] = {"ListBlocks": grpc.unary_unary_rpc_method_handler(hang)}
    handler = grpc.method_handlers_generic_handler("policy.v1.OperatorService", methods)
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(target)
    await server.start()
    async with tokenservice(tmp_path, target, timeout=0.05) as service:
        told = await failing(service, "ListBlocks")
    await server.stop(grace=None)
    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "POLICY_UNAVAILABLE")
