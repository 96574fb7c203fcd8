"""Sealed results."""

import pytest

from tokenservice.seal import BrokenSeal, Minted, Sealer
from tokenservice.token import EphemeralToken, Lifetime

KEY = bytes(range(32))
MINTED = Minted(
    EphemeralToken("auth_tokens/secret"), Lifetime(1_767_227_400_000, 1_767_225_720_000)
)


def test_what_was_sealed_opens() -> None:
    """The same key, subject and request id open what they sealed, on any replica."""
    sealed = Sealer(KEY).seal(MINTED, "ann", "r")
    opened = Sealer(KEY).open(sealed, "ann", "r")
    assert opened.token.reveal() == "auth_tokens/secret"
    assert opened.lifetime == MINTED.lifetime


def test_a_seal_shows_nothing_and_is_never_the_same() -> None:
    """Neither the token stands in the seal, nor can two seals be compared."""
    sealer = Sealer(KEY)
    one, two = (sealer.seal(MINTED, "ann", "r") for _ in range(2))
    assert one != two
    assert b"auth_tokens" not in one
    assert b"secret" not in one


@pytest.mark.parametrize(
    "key, subject, request_id",
    [
        (bytes(32), "ann", "r"),
        (KEY, "bob", "r"),
        (KEY, "ann", "s"),
        (KEY, "annr", ""),
        (KEY, "", "annr"),
    ],
    ids=["another key", "another subject", "another request", "joined", "joined the other way"],
)
def test_another_key_subject_or_request_does_not_open(
    key: bytes, subject: str, request_id: str
) -> None:
    """A seal opens for the one record that it was made for."""
    sealed = Sealer(KEY).seal(MINTED, "ann", "r")
    with pytest.raises(BrokenSeal):
        Sealer(key).open(sealed, subject, request_id)


def test_damage_anywhere_breaks_the_seal() -> None:
    """Any changed byte, any missing end and any addition is noticed."""
    sealer = Sealer(KEY)
    sealed = sealer.seal(MINTED, "ann", "r")
    changed = [
        sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        for place in range(len(sealed))
    ]
    cut = [sealed[:length] for length in range(len(sealed))]
    for damaged in (*changed, *cut, sealed + b"\0"):
        with pytest.raises(BrokenSeal):
            sealer.open(damaged, "ann", "r")
