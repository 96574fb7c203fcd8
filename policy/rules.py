"""The rules against abuse, as they are configured, and what they find. Pure.

`policy.patterns` judges a user's tries, `policy.signs` a single request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from policy.standing import Blocking
from policy.tries import Memory

OWN_HEADERS = frozenset({"user-agent", "accept", "accept-language", "origin"})
"""What a client says of itself, and the gateway tells of every request."""

FORWARDING_HEADERS = frozenset(
    {
        "x-forwarded-host",
        "x-originating-ip",
        "x-cluster-client-ip",
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "true-client-ip",
        "x-client-ip",
    }
)
"""What a proxy says of its clients; the gateway tells of it unless a trusted proxy did."""

LONGEST_REMEMBERED_MS = 86_400_000
MOST_REMEMBERED = 512
"""Tries a user, whatever the rules ask for."""

SPARE = 27
"""Tries remembered beyond what the rules count, for those that they do not count."""


class Rule(StrEnum):
    """The rules, by the names they have in the policy file, in logs and in answers."""

    VOLUME = "volume"
    IDENTICAL_REQUESTS = "identical_requests"
    PARAMETER_ENUMERATION = "parameter_enumeration"
    MACHINE_TIMING = "machine_timing"
    REQUIRED_HEADERS = "required_headers"
    SUSPICIOUS_HEADERS = "suspicious_headers"
    SUSPICIOUS_CONTENT = "suspicious_content"
    FAILED_CREDENTIALS = "failed_credentials"


class Mode(StrEnum):
    """What follows from a rule that is broken."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    """It is counted and reported; nobody is refused."""
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request came from, as far as it is believed."""

    address: str | None = field(default=None, repr=False)
    """Canonical IP address. None: not known."""
    headers: frozenset[str] | None = None
    """Names of watched headers that the client itself sent. None: no HTTP request."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a caller chose."""

    model: str = ""
    instruction: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule makes of a request."""

    rule: Rule
    mode: Mode
    broken: bool
    observed: float = 0
    threshold: float = 0
    applies: bool = True
    """False: there is nothing to judge by."""
    ends_at: int | None = None
    """When waiting alone would mend it."""
    violation: bool = True
    """Whether breaking it counts towards a block."""

    @property
    def refuses(self) -> bool:
        """Whether the request is refused for it."""
        return self.broken and self.mode is Mode.ENFORCE


@dataclass(frozen=True, slots=True)
class VolumeRule:
    """More than `most` tries in a time."""

    mode: Mode = Mode.ENFORCE
    violation: bool = True
    most: int = 100
    window_ms: int = 600_000

    @property
    def needed(self) -> int:
        """How many tries it must know to be broken."""
        return self.most + 1


@dataclass(frozen=True, slots=True)
class IdenticalRule:
    """The same request again and again: more than `most`, once `known` tries are."""

    mode: Mode = Mode.ENFORCE
    violation: bool = True
    most: int = 5
    known: int = 10
    window_ms: int = 600_000

    @property
    def needed(self) -> int:
        """How many tries it must know to be broken."""
        return max(self.known, self.most + 1)


@dataclass(frozen=True, slots=True)
class EnumerationRule:
    """Ever other requests: more than `most` distinct ones among the last `known`."""

    mode: Mode = Mode.ENFORCE
    violation: bool = True
    most: int = 5
    known: int = 10
    window_ms: int = 600_000

    @property
    def needed(self) -> int:
        """How many tries it must know to be broken."""
        return self.known


@dataclass(frozen=True, slots=True)
class TimingRule:
    """A standard deviation of the last `known` intervals of less than `deviation_ms`."""

    mode: Mode = Mode.ENFORCE
    violation: bool = True
    deviation_ms: float = 10
    known: int = 10
    window_ms: int = 600_000

    @property
    def needed(self) -> int:
        """How many tries it must know to be broken."""
        return self.known + 1


@dataclass(frozen=True, slots=True)
class HeadersRule:
    """Names of headers, in lower case, that must be there, or must not."""

    names: frozenset[str]
    mode: Mode = Mode.ENFORCE
    violation: bool = False


@dataclass(frozen=True, slots=True)
class ContentRule:
    """Fragments that a model's name or an instruction must not have."""

    mode: Mode = Mode.ENFORCE
    violation: bool = True
    model_fragments: tuple[str, ...] = ("..", "/", "\\")
    instruction_fragments: tuple[str, ...] = (
        "eval(",
        "exec(",
        "require(",
        "import(",
        "process.",
        "fs.",
        "child_process",
    )


@dataclass(frozen=True, slots=True)
class CredentialsRule:
    """Credentials that are wrong count against the address."""

    mode: Mode = Mode.ENFORCE


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a tier."""

    volume: VolumeRule = VolumeRule()
    identical_requests: IdenticalRule = IdenticalRule()
    parameter_enumeration: EnumerationRule = EnumerationRule()
    machine_timing: TimingRule = TimingRule()
    required_headers: HeadersRule = HeadersRule(frozenset({"user-agent"}))
    suspicious_headers: HeadersRule = HeadersRule(
        frozenset({"x-forwarded-host", "x-originating-ip", "x-cluster-client-ip"})
    )
    suspicious_content: ContentRule = ContentRule()
    failed_credentials: CredentialsRule = CredentialsRule()
    blocking: Blocking = field(default_factory=Blocking)
    blocking_mode: Mode = Mode.ENFORCE

    @property
    def memory(self) -> Memory:
        """How much of the past these rules need: bounded, and never fewer tries than the default.

        Twice as long as any of them looks back: whether a try counts is told by those before it.
        """
        looking = [
            rule
            for rule in (
                self.volume,
                self.identical_requests,
                self.parameter_enumeration,
                self.machine_timing,
            )
            if rule.mode is not Mode.OFF
        ]
        least = Memory()
        longest = max((rule.window_ms for rule in looking), default=least.window_ms)
        return Memory(
            window_ms=min(2 * longest, LONGEST_REMEMBERED_MS),
            most=min(
                max(least.most, *(rule.needed + SPARE for rule in looking), 0), MOST_REMEMBERED
            ),
        )
