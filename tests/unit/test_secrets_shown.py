"""No type shows a secret that it holds: each is looked at, by what its fields are called."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pickle
import pkgutil
import re
from typing import TYPE_CHECKING, Any, get_args

import pytest
from pydantic import BaseModel, SecretStr

import gateway
import policy
import serving
import tokenservice
from policy.settings import PolicySettings
from tokenservice.client_info import ClientInfo
from tokenservice.gemini import GeminiOptions
from tokenservice.grant import TokenRequest
from tokenservice.policy_port import Attempt
from tokenservice.principal import Caller, Principal, UnverifiedCredentials
from tokenservice.seal import Minted
from tokenservice.settings import TokenServiceSettings
from tokenservice.token import EphemeralToken, Lifetime

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-0123456789abcdef"
_SECRET = re.compile(
    r"secret|(?<!has_)token$|(?<!operator_)authorization|api_key|hash_key$|seal_key|operator_key"
    r"|dpop|password|credential|subject|instruction$|proof$|bearer|jwt$|pem$"
)
SHOWN = {
    "policy.file.schema.RulesSection.failed_credentials": "a rule",
    "policy.rules.Rules.failed_credentials": "a rule",
    "serving.errors.QuotaViolation.subject": "the name of a limit, in google.rpc's words",
    "tokenservice.grant.Terms.default_instruction": "the operator's own, told to no caller",
    "tokenservice.identity.claims.ClaimRules.subject": "the name of a claim",
    "tokenservice.identity.issuers.IssuerOptions.subject_claim": "the name of a claim",
    "tokenservice.ledger.entry.Entry.credential": "of which kind it was",
    "tokenservice.ledger.entry.Entry.token": "a keyed hash",
    "tokenservice.ledger.ports.Query.token": "a keyed hash",
    "tokenservice.principal.Principal.credential": "of which kind it was",
    "tokenservice.settings.TokenServiceSettings.dpop": "a mode",
    "tokenservice.settings.TokenServiceSettings.dpop_origins": "our own addresses",
    "tokenservice.settings.TokenServiceSettings.default_instruction": "the operator's own",
}
"""Fields that are called like secrets, and are none."""


def fields() -> Iterator[tuple[str, type, bool]]:
    """Yield each field of each type of ours: its name, its type, and whether it is shown."""
    for package in (gateway, policy, serving, tokenservice):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "_pb2" in module.name or module.name.endswith("__main__"):
                continue
            found = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
            for name, kind in found:
                if kind.__module__ == module.name:
                    yield from _fields(f"{module.name}.{name}", kind)


def _fields(name: str, kind: Any) -> Iterator[tuple[str, Any, bool]]:
    if dataclasses.is_dataclass(kind):
        shown = vars(kind)["__dataclass_params__"].repr
        for each in dataclasses.fields(kind):
            yield f"{name}.{each.name}", each.type, shown and each.repr
    elif issubclass(kind, BaseModel):
        for field, info in kind.model_fields.items():
            yield f"{name}.{field}", info.annotation, bool(info.repr)


def _hides_itself(annotation: Any) -> bool:
    return any(
        kind in (SecretStr, EphemeralToken, bool)
        or kind in ("SecretStr", "EphemeralToken", "UnverifiedCredentials", "bool")
        for kind in (annotation, *get_args(annotation))
    )


def test_a_field_that_holds_a_secret_is_in_no_repr() -> None:
    """Whatever is called like a secret hides itself, is left out of the repr, or has a reason."""
    called = {name: (kind, shown) for name, kind, shown in fields()}
    assert len(called) > 300
    exposed = {
        name
        for name, (kind, shown) in called.items()
        if shown and _SECRET.search(name.rpartition(".")[2]) and not _hides_itself(kind)
    }
    assert exposed - SHOWN.keys() == set()
    assert SHOWN.keys() - called.keys() == set(), "a reason for a field that is gone"


def test_each_secret_setting_hides_itself() -> None:
    """What can be given as a file of its own is a SecretStr, and a SecretStr is never shown."""
    told = {name for name, kind, _ in fields() if SecretStr in (kind, *get_args(kind))}
    assert {
        "policy.settings.PolicySettings.hash_key",
        "policy.settings.PolicySettings.operator_key",
        "policy.settings.PolicySettings.store_url",
        "tokenservice.settings.TokenServiceSettings.gemini_api_key",
        "tokenservice.settings.TokenServiceSettings.jwt_secret",
        "tokenservice.settings.TokenServiceSettings.seal_key",
    } <= told


def _holders() -> list[object]:
    caller = Caller(Principal(CANARY), ClientInfo(address="", headers=None))
    asked = TokenRequest(CANARY, CANARY, None, CANARY, None, CANARY)
    secret = SecretStr(CANARY)
    return [
        EphemeralToken(CANARY),
        Minted(EphemeralToken(CANARY), Lifetime(1, 1)),
        UnverifiedCredentials((CANARY,), (CANARY,), (CANARY,)),
        GeminiOptions(api_key=CANARY),
        asked,
        caller,
        Attempt(caller=caller, asked=asked, request_id="r", owner=b"", fingerprint=b""),
        TokenServiceSettings(jwt_secret=SecretStr(CANARY * 2), gemini_api_key=secret),
        PolicySettings(hash_key=SecretStr(CANARY * 2)),
    ]


@pytest.mark.parametrize("number", range(9))
def test_what_holds_a_secret_does_not_show_it(number: int) -> None:
    """Not in its repr, as text, formatted, in an exception, or in a list."""
    holder = _holders()[number]
    shown = [repr(holder), str(holder), f"{holder}", f"{holder!s:>5}", repr(ValueError(holder))]
    shown += [repr([holder]), repr({"a": holder}), "%s" % (holder,)]  # noqa: UP031 - as logging does
    assert not any(CANARY in text for text in shown)


@pytest.mark.parametrize("number", range(2))
def test_a_token_is_not_pickled_inside_of_another_object(number: int) -> None:
    """Neither alone nor in what carries it."""
    with pytest.raises(TypeError):
        pickle.dumps(_holders()[number])
