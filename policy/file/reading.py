"""The policy file: what it says, over what is so without it, is the policy in force.

Of the limits, the file goes before the environment; a tier before the file's
general part. What comes out is written down whole, as a policy file of its own,
and judged by the same schema: so nothing gets in by a side door.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from ipaddress import ip_network
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from policy.effective import EffectivePolicy, Tier
from policy.file.schema import MEANINGS, PolicyFile, schema
from policy.file.strict_yaml import Document, Path, YamlError, read
from policy.file.terms import Terms, limits_meant, limits_said, rules_meant, rules_said
from policy.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic_core import ErrorDetails

    from policy.limits import Limits

__all__ = ["PolicyFileError", "parse", "schema", "without_file"]

_VARIABLES = {
    "tokens_per_hour": "LIVE_API_MAX_TOKENS_PER_HOUR",
    "tokens_per_day": "LIVE_API_MAX_TOKENS_PER_DAY",
    "cooldown_minutes": "LIVE_API_COOLDOWN_PERIOD_MINUTES",
    "concurrent_sessions": "LIVE_API_MAX_CONCURRENT_SESSIONS",
}
_SENTENCES = {
    "missing": "must be there",
    "extra_forbidden": "must not be there: nothing has this name",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a mapping, of names to values",
    "model_type": "must be a mapping, of names to values",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have an entry",
    "value_error": "{error}",
}


class PolicyFileError(Exception):
    """The file is no policy. `problems` are a line each: where, which field, what it must be."""

    def __init__(self, problems: Iterable[str]) -> None:
        """Tell of `problems`."""
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def parse(
    text: str, *, defaults: Limits, degraded_defaults: Limits, name: str = "policy.yaml"
) -> EffectivePolicy:
    """Return the policy that a file of that name, with `text` in it, puts in force.

    `defaults` are the limits where it says nothing, `degraded_defaults` those of a
    process that decides alone.
    """
    try:
        document = read(text)
    except YamlError as error:
        raise PolicyFileError(
            _line(name, line, (), sentence) for line, sentence in error.problems
        ) from error
    said = _checked(document.value, document, name)
    whole = _whole(said, limits_said(defaults), limits_said(degraded_defaults))
    contradictions = [
        _line(name, document.line(path), path, sentence)
        for path, sentence in _contradictions(whole, said)
    ]
    if contradictions:
        raise PolicyFileError(contradictions)
    return _effective(_checked(whole, Document(), name))


def without_file(*, defaults: Limits, degraded_defaults: Limits) -> EffectivePolicy:
    """Return the policy in force where there is no file."""
    return parse("version: 1", defaults=defaults, degraded_defaults=degraded_defaults)


def _checked(value: Any, document: Document, name: str) -> Terms:
    """Return what `value` says, as the schema reads it and no more than was said."""
    try:
        file = PolicyFile.model_validate({} if value is None else value)
    except ValidationError as error:
        raise PolicyFileError(_told(error, document, name)) from error
    said: Terms = file.model_dump(mode="json", exclude_unset=True)
    return said


def _told(error: ValidationError, document: Document, name: str) -> Iterator[str]:
    for detail in error.errors(include_url=False, include_input=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        yield _line(name, document.line(path), path, _sentence(detail))


def _sentence(detail: ErrorDetails) -> str:
    """Return what a value must be."""
    context = detail.get("ctx", {})
    if "pattern" in context:
        return MEANINGS[context["pattern"]]
    sentence = _SENTENCES.get(detail["type"])
    if sentence is None:
        return detail["msg"]
    return sentence.format_map({key: _number(value) for key, value in context.items()})


def _number(value: object) -> str:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return f"{value:,.0f}" if whole else str(value)


def _line(name: str, line: int | None, path: Path, sentence: str) -> str:
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    where = f"{name}:{line}" if name and line else name
    return ": ".join(part for part in (where, field.removeprefix("."), sentence) if part)


def _whole(said: Terms, defaults: Terms, degraded_defaults: Terms) -> Terms:
    """Return what was said with all that was not said filled in."""
    limits = defaults | said.get("limits", {})
    degraded = _within(degraded_defaults, limits) | said.get("degraded", {})
    rules = _merged(rules_said(Rules()), said.get("rules", {}))
    general = {key: value for key, value in rules.items() if key != "failed_credentials"}
    tiers = {}
    for name, tier in said.get("tiers", {}).items():
        own = limits | tier.get("limits", {})
        tiers[name] = {
            "limits": own,
            "degraded": _within(degraded, own) | tier.get("degraded", {}),
            "rules": _merged(general, tier.get("rules", {})),
        }
    addresses = {"deny": [], "exempt": []} | said.get("addresses", {})
    return {
        "version": 1,
        "limits": limits,
        "degraded": degraded,
        "rules": rules,
        "tiers": tiers,
        "addresses": addresses,
    }


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Terms:
    merged = dict(under)
    for key, value in over.items():
        merged[key] = _merged(under[key], value) if isinstance(value, Mapping) else value
    return merged


def _within(limits: Terms, bounds: Terms) -> Terms:
    """Return `limits`, each at least as strict as in `bounds`."""
    return {key: _stricter(key, value, bounds[key]) for key, value in limits.items()}


def _stricter(key: str, one: float, other: float) -> float:
    match key:
        case "cooldown_minutes":
            return max(one, other)
        case "concurrent_sessions":
            return min(one or other, other or one)  # 0: off
        case _:
            return min(one, other)


def _contradictions(whole: Terms, said: Terms) -> Iterator[tuple[Path, str]]:
    """Tell of what no single field is wrong in."""
    parts: list[tuple[Path, Terms]] = [((), whole)]
    parts += [(("tiers", name), tier) for name, tier in whole["tiers"].items()]
    for path, part in parts:
        for kind in ("limits", "degraded"):
            hour, day = part[kind]["tokens_per_hour"], part[kind]["tokens_per_day"]
            if day < hour:
                source = "" if path or kind != "limits" else _source(said, "tokens_per_day")
                yield (
                    (*path, kind, "tokens_per_day"),
                    f"must not be less than tokens_per_hour, {hour}; it is {day}{source}",
                )
        for key, value in part["degraded"].items():
            bound = part["limits"][key]
            if _stricter(key, value, bound) != value:
                yield (
                    (*path, "degraded", key),
                    f"must not be laxer than that of the limits, {_number(bound)}",
                )
        enumeration = part["rules"]["parameter_enumeration"]
        if enumeration["distinct"] >= enumeration["known"]:
            yield (
                (*path, "rules", "parameter_enumeration", "distinct"),
                f"must be less than known, {enumeration['known']}, or nothing could break the rule",
            )


def _source(said: Terms, key: str) -> str:
    return "" if key in said.get("limits", {}) else f", from {_VARIABLES[key]} or its default"


def _effective(whole: Terms) -> EffectivePolicy:
    text = yaml.safe_dump(_tidy(whole), sort_keys=False, allow_unicode=True)
    rules = whole["rules"]
    return EffectivePolicy(
        default=_tier(whole, rules),
        tiers=MappingProxyType(
            {
                name: _tier(tier, rules | tier["rules"], name)
                for name, tier in whole["tiers"].items()
            }
        ),
        denied=tuple(map(ip_network, whole["addresses"]["deny"])),
        exempt=tuple(map(ip_network, whole["addresses"]["exempt"])),
        yaml=text,
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )


def _tidy(value: Any) -> Any:
    """Return `value` with whole numbers written as such."""
    match value:
        case dict():
            return {key: _tidy(item) for key, item in value.items()}
        case list():
            return [_tidy(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _tier(part: Terms, rules: Terms, name: str = Tier().name) -> Tier:
    return Tier(
        name, limits_meant(part["limits"]), limits_meant(part["degraded"]), rules_meant(rules)
    )
