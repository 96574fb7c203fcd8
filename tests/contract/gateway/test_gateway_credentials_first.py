"""Who sends fields that are not valid is judged before they are."""

from typing import Any

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
