"""Limits and rules in the terms of a policy file, and back."""

from __future__ import annotations

from typing import Any

from policy.file.schema import PER_MINUTE
from policy.limits import Limits
from policy.rules import (
    ContentRule,
    CredentialsRule,
    EnumerationRule,
    HeadersRule,
    IdenticalRule,
    Mode,
    Rules,
    TimingRule,
    VolumeRule,
)
from policy.standing import Blocking

Terms = dict[str, Any]
"""A part of a file, as plain data."""


def limits_said(limits: Limits) -> Terms:
    """Say limits."""
    return {
        "tokens_per_hour": limits.tokens_per_hour,
        "tokens_per_day": limits.tokens_per_day,
        "cooldown_minutes": limits.cooldown_ms / PER_MINUTE,
        "concurrent_sessions": limits.concurrent_sessions,
        "refunds_per_hour": limits.refunds_per_hour,
    }


def limits_meant(said: Terms) -> Limits:
    """Return the limits that are said, all of them."""
    return Limits(
        tokens_per_hour=said["tokens_per_hour"],
        tokens_per_day=said["tokens_per_day"],
        cooldown_ms=_ms(said["cooldown_minutes"]),
        concurrent_sessions=said["concurrent_sessions"],
        refunds_per_hour=said["refunds_per_hour"],
    )


def rules_said(rules: Rules) -> Terms:
    """Say rules."""
    return {
        "volume": {
            **_follows(rules.volume),
            "requests": rules.volume.most,
            "window_minutes": rules.volume.window_ms / PER_MINUTE,
        },
        "identical_requests": {
            **_follows(rules.identical_requests),
            "requests": rules.identical_requests.most,
            "known": rules.identical_requests.known,
            "window_minutes": rules.identical_requests.window_ms / PER_MINUTE,
        },
        "parameter_enumeration": {
            **_follows(rules.parameter_enumeration),
            "distinct": rules.parameter_enumeration.most,
            "known": rules.parameter_enumeration.known,
            "window_minutes": rules.parameter_enumeration.window_ms / PER_MINUTE,
        },
        "machine_timing": {
            **_follows(rules.machine_timing),
            "deviation_ms": rules.machine_timing.deviation_ms,
            "known": rules.machine_timing.known,
            "window_minutes": rules.machine_timing.window_ms / PER_MINUTE,
        },
        "required_headers": {
            **_follows(rules.required_headers),
            "names": sorted(rules.required_headers.names),
        },
        "suspicious_headers": {
            **_follows(rules.suspicious_headers),
            "names": sorted(rules.suspicious_headers.names),
        },
        "suspicious_content": {
            **_follows(rules.suspicious_content),
            "model_fragments": list(rules.suspicious_content.model_fragments),
            "instruction_fragments": list(rules.suspicious_content.instruction_fragments),
        },
        "failed_credentials": {"mode": rules.failed_credentials.mode.value},
        "blocking": {
            "mode": rules.blocking_mode.value,
            "violations": rules.blocking.violations,
            "window_minutes": rules.blocking.window_ms / PER_MINUTE,
            "block_minutes": rules.blocking.block_ms / PER_MINUTE,
        },
    }


def rules_meant(said: Terms) -> Rules:
    """Return the rules that are said, all of them."""
    identical, enumeration = said["identical_requests"], said["parameter_enumeration"]
    blocking, content = said["blocking"], said["suspicious_content"]
    return Rules(
        volume=VolumeRule(
            **_mode(said["volume"]), most=said["volume"]["requests"], **_window(said["volume"])
        ),
        identical_requests=IdenticalRule(
            **_mode(identical),
            most=identical["requests"],
            known=identical["known"],
            **_window(identical),
        ),
        parameter_enumeration=EnumerationRule(
            **_mode(enumeration),
            most=enumeration["distinct"],
            known=enumeration["known"],
            **_window(enumeration),
        ),
        machine_timing=TimingRule(
            **_mode(said["machine_timing"]),
            deviation_ms=said["machine_timing"]["deviation_ms"],
            known=said["machine_timing"]["known"],
            **_window(said["machine_timing"]),
        ),
        required_headers=_headers(said["required_headers"]),
        suspicious_headers=_headers(said["suspicious_headers"]),
        suspicious_content=ContentRule(
            **_mode(content),
            model_fragments=tuple(content["model_fragments"]),
            instruction_fragments=tuple(content["instruction_fragments"]),
        ),
        failed_credentials=CredentialsRule(Mode(said["failed_credentials"]["mode"])),
        blocking=Blocking(
            blocking["violations"], _ms(blocking["window_minutes"]), _ms(blocking["block_minutes"])
        ),
        blocking_mode=Mode(blocking["mode"]),
    )


def _follows(
    rule: VolumeRule | IdenticalRule | EnumerationRule | TimingRule | HeadersRule | ContentRule,
) -> Terms:
    return {"mode": rule.mode.value, "violation": rule.violation}


def _mode(said: Terms) -> Terms:
    return {"mode": Mode(said["mode"]), "violation": said["violation"]}


def _window(said: Terms) -> Terms:
    return {"window_ms": _ms(said["window_minutes"])}


def _headers(said: Terms) -> HeadersRule:
    return HeadersRule(frozenset(said["names"]), **_mode(said))


def _ms(minutes: float) -> int:
    return round(minutes * PER_MINUTE)
