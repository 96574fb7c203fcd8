"""The shape of a policy file, and what it may say."""

from __future__ import annotations

import json
import sys
from ipaddress import IPv6Network, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from policy.effective import DEFAULT_TIER
from policy.rules import FORWARDING_HEADERS, MOST_REMEMBERED, OWN_HEADERS, SPARE, Mode, Rules

_RULES = Rules()
_MOST = MOST_REMEMBERED - SPARE - 1
_WIDEST = {4: 8, 6: 7}
"""Shortest prefixes: wider ones are slips, or everybody."""

PER_MINUTE = 60_000

_FRAGMENT = r"^[!-~]([ -~]{0,62}[!-~])?$"
_TIER = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
MEANINGS = {
    _FRAGMENT: "must be 1 to 64 ASCII characters, without space around them",
    _TIER: "must be a name of 1 to 63 of A-Z, a-z, 0-9, _, . and -, and begin with none of these 3",
}
"""What patterns say, in words."""


def _cooldown(minutes: float) -> float:
    if minutes and not round(minutes * PER_MINUTE):
        raise ValueError("must be 0, for off, or at least a millisecond")
    return minutes


def _network(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError("must be a network such as 192.0.2.0/24, or an address") from error
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        raise ValueError("must be written as IPv4, as addresses are")
    if network.prefixlen < _WIDEST[network.version]:
        raise ValueError(f"must be /{_WIDEST[network.version]} or narrower")
    return str(network)


def _tier_name(name: str) -> str:
    if name == DEFAULT_TIER:
        raise ValueError(
            f"must not be {DEFAULT_TIER!r}: its limits and rules stand outside of tiers"
        )
    return name


ModeField = Annotated[Mode, Field(strict=False)]
Count = Annotated[int, Field(ge=1, le=_MOST)]
Known = Annotated[int, Field(ge=2, le=100)]
Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
Window = Annotated[float, Field(ge=0.01, le=1_440, allow_inf_nan=False)]
CooldownMinutes = Annotated[
    float, Field(ge=0, le=1_440, allow_inf_nan=False), AfterValidator(_cooldown)
]
Fragments = Annotated[list[Annotated[str, Field(pattern=_FRAGMENT)]], Field(max_length=64)]
Networks = Annotated[list[Annotated[str, AfterValidator(_network)]], Field(max_length=1_000)]
TierName = Annotated[str, Field(pattern=_TIER), AfterValidator(_tier_name)]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


class LimitsSection(_Section):
    """What one user may have.

    What is not set is as the environment says; in a tier, as `limits` outside of tiers say.
    """

    tokens_per_hour: Tokens = 10
    """Tokens issued in any 3,600 s. Environment: LIVE_API_MAX_TOKENS_PER_HOUR."""
    tokens_per_day: Tokens = 100
    """Tokens issued in any 86,400 s, at least as many as an hour's.
    Environment: LIVE_API_MAX_TOKENS_PER_DAY."""
    cooldown_minutes: CooldownMinutes = 5
    """Between two tokens; 0: off. Environment: LIVE_API_COOLDOWN_PERIOD_MINUTES."""
    concurrent_sessions: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Unexpired tokens; 0: off. Environment: LIVE_API_MAX_CONCURRENT_SESSIONS."""
    refunds_per_hour: Annotated[int, Field(ge=0, le=1_000)] = 5
    """Charges given back in an hour although Gemini may have made a token."""


class DegradedSection(LimitsSection):
    """What one user may have of each process that decides alone, because the store is away.

    Never more than the limits beside it. What is not set: no more than these defaults and
    those limits; in a tier, than `degraded` outside of tiers.
    """

    tokens_per_hour: Tokens = 2
    """Tokens issued in any 3,600 s."""
    tokens_per_day: Tokens = 10
    """Tokens issued in any 86,400 s, at least as many as an hour's."""
    cooldown_minutes: CooldownMinutes = 5
    """Between two tokens; 0: off. At least as long as that of the limits."""
    concurrent_sessions: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Unexpired tokens; 0: off, where the limits have it off."""


class VolumeSection(_Section):
    """More than `requests` tries that count in `window_minutes`."""

    mode: ModeField = _RULES.volume.mode
    violation: bool = _RULES.volume.violation
    """Whether breaking it counts towards a block."""
    requests: Count = _RULES.volume.most
    window_minutes: Window = _RULES.volume.window_ms / PER_MINUTE


class IdenticalSection(_Section):
    """More than `requests` identical ones in `window_minutes`, once `known` tries count."""

    mode: ModeField = _RULES.identical_requests.mode
    violation: bool = _RULES.identical_requests.violation
    """Whether breaking it counts towards a block."""
    requests: Count = _RULES.identical_requests.most
    known: Known = _RULES.identical_requests.known
    window_minutes: Window = _RULES.identical_requests.window_ms / PER_MINUTE


class EnumerationSection(_Section):
    """More than `distinct` different ones among the last `known` tries that count.

    Of those in the last `window_minutes`.
    """

    mode: ModeField = _RULES.parameter_enumeration.mode
    violation: bool = _RULES.parameter_enumeration.violation
    """Whether breaking it counts towards a block."""
    distinct: Count = _RULES.parameter_enumeration.most
    """Less than `known`, or nothing could break it."""
    known: Known = _RULES.parameter_enumeration.known
    window_minutes: Window = _RULES.parameter_enumeration.window_ms / PER_MINUTE


class TimingSection(_Section):
    """The last `known` intervals between tries that count are too regular.

    Their standard deviation is less than `deviation_ms`. Of those in the last `window_minutes`.
    """

    mode: ModeField = _RULES.machine_timing.mode
    violation: bool = _RULES.machine_timing.violation
    """Whether breaking it counts towards a block."""
    deviation_ms: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = (
        _RULES.machine_timing.deviation_ms
    )
    known: Known = _RULES.machine_timing.known
    window_minutes: Window = _RULES.machine_timing.window_ms / PER_MINUTE


class RequiredHeadersSection(_Section):
    """Headers that an HTTP request must have."""

    mode: ModeField = _RULES.required_headers.mode
    violation: bool = _RULES.required_headers.violation
    """Whether breaking it counts towards a block."""
    names: Annotated[
        list[Literal[tuple(sorted(OWN_HEADERS))]],  # type: ignore[valid-type] # one list of names
        Field(min_length=1, max_length=16),
    ] = sorted(_RULES.required_headers.names)
    """In lower case; those that the gateway tells of."""


class SuspiciousHeadersSection(_Section):
    """Headers that an HTTP request must not have, unless from a trusted proxy."""

    mode: ModeField = _RULES.suspicious_headers.mode
    violation: bool = _RULES.suspicious_headers.violation
    """Whether breaking it counts towards a block."""
    names: Annotated[
        list[Literal[tuple(sorted(FORWARDING_HEADERS))]],  # type: ignore[valid-type] # as above
        Field(min_length=1, max_length=16),
    ] = sorted(_RULES.suspicious_headers.names)
    """In lower case; those that the gateway tells of."""


class ContentSection(_Section):
    """Literal fragments that a model's name, or a caller's own instruction, must not have."""

    mode: ModeField = _RULES.suspicious_content.mode
    violation: bool = _RULES.suspicious_content.violation
    """Whether breaking it counts towards a block."""
    model_fragments: Fragments = list(_RULES.suspicious_content.model_fragments)
    instruction_fragments: Fragments = list(_RULES.suspicious_content.instruction_fragments)
    """In any case. One that begins with a letter matches only where a word begins; one
    that ends in a full stop only where a name follows."""


class CredentialsSection(_Section):
    """Wrong credentials count towards a block of the address they came from."""

    mode: ModeField = _RULES.failed_credentials.mode


class BlockingSection(_Section):
    """How many violations, within which time, block for how long."""

    mode: ModeField = _RULES.blocking_mode
    violations: Annotated[int, Field(ge=1, le=100)] = _RULES.blocking.violations
    window_minutes: Window = _RULES.blocking.window_ms / PER_MINUTE
    block_minutes: Annotated[float, Field(ge=0.01, le=10_080, allow_inf_nan=False)] = (
        _RULES.blocking.block_ms / PER_MINUTE
    )


class TierRulesSection(_Section):
    """The rules that can differ between tiers. What is not set: as `rules` say."""

    volume: VolumeSection = Field(default_factory=VolumeSection)
    identical_requests: IdenticalSection = Field(default_factory=IdenticalSection)
    parameter_enumeration: EnumerationSection = Field(default_factory=EnumerationSection)
    machine_timing: TimingSection = Field(default_factory=TimingSection)
    required_headers: RequiredHeadersSection = Field(default_factory=RequiredHeadersSection)
    suspicious_headers: SuspiciousHeadersSection = Field(default_factory=SuspiciousHeadersSection)
    suspicious_content: ContentSection = Field(default_factory=ContentSection)
    blocking: BlockingSection = Field(default_factory=BlockingSection)


class RulesSection(TierRulesSection):
    """The rules against abuse.

    Each has a mode: `enforce`, `shadow` (counted and reported, nobody is refused) or `off`.
    """

    failed_credentials: CredentialsSection = Field(default_factory=CredentialsSection)
    """The same for all: whose credentials they are is not known."""


class TierSection(_Section):
    """What is different for the principals of a tier."""

    limits: LimitsSection = Field(default_factory=LimitsSection)
    degraded: DegradedSection = Field(default_factory=DegradedSection)
    rules: TierRulesSection = Field(default_factory=TierRulesSection)


class AddressesSection(_Section):
    """Networks, by CIDR."""

    deny: Networks = []
    """They get nothing."""
    exempt: Networks = []
    """They are never blocked, nor held to account for wrong credentials. `deny` goes first."""


class PolicyFile(_Section):
    """A policy of gemini-live-token: limits, rules, tiers, addresses.

    Only `version` must be there.
    """

    version: Annotated[int, Field(ge=1, le=1)]
    """Of the format. It must be there: a file cut to nothing is no policy."""
    limits: LimitsSection = Field(default_factory=LimitsSection)
    """Of every user without a tier."""
    degraded: DegradedSection = Field(default_factory=DegradedSection)
    rules: RulesSection = Field(default_factory=RulesSection)
    tiers: Annotated[dict[TierName, TierSection], Field(max_length=32)] = Field(
        default_factory=dict
    )
    """By name, as the principal's claim or API key has it. Unknown names: no tier."""
    addresses: AddressesSection = Field(default_factory=AddressesSection)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **PolicyFile.model_json_schema(),
    }


def text() -> str:
    """Return the schema as it is published, in policy.schema.json."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
