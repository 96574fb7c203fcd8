"""Refusals as problem details."""

import dataclasses

import pytest

from gateway import refusal
from gateway.outcomes import BY_GRPC_CODE, STATUS_BY_REASON
from gateway.problems import BY_CODE, problem
from gateway.refusal import Refusal
from gateway.transcoding import errors

REFUSED = Refusal(
    429,
    "RATE_LIMIT_EXCEEDED",
    "Rate limit exceeded: 10 tokens per hour",
    60,
    ({"@type": "x"},),
    decision_id="d-1",
    violated=("tokens_per_hour",),
)
ID = "0af7651916cd43dd8448eb211c80319c"


def test_a_problem_has_all_that_the_contracts_body_has() -> None:
    """The members of RFC 9457 come first, and those of the one body of all refusals with them."""
    assert problem(REFUSED, ID) == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "detail": "Rate limit exceeded: 10 tokens per hour",
        "instance": "urn:uuid:0af76519-16cd-43dd-8448-eb211c80319c",
        "violated-policies": ["tokens_per_hour"],
        "success": False,
        "error": "Rate limit exceeded: 10 tokens per hour",
        "code": "RATE_LIMIT_EXCEEDED",
        "retryAfter": 60,
        "requestId": ID,
        "decisionId": "d-1",
        "details": [{"@type": "x"}],
    }


@pytest.mark.parametrize(
    "code, name",
    [
        ("RATE_LIMIT_EXCEEDED", "quota-exceeded"),
        ("UPSTREAM_UNAVAILABLE", "temporary-reduced-capacity"),
        ("ABUSE_DETECTED", "abnormal-usage-detected"),
    ],
)
def test_the_drafts_types_are_where_they_fit(code: str, name: str) -> None:
    """Limits, capacity and abuse have the rate limit draft's types, with what was violated."""
    told = problem(dataclasses.replace(REFUSED, code=code), ID)
    assert told["type"] == f"https://iana.org/assignments/http-problem-types#{name}"
    assert told["title"] == BY_CODE[code].title
    assert told["violated-policies"] == ["tokens_per_hour"]


def test_where_no_limit_was_met_none_is_named() -> None:
    """The member is a list whatever is in it."""
    told = problem(dataclasses.replace(REFUSED, code="UPSTREAM_UNAVAILABLE", violated=()), ID)
    assert told["violated-policies"] == []


@pytest.mark.parametrize(
    "refused, title",
    [
        (refusal.of_request(errors.UnknownPathError()), "Not Found"),
        (refusal.of_request(errors.NotAcceptableError(["a/b"])), "Not Acceptable"),
        (refusal.of_defect(), "Internal Server Error"),
        (Refusal(503, "POLICY_UNAVAILABLE", "x"), "Service Unavailable"),
        (Refusal(429, "RESOURCE_EXHAUSTED", "x"), "Too Many Requests"),
        (Refusal(499, "CANCELLED", "x"), "Client Closed Request"),
    ],
)
def test_other_types_are_their_statuses(refused: Refusal, title: str) -> None:
    """about:blank has the status's phrase for a title, and what is narrower is in the code."""
    told = problem(refused, ID)
    assert (told["type"], told["title"], told["status"]) == ("about:blank", title, refused.status)
    assert told["code"] == refused.code
    assert "violated-policies" not in told


@pytest.mark.parametrize(
    "status", {*(each.status for each in BY_GRPC_CODE.values()), *STATUS_BY_REASON.values()}
)
def test_every_status_has_a_title(status: int) -> None:
    """No status that there is lacks a phrase."""
    assert problem(Refusal(status, "X", "x"), ID)["title"]


@pytest.mark.parametrize(
    "request_id, urn",
    [
        (ID, "urn:uuid:0af76519-16cd-43dd-8448-eb211c80319c"),
        ("0AF76519-16CD-43DD-8448-EB211C80319C", "urn:uuid:0af76519-16cd-43dd-8448-eb211c80319c"),
        ("order-7", "urn:x-request-id:order-7"),
        ('a/b:"%<>', "urn:x-request-id:a%2Fb%3A%22%25%3C%3E"),
    ],
)
def test_an_instance_is_a_uri(request_id: str, urn: str) -> None:
    """Whatever a caller calls its request, the occurrence has a URI of it."""
    assert problem(REFUSED, request_id)["instance"] == urn
