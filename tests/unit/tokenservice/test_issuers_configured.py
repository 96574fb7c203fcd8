"""The list of issuers, as it is configured."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from oidc import AUDIENCE, ISSUER, jwks, signing_key

from serving.settings import SettingsError, load
from tokenservice.identity.issuers import IssuerOptions, read_issuers
from tokenservice.settings import TokenServiceSettings

DOCUMENT = (Path(__file__).parents[3] / "docs/identity.md").read_text(encoding="utf-8")
RSA = signing_key("RS256", "rsa")
EC = signing_key("ES256", "ec")
URL = "https://issuer.example/jwks.json"
SECRET = "s3cret of an issuer, long enough for us"
PEM = RSA.public_pem.decode()
ONE: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": URL}


def keyed(**key: Any) -> dict[str, Any]:
    """Return an issuer with other keys than published ones."""
    return {k: v for k, v in ONE.items() if k != "jwks_url"} | key


def read(*issuers: Any) -> tuple[IssuerOptions, ...]:
    """Read a list."""
    return read_issuers(json.dumps(issuers))


def test_little_needs_to_be_said() -> None:
    """Issuer, audience and keys suffice; its subjects are then in its own namespace."""
    (one,) = read(ONE)
    assert one.audience == (AUDIENCE,)
    assert one.allowed == ("RS256", "PS256", "ES256", "ES384", "EdDSA")
    assert one.prefix == f"{ISSUER}#"
    rules = one.rules([one.prefix])
    assert (rules.subject, rules.tier, rules.operator) == (("sub",), ("tier",), ("roles",))
    assert rules.operator_value == "operator"
    assert rules.service is False
    assert rules.max_lifetime == 86_400


@pytest.mark.parametrize(
    "key", [{"jwks": jwks(RSA)}, {"public_key": PEM}, {"secret": SECRET}], ids=list
)
def test_keys_can_be_given(key: dict[str, Any]) -> None:
    """Keys in the list need no fetch, and a secret means HS256 alone."""
    (one,) = read(keyed(**key))
    assert one.fixed_keys is not None
    assert one.allowed == ("HS256",) if "secret" in key else "HS256" not in one.allowed


@pytest.mark.parametrize(
    "url",
    ["https://a.example/", "http://127.0.0.1:8080/jwks", "http://[::1]/", "http://localhost/k"],
)
def test_addresses_that_nobody_on_the_way_can_change(url: str) -> None:
    """Https anywhere, and http on this machine."""
    assert read(ONE | {"jwks_url": url})[0].jwks_url == url


BAD: dict[str, tuple[list[Any], str]] = {
    "not an object": (["x"], "entry 1: "),
    "no entry": ([], ""),
    "no issuer": ([{"audience": "a", "jwks_url": URL}], "entry 1: issuer: must be set"),
    "no audience": ([{"issuer": "i", "jwks_url": URL}], "entry 1: audience: must be set"),
    "an empty issuer": ([ONE | {"issuer": ""}], "entry 1: issuer: "),
    "an issuer with a line break": ([ONE | {"issuer": "a\nb"}], "entry 1: issuer: "),
    "an empty audience": ([ONE | {"audience": []}], "entry 1: audience: "),
    "an audience that is a number": ([ONE | {"audience": 7}], "entry 1: audience: "),
    "an empty subject": ([ONE | {"subject_claim": ""}], "entry 1: subject_claim: "),
    "no keys": ([ONE, keyed()], "entry 2: needs exactly one of "),
    "two sorts of keys": ([ONE | {"secret": SECRET}], "entry 1: needs exactly one of "),
    "plain http": ([ONE | {"jwks_url": "http://a.example/"}], "entry 1: jwks_url: "),
    "http beside loopback": ([ONE | {"jwks_url": "http://127.0.0.1.evil/"}], "entry 1: jwks_url: "),
    "http, loopback as the user": (
        [ONE | {"jwks_url": "http://127.0.0.1@a.example/"}],
        "entry 1: jwks_url: ",
    ),
    "a password": ([ONE | {"jwks_url": "https://me:s3cret@a.example/"}], "entry 1: jwks_url: "),
    "a file": ([ONE | {"jwks_url": "file:///etc/passwd"}], "entry 1: jwks_url: "),
    "no host": ([ONE | {"jwks_url": "https:///jwks"}], "entry 1: jwks_url: "),
    "a port that is none": ([ONE | {"jwks_url": "https://a.example:x/"}], "entry 1: jwks_url: "),
    "a short secret": ([keyed(secret="s" * 31)], "entry 1: secret: must be at least 32 bytes"),
    "HS256 with public keys": ([ONE | {"algorithms": ["HS256"]}], "entry 1: algorithms: "),
    "both sorts": ([ONE | {"algorithms": ["RS256", "HS256"]}], "entry 1: algorithms: "),
    "RS256 with a secret": (
        [keyed(secret=SECRET, algorithms=["RS256"])],
        "entry 1: algorithms: ",
    ),
    "no algorithm": ([ONE | {"algorithms": []}], "entry 1: algorithms: "),
    "none": ([ONE | {"algorithms": ["none"]}], "entry 1: algorithms: "),
    "an unknown algorithm": ([ONE | {"algorithms": ["XX999"]}], "entry 1: algorithms: "),
    "a private key": ([keyed(jwks={"keys": [RSA.private_jwk()]})], "entry 1: jwks: must be public"),
    "a key that does not fit": (
        [keyed(jwks=jwks(EC), algorithms=["RS256"])],
        "entry 1: jwks: has no public key that fits",
    ),
    "no key at all": ([keyed(jwks={"keys": []})], "entry 1: jwks: has no public key"),
    "no PEM": ([keyed(public_key="MIIB")], "entry 1: public_key: must be a public key in PEM"),
    "a short RSA key": (
        [keyed(public_key=signing_key("RS256", "short", bits=1024).public_pem.decode())],
        "entry 1: public_key: has no public key",
    ),
    "a private PEM": (
        [keyed(public_key="-----BEGIN PRIVATE KEY-----")],
        "entry 1: public_key: must be public",
    ),
    "an unknown kind": ([ONE | {"kind": "robot"}], "entry 1: kind: "),
    "an unknown field": ([ONE | {"audiance": "x"}], "entry 1: audiance: "),
    "a long namespace": ([ONE | {"namespace": "n" * 128}], "entry 1: namespace: "),
    "a long issuer without a namespace": ([ONE | {"issuer": "i" * 127}], "entry 1: namespace: "),
    "the same issuer twice": ([ONE, ONE], "entry 2: issuer: is that of an earlier entry"),
    "the same namespace twice": (
        [ONE | {"namespace": ""}, ONE | {"issuer": "b", "namespace": ""}],
        "entry 2: namespace: is that of an earlier entry",
    ),
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set what must be set beside the issuers."""
    for field in TokenServiceSettings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
        monkeypatch.delenv(f"{field.validation_alias}_FILE", raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", "key")
    return monkeypatch


@pytest.mark.parametrize("issuers, told", BAD.values(), ids=BAD.keys())
def test_a_wrong_list_stops_the_start(
    environment: pytest.MonkeyPatch, issuers: list[Any], told: str
) -> None:
    """One line names the variable, the entry and the field, and no value."""
    environment.setenv("TOKENSERVICE_ISSUERS", json.dumps(issuers))
    expected = rf"\ATOKENSERVICE_ISSUERS: {re.escape(told)}[^\n]*\Z"
    with pytest.raises(SettingsError, match=expected) as refused:
        load(TokenServiceSettings)
    values = [str(v) for each in issuers if isinstance(each, dict) for v in each.values()]
    assert not [v for v in values if len(v) > 6 and v in str(refused.value)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "{}",
        "null",
        "[] []",
        f'[{{"issuer": "a", "issuer": "b", "audience": "x", "secret": "{SECRET}"}}]',
    ],
)
def test_what_is_no_list_stops_the_start(environment: pytest.MonkeyPatch, text: str) -> None:
    """Text that is no JSON array, or says something twice, is not read."""
    environment.setenv("TOKENSERVICE_ISSUERS", text)
    with pytest.raises(SettingsError, match=r"\ATOKENSERVICE_ISSUERS: [^\n]+\Z") as refused:
        load(TokenServiceSettings)
    assert SECRET not in str(refused.value)


def test_issuers_suffice_without_a_secret(environment: pytest.MonkeyPatch) -> None:
    """With issuers, LIVE_API_JWT_SECRET may be missing; without both, nobody could call."""
    with pytest.raises(SettingsError, match="LIVE_API_JWT_SECRET: must be set, or else"):
        load(TokenServiceSettings)
    environment.setenv("TOKENSERVICE_ISSUERS", json.dumps([ONE]))
    trust = load(TokenServiceSettings).trust
    assert trust.secret is None
    assert [each.issuer for each in trust.issuers] == [ISSUER]


def test_issuers_can_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TOKENSERVICE_ISSUERS_FILE names a file with the list."""
    file = tmp_path / "issuers.json"
    file.write_text(json.dumps([ONE], indent=2) + "\n")
    environment.setenv("TOKENSERVICE_ISSUERS_FILE", str(file))
    assert load(TokenServiceSettings).trust.issuers == read(ONE)


@pytest.mark.parametrize(
    "name, value",
    [
        ("LIVE_API_JWT_ISSUER", ISSUER),
        ("TOKENSERVICE_JWKS_REFRESH_SECONDS", "9"),
        ("TOKENSERVICE_JWKS_STALE_SECONDS", "59"),
        ("TOKENSERVICE_JWKS_STALE_SECONDS", "299"),
    ],
)
def test_what_contradicts_stops_the_start(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The secret's issuer is none of the list's, and keys are kept until they are refreshed."""
    environment.setenv("TOKENSERVICE_ISSUERS", json.dumps([ONE]))
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"\A{name}: [^\n]+\Z"):
        load(TokenServiceSettings)


def test_the_document_is_right(environment: pytest.MonkeyPatch) -> None:
    """The example in docs/identity.md is a good list, each field is explained, and so its error."""
    (example,) = re.findall(r"```json\n(.+?)```", DOCUMENT, re.DOTALL)
    keycloak, auth0, services = read_issuers(example)
    assert keycloak.operator_claim == ("realm_access", "roles")
    assert auth0.prefix == "auth0:"
    assert services.kind == "service"
    assert services.fixed_keys is not None
    explained = re.findall(r"^\| `([a-z_]+)` \| .*\| .+ \|$", DOCUMENT, re.MULTILINE)
    assert explained == list(IssuerOptions.model_fields)
    (wrong,) = re.findall(r"TOKENSERVICE_ISSUERS='(.+?)' tokenservice$", DOCUMENT, re.MULTILINE)
    environment.setenv("TOKENSERVICE_ISSUERS", wrong)
    with pytest.raises(SettingsError) as refused:
        load(TokenServiceSettings)
    assert f"\ntokenservice: {refused.value}\n" in DOCUMENT


def test_nothing_secret_is_shown() -> None:
    """Configured issuers can be printed."""
    assert SECRET not in repr(read(keyed(secret=SECRET)))
