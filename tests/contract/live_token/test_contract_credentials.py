"""The v2 contract's credentials: which are judged, whom they prove, and how they are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from live_token import CONFIG, MINT, STATS, USAGE

from tokenservice.identity import key_text

if TYPE_CHECKING:
    from live_token import Chain

pytestmark = pytest.mark.filterwarnings("ignore::google.genai.errors.ExperimentalWarning")


async def test_the_scheme_is_matched_in_any_case(chain: Chain) -> None:
    """RFC 9110, 11.1."""
    for scheme in ("Bearer", "bearer", "BEARER", "bEaReR"):
        headers = {"Authorization": f"{scheme} {chain.bearer()}"}
        assert (await chain.call("GET", USAGE, headers=headers)).status == 200, scheme


async def test_an_api_key_lets_its_owner_in(keyed: Chain) -> None:
    """Its tokens count for the owner, as those of the owner's bearer do."""
    key = await keyed.key("ann")
    assert (await keyed.call(headers={"X-API-Key": key})).status == 200
    assert (await keyed.usage("ann"))["tokensLastDay"] == 1


async def test_of_both_the_api_key_is_judged(keyed: Chain) -> None:
    """A good one is whose it is, a bad one is refused though the bearer is good."""
    key = await keyed.key("bob")
    ann = f"Bearer {keyed.bearer('ann')}"
    assert (await keyed.call(headers={"X-API-Key": key, "Authorization": ann})).status == 200
    assert (await keyed.usage("bob"))["tokensLastDay"] == 1
    assert (await keyed.usage("ann"))["tokensLastDay"] == 0
    both = {"X-API-Key": key, "Authorization": "Bearer nonsense"}
    assert (await keyed.call("GET", USAGE, headers=both)).status == 200
    for bad in ("wrong", "", key[:-1]):
        headers = {"X-API-Key": bad, "Authorization": ann}
        answer = await keyed.call("GET", USAGE, headers=headers)
        assert (answer.status, answer.body["code"]) == (401, "UNAUTHENTICATED"), "a bad key"


async def test_whom_a_token_proves(quick: Chain) -> None:
    """Claim `sub`, or `userId` with type `access` where an older issuer sends that."""
    proofs: list[dict[str, Any]] = [
        {"sub": "ann"},
        {"sub": "ann", "userId": "bob", "type": "access"},
        {"sub": None, "userId": "ann", "type": "access"},
    ]
    for count, claims in enumerate(proofs, 1):
        headers = {"Authorization": f"Bearer {quick.bearer(**claims)}"}
        assert (await quick.call(headers=headers)).status == 200, claims
        assert (await quick.usage("ann"))["tokensLastDay"] == count


async def test_whom_no_token_proves(chain: Chain) -> None:
    """Without a subject or an end, expired, not valid yet, or of somebody else: 401."""
    now = chain.clock() // 1000
    useless: list[dict[str, Any]] = [
        {"sub": None, "userId": "ann"},
        {"sub": None, "userId": "ann", "type": "refresh"},
        {"sub": None},
        {"sub": ""},
        {"exp": None},
        {"exp": now - 31},
        {"nbf": now + 31},
        {"secret": "another secret than the service's own"},
    ]
    for claims in useless:
        headers = {"Authorization": f"Bearer {chain.bearer(**claims)}"}
        answer = await chain.call("GET", USAGE, headers=headers)
        assert (answer.status, answer.body["code"]) == (401, "UNAUTHENTICATED"), claims


async def test_refusals_say_how(chain: Chain) -> None:
    """401 with `WWW-Authenticate: Bearer`, on every route that asks for credentials."""
    attempts = {
        "none": {},
        "a scheme alone": {"Authorization": "Bearer"},
        "no token": {"Authorization": "Bearer nonsense"},
        "another scheme": {"Authorization": "Basic YW5uOmFubg=="},
        "no key": {"X-API-Key": "nonsense"},
    }
    for path in (MINT, USAGE, CONFIG, STATS):
        for name, headers in attempts.items():
            method = "POST" if path == MINT else "GET"
            answer = await chain.call(method, path, headers=headers)
            assert (answer.status, answer.body["code"]) == (401, "UNAUTHENTICATED"), name
            assert answer.headers["WWW-Authenticate"].startswith("Bearer "), name
            assert "retryAfter" not in answer.body


async def test_a_revoked_or_expired_key_is_refused(keyed: Chain) -> None:
    """Within the time that a revocation may take, and from its end on."""
    key, short = await keyed.key("ann"), await keyed.key("bob", days=1)
    assert keyed.registry is not None
    await keyed.registry.revoke_key(key_text.id_in(key) or "", actor="op")
    await keyed.until_known(key, known=False)
    keyed.clock.advance(86_400)
    await keyed.until_known(short, known=False)
