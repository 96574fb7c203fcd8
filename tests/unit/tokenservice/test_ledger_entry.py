"""A row says what became of a request, and names nobody."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, strategies as st
from ledger_rows import ADDRESS, ASKED, CALLER, GRANT, KEY, NOW, SUBJECT, TERMS, TOKEN, issued, row

from serving import errors as serving_errors
from serving.pseudonym import Pseudonyms
from tokenservice import errors
from tokenservice.grant import TokenRequest
from tokenservice.ledger.entry import Entry, Malformed, Outcome
from tokenservice.ledger.names import Names
from tokenservice.ledger.rows import entry_of, locked_configuration
from tokenservice.principal import Caller, Principal

NAMES = Names(KEY)
TIMES = st.integers(0, 253_402_300_799_999)
ENTRIES = st.builds(
    Entry,
    id=st.text(),
    at=TIMES,
    outcome=st.text(),
    expires_at=TIMES,
    **dict.fromkeys(("reason", "user", "model", "token", "request_id", "acting"), st.text()),
)


@given(ENTRIES)
def test_a_row_is_read_as_it_was_written(entry: Entry) -> None:
    """Any row is one line of ASCII, and reading it gives the same row."""
    line = entry.to_json()
    assert line.isascii()
    assert b"\n" not in line
    assert Entry.from_json(line) == entry


def test_what_later_versions_add_does_not_count() -> None:
    """A row with fields and an outcome that are not known yet is read as far as it is known."""
    later = {**json.loads(row(1).to_json()), "v": 9, "outcome": "revoked", "device": {"a": 1}}
    read = Entry.from_json(json.dumps(later))
    assert (read.outcome, read.decision_id) == ("revoked", "d-1")


@given(st.binary() | st.text() | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_what_is_no_row_is_malformed(line: bytes | str) -> None:
    """Nothing else than a row is taken for one, and no other error comes of it."""
    with pytest.raises(Malformed):
        Entry.from_json(line)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 0},
        {"v": True},
        {"at": "1"},
        {"at": True},
        {"at": 1e3},
        {"at": -1},
        {"at": 10**30},
        {"expires_at": 10**400},
        {"user": None},
        {"outcome": None},
    ],
)
def test_a_row_with_a_field_that_is_none_is_malformed(change: dict[str, object]) -> None:
    """Wrong types and impossible times are refused, without being repeated."""
    with pytest.raises(Malformed) as refused:
        Entry.from_json(json.dumps({**json.loads(row(1).to_json()), **change}))
    assert not any(char.isdigit() for char in str(refused.value))


def test_a_row_without_what_each_has_is_malformed() -> None:
    """A row has an id, a time and an outcome."""
    for name in ("v", "id", "at", "outcome"):
        fields = json.loads(row(1).to_json())
        del fields[name]
        with pytest.raises(Malformed):
            Entry.from_json(json.dumps(fields))


def test_an_issued_token_has_all_in_its_row() -> None:
    """The row of a token says all that is asked of a ledger."""
    entry = entry_of(
        NAMES,
        now=NOW,
        request_id="r-1",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        credential="jwt",
        caller=CALLER,
        asked=ASKED,
        grant=GRANT,
        issued=issued(),
    )
    assert entry == Entry(
        id=entry.id,
        at=NOW,
        outcome=Outcome.ISSUED,
        decision_id="d-1",
        request_id="r-1",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        user=Pseudonyms(KEY).user(SUBJECT),
        acting="scheduler",
        credential="jwt",
        tier="gold",
        model="gemini-3.8-live",
        config=locked_configuration(GRANT),
        token=NAMES.token(TOKEN),
        expires_at=NOW + 1_800_000,
        idempotency_key=Pseudonyms(KEY).request(SUBJECT, "canary-key").hex(),
    )
    assert len(entry.token) == 24
    text = entry.to_json().decode()
    assert [secret for secret in ("canary", ADDRESS) if secret in text] == []


REFUSALS = [
    serving_errors.Unauthenticated(),
    errors.WrongCredentials(),
    errors.AddressBlocked(),
    errors.UserBlocked(),
    errors.AbuseDetected("volume", retry_after=1),
    errors.ModelNotAllowed("model", "is not"),
    errors.IdempotencyKeyInUse(),
    errors.IdempotencyKeyReused(),
]
FAILURES = [
    errors.PolicyUnavailable(),
    errors.SealedElsewhere(),
    errors.UpstreamUnavailable(),
    errors.UpstreamMisconfigured(),
    serving_errors.Internal(),
]


@pytest.mark.parametrize(
    "outcome, error",
    [
        *((Outcome.REFUSED, error) for error in REFUSALS),
        *((Outcome.FAILED, error) for error in FAILURES),
    ],
)
def test_what_ends_in_an_error_has_its_reason(
    outcome: Outcome, error: serving_errors.ServiceError
) -> None:
    """The caller's doing is refused, ours is failed; both say why, and who decided."""
    error.metadata[serving_errors.DECISION_ID] = "d-7"
    entry = entry_of(NAMES, now=NOW, caller=CALLER, error=error)
    assert (entry.outcome, entry.reason, entry.decision_id) == (outcome, error.reason, "d-7")
    assert entry.token == ""


def test_a_defect_and_a_caller_who_left_are_failures() -> None:
    """What is no outcome of ours is one in the ledger, and its words are not."""
    told = entry_of(NAMES, now=NOW, error=RuntimeError("canary"))
    assert (told.outcome, told.reason) == (Outcome.FAILED, "INTERNAL")
    left = entry_of(NAMES, now=NOW, error=asyncio.CancelledError())
    assert (left.outcome, left.reason) == (Outcome.FAILED, "CALLER_LEFT")


def test_a_token_that_was_not_delivered_is_issued_all_the_same() -> None:
    """What was charged is issued; the reason says that the answer did not go out."""
    entry = entry_of(NAMES, now=NOW, caller=CALLER, issued=issued(), error=asyncio.CancelledError())
    assert (entry.outcome, entry.reason) == (Outcome.ISSUED, "CALLER_LEFT")
    assert entry.token == NAMES.token(TOKEN)


def test_a_repeat_has_the_same_token_under_another_outcome() -> None:
    """A repeat is told from what was charged."""
    entry = entry_of(NAMES, now=NOW, caller=CALLER, issued=issued(repeated=True))
    assert (entry.outcome, entry.token) == (Outcome.REPEATED, NAMES.token(TOKEN))


@pytest.mark.parametrize(
    "request_id",
    [
        "ann@example.com",
        ADDRESS + "/32",
        "auth_tokens/abc",
        "AIza" + "x" * 35,
        "eyJhbGciOi.eyJzdWIi.c2ln",
        f"{SUBJECT}-1",
        SUBJECT,
        "x" * 65,
    ],
)
def test_a_request_id_that_may_say_more_is_hashed(request_id: str) -> None:
    """What a caller puts into its request id names nobody, and can still be found."""
    entry = entry_of(NAMES, now=NOW, caller=CALLER, request_id=request_id)
    assert entry.request_id == NAMES.hidden_request(request_id)
    assert request_id not in entry.to_json().decode()


@pytest.mark.parametrize("tier", ["ann@example.com", "Ann Smith", "x" * 64])
def test_a_tier_that_is_no_name_is_left_out(tier: str) -> None:
    """A claim is the issuer's text: what no tier can be called is not written."""
    caller = Caller(Principal(SUBJECT, tier=tier), CALLER.client)
    assert entry_of(NAMES, now=NOW, caller=caller).tier == ""


def test_a_model_is_ours_or_none() -> None:
    """What was asked for and not granted is the caller's text, and is not written."""
    entry = entry_of(NAMES, now=NOW, caller=CALLER, asked=TokenRequest(model="canary-model"))
    assert entry.model == ""
    assert "canary" not in entry.to_json().decode()


def test_a_key_is_needed_to_confirm_a_name() -> None:
    """Under another key everything has another name; a token has one with and without prefix."""
    other = Names(b"o" * 32)
    assert other.token(TOKEN) != NAMES.token(TOKEN)
    assert other.user(SUBJECT) != NAMES.user(SUBJECT)
    assert other.hidden_request("r") != NAMES.hidden_request("r")
    assert other.idempotency_key(SUBJECT, "k") != NAMES.idempotency_key(SUBJECT, "k")
    assert NAMES.token("canary-token") == NAMES.token(TOKEN)
    assert NAMES.token(SUBJECT)[:16] != NAMES.user(SUBJECT)


def test_the_configuration_is_told_by_all_that_is_locked() -> None:
    """Equal grants have equal digests; each thing that is locked changes it."""
    asked = [
        TokenRequest(),
        TokenRequest(duration_minutes=29),
        TokenRequest(system_instruction="Be brief."),
        TokenRequest(temperature=0.5),
    ]
    digests = {locked_configuration(TERMS.grant(each)) for each in asked}
    assert len(digests) == len(asked)
    assert locked_configuration(TERMS.grant(asked[0])) in digests
    assert {len(digest) for digest in digests} == {64}
