"""What a token's lock leaves to the client."""

from typing import Any

import pytest

from emulator.errors import InvalidPayload
from emulator.lock import parse_mask, setup_in_force

CLIENT: dict[str, Any] = {
    "model": "models/other",
    "generationConfig": {"temperature": 2, "topP": 0.5},
    "tools": [{"googleSearch": {}}],
}
LOCKED: dict[str, Any] = {
    "model": "models/mine",
    "generationConfig": {"temperature": 0.1, "seed": 7},
}


def test_a_token_without_setup_locks_nothing() -> None:
    """Without a setup in the token the client's is in force."""
    assert setup_in_force(None, None, CLIENT) == CLIENT


def test_without_a_mask_the_tokens_setup_replaces_all() -> None:
    """Without a mask nothing that the client sends is in force."""
    assert setup_in_force(LOCKED, None, CLIENT) == LOCKED


def test_with_a_mask_only_the_masked_fields_are_forced() -> None:
    """A masked field is the token's, the others stay the client's."""
    mask = parse_mask("model,generationConfig.temperature")
    assert setup_in_force(LOCKED, mask, CLIENT) == {
        "model": "models/mine",
        "generationConfig": {"temperature": 0.1, "topP": 0.5},
        "tools": [{"googleSearch": {}}],
    }


def test_a_masked_field_that_the_token_leaves_out_is_forced_to_be_absent() -> None:
    """Locking `tools` without tools means that the client has none."""
    mask = parse_mask("tools,generation_config.top_p,system_instruction.parts")
    assert setup_in_force(LOCKED, mask, CLIENT) == {
        "model": "models/other",
        "generationConfig": {"temperature": 2},
    }


def test_a_mask_reaches_into_a_message_that_the_client_did_not_send() -> None:
    """A locked inner field is in force even where the client sent nothing around it."""
    mask = parse_mask("generationConfig.seed")
    assert setup_in_force(LOCKED, mask, {}) == {"generationConfig": {"seed": 7}}


def test_the_client_names_the_session_that_it_resumes() -> None:
    """A resumption handle passes the lock, if the lock allows resumption."""
    client = {**CLIENT, "sessionResumption": {"handle": "h"}}
    assert setup_in_force(LOCKED, None, client) == LOCKED
    resumable = {**LOCKED, "sessionResumption": {}}
    in_force = setup_in_force(resumable, None, client)
    assert in_force == {**LOCKED, "sessionResumption": {"handle": "h"}}
    assert resumable["sessionResumption"] == {}


def test_a_lock_without_a_model_leaves_the_choice_to_the_client() -> None:
    """A token that names no model can be used with any."""
    assert setup_in_force({}, None, CLIENT) == {"model": "models/other"}


def test_merging_changes_neither_side() -> None:
    """The token's setup survives any number of sessions unchanged."""
    client = {"generationConfig": {"seed": 1}}
    in_force = setup_in_force(LOCKED, parse_mask("generationConfig.temperature"), client)
    in_force["generationConfig"]["temperature"] = 9
    assert client == {"generationConfig": {"seed": 1}}
    assert LOCKED["generationConfig"]["temperature"] == 0.1


@pytest.mark.parametrize("mask", ["foo", "tools.0", "model.name", "generationConfig.foo", "a..b"])
def test_a_mask_that_names_no_field_is_refused(mask: str) -> None:
    """A path outside the setup is refused in Google's words."""
    with pytest.raises(
        InvalidPayload, match=r"^field_mask is invalid for BidiGenerateContentSetup$"
    ):
        parse_mask(mask)


def test_both_spellings_of_a_mask_are_read() -> None:
    """A mask may be in camelCase or snake_case."""
    assert parse_mask("generation_config.top_p, tools") == parse_mask("generationConfig.topP,tools")
