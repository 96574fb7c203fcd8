"""Plaintext stays on the machine, TLS is whole, and secrets are with whom they belong."""

import os
import re

import pytest

from gateway.settings import GatewaySettings
from policy.settings import PolicySettings
from serving.settings import Settings, SettingsError, load, refuse_foreign_secrets
from tokenservice.settings import TokenServiceSettings

ROLES: dict[str, type[Settings]] = {
    "POLICY": PolicySettings,
    "TOKENSERVICE": TokenServiceSettings,
    "GATEWAY": GatewaySettings,
}
NEEDED = {
    "POLICY": {"POLICY_HASH_KEY": "k" * 32},
    "TOKENSERVICE": {
        "LIVE_API_JWT_SECRET": "s" * 32,
        "GEMINI_API_KEY": "g",
        "TOKENSERVICE_HASH_KEY": "k" * 32,
    },
    "GATEWAY": {},
}
TLS = {
    role: {f"{role}_TLS_{file}_FILE": f"/{file}" for file in ("CERT", "KEY", "CA")}
    for role in ROLES
}
HTTPS = {"GATEWAY_HTTPS_CERT_FILE": "/cert", "GATEWAY_HTTPS_KEY_FILE": "/key"}
ELSEWHERE = [
    ("POLICY", "POLICY_LISTEN", "unix:p.sock,0.0.0.0:50052"),
    ("POLICY", "POLICY_LISTEN", "[::]:50052"),
    ("POLICY", "POLICY_STORE_URL", "redis://store:6379/0"),
    ("POLICY", "POLICY_STORE_URL", "valkey://a-password@10.0.0.1"),
    ("POLICY", "POLICY_STORE_URL", "redis+sentinel://127.0.0.1,sentinel/service"),
    ("POLICY", "POLICY_STORE_URL", "redis+cluster://a:1,b:2"),
    ("TOKENSERVICE", "TOKENSERVICE_LISTEN", "10.0.0.1:50051"),
    ("TOKENSERVICE", "TOKENSERVICE_POLICY_TARGET", "policy:50052"),
    ("TOKENSERVICE", "TOKENSERVICE_POLICY_TARGET", "dns:///policy:50052"),
    ("TOKENSERVICE", "TOKENSERVICE_STORE_URL", "redis://store:6379/0"),
    ("TOKENSERVICE", "GOOGLE_GEMINI_BASE_URL", "http://gemini.internal"),
    ("GATEWAY", "GATEWAY_HOST", "192.0.2.1"),
    ("GATEWAY", "GATEWAY_HOST", "::"),
    ("GATEWAY", "GATEWAY_TOKENSERVICE_TARGET", "tokenservice:50051"),
]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment that sets nothing of ours."""
    for name in os.environ:
        if name.startswith(
            ("POLICY_", "TOKENSERVICE_", "GATEWAY_", "LIVE_API_", "GEMINI_", "GOOGLE_")
        ):
            monkeypatch.delenv(name)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return the environment."""
    return monkeypatch


def loaded(role: str, given: pytest.MonkeyPatch, **variables: str) -> Settings:
    """Load a role's settings."""
    for name, value in (NEEDED[role] | variables).items():
        given.setenv(name, value)
    return load(ROLES[role])


def refused(role: str, given: pytest.MonkeyPatch, **variables: str) -> str:
    """Load a role's settings, which must not be; return what names the variable in one line."""
    with pytest.raises(SettingsError) as failed:
        loaded(role, given, **variables)
    (line,) = str(failed.value).splitlines()
    return line


@pytest.mark.parametrize("role, variable, value", ELSEWHERE)
def test_plaintext_does_not_leave_the_machine(
    given: pytest.MonkeyPatch, role: str, variable: str, value: str
) -> None:
    """The variable is named, not what it is set to."""
    line = refused(role, given, **{variable: value})
    assert line.startswith(f"{variable}: is plaintext and leaves this machine: ")
    assert line.endswith(f"or {role}_ALLOW_PLAINTEXT=true")
    assert value not in line


@pytest.mark.parametrize("role, variable, value", ELSEWHERE)
def test_unless_it_is_told_to(
    given: pytest.MonkeyPatch, role: str, variable: str, value: str
) -> None:
    """By one setting of its own."""
    loaded(role, given, **{variable: value, f"{role}_ALLOW_PLAINTEXT": "true"})


@pytest.mark.parametrize("role, variable, value", ELSEWHERE)
def test_or_it_is_encrypted(
    given: pytest.MonkeyPatch, role: str, variable: str, value: str
) -> None:
    """By the means of each hop."""
    encrypted = value.replace("redis", "rediss").replace("valkey", "rediss")
    encrypted = encrypted.replace("http:", "https:")
    loaded(role, given, **TLS[role], **{variable: encrypted}, **(HTTPS if "GATE" in role else {}))


def test_one_hop_s_encryption_is_not_another_s(given: pytest.MonkeyPatch) -> None:
    """Each needs its own."""
    with given.context() as given_here:
        line = refused("GATEWAY", given_here, GATEWAY_TOKENSERVICE_TARGET="elsewhere:1", **HTTPS)
        assert line.startswith("GATEWAY_TOKENSERVICE_TARGET: ")
    line = refused("GATEWAY", given, GATEWAY_HOST="10.0.0.1", **TLS["GATEWAY"])
    assert line.startswith("GATEWAY_HOST: ")
    line = refused("POLICY", given, POLICY_STORE_URL="redis://store", **TLS["POLICY"])
    assert line.startswith("POLICY_STORE_URL: ")


@pytest.mark.parametrize("role", ROLES)
def test_the_defaults_stay_on_the_machine(given: pytest.MonkeyPatch, role: str) -> None:
    """Nothing has to be set for a machine of one's own."""
    loaded(role, given)


@pytest.mark.parametrize(
    "role, names", [*((role, tuple(TLS[role])) for role in ROLES), ("GATEWAY", tuple(HTTPS))]
)
def test_half_a_configuration_does_not_start(
    given: pytest.MonkeyPatch, role: str, names: tuple[str, ...]
) -> None:
    """Whichever is missing, it is named."""
    for missing in names:
        for name in names:
            given.setenv(name, "/a")
        given.delenv(missing)
        assert refused(role, given).startswith(f"{missing}: must be set with ")


def test_an_authority_of_browsers_needs_a_certificate(given: pytest.MonkeyPatch) -> None:
    """Or there would be no handshake to show one in."""
    line = refused("GATEWAY", given, GATEWAY_HTTPS_CLIENT_CA_FILE="/ca")
    assert line.startswith("GATEWAY_HTTPS_CERT_FILE: must be set with ")


@pytest.mark.parametrize("callers", ["tokenservice", "spiffe://a,*", "dns:A", "unix"])
def test_callers_are_identities(given: pytest.MonkeyPatch, callers: str) -> None:
    """What no certificate proves would let nobody in."""
    line = refused("POLICY", given, POLICY_CALLERS=callers, **TLS["POLICY"])
    assert re.fullmatch("POLICY_CALLERS: has an entry .*", line)


@pytest.mark.parametrize("tls", [{}, TLS["POLICY"] | {"POLICY_TLS_CLIENT_AUTH": "none"}])
def test_callers_need_certificates(given: pytest.MonkeyPatch, tls: dict[str, str]) -> None:
    """Without, nobody could prove to be one."""
    line = refused("POLICY", given, POLICY_CALLERS="dns:a", **tls)
    assert line.startswith("POLICY_CALLERS: nobody can prove to be one of them")


@pytest.mark.parametrize("role", ["POLICY", "GATEWAY"])
@pytest.mark.parametrize("variable", ["GEMINI_API_KEY", "GEMINI_API_KEY_FILE"])
def test_the_key_to_gemini_is_tokenservice_s_alone(
    given: pytest.MonkeyPatch, role: str, variable: str
) -> None:
    """A process that has no use for it does not serve with it, and does not show it."""
    given.setenv(variable, "a-key")
    with pytest.raises(SettingsError, match=rf"\A{variable}: must not be set") as failed:
        refuse_foreign_secrets(ROLES[role])
    assert "a-key" not in str(failed.value)


@pytest.mark.parametrize("role", ["POLICY", "GATEWAY"])
def test_an_empty_key_is_none(given: pytest.MonkeyPatch, role: str) -> None:
    """As some write it who unset a variable."""
    given.setenv("GEMINI_API_KEY", "")
    refuse_foreign_secrets(ROLES[role])


def test_tokenservice_needs_its_own(given: pytest.MonkeyPatch) -> None:
    """It is whose key it is."""
    given.setenv("GEMINI_API_KEY", "a-key")
    refuse_foreign_secrets(TokenServiceSettings)


@pytest.mark.parametrize("role", ROLES)
def test_reflection_is_off_by_default(given: pytest.MonkeyPatch, role: str) -> None:
    """And on where it is asked for."""
    assert not loaded(role, given).grpc_reflection
    assert loaded(role, given, GRPC_REFLECTION="true").grpc_reflection
