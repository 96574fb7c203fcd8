"""A token does not show itself."""

import copy
import json
import pickle

import pytest

from tokenservice.seal import Minted
from tokenservice.token import EphemeralToken, Lifetime

SECRET = "auth_tokens/s3cret"


def test_only_reveal_shows_the_token() -> None:
    """No way to text but `reveal` shows the secret."""
    token = EphemeralToken(SECRET)
    minted = Minted(token, Lifetime(2, 1))
    for text in (repr(token), str(token), f"{token}", f"{token!r:>40}", repr([token]), str(minted)):
        assert "s3cret" not in text
    assert token.reveal() == SECRET


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_token_cannot_be_stored(protocol: int) -> None:
    """Pickling, copying and JSON refuse a token."""
    token = EphemeralToken(SECRET)
    with pytest.raises(TypeError):
        pickle.dumps(token, protocol)
    with pytest.raises(TypeError):
        copy.copy(token)
    with pytest.raises(TypeError):
        json.dumps({"token": token})


def test_a_token_has_no_attributes_to_walk() -> None:
    """Whoever dumps the attributes of an object finds no dict here."""
    assert not hasattr(EphemeralToken(SECRET), "__dict__")
