"""Who sends fields that are not valid is judged before they are."""

from typing import Any

import grpc
import pytest

from serving import errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINT = "/api/v1/live-token"
GOOD = {"Authorization": "Bearer good"}


async def test_wrong_credentials_are_told_before_wrong_fields(gateway: Any) -> None:
    """The answer is the service's; with good ones it is the field's."""
    for headers, status in (({}, 401), ({"X-API-Key": "x"}, 401), (GOOD, 400)):
        answer = await gateway.browser.ask("POST", MINT, json={"colour": 1}, headers=headers)
        assert answer.status == status
    assert gateway.service.requests == [], "no token was asked for"


@pytest.mark.parametrize(
    "failure, status",
    [(errors.Unavailable(), 503), (errors.PermissionDenied(), 403), (errors.Internal(), 500)],
    ids=["unavailable", "denied", "a defect"],
)
async def test_who_cannot_be_judged_is_told_so(
    gateway: Any, failure: errors.ServiceError, status: int
) -> None:
    """Until it is known who calls, nothing is said of the fields."""
    gateway.service.failure = failure
    answer = await gateway.browser.ask("POST", MINT, json={"colour": 1}, headers=GOOD)
    assert answer.status == status


async def test_the_same_mistake_is_the_same_attempt(gateway: Any) -> None:
    """To the rules against abuse, and others are others; none of them can be granted."""
    for body in ({"colour": 1}, {"colour": 2}, {"size": 1}, {"duration": 2.5}):
        await gateway.browser.ask("POST", MINT, json=body, headers=GOOD)
    same, again, *others = [each.response_modality for each in gateway.service.refused]
    assert same == again
    assert len({same, *others}) == 3
    assert gateway.service.requests == []


async def test_the_refusal_names_the_decision(gateway: Any) -> None:
    """Policy was told of it, so an operator finds it; what is wrong is in the caller's words."""
    gateway.service.decision_id = "d-7"
    gateway.service.initial = (("served-by", "a"),)
    answer = await gateway.browser.ask("POST", MINT, json={"colour": 1}, headers=GOOD)
    assert answer.body["decisionId"] == "d-7"
    assert answer.body["error"] == "colour is no field of this request."
    assert answer.body["code"] == "INVALID_ARGUMENT"
    bad = answer.body["details"][-1]
    assert bad["fieldViolations"] == [
        {"field": "colour", "description": "is no field of this request"}
    ]
    assert "responseModality" not in str(answer.body)
    assert answer.headers["Grpc-Metadata-Served-By"] == "a"


async def test_a_refusal_that_says_no_more_than_its_code(gateway: Any) -> None:
    """Somebody between us and the service may have said it: the field is named all the same."""
    gateway.service.status = (grpc.StatusCode.INVALID_ARGUMENT, "what a proxy says")
    answer = await gateway.browser.ask("POST", MINT, json={"colour": 1}, headers=GOOD)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT")
    assert "colour" in answer.body["error"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"onBehalfOf": "ann", "colour": 1}',
        b'{"colour": 1, "onBehalfOf": "ann"}',
        b'{"on_behalf_of": "ann", "colour": 1}',
        b'{"duration": 1, "duration": 2, "onBehalfOf": "ann"}',
        b'{"temperature": 1e400, "onBehalfOf": "ann"}',
    ],
)
async def test_the_attempt_is_the_users_whom_a_service_names(gateway: Any, body: bytes) -> None:
    """Else all its users' mistakes would be the service's, and its address's."""
    headers = {**GOOD, "Content-Type": "application/json"}
    answer = await gateway.browser.ask("POST", MINT, data=body, headers=headers)
    assert answer.status == 400
    assert gateway.service.refused.pop().on_behalf_of == "ann"


@pytest.mark.parametrize("named", [b"5", b"null", b'"\\ud800"', b'["ann"]'])
async def test_who_is_named_by_no_name_is_nobody(gateway: Any, named: bytes) -> None:
    """The attempt is the caller's own."""
    body = b'{"colour": 1, "onBehalfOf": ' + named + b"}"
    headers = {**GOOD, "Content-Type": "application/json"}
    answer = await gateway.browser.ask("POST", MINT, data=body, headers=headers)
    assert answer.status == 400
    assert gateway.service.refused.pop().on_behalf_of == ""


async def test_the_attempt_has_the_requests_key(gateway: Any) -> None:
    """By it the ledger finds the request."""
    headers = {**GOOD, "Idempotency-Key": "k-1"}
    await gateway.browser.ask("POST", MINT, json={"colour": 1}, headers=headers)
    assert gateway.service.refused.pop().request_id == "k-1"
