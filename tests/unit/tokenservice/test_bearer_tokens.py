"""Bearer tokens of configured issuers: whom they prove, and what proves nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings, strategies as st
from oidc import (
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    SigningKey,
    encoded,
    hs256,
    jwks,
    jws,
    published,
    signing_key,
)

from serving.errors import Unauthenticated
from tokenservice.errors import WrongCredentials
from tokenservice.identity.bearer import (
    BearerVerifier,
    TrustedIssuer,
    VerifiedBearer,
    simple_issuer,
)
from tokenservice.identity.issuers import read_issuers
from tokenservice.identity.trust import Trust, open_bearers
from tokenservice.principal import Principal

if TYPE_CHECKING:
    from tokenservice.identity.keys import Keys

RSA = signing_key("RS256", "rsa")
EC = signing_key("ES256", "ec")
ED = signing_key("EdDSA", "ed")
P384 = signing_key("ES384", "p384")
STRANGER = signing_key("RS256", "rsa-of-a-stranger")
SECRET = b"a secret of the tests, long enough."
OTHER = "https://other.example"
SUBJECT = f"{ISSUER}#ann"


def options(**changed: Any) -> dict[str, Any]:
    """Return an issuer's configuration."""
    return {"issuer": ISSUER, "audience": AUDIENCE, "jwks": jwks(RSA, EC, ED, P384)} | changed


def trust(*issuers: dict[str, Any], **others: Any) -> Trust:
    """Trust issuers, configured as one does."""
    return Trust(issuers=read_issuers(json.dumps(issuers)) if issuers else (), **others)


async def verify(unverified_token: str, *issuers: dict[str, Any], **others: Any) -> VerifiedBearer:
    """Verify a token at NOW."""
    async with open_bearers(trust(*issuers, **others), lambda: NOW * 1000) as bearers:
        return await bearers.verifier.verify(unverified_token)


@pytest.fixture
async def verifier() -> AsyncIterator[BearerVerifier]:
    """Trust the issuer, and the secret beside it."""
    both = trust(options(), secret=SECRET)
    async with open_bearers(both, lambda: NOW * 1000) as bearers:
        yield bearers.verifier


@pytest.mark.parametrize("key", [RSA, EC, ED, P384], ids=lambda key: key.algorithm)
async def test_a_token_of_each_kind_of_key_proves_its_subject(
    verifier: BearerVerifier, key: SigningKey
) -> None:
    """RSA, EC and Ed25519 signatures count; the subject is in its issuer's namespace."""
    assert await verifier.verify(key.token()) == VerifiedBearer(Principal(SUBJECT))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
async def test_access_tokens_of_each_type_count(verifier: BearerVerifier, kind: str | None) -> None:
    """RFC 9068's type, JWT's own, and none, in any case."""
    assert (await verifier.verify(RSA.token(typ=kind))).principal.subject == SUBJECT


async def test_one_key_may_verify_what_its_issuer_allows() -> None:
    """A key without `alg` fits each algorithm of its kind that is allowed; `x5t` is ignored."""
    open_key = {"keys": [RSA.jwk(alg=None)]}
    pss = SigningKey(RSA.private, "PS256", "rsa")
    for token in (RSA.token(x5t="AAAA"), pss.token()):
        assert (await verify(token, options(jwks=open_key))).principal.subject == SUBJECT
    with pytest.raises(WrongCredentials):
        await verify(pss.token(), options(jwks=open_key, algorithms=["RS256"]))
    with pytest.raises(Unauthenticated):
        await verify(pss.token(), options())  # the key says RS256


async def test_a_token_without_kid_needs_the_only_key_that_fits() -> None:
    """Where exactly one key fits, `kid` may be missing; where two do, none is tried."""
    token = RSA.token(kid=None)
    assert (await verify(token, options())).principal.subject == SUBJECT
    with pytest.raises(WrongCredentials):
        await verify(token, options(jwks=jwks(RSA, STRANGER)))


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
async def test_a_public_key_can_be_given(key: SigningKey) -> None:
    """An issuer without JWKS has one key, in PEM, whatever `kid` its tokens name."""
    given = options(jwks=None, public_key=key.public_pem.decode())
    assert (await verify(key.token(kid="k" * 128), given)).principal.subject == SUBJECT
    for bad in (STRANGER.token(), key.token(kid="k" * 129)):
        with pytest.raises(WrongCredentials):
            await verify(bad, given)


async def test_a_secret_can_be_given() -> None:
    """An issuer can have a secret of its own for HS256."""
    given = options(jwks=None, secret=SECRET.decode())
    token = jws({"alg": "HS256"}, CLAIMS, hs256(SECRET))
    assert (await verify(token, given)).principal.subject == SUBJECT
    with pytest.raises(WrongCredentials):
        await verify(jws({"alg": "HS256"}, CLAIMS, hs256(b"x" * 32)), given)


async def test_claims_stand_where_they_are_configured() -> None:
    """Subject, tier and role have configured places, below other claims if need be."""
    given = options(
        subject_claim="email",
        tier_claim="https://us/plan",
        operator_claim=["realm_access", "roles"],
        operator_value="live-operator",
        namespace="",
    )
    claims = CLAIMS | {
        "email": "ann@example.com",
        "https://us/plan": "gold",
        "realm_access": {"roles": ["live-operator"]},
        "roles": ["operator"],
    }
    assert (await verify(RSA.token(claims), given)).principal == Principal(
        "ann@example.com", operator=True, tier="gold"
    )
    claims["realm_access"] = ["live-operator"]
    assert not (await verify(RSA.token(claims), given)).principal.operator


async def test_a_service_is_told_from_a_user() -> None:
    """The subjects of an issuer for services are services of ours."""
    given = options(kind="service", namespace="svc:")
    verified = await verify(RSA.token(CLAIMS | {"sub": "billing"}), given)
    assert verified.principal == Principal("svc:billing", service=True)


async def test_a_token_bound_to_a_key_says_so(verifier: BearerVerifier) -> None:
    """The thumbprint of RFC 9449 is handed on."""
    thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    claims = CLAIMS | {"cnf": {"jkt": thumbprint}}
    assert (await verifier.verify(RSA.token(claims))).confirmation == thumbprint


# Who may speak for whom.


async def test_the_same_sub_of_two_issuers_is_two_users() -> None:
    """Each issuer's subjects are in its own namespace; a secret's are in none."""
    both = (options(), options(issuer=OTHER))
    anns = [
        await verify(RSA.token(CLAIMS | {"iss": iss}), *both, secret=SECRET)
        for iss in (ISSUER, OTHER)
    ]
    simple = jws({"alg": "HS256"}, CLAIMS | {"iss": "anybody"}, hs256(SECRET))
    anns.append(await verify(simple, *both, secret=SECRET))
    assert [each.principal.subject for each in anns] == [SUBJECT, f"{OTHER}#ann", "ann"]


@pytest.mark.parametrize(
    "own, other, sub",
    [("", f"{OTHER}#", f"{OTHER}#ann"), ("app", "app-admin:", "-admin:ann")],
)
async def test_a_subject_cannot_reach_into_another_namespace(
    own: str, other: str, sub: str
) -> None:
    """A `sub` that makes the name of another issuer's user is refused, not confused with it."""
    both = (options(namespace=own), options(issuer=OTHER, namespace=other))
    theirs = await verify(RSA.token(CLAIMS | {"iss": OTHER}), *both)
    assert theirs.principal.subject == own + sub
    with pytest.raises(WrongCredentials):
        await verify(RSA.token(CLAIMS | {"sub": sub}), *both)


async def test_nor_can_a_subject_under_the_secret() -> None:
    """The secret's tokens are in no namespace, and so must not spell one."""
    token = jws({"alg": "HS256"}, CLAIMS | {"sub": SUBJECT, "iss": "x"}, hs256(SECRET))
    assert (await verify(token, secret=SECRET)).principal.subject == SUBJECT
    with pytest.raises(WrongCredentials):
        await verify(token, options(), secret=SECRET)


@pytest.mark.parametrize("sub", ["spiffe://example.org/backend", "dns:batch.internal"])
async def test_no_user_has_the_name_of_a_certificate(sub: str) -> None:
    """Those are services', which may say so themselves: a SPIFFE ID stands in their tokens too."""
    users, services = options(namespace=""), options(namespace="", kind="service")
    token = RSA.token(CLAIMS | {"sub": sub})
    assert (await verify(token, services)).principal.service
    under_the_secret = jws({"alg": "HS256"}, CLAIMS | {"sub": sub, "iss": "x"}, hs256(SECRET))
    with pytest.raises(WrongCredentials):
        await verify(token, users)
    with pytest.raises(WrongCredentials):
        await verify(under_the_secret, secret=SECRET)


async def test_keys_count_for_their_issuer_alone() -> None:
    """What one issuer, or the secret, signed is nothing in another's name."""
    mine, theirs = options(jwks=jwks(RSA)), options(issuer=OTHER, jwks=jwks(STRANGER))
    in_anothers_name = STRANGER.token(kid="rsa")
    with_the_secret = jws({"alg": "HS256", "kid": "rsa"}, CLAIMS, hs256(SECRET))
    for token in (STRANGER.token(), in_anothers_name, with_the_secret):
        with pytest.raises(WrongCredentials):
            await verify(token, mine, theirs, secret=SECRET)


async def test_an_issuer_that_nobody_configured_proves_nothing() -> None:
    """Without a secret, an unknown `iss`, or none, or one of another type is refused."""
    for iss in ("https://evil.example", ISSUER + "/", ISSUER.upper(), "", None, [ISSUER], 7):
        with pytest.raises(WrongCredentials):
            await verify(RSA.token(CLAIMS | {"iss": iss}), options())


async def test_the_older_form_must_be_an_access_token() -> None:
    """With `userId` as the subject, `type` must be `access`, whoever issued the token."""
    older = options(subject_claim="userId")
    claims = {k: v for k, v in CLAIMS.items() if k != "sub"} | {"userId": "ann"}
    verified = await verify(RSA.token(claims | {"type": "access"}), older)
    assert verified.principal.subject == SUBJECT
    for wrong in ({}, {"type": "refresh"}, {"type": ["access"]}):
        with pytest.raises(WrongCredentials):
            await verify(RSA.token(claims | wrong), older)
    with pytest.raises(WrongCredentials):
        await verify(RSA.token(claims | {"type": "access"}), options())  # it has `sub` to give


# What proves nothing.


def unsigned(alg: str) -> str:
    """Return a token that claims to need no signature, with one of a byte."""
    return jws({"alg": alg, "kid": "rsa"}, CLAIMS, lambda _: b"\0")


def confused(secret: bytes) -> str:
    """Return a token signed with what is public, as if that were a secret."""
    return jws({"alg": "HS256", "typ": "JWT", "kid": "rsa"}, CLAIMS, hs256(secret))


def with_header(header: bytes) -> str:
    """Return a token with a header of any bytes, well signed."""
    return jws(header, CLAIMS, RSA.sign)


GOOD = RSA.token()
HEAD, BODY, SIGNATURE = GOOD.split(".")
FORGED: dict[str, Callable[[], str]] = {
    "alg none": lambda: unsigned("none"),
    "alg NONE": lambda: unsigned("NONE"),
    "alg none without a signature": lambda: unsigned("none").rpartition(".")[0] + ".",
    "no alg": lambda: RSA.token(alg=None),
    "alg in a list": lambda: RSA.token(alg=["RS256"]),
    "alg rs256": lambda: RSA.token(alg="rs256"),
    "the public key in PEM as a secret": lambda: confused(RSA.public_pem),
    "the public key in PEM without its line end": lambda: confused(RSA.public_pem.strip()),
    "the public key in DER as a secret": lambda: confused(
        b"".join(RSA.public_pem.splitlines()[1:-1])
    ),
    "the modulus as a secret": lambda: confused(RSA.jwk()["n"].encode()),
    "an RSA signature called EC": lambda: RSA.token(alg="ES256", kid="ec"),
    "an EC signature called RSA": lambda: EC.token(alg="RS256", kid="rsa"),
    "a curve called another": lambda: EC.token(alg="ES384", kid="p384"),
    "a key of another kind": lambda: RSA.token(kid="ec"),
    "RS256 called RS512": lambda: RSA.token(alg="RS512"),
    "RS256 called PS256": lambda: RSA.token(alg="PS256"),
    "another key under our kid": lambda: STRANGER.token(kid="rsa"),
    "another key": STRANGER.token,
    "a kid that is a path": lambda: RSA.token(kid="../../../../dev/null"),
    "a kid that is SQL": lambda: RSA.token(kid="' UNION SELECT 'secret' --"),
    "a kid that is a command": lambda: RSA.token(kid="rsa|id"),
    "an empty kid": lambda: RSA.token(kid=""),
    "a kid of 129 characters": lambda: RSA.token(kid="k" * 129),
    "a kid that is a number": lambda: RSA.token(kid=1),
    "a kid in a list": lambda: RSA.token(kid=["rsa"]),
    "a kid that is null": lambda: with_header(b'{"alg":"RS256","kid":null}'),
    "its key with it": lambda: STRANGER.token(jwk=STRANGER.jwk()),
    "its key with it, under our kid": lambda: STRANGER.token(jwk=STRANGER.jwk(), kid="rsa"),
    "our key with it": lambda: RSA.token(jwk=RSA.jwk()),
    "its certificates with it": lambda: RSA.token(x5c=["MIIB"]),
    "crit": lambda: RSA.token(crit=["exp"], exp=NOW + 60),
    "crit, empty": lambda: RSA.token(crit=[]),
    "b64 false": lambda: RSA.token(b64=False, crit=["b64"]),
    "b64 true": lambda: RSA.token(b64=True),
    "a proof of possession": lambda: RSA.token(typ="dpop+jwt"),
    "a logout token": lambda: RSA.token(typ="logout+jwt"),
    "a type in a list": lambda: RSA.token(typ=["JWT"]),
    "a header member twice": lambda: with_header(b'{"alg":"none","alg":"RS256","kid":"rsa"}'),
    "a header that is a list": lambda: with_header(b'["RS256"]'),
    "a header that is no JSON": lambda: with_header(b"alg=RS256"),
    "a header in UTF-16": lambda: with_header('{"alg":"RS256","kid":"rsa"}'.encode("utf-16")),
    "a header that is very deep": lambda: with_header(b"[" * 5000),
    "a signature of nothing": lambda: f"{HEAD}.{BODY}.",
    "a shorter signature": lambda: GOOD[:-4],
    "a signature and more": lambda: f"{GOOD}AAAA",
    "padding": lambda: f"{GOOD}==",
    "another spelling of the signature": lambda: f"{GOOD[:-1]}{_twin(GOOD[-1])}",
    "four parts": lambda: f"{GOOD}.x",
    "two parts": lambda: f"{HEAD}.{BODY}",
    "encrypted": lambda: "a.b.c.d.e",
    "white space": lambda: f"{HEAD}. {BODY}.{SIGNATURE}",
    "a line end": lambda: f"{GOOD}\n",
    "changed claims": lambda: ".".join(
        (HEAD, encoded(json.dumps({**CLAIMS, "sub": "bob"}).encode()), SIGNATURE)
    ),
}


def _twin(character: str) -> str:
    """Return a character of base64url whose leading bits are the same."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(character) ^ 1]


@pytest.mark.parametrize("make", FORGED.values(), ids=FORGED.keys())
async def test_what_is_forged_proves_nothing(
    verifier: BearerVerifier, make: Callable[[], str]
) -> None:
    """Nothing but a signature under a key of the issuer, by a fitting algorithm, counts."""
    with pytest.raises(WrongCredentials, match=r"^The bearer token is not valid\.$"):
        await verifier.verify(make())


def test_every_forgery_needs_its_flaw() -> None:
    """The forgeries are made from a token that is good."""
    assert len({make() for make in FORGED.values()}) == len(FORGED)
    assert GOOD not in {make() for make in FORGED.values()}


async def test_no_character_can_be_changed(verifier: BearerVerifier) -> None:
    """A token with any one character exchanged proves nothing."""
    token = EC.token()
    for place, character in enumerate(token):
        other = "A" if character != "A" else "B"
        with pytest.raises(WrongCredentials):
            await verifier.verify(token[:place] + other + token[place + 1 :])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_NAMES = [
    "alg",
    "kid",
    "typ",
    "iss",
    "aud",
    "sub",
    "exp",
    "iat",
    "nbf",
    "cnf",
    "roles",
    "tier",
    "type",
    "userId",
]
_MEMBERS = st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=6)


(READ,) = read_issuers(json.dumps([options()]))
TRUSTED = TrustedIssuer(cast("Keys", READ.fixed_keys), READ.allowed, READ.rules([]))


@given(header=_MEMBERS, claims=_MEMBERS, raw=st.none() | st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_nothing_that_is_sent_is_a_defect(
    header: dict[str, Any], claims: dict[str, Any], raw: str | None
) -> None:
    """Whatever is sent, well signed or not, proves something or is refused as credentials."""
    token = raw if raw is not None else RSA.token(CLAIMS | claims, **header)
    verifier = BearerVerifier({ISSUER: TRUSTED}, lambda: NOW * 1000, simple=simple_issuer(SECRET))
    try:
        verified = asyncio.run(verifier.verify(token))
    except Unauthenticated:
        return
    subject = verified.principal.subject
    assert subject.startswith(f"{ISSUER}#")
    assert subject.isprintable()


@pytest.mark.parametrize("name", ["jku", "x5u", "kid"])
async def test_no_address_in_a_header_is_visited(verifier: BearerVerifier, name: str) -> None:
    """A header that points at keys is refused, and nobody goes and looks."""
    async with published() as evil:
        evil.keys(STRANGER)
        with pytest.raises(WrongCredentials):
            await verifier.verify(STRANGER.token(**{name: evil.url}))
    assert evil.visits == 0


LATER = NOW + 24 * 3600
BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "no exp": {"exp": None},
    "exp in a string": {"exp": str(NOW + 60)},
    "exp of 400 digits": {"exp": int("9" * 400)},
    "exp NaN": {"exp": float("nan")},
    "exp infinite": {"exp": float("inf")},
    "nbf in a string": {"nbf": "0"},
    "iat true": {"iat": True},
    "no sub": {"sub": None},
    "sub empty": {"sub": ""},
    "sub a number": {"sub": 7},
    "sub of 129 characters": {"sub": "s" * 129},
    "sub with a line break": {"sub": "ann\nroot"},
    "sub with a NUL": {"sub": "ann\0"},
    "no aud": {"aud": None},
    "another aud": {"aud": "another"},
    "other auds": {"aud": ["another", "live-token2"]},
    "aud in an object": {"aud": {AUDIENCE: 1}},
    "aud in a list in a list": {"aud": [[AUDIENCE]]},
    "aud as a prefix": {"aud": AUDIENCE[:-1]},
    "aud in another case": {"aud": AUDIENCE.upper()},
    "bound to a certificate": {"cnf": {"x5t#S256": "A" * 43}},
    "bound twice": {"cnf": {"jkt": "A" * 43, "x5t#S256": "A" * 43}},
    "bound to a short thumbprint": {"cnf": {"jkt": "A" * 42}},
    "bound to no thumbprint": {"cnf": {"jkt": "A" * 42 + "="}},
    "bound to a number": {"cnf": {"jkt": 7}},
    "bound to nothing": {"cnf": {}},
    "bound to null": {"cnf": None},
}
OF_ANOTHER_TIME: dict[str, dict[str, Any]] = {
    "expired": {"exp": NOW - 30},
    "not yet valid": {"nbf": NOW + 31},
    "issued in the future": {"iat": NOW + 31},
    "valid for more than a day": {"exp": LATER + 1},
    "valid for more than a day, most of it gone": {"iat": NOW - 23 * 3600, "exp": NOW + 3601},
    "valid for more than a day, from when it does not say": {"iat": None, "exp": LATER + 1},
}


def changed(claims: dict[str, Any]) -> dict[str, Any]:
    """Return claims with changes; a change to None is one to nothing, but for `cnf`."""
    return {k: v for k, v in (CLAIMS | claims).items() if v is not None or k == "cnf"}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
async def test_odd_claims_prove_nothing(verifier: BearerVerifier, claims: dict[str, Any]) -> None:
    """A token that is well signed but says something odd is refused."""
    with pytest.raises(WrongCredentials):
        await verifier.verify(RSA.token(changed(claims)))


@pytest.mark.parametrize("claims", OF_ANOTHER_TIME.values(), ids=OF_ANOTHER_TIME.keys())
async def test_a_token_of_another_time_is_refused_but_no_guess(
    verifier: BearerVerifier, claims: dict[str, Any]
) -> None:
    """Whoever holds an old token, or one that lives too long, is not taken for a forger."""
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(RSA.token(changed(claims)))
    assert not isinstance(refused.value, WrongCredentials)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - 29},
        {"nbf": NOW + 30},
        {"iat": NOW + 30},
        {"exp": LATER},
        {"aud": ["another", AUDIENCE]},
        {"sub": "s" * 128},
        {"iat": None},
    ],
)
async def test_the_limits_themselves_are_good(
    verifier: BearerVerifier, claims: dict[str, Any]
) -> None:
    """Clocks may differ by 30 s; a day is not too long; 128 characters are a subject."""
    assert (await verifier.verify(RSA.token(changed(claims)))).principal.subject.startswith(ISSUER)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"iss":"%b","aud":"live-token","sub":"bob","sub":"ann","exp":%d}',
        b'{"iss":"%b","aud":"live-token","sub":"ann","exp":1,"exp":%d}',
        b'{"iss":"x","iss":"%b","aud":"live-token","sub":"ann","exp":%d}',
        b'{"iss":"%b","aud":"live-token","sub":"ann","a":[{"b":1,"b":2}],"exp":%d}',
        b'\xef\xbb\xbf{"iss":"%b","aud":"live-token","sub":"ann","exp":%d}',
    ],
)
async def test_a_claim_stands_once(verifier: BearerVerifier, payload: bytes) -> None:
    """A claim that stands twice, at any depth, is read in two ways by two readers: refused."""
    with pytest.raises(WrongCredentials):
        await verifier.verify(RSA.token(payload % (ISSUER.encode(), NOW + 60)))


async def test_why_a_token_fails_is_not_told_and_has_nothing_of_it(
    verifier: BearerVerifier,
) -> None:
    """The error, its cause and the reprs hold neither token nor subject."""
    token = RSA.token(CLAIMS | {"aud": "another", "sub": "a-very-private-subject"})
    with pytest.raises(WrongCredentials) as refused:
        await verifier.verify(token)
    told = repr(refused.value) + repr(refused.value.__cause__)
    assert "private" not in told
    assert token not in told
    assert "ann" not in repr(await verifier.verify(GOOD))
