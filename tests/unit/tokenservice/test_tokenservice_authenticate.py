"""From credentials to a principal."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from serving.errors import Unauthenticated
from tokenservice.call import Call
from tokenservice.deadline import Deadline
from tokenservice.errors import WrongCredentials
from tokenservice.identity import authenticator as real
from tokenservice.identity.bearer import BearerVerifier, simple_issuer
from tokenservice.identity.directory import NoDirectory
from tokenservice.identity.possession import Possession
from tokenservice.identity.services import Services
from tokenservice.principal import Principal, UnverifiedCredentials

NOW = 1_767_225_600
SECRET = b"a secret of the tests, long enough."
CLAIMS = {"sub": "ann", "exp": NOW + 60}


class Authenticator:
    """The authenticator, asked of credentials alone."""

    def __init__(self, bearers: BearerVerifier) -> None:
        """Know bearer tokens, and nothing else."""
        self._real = real.Authenticator(bearers, NoDirectory(), Services(), Possession(None))

    async def authenticate(self, credentials: UnverifiedCredentials) -> Principal:
        """Return whose credentials they are."""
        return await self._real.authenticate(Call(Deadline(0), credentials=credentials))


def authenticator_at(now: int, **options: Any) -> Authenticator:
    """Return an authenticator whose clock stands still."""
    simple = simple_issuer(SECRET, **options)
    return Authenticator(BearerVerifier({}, lambda: now * 1000, simple=simple))


@pytest.fixture
def authenticator() -> Authenticator:
    """Return an authenticator whose clock stands still."""
    return authenticator_at(NOW)


def encoded(part: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def raw_token(payload: bytes, *, alg: str = "HS256", secret: bytes = SECRET) -> str:
    """Sign any bytes with HMAC-SHA256, whatever the header says."""
    header = encoded(json.dumps({"alg": alg, "typ": "JWT"}).encode())
    signed = f"{header}.{encoded(payload)}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def token(claims: Mapping[str, Any], *, alg: str = "HS256", secret: bytes = SECRET) -> str:
    """Sign claims."""
    return raw_token(json.dumps(claims).encode(), alg=alg, secret=secret)


def bearer(unverified_token: str) -> UnverifiedCredentials:
    """Present a token as a client does."""
    return UnverifiedCredentials(authorization=(f"Bearer {unverified_token}",))


def without(claims: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return claims without some of them."""
    return {name: value for name, value in claims.items() if name not in names}


@pytest.mark.parametrize(
    "claims, subject",
    [
        (CLAIMS, "ann"),
        ({"userId": "ann", "type": "access", "exp": NOW + 60}, "ann"),
        ({**CLAIMS, "userId": "bob", "type": "refresh"}, "ann"),
        ({**CLAIMS, "sub": "s" * 128}, "s" * 128),
        ({**CLAIMS, "sub": "Ωμέγα 12"}, "Ωμέγα 12"),
        ({**CLAIMS, "exp": NOW + 0.5}, "ann"),
        ({**CLAIMS, "exp": NOW - 29}, "ann"),
        ({**CLAIMS, "nbf": NOW + 30, "iat": NOW + 30}, "ann"),
        ({**CLAIMS, "nbf": None, "iat": None}, "ann"),
        ({**CLAIMS, "iss": "anybody", "aud": "anything"}, "ann"),
    ],
)
async def test_a_good_token_names_its_subject(
    authenticator: Authenticator, claims: dict[str, Any], subject: str
) -> None:
    """The principal is `sub`, or `userId` of an older access token; clocks may differ by 30 s."""
    assert await authenticator.authenticate(bearer(token(claims))) == Principal(subject)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "])
async def test_the_scheme_counts_in_any_case(authenticator: Authenticator, scheme: str) -> None:
    """RFC 9110 leaves the case of the scheme and the number of spaces open."""
    credentials = UnverifiedCredentials(authorization=(f"{scheme} {token(CLAIMS)}",))
    assert (await authenticator.authenticate(credentials)).subject == "ann"


@pytest.mark.parametrize(
    "roles, operator",
    [
        (["operator"], True),
        (["user", "operator"], True),
        (["user"], False),
        ("operator", False),
        ({"operator": True}, False),
        (None, False),
    ],
)
async def test_only_the_role_in_a_list_makes_an_operator(
    authenticator: Authenticator, roles: object, *, operator: bool
) -> None:
    """An operator has `operator` in its list of roles; nothing that resembles it counts."""
    principal = await authenticator.authenticate(bearer(token({**CLAIMS, "roles": roles})))
    assert principal.operator is operator


@pytest.mark.parametrize(
    "tier, named",
    [
        ("gold", "gold"),
        ("a-B_9", "a-B_9"),
        ("t" * 64, "t" * 64),
        ("t" * 65, ""),
        ("", ""),
        ("gold\n", ""),
        ("go ld", ""),
        ("gölð", ""),
        (7, ""),
        (True, ""),
        (["gold"], ""),
        (None, ""),
    ],
)
async def test_a_tier_that_is_none_is_the_default(
    authenticator: Authenticator, tier: object, named: str
) -> None:
    """1 to 64 plain characters are a tier; anything else lets in all the same, without one."""
    principal = await authenticator.authenticate(bearer(token({**CLAIMS, "tier": tier})))
    assert principal == Principal("ann", tier=named)


async def test_the_tier_stands_in_the_claim_that_is_configured() -> None:
    """Another claim can hold the tier, and then `tier` does not."""
    authenticator = authenticator_at(NOW, tier_claim="https://us/plan")
    claims = {**CLAIMS, "tier": "gold", "https://us/plan": "silver"}
    assert (await authenticator.authenticate(bearer(token(claims)))).tier == "silver"


BAD_CLAIMS: dict[str, object] = {
    "expired": {**CLAIMS, "exp": NOW - 30},
    "long expired": {**CLAIMS, "exp": 0},
    "no exp": without(CLAIMS, "exp"),
    "exp null": {**CLAIMS, "exp": None},
    "exp in a string": {**CLAIMS, "exp": str(NOW + 60)},
    "exp true": {**CLAIMS, "exp": True},
    "exp in a list": {**CLAIMS, "exp": [NOW + 60]},
    "exp negative": {**CLAIMS, "exp": -1},
    "exp of 400 digits": {**CLAIMS, "exp": int("9" * 400)},
    "exp after the year 9999": {**CLAIMS, "exp": 253_402_300_800},
    "exp NaN": {**CLAIMS, "exp": float("nan")},
    "exp Infinity": {**CLAIMS, "exp": float("inf")},
    "nbf in the future": {**CLAIMS, "nbf": NOW + 31},
    "nbf in a string": {**CLAIMS, "nbf": "0"},
    "iat in the future": {**CLAIMS, "iat": NOW + 31},
    "iat true": {**CLAIMS, "iat": True},
    "no sub": without(CLAIMS, "sub"),
    "sub empty": {**CLAIMS, "sub": ""},
    "sub null": {**CLAIMS, "sub": None},
    "sub null beside a userId": {**CLAIMS, "sub": None, "userId": "ann", "type": "access"},
    "sub a number": {**CLAIMS, "sub": 7},
    "sub of 129 characters": {**CLAIMS, "sub": "s" * 129},
    "sub with a line break": {**CLAIMS, "sub": "ann\nroot"},
    "sub with a NUL": {**CLAIMS, "sub": "ann\0"},
    "sub with half a surrogate": {**CLAIMS, "sub": "\ud800"},
    "sub with a direction override": {**CLAIMS, "sub": "ann\u202e"},
    "userId without a type": {"userId": "ann", "exp": NOW + 60},
    "userId of a refresh token": {"userId": "ann", "type": "refresh", "exp": NOW + 60},
    "userId empty": {"userId": "", "type": "access", "exp": NOW + 60},
    "a list": [CLAIMS],
    "a string": "ann",
    "null": None,
}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS.keys())
async def test_claims_are_read_strictly(authenticator: Authenticator, claims: Any) -> None:
    """A token that is well signed but says something odd proves nothing."""
    with pytest.raises(Unauthenticated) as refused:
        await authenticator.authenticate(bearer(token(claims)))
    assert refused.value.reason == "UNAUTHENTICATED"
    assert isinstance(refused.value, WrongCredentials) is (claims not in OF_ANOTHER_TIME)


OF_ANOTHER_TIME = [
    BAD_CLAIMS[name]
    for name in ("expired", "long expired", "nbf in the future", "iat in the future")
]
PAYLOADS = {
    "two subs": b'{"sub": "bob", "sub": "ann", "exp": 1767225660}',
    "two exps": b'{"sub": "ann", "exp": 1, "exp": 1767225660}',
    "exp beyond floats": b'{"sub": "ann", "exp": 1e999}',
    "exp of 5000 digits": b'{"sub": "ann", "exp": ' + b"9" * 5000 + b"}",
    "not JSON": b"sub=ann",
    "not UTF-8": b'{"sub": "\xff", "exp": 1767225660}',
    "nothing": b"",
    "very deep": b"[" * 5000,
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
async def test_a_payload_that_is_no_plain_object_is_refused(
    authenticator: Authenticator, payload: bytes
) -> None:
    """Claims stand once each, in JSON that every reader reads alike."""
    with pytest.raises(WrongCredentials):
        await authenticator.authenticate(bearer(raw_token(payload)))


def unsigned() -> str:
    """Return a token that claims to need no signature."""
    parts = ({"alg": "none"}, CLAIMS)
    return ".".join([*(encoded(json.dumps(part).encode()) for part in parts), ""])


FORGED = {
    "alg none without a signature": unsigned(),
    "alg none with a signature": token(CLAIMS, alg="none"),
    "another secret": token(CLAIMS, secret=b"another secret of the same length.."),
    "alg HS512 on an HS256 signature": token(CLAIMS, alg="HS512"),
    "alg RS256 on an HS256 signature": token(CLAIMS, alg="RS256"),
    "alg in another case": token(CLAIMS, alg="hs256"),
    "no signature": token(CLAIMS).rpartition(".")[0] + ".",
    "two parts": token(CLAIMS).rpartition(".")[0],
    "four parts": token(CLAIMS) + ".x",
    "not a JWT": "opaque",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
async def test_only_our_signature_counts(authenticator: Authenticator, forged: str) -> None:
    """Whatever is not signed with HS256 under the secret is refused."""
    with pytest.raises(WrongCredentials):
        await authenticator.authenticate(bearer(forged))


async def test_a_changed_payload_breaks_the_signature(authenticator: Authenticator) -> None:
    """Claims cannot be exchanged under a signature."""
    header, _, signature = token(CLAIMS).split(".")
    payload = encoded(json.dumps({**CLAIMS, "roles": ["operator"]}).encode())
    with pytest.raises(WrongCredentials):
        await authenticator.authenticate(bearer(f"{header}.{payload}.{signature}"))


GOOD = token(CLAIMS)
HEADERS = {
    "none": (),
    "empty": ("",),
    "blank": (" ",),
    "two": (f"Bearer {GOOD}", f"Bearer {GOOD}"),
    "another scheme": (f"Basic {GOOD}",),
    "no scheme": (GOOD,),
    "a scheme alone": ("Bearer",),
    "no token": ("Bearer ",),
    "no token in either": ("Bearer", "Basic YTpi"),
    "one of two": ("", "Bearer opaque"),
    "a comma": (f"Bearer {GOOD}, Bearer {GOOD}",),
    "a tab": (f"Bearer\t{GOOD}",),
    "a line break": (f"Bearer {GOOD}\n",),
    "not ASCII": (f"Bearer {GOOD}é",),
}

NO_BEARER = {
    "none",
    "empty",
    "blank",
    "another scheme",
    "no scheme",
    "a scheme alone",
    "no token",
    "no token in either",
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS.keys())
async def test_one_bearer_header_is_needed(
    authenticator: Authenticator, headers: tuple[str, ...]
) -> None:
    """No header, two of them, or one that is no bearer token prove nothing."""
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(UnverifiedCredentials(authorization=headers))


@pytest.mark.parametrize("name", HEADERS)
async def test_what_is_no_bearer_token_is_no_guess(authenticator: Authenticator, name: str) -> None:
    """Blank headers, a scheme alone and other schemes are no credentials, so no wrong ones."""
    with pytest.raises(Unauthenticated) as refused:
        await authenticator.authenticate(UnverifiedCredentials(authorization=HEADERS[name]))
    assert isinstance(refused.value, WrongCredentials) is (name not in NO_BEARER)
    if name in NO_BEARER:
        assert refused.value.message == "Send Authorization: Bearer <token>, or X-API-Key."


def sized_token(size: int) -> str:
    """Return a good token of exactly so many characters."""
    for length in range(size * 3 // 4 - 200, size):
        made = token({**CLAIMS, "pad": "x" * length})
        if len(made) >= size:
            break
    return made


async def test_a_token_may_be_8_kib_and_no_longer(authenticator: Authenticator) -> None:
    """What is longer than 8 KiB is refused unread, however good."""
    fits, too_long = sized_token(8192), sized_token(8193)
    assert len(fits) == 8192 < len(too_long)
    assert (await authenticator.authenticate(bearer(fits))).subject == "ann"
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(bearer(too_long))


@pytest.mark.parametrize(
    "api_key, guessed",
    [
        (("key",), True),
        (("one", "two"), True),
        (("", "two"), True),
        (("",), False),
        ((" ",), False),
    ],
)
async def test_an_api_key_is_judged_whatever_the_bearer(
    authenticator: Authenticator, api_key: tuple[str, ...], *, guessed: bool
) -> None:
    """A bad API key beside a good bearer is refused; one that is blank is no guess."""
    credentials = UnverifiedCredentials(authorization=(f"Bearer {GOOD}",), api_key=api_key)
    with pytest.raises(Unauthenticated, match="API key") as refused:
        await authenticator.authenticate(credentials)
    assert isinstance(refused.value, WrongCredentials) is guessed


@pytest.mark.parametrize(
    "claims, good",
    [
        ({"iss": "us", "aud": "api"}, True),
        ({"iss": "us", "aud": ["other", "api"]}, True),
        ({"iss": "them", "aud": "api"}, False),
        ({"iss": ["us"], "aud": "api"}, False),
        ({"aud": "api"}, False),
        ({"iss": "us", "aud": "other"}, False),
        ({"iss": "us", "aud": ["other"]}, False),
        ({"iss": "us", "aud": {"api": 1}}, False),
        ({"iss": "us", "aud": "api2"}, False),
        ({"iss": "us"}, False),
    ],
)
async def test_issuer_and_audience_are_required_where_configured(
    claims: dict[str, Any], *, good: bool
) -> None:
    """The issuer is the one configured, and the audience is it or contains it."""
    strict = authenticator_at(NOW, issuer="us", audience="api")
    credentials = bearer(token({**CLAIMS, **claims}))
    if good:
        assert (await strict.authenticate(credentials)).subject == "ann"
    else:
        with pytest.raises(WrongCredentials):
            await strict.authenticate(credentials)


async def test_why_a_token_fails_is_for_the_log(authenticator: Authenticator) -> None:
    """The caller learns that it failed, not why; neither sees the token or subject."""
    bad = token({**CLAIMS, "sub": "ann\n", "nbf": NOW + 99})
    with pytest.raises(Unauthenticated) as refused:
        await authenticator.authenticate(bearer(bad))
    assert refused.value.message == "The bearer token is not valid."
    assert "nbf" in str(refused.value.__cause__)
    assert bad not in repr(refused.value) + repr(refused.value.__cause__)


async def test_an_expired_token_is_told_apart() -> None:
    """A client that must renew its token learns so."""
    authenticator = authenticator_at(NOW + 90)
    with pytest.raises(Unauthenticated, match="expired") as refused:
        await authenticator.authenticate(bearer(GOOD))
    assert not isinstance(refused.value, WrongCredentials)
    forged = token(CLAIMS, secret=b"another secret of the same length..")
    with pytest.raises(WrongCredentials):
        await authenticator.authenticate(bearer(forged))


def test_credentials_and_subject_are_not_shown() -> None:
    """The reprs of credentials and principal can be logged."""
    credentials = UnverifiedCredentials(authorization=("Bearer s3cret",), api_key=("s3cret",))
    assert "s3cret" not in repr(credentials)
    assert "ann" not in repr(Principal("ann"))
