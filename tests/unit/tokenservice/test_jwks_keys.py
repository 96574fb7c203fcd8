"""What a published set of keys may bring."""

from typing import Any

import pytest
from hypothesis import given, strategies as st
from oidc import SigningKey, encoded, jwks, signing_key
from structlog.testing import capture_logs

from tokenservice.identity.keys import ASYMMETRIC, UnusableKeys, key_set

RSA = signing_key("RS256", "rsa")
EC = signing_key("ES256", "ec")
ED = signing_key("EdDSA", "ed")
ALL = tuple(ASYMMETRIC)


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
def test_a_key_verifies_by_its_own_algorithm_only(key: SigningKey) -> None:
    """A key is found under its `kid` and `alg`, and under no other of either."""
    keys = key_set(jwks(RSA, EC, ED), ALL)
    found = {(kid, alg) for kid in ("rsa", "ec", "ed") for alg in ALL if keys.get(kid, alg)}
    assert found == {("rsa", "RS256"), ("ec", "ES256"), ("ed", "EdDSA")}
    alone = key_set({"keys": [key.jwk(alg=None)]}, ALL)
    fitting = {"RSA": {a for a in ALL if a[:2] in {"RS", "PS"}}, "EC": {"ES256"}, "OKP": {"EdDSA"}}
    assert {a for a in ALL if alone.get(key.kid, a)} == fitting[key.jwk()["kty"]]


USELESS: dict[str, Any] = {
    "to encrypt with": RSA.jwk(use="enc"),
    "an algorithm to encrypt with": RSA.jwk(alg="RSA-OAEP"),
    "to sign with only": RSA.jwk(use=None, key_ops=["sign"]),
    "operations that are no list": RSA.jwk(key_ops="verify"),
    "1024 bits": signing_key("RS256", "short", bits=1024).jwk(),
    "another curve than it says": EC.jwk(crv="P-384", alg="ES384"),
    "a curve that is not allowed": EC.jwk(crv="secp256k1", alg=None),
    "a point off the curve": EC.jwk(y=EC.jwk()["x"]),
    "no modulus": RSA.jwk(n=None),
    "a modulus that is a number": RSA.jwk(n=7),
    "another type than it says": RSA.jwk(kty="EC"),
    "no type": RSA.jwk(kty=None),
    "a secret": {"kty": "oct", "k": encoded(b"s" * 32), "kid": "rsa", "alg": "HS256"},
    "alg none": RSA.jwk(alg="none"),
    "alg a number": RSA.jwk(alg=7),
    "a kid that is a number": RSA.jwk(kid=7),
    "a kid of 129 characters": RSA.jwk(kid="k" * 129),
    "an empty kid": RSA.jwk(kid=""),
    "a private key": RSA.private_jwk(),
    "a private EC key": EC.private_jwk(),
    "a private Ed25519 key": ED.private_jwk(),
    "a string": "key",
    "null": None,
}


@pytest.mark.parametrize("useless", USELESS.values(), ids=USELESS.keys())
def test_a_useless_key_is_left_out(useless: Any) -> None:
    """What may not, cannot or must not verify is ignored beside a good key, and is none alone."""
    good = signing_key("RS256", "good")
    keys = key_set({"keys": [useless, good.jwk()]}, ALL)
    assert keys.get("good", "RS256") is not None
    assert keys.get(None, "RS256") is not None, "the good one is not the only one"
    with pytest.raises(UnusableKeys):
        key_set({"keys": [useless]}, ALL)


_VALUES = st.none() | st.integers() | st.text(max_size=50) | st.lists(st.text(max_size=5))
_MEMBERS = st.dictionaries(
    st.sampled_from(["kty", "crv", "alg", "kid", "use", "n", "e", "x", "y"]), _VALUES
)


@given(base=st.sampled_from([RSA, EC, ED]), members=_MEMBERS)
def test_no_key_spoils_the_others(base: SigningKey, members: dict[str, Any]) -> None:
    """However a key is malformed, the good one beside it is used."""
    good = signing_key("RS256", "good")
    keys = key_set({"keys": [base.jwk() | members, good.jwk()]}, ALL)
    assert keys.get("good", "RS256") is not None


@pytest.mark.parametrize("jwks", [{}, {"keys": {}}, {"keys": None}, {"keys": []}, RSA.jwk()])
def test_a_set_without_keys_is_none(jwks: dict[str, Any]) -> None:
    """An object that has no list of keys is not taken for a set with none."""
    with pytest.raises(UnusableKeys):
        key_set(jwks, ALL)


def test_two_keys_of_one_name_are_none() -> None:
    """Which of two is meant would be a guess; of two kinds, each is meant by its algorithm."""
    again = SigningKey(signing_key("RS256", "again").private, "RS256", "rsa")
    namesake = SigningKey(EC.private, "ES256", "rsa")
    keys = key_set(jwks(RSA, again, namesake), ALL)
    assert keys.get("rsa", "RS256") is None
    assert keys.get("rsa", "ES256") is not None


def test_a_published_private_key_is_warned_of_without_it() -> None:
    """Somebody has to know; the log has nothing of the key."""
    with capture_logs() as logs:
        key_set({"keys": [RSA.private_jwk(), EC.jwk()]}, ALL)
    assert logs == [{"event": "jwks_private_keys", "ignored": 1, "log_level": "warning"}]
