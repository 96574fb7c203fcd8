"""The documents of settings say what the code declares, no more and no less."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emulator.options import ENV_PREFIX, Options
from gateway.settings import GatewaySettings
from policy.settings import PolicySettings
from serving import otel_variables, settings as serving_settings
from serving.settings import Settings
from tokenservice.settings import TokenServiceSettings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "deploy/live-token.env").read_text(encoding="utf-8")
ROLES: dict[str, type[Settings]] = {
    "policy": PolicySettings,
    "tokenservice": TokenServiceSettings,
    "gateway": GatewaySettings,
}
SHARED = "All of policy, tokenservice, gateway"
UNSET = "–"  # noqa: RUF001 - as it stands in the document
REQUIRED = "required"


def own_fields(settings: type[Settings]) -> dict[str, FieldInfo]:
    """Return the fields that a class adds to those of every process, by variable."""
    inherited = {} if settings is Settings else Settings.model_fields
    return {
        str(field.validation_alias): field
        for name, field in settings.model_fields.items()
        if name not in inherited
    }


def written(value: Any) -> str:
    """Return a default as one would set it."""
    match value:
        case None | ():
            return UNSET
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def declared(settings: type[Settings]) -> dict[str, str]:
    """Return the variables of a class and their defaults."""
    return {
        variable: REQUIRED if field.is_required() else written(field.default)
        for variable, field in own_fields(settings).items()
    }


def secret(field: FieldInfo) -> bool:
    """Return whether a field can also be given as a file."""
    return serving_settings._is_secret(field)


def documented(section: str) -> dict[str, str]:
    """Return the variables and defaults in the tables of a section."""
    text = re.split(rf"^## {re.escape(section)}$", DOCUMENT, flags=re.MULTILINE)[1]
    text = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", text, flags=re.MULTILINE)
    assert len(rows) == len({name for name, _ in rows}), "a variable stands twice"
    return {name: default.strip("`") for name, default in rows}


def telemetry_variables() -> set[str]:
    """Return the variables of OpenTelemetry that our code reads."""
    return set(re.findall(r'"(OTEL_[A-Z_]+)"', Path(otel_variables.__file__).read_text("utf-8")))


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_documented(role: str) -> None:
    """A role's section lists exactly its variables, with their defaults."""
    assert documented(role) == declared(ROLES[role])


def test_what_all_roles_share_is_documented() -> None:
    """The shared section lists the shared settings, and what we read of OpenTelemetry."""
    found = documented(SHARED)
    traces = {name for name in found if name.startswith("OTEL_")}
    assert traces == telemetry_variables()
    assert {name: found[name] for name in found.keys() - traces} == declared(Settings)


def test_the_emulator_is_documented() -> None:
    """The emulator's section lists exactly its options, with their defaults."""
    assert documented("emulator") == {
        ENV_PREFIX + field.name.upper(): written(field.default)
        for field in dataclasses.fields(Options)
    }


@pytest.mark.parametrize("role", ROLES)
def test_secrets_are_marked(role: str) -> None:
    """What can be given as a file is marked so, and nothing else is."""
    for variable, field in own_fields(ROLES[role]).items():
        (meaning,) = re.findall(rf"^\| `{variable}` \| .+? \| (.*) \|$", DOCUMENT, re.MULTILINE)
        assert meaning.startswith("*secret*") == secret(field), variable


def test_the_example_has_every_setting_but_the_secrets() -> None:
    """The example environment has each default, commented out, and no secret."""
    lines = [line for line in EXAMPLE.splitlines() if line and not line.startswith("# ")]
    assert all(line.startswith("#") for line in lines)
    found = {}
    for line in lines:
        name, _, value = line.removeprefix("#").partition("=")
        assert name not in found, "a variable stands twice"
        found[name] = " ".join(shlex.split(value))
    traces = {name: value for name, value in found.items() if name.startswith("OTEL_")}
    shared = documented(SHARED)
    assert traces == {name: shared[name].replace(UNSET, "") for name in telemetry_variables()}
    classes: tuple[type[Settings], ...] = (Settings, *ROLES.values())
    assert {name: found[name] for name in found.keys() - traces.keys()} == {
        variable: "" if written(field.default) == UNSET else written(field.default)
        for settings in classes
        for variable, field in own_fields(settings).items()
        if not secret(field)
    }
